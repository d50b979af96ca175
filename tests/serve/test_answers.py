"""JSON says what the checkpoints say, for the key and time that were asked for."""

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from streampca import CheckpointWarning, StreamingPCA
from streampca.monitor import Monitor, individuals_chart, trends
from streampca.serve import create_app
from streampca.serve.query import key_text, read_key


def test_an_empty_store_is_no_error(client):
    assert client.get("/keys").json()["keys"] == []
    assert client.get("/components").status_code == 404
    assert "no checkpoint yet" in client.get("/history").json()["error"]
    assert client.get("/").status_code == 200


def test_keys_are_told_apart_whatever_their_kind(client, store, fill):
    keys = [None, 4, "4", "null", '"4"', "press 4", "../../etc/passwd", "a&b=c#d", "é"]
    for seed, key in enumerate(keys):
        fill(store, key, hours=1, seed=seed)
    listed = client.get("/keys").json()["keys"]
    assert {(type(each["key"]), each["key"]) for each in listed} == {(type(k), k) for k in keys}
    for each in listed:
        answer = client.get("/components", params={"key": each["query"]})
        assert answer.json()["key"] == each["key"]
        assert read_key(key_text(each["key"])) == each["key"]


def test_components_are_those_of_the_checkpoint(client, store, fill):
    last = fill(store)[-1]
    answer = client.get("/components").json()
    np.testing.assert_array_equal(answer["components"], last.components)
    np.testing.assert_array_equal(answer["mean"], last.mean)
    assert answer["explained_variance_ratio"] == last.explained_variance_ratio.tolist()
    assert answer["feature_names"] == list(last.feature_names)
    assert (answer["window_end"], answer["n_samples_seen"]) == ("1970-01-01T03:00:00Z", 150)


def test_the_features_with_the_largest_loadings_are_kept(client, store, fill):
    last = fill(store)[-1]
    answer = client.get("/components?n_components=1&n_features=1").json()
    best = int(np.abs(last.components[0]).argmax())
    assert (answer["features"], answer["n_features"]) == ([best], 3)
    assert answer["components"] == [[last.components[0, best]]]
    assert len(answer["explained_variance_ratio"]) == 2


@pytest.mark.parametrize("path", ["/keys", "/components", "/history", "/times", "/transform"])
@pytest.mark.parametrize("name", ["kye", "Key", "limits", "sequnce", "n", "", "x" * 900, "key "])
def test_a_parameter_that_there_is_not_is_refused(client, store, fill, path, name):
    """An answer without what was meant would be one for another model."""
    fill(store, None, hours=1)
    ask = client.post if path == "/transform" else client.get
    extra = {"json": [[0, 0, 0]]} if path == "/transform" else {}
    answer = ask(path, params={name: "press 4"}, **extra)
    assert answer.status_code == 400
    assert f"there is no parameter {name[:64]!r}" in answer.json()["error"]


def test_a_parameter_that_is_meant_is_named_and_one_given_twice_refused(client, store, fill):
    fill(store, None, hours=1)
    assert "did you mean key?" in client.get("/events?kye=4").json()["error"]
    twice = client.get("/components?key=null&key=4")
    assert (twice.status_code, "more than once" in twice.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    "at", ["1970-01-01T02:30:00Z", "1970-01-01T02:00", "1970-01-01T03:30:00+01:00", "7200000000"]
)
def test_a_time_gives_what_was_known_then(client, store, fill, at):
    fill(store)
    assert client.get("/components", params={"at": at}).json()["n_samples_seen"] == 100


def test_a_sequence_gives_exactly_that_checkpoint(client, store, fill):
    fill(store, ends=False)
    assert client.get("/components?sequence=1").json()["n_samples_seen"] == 100
    assert client.get("/components?sequence=9").status_code == 404


def test_history_is_the_trends_of_the_checkpoints_and_grows(client, store, fill):
    written = fill(store, hours=5)
    found = trends(written)
    answer = client.get("/history").json()
    entries = answer["checkpoints"]
    assert [entry["n_samples_seen"] for entry in entries] == [50, 100, 150, 200, 250]
    assert entries[0]["turned"] == [None, None]
    np.testing.assert_allclose([e["turned"] for e in entries[1:]], found.angles[1:])
    np.testing.assert_allclose([e["angle"] for e in entries[1:]], found.subspace[1:])
    np.testing.assert_allclose([e["left_out"] for e in entries], found.left_out)
    chart = individuals_chart(found.left_out)
    assert answer["charts"]["left_out"]["upper"] == pytest.approx(chart.upper)
    fill(store, hours=1, start=5)
    assert client.get("/history?limit=2").json()["checkpoints"][0] == entries[-1]
    assert client.get("/history").json()["n_checkpoints"] == 6


def test_history_reads_each_checkpoint_once(client, store, fill, monkeypatch):
    fill(store, hours=4)
    reads = []
    original = type(store).read

    def read(self, *args, **options):
        reads.append(args)
        return original(self, *args, **options)

    monkeypatch.setattr(type(store), "read", read)
    for _ in range(3):
        client.get("/history")
    assert len(reads) == 4
    fill(store, hours=1, start=4)
    client.get("/history")
    assert len(reads) == 6  # the new one, and the one before it


def test_a_torn_file_is_passed_over(client, store, fill):
    fill(store, hours=4)
    files = sorted(Path(store.uri).rglob("*.parquet"))
    files[1].write_bytes(files[1].read_bytes()[:-50])
    with pytest.warns(CheckpointWarning, match="Skipped"):
        answer = client.get("/history").json()
    assert [entry["n_samples_seen"] for entry in answer["checkpoints"]] == [50, 150, 200]


ROWS = [[10.0, 10.0, 10.0], [10.0, 10.0, 40.0], [40.0, 10.0, 10.0]]


def test_transform_gives_scores_statistics_limits_and_the_feature(client, store, fill):
    last = fill(store)[-1]
    answer = client.post("/transform", json={"rows": ROWS}).json()
    monitor = Monitor(last)
    np.testing.assert_allclose(answer["scores"], last.transform(ROWS))
    np.testing.assert_allclose(answer["spe"], monitor.spe(ROWS))
    np.testing.assert_allclose(answer["t2"], monitor.t2(ROWS))
    assert answer["spe_limit"] == pytest.approx(monitor.spe_limit(0.99))
    assert answer["t2_limit"] == pytest.approx(monitor.t2_limit(0.99))
    assert answer["alarm"] == [False, True, True]
    assert answer["feature"][1:] == ["<b>load</b>", "oil"]
    assert answer["statistic"][1:] == ["spe", "t2"]
    tighter = client.post("/transform?confidence=0.5", json=ROWS).json()
    assert tighter["spe_limit"] < answer["spe_limit"]


def test_a_calibrated_model_has_its_own_limits(client, store, fill):
    rng = np.random.default_rng(5)
    monitor = Monitor(fill(store)[-1]).calibrate(rng.normal(size=(400, 3)) * [3, 2, 9] + 10)
    store.write(monitor.checkpoint())
    answer = client.post("/transform", json={"rows": ROWS}).json()
    assert (answer["spe_limit"], answer["t2_limit"]) == monitor.limits(0.99)[:2]
    assert answer["spe_limit"] > 2 * monitor.spe_limit(0.99)  # that of theory
    rare = client.post("/transform?confidence=0.9999", json={"rows": ROWS}).json()
    assert rare["spe_limit"] == pytest.approx(monitor.spe_limit(0.9999))


def test_rows_by_name_are_the_rows_in_order(client, store, fill):
    fill(store)
    names = ("<b>load</b>", "oil", "air")
    named = [dict(zip(names, (row[2], row[0], row[1]), strict=True)) for row in ROWS]
    answers = [client.post("/transform", json=rows).json() for rows in (ROWS, named)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1, 2, 3], [1, "x", 3]], "row 1, feature 'air' is 'x'"),
        ([[1, 2, 3], [1, None, 3]], "row 1, feature 'air' is nan"),
        ([[1, 2, 3], [1, True, 3]], "row 1, feature 'air' is 'True'"),
        ([[1, 2, 3], [1, 1e200, 3]], "row 1, feature 'air' is 1e+200"),
        ([[1, 2, 3], [1, 10**400, 3]], "row 1, feature"),
        ([[1, 2, 3], [1, [2], 3]], "row 1, feature 'air' is '[2]'"),
        ([[1, 2, 3], [1, 2]], "row 1 has 2 features, and the model has 3"),
        ([{"oil": 1, "air": 2}], "row 0 lacks the feature '<b>load</b>'"),
        ([{"oil": 1, "air": 2, "<b>load</b>": 3, "x": 4}], "row 0 has 'x', which is no feature"),
        ([7], "row 0 is int"),
        ([], "at least one row"),
        ({"row": 1}, 'the body must be {"rows": [...]}'),
        ("text", "rows must be a list"),
    ],
)
def test_a_bad_row_is_named(client, store, fill, rows, said):
    fill(store)
    answer = client.post("/transform", json=rows)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[[1, NaN, 3]]", "NaN is no number"),
        (b"[[1, -Infinity, 3]]", "-Infinity is no number"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[[" + b"1" * 5000 + b",2,3]]", "no JSON"),
        (b"[[1e999, 2, 3]]", "row 0, feature 'oil' is inf"),
    ],
    ids=["nan", "infinity", "torn", "not utf-8", "deep", "digits", "overflow"],
)
def test_a_bad_body_is_refused(client, store, fill, body, said):
    fill(store)
    answer = client.post("/transform", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("key=nobody", 404, "no key 'nobody'"),
        ("at=yesterday", 400, "at='yesterday' is no time"),
        ("at=1960-01-01", 404, "had ended by 1960-01-01"),
        ("at=99999999999999999999", 400, "no time"),
        ("sequence=-1", 400, "sequence='-1'"),
        ("n_components=0", 400, "from 1 to"),
        ("n_features=x", 400, "n_features='x'"),
        ("n_features=" + "9" * 30, 400, "whole number"),
    ],
)
def test_a_bad_question_is_answered_with_what_to_ask(client, store, fill, query, status, said):
    fill(store)
    answer = client.get(f"/components?{query}")
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_several_keys_and_none_chosen(client, store, fill):
    fill(store, "a", hours=1)
    fill(store, "b", hours=1)
    answer = client.get("/components")
    assert (answer.status_code, answer.json()["error"][:20]) == (400, "the store has 2 keys")


def test_a_gap_is_scored_by_what_was_observed_where_the_model_fills_gaps(client, store):
    rng = np.random.default_rng(0)
    pca = StreamingPCA(1, missing="impute").partial_fit(rng.normal(size=(50, 3)))
    store.write(pca.checkpoint())
    answer = client.post("/transform", json=[[1, 2, 3], [1, None, 3]]).json()
    expected = Monitor(pca).assess([[1, 2, 3], [1, np.nan, 3]])
    np.testing.assert_allclose(answer["spe"], expected.spe)
    np.testing.assert_allclose(answer["t2"], expected.t2)
    assert np.isfinite(answer["spe"]).all()


def test_a_secret_in_the_store_s_address_is_not_shown(store):
    client = TestClient(create_app(store), base_url="http://localhost")
    store.uri = "s3://name:secret@bucket/folder"
    assert client.get("/keys").json()["store"] == "s3://bucket/folder"
