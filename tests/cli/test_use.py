"""transform, score and export against what the library itself says of the same rows."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from streampca import CheckpointStore
from streampca.cli.commands import app
from streampca.monitor import Monitor

NAMES = ["component_1", "component_2"]


@pytest.fixture
def store(cli, write, rows):
    """A store of two components, and a file of new rows of which one is broken."""
    cli("fit", write("a.csv", rows[:2000]), "-n", 2, "-o", "store", "--checkpoint-rows", 1000)
    new = rows[2000:].copy()
    new[17, 1] += 40
    write("new.parquet", new, id=list(range(1000)))
    return CheckpointStore("store").latest(), new


def read(path):
    if path.endswith(".jsonl"):
        return pd.read_json(path, lines=True, precise_float=True)
    return pd.read_csv(path) if path.endswith(".csv") else pq.read_table(path).to_pandas()


@pytest.mark.parametrize("target", ["z.csv", "z.jsonl", "z.parquet"])
@pytest.mark.parametrize("source", ["new.parquet", "new.csv", "new.jsonl"])
def test_transform_writes_what_transform_returns(cli, write, store, source, target):
    model, new = store
    write(source, new, id=list(range(1000)))
    cli("transform", "store", source, "-o", target, "--keep", "id")
    found = read(target)
    assert found["id"].astype(int).tolist() == list(range(1000))
    np.testing.assert_allclose(found[NAMES].to_numpy(), model.transform(new), rtol=1e-12)


def test_transform_to_a_pipe(cli, store):
    model, new = store
    lines = cli("transform", "store", "new.parquet").out.splitlines()
    assert lines[0].replace('"', "") == ",".join(NAMES)
    found = [list(map(float, line.split(","))) for line in lines[1:]]
    np.testing.assert_allclose(found, model.transform(new), rtol=1e-12)
    said = cli("transform", "store", "new.parquet", "--output-format", "jsonl").out
    assert json.loads(said.splitlines()[0])["component_1"] == pytest.approx(found[0][0])


def test_columns_are_found_by_name_in_any_order(cli, write, store):
    model, new = store
    frame = pd.DataFrame(new, columns=model.feature_names)
    frame[[*reversed(model.feature_names)]].assign(more="x").to_csv("other.csv", index=False)
    cli("transform", "store", "other.csv", "-o", "z.parquet")
    np.testing.assert_allclose(read("z.parquet")[NAMES], model.transform(new), rtol=1e-12)
    frame.drop(columns="heat").to_csv("less.csv", index=False)
    assert "there is no column 'heat'" in cli("transform", "store", "less.csv", code=2).err


def test_each_row_by_the_model_of_its_key(cli, write, rows):
    press = ["a", "b"] * 1500
    path = write("a.csv", rows, press=press)
    cli("fit", path, "--key-column", "press", "-n", 2, "-o", "store")
    press[7] = "c"
    path = write("b.csv", rows, press=press)
    given = [path, "--key-column", "press"]
    said = cli("transform", "store", *given, code=2).err
    assert "b.csv, row 7 (line 9): there is no model of key 'c'" in said
    cli("transform", "store", *given, "-o", "z.parquet", "--bad-rows", "bad.jsonl")
    found = read("z.parquet")
    assert len(found) == 2999
    for key, start in (("a", 0), ("b", 1)):
        model = CheckpointStore("store").latest(key)
        kept = np.delete(np.arange(start, 3000, 2), 3 if key == "b" else [])
        of_key = found[found["press"] == key][NAMES]
        np.testing.assert_allclose(of_key, model.transform(rows[kept]), rtol=1e-12)
    assert json.loads(Path("bad.jsonl").read_text())["key"] == "c"
    scores = cli("score", "store", *given, "--bad-rows", "skip", "--json").json
    assert (scores["n_rows"], scores["n_bad_rows"]) == (2999, 1)


def test_a_model_of_another_time(cli, store):
    first = CheckpointStore("store").history()[0]
    _, new = store
    name = sorted(path.name for path in Path("store/none").iterdir())[0]
    cli("transform", f"store/none/{name}", "new.parquet", "-o", "z.parquet")
    np.testing.assert_allclose(read("z.parquet"), first.transform(new), rtol=1e-12)


@pytest.mark.parametrize("target", ["s.csv", "s.jsonl", "s.parquet"])
def test_score_writes_what_the_monitor_says(cli, store, target):
    model, new = store
    monitor = Monitor(model)
    said = cli("score", "store", "new.parquet", "-o", target, "--keep", "id", "--json").json
    found = read(target)
    np.testing.assert_allclose(found["spe"], monitor.spe(new), rtol=1e-9)
    np.testing.assert_allclose(found["t2"], monitor.t2(new), rtol=1e-9)
    assert said["limits"] == [
        {
            "key": None,
            "spe": monitor.spe_limit(0.99),
            "t2": monitor.t2_limit(0.99),
            "method": "theory",
        }
    ]
    over = (monitor.spe(new) > monitor.spe_limit()) | (monitor.t2(new) > monitor.t2_limit())
    assert found["alarm"].tolist() == over.tolist()
    assert said["n_alarms"] == over.sum()
    worst = said["alarms"][0]
    assert (worst["file"], worst["row"], worst["feature"]) == ("new.parquet", "row 17", "air")
    assert found["feature"][17] == "air"


def test_an_alarm_is_an_exit_code_where_asked(cli, store):
    cli("score", "store", "new.parquet")
    said = cli("score", "store", "new.parquet", "--fail-on-alarm", code=1)
    assert "new.parquet, row 17" in said.out
    cli("score", "store", "new.parquet", "--confidence", "0.99", "--json", "--show", 0)


def test_limits_from_normal_rows(cli, write, rows, store):
    model, _ = store
    write("normal.csv", rows[1000:2000])
    write("quiet.csv", rows[1000:2000])
    said = cli("score", "store", "quiet.csv", "--normal", "normal.csv", "--json").json
    spe = Monitor(model).spe(rows[1000:2000])
    assert said["limits"][0]["spe"] == pytest.approx(np.quantile(spe, 0.99), rel=0.05)
    assert said["n_spe_alarms"] == pytest.approx(10, abs=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_gives_what_transform_returns(cli, write, rows, dtype):
    onnxruntime = pytest.importorskip("onnxruntime")
    cli("fit", write("a.csv", rows), "-n", 3, "-o", "store", "--dtype", dtype)
    cli("export", "store", "-o", "m.onnx")
    model = CheckpointStore("store").latest()
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    X = rows.astype(dtype)
    (found,) = session.run(None, {"rows": X})
    assert found.dtype == dtype
    tolerance = 1e-3 if dtype == "float32" else 1e-11  # of coordinates of rows about 100 long
    np.testing.assert_allclose(found, model.transform(X), atol=tolerance)
    names = session.get_modelmeta().custom_metadata_map["feature_names"]
    assert json.loads(names) == list(model.feature_names)


def test_onnx_whitens_where_the_model_does(rows, cli):
    onnxruntime = pytest.importorskip("onnxruntime")
    from streampca import StreamingPCA

    pca = StreamingPCA(2, whiten=True).fit(rows)
    CheckpointStore("store").write(pca.checkpoint())
    cli("export", "store", "-o", "m.onnx")
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": rows})
    np.testing.assert_allclose(found, pca.transform(rows), atol=1e-11)
    np.testing.assert_allclose(found.std(axis=0, ddof=1), 1, rtol=1e-9)


def test_npz_holds_every_array(cli, store):
    model, new = store
    cli("export", "store", "-o", "m.npz")
    with np.load("m.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["components"], model.components)
        assert arrays["feature_names"].tolist() == list(model.feature_names)
        Z = (new - arrays["mean"]) @ arrays["components"].T
    np.testing.assert_allclose(Z, model.transform(new), rtol=1e-9)


@pytest.mark.parametrize("kind", ["scree", "loadings", "drift", "acs", "scores", "control"])
def test_figures_are_written(cli, store, kind, tmp_path):
    files = ["new.parquet"] if kind in ("scores", "control") else []
    cli("plot", kind, "store", *files, "-o", "f.png")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    cli("plot", kind, "store", *files, "-o", "f.svg")
    assert "</svg>" in (tmp_path / "f.svg").read_text()


def test_serve_is_called_with_the_store(cli, store, monkeypatch):
    called = []
    monkeypatch.setattr("streampca.serve.serve", lambda *a, **k: called.append((a, k)))
    cli("serve", "store", "--port", 0)
    assert called == [(("store",), {"host": "127.0.0.1", "port": 0, "allowed_hosts": ()})]
    assert "a file, not a folder" in cli("serve", "a.csv", code=2).err


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("onnx", ["export", "store", "-o", "m.onnx"], "onnx"),
        ("matplotlib", ["plot", "scree", "store", "-o", "f.png"], "plot"),
    ],
)
def test_a_missing_extra_is_named(cli, store, monkeypatch, module, arguments, extra):
    for name in [n for n in sys.modules if n.startswith((module, "streampca.plots"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("streampca.plots", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2
    assert said.stderr.startswith("error: ")
    assert f'pip install "streampca[{extra}]"' in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("whiten", [False, True])
def test_onnx_scales_where_the_model_does(rows, cli, whiten):
    onnxruntime = pytest.importorskip("onnxruntime")
    from streampca import StreamingPCA

    X = rows * [1e-3, 1.0, 1e4, 10.0]
    pca = StreamingPCA(2, scale=True, whiten=whiten).fit(X)
    CheckpointStore("store").write(pca.checkpoint())
    cli("export", "store", "-o", "m.onnx")
    session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": X})
    np.testing.assert_allclose(found, pca.transform(X), atol=1e-9)


def test_fit_scale_learns_the_correlation_and_goes_on_with_it(cli, write, rows):
    X = rows * [1e-3, 1.0, 1e4, 10.0]
    cli("fit", write("a.csv", X[:1500]), "-n", 2, "-o", "store", "--scale")
    cli("fit", write("b.csv", X[1500:]), "-o", "store", "--resume")
    model = CheckpointStore("store").latest()
    values = np.linalg.eigvalsh(np.corrcoef(X.T))[::-1][:2]
    np.testing.assert_allclose(model.explained_variance, values, rtol=1e-9)
    shown = cli("components", "store", "--json").json
    np.testing.assert_allclose(shown["scale"], X.std(axis=0, ddof=1), rtol=1e-9)
    cli("export", "store", "-o", "m.npz")
    with np.load("m.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["scale"], model.scale)
    said = cli("score", "store", "b.csv", "--json").json
    assert said["n_rows"] == 1500
    assert said["n_alarms"] < 200


@pytest.fixture
def watched(cli, write):
    """A store of normal rows of four sensors, and a file with one of them off for a while."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 1)) @ np.ones((1, 4)) + 0.2 * rng.normal(size=(4000, 4))
    X[3000:3040, 2] += 3.0
    X[3500, 1] += 5.0
    times = [f"2026-01-01T{i // 60:02d}:{i % 60:02d}:00" for i in range(1000)]
    write("normal.csv", X[:2000])
    write("calm.csv", X[2000:2600])
    write("odd.csv", X[2700:3700], time=times)
    cli("fit", "normal.csv", "-n", 1, "-o", "store", "-q")


def test_score_ends_with_events(cli, watched):
    said = cli(
        "score",
        "store",
        "odd.csv",
        "--timestamp-column",
        "time",
        "--rules",
        "k=3, n=5, hold_off=5",
        "--json",
    ).json
    (event,) = said["events"]
    assert (event["start"], event["end"]) == ("odd.csv, row 300", "odd.csv, row 339")
    assert (event["start_time"], event["end_time"]) == (
        "2026-01-01T05:00:00Z",
        "2026-01-01T05:39:00Z",
    )
    assert event["sensors"][0] == "heat"
    assert event["is_over"]
    assert (event["n_rows"], event["n_out"], said["n_events"]) == (40, 40, 1)
    assert said["rules"] == {"k": 3, "n": 5, "hold_off": 5}
    text = cli(
        "score", "store", "odd.csv", "--timestamp-column", "time", "--rules", "k=3, n=5, hold_off=5"
    ).out
    assert "2026-01-01T05:00:00Z" in text
    assert "1 event;" in text
    every = cli("score", "store", "odd.csv", "--json").json
    assert every["n_events"] > 1  # without rules each row that is out is one
    assert "odd.csv, row 800" in {event["start"] for event in every["events"]}


@pytest.mark.parametrize(
    ("single", "rules"),
    [
        (["--k-of-n", "3/5", "--hold-off", 5], "k=3, n=5, hold_off=5"),
        (["--k-of-n", "4"], "k=4, n=4"),
        (["--ewma", 0.3, "--release", 0.8], "ewma=0.3, release=0.8"),
        (["--k-of-n", "3/5", "--rules", "hold_off=5"], "k=3, n=5, hold_off=5"),
        (
            ["--rules", "k=2, n=3, confidence=0.98", "--confidence", 0.9],
            "k=2, n=3, confidence=0.98",
        ),
    ],
)
def test_rules_have_options_of_their_own(cli, watched, single, rules):
    args = ["score", "store", "odd.csv", "--normal", "calm.csv", "--json"]
    assert cli(*args, *single).json == cli(*args, "--rules", rules).json


def test_what_is_said_of_events_at_the_end(cli, watched):
    args = ["score", "store", "odd.csv", "--k-of-n", "3/5", "--hold-off", 5]
    lines = cli(*args).out.splitlines()
    event = lines[lines.index("Events") + 3].split()
    said = cli(*args, "--json").json["events"][0]
    assert " ".join(event).startswith("odd.csv, row 300 odd.csv, row 339 heat ")
    assert " ".join(event).endswith(f"40 rows {said['peak']:.3g} x SPE {said['peak_row']}")
    assert lines[-1].endswith("limits at 0.99 from theory")
    assert cli(*args, "--normal", "calm.csv").out.endswith("at 0.99 from 600 normal rows\n")


@pytest.mark.parametrize("how", [[], ["--normal", "calm.csv"]])
def test_score_takes_running_means_and_limits_from_anywhere(cli, watched, how):
    args = ["score", "store", "odd.csv", "--rules", "ewma=0.3, hold_off=10", *how, "--json"]
    said = cli(*args).json
    long = max(said["events"], key=lambda event: event["n_rows"])
    assert long["sensors"][0] == "heat"
    assert 35 <= long["n_rows"] <= 90


def test_an_event_goes_on_from_file_to_file(cli, watched, write):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 1)) @ np.ones((1, 4)) + 0.2 * rng.normal(size=(60, 4))
    X[20:, 0] += 4
    write("one.csv", X[:40])
    write("two.csv", X[40:])
    said = cli("score", "store", "one.csv", "two.csv", "--rules", "k=2, n=2", "--json").json
    (event,) = said["events"]
    assert (event["start"], event["end"]) == ("one.csv, row 20", "two.csv, row 19")
    assert not event["is_over"]


def test_rules_that_are_none_are_an_error(cli, watched):
    assert (
        "did you mean hold_off" in cli("score", "store", "odd.csv", "--rules", "hold=3", code=2).err
    )
    err = cli("score", "store", "odd.csv", "--rules", "method=empirical", code=2).err
    assert "--normal" in err
    for single, named in (
        (["--k-of-n", "3 of 5"], "give two numbers such as 3/5"),
        (["--k-of-n", "5/3"], "k=5 of n=3 rows can never be"),
        (["--hold-off", "0"], "hold_off=0"),
        (["--ewma", "2"], "ewma=2.0"),
        (["--release", "0"], "release=0.0"),
        (["--ewma", "0.2", "--rules", "ewma=0.3"], "--rules says ewma=0.3"),
    ):
        assert named in cli("score", "store", "odd.csv", *single, code=2).err


def test_score_of_rows_with_gaps_is_that_of_a_monitor(cli, write, rows):
    gappy = rows[:600].copy()
    gappy[::3, 1] = np.nan
    cli("fit", write("a.csv", rows), "-n", 2, "-o", "store", "--missing", "impute", "-q")
    lines = [",".join("" if np.isnan(v) else repr(v) for v in row) for row in gappy.tolist()]
    Path("b.csv").write_text("\n".join(["oil,air,heat,load", *lines, ""]))
    said = cli("score", "store", "b.csv", "--json", "-o", "scores.csv").json
    assert said["n_rows"] == 600
    found = Monitor(CheckpointStore("store").latest()).assess(gappy)
    assert said["n_alarms"] == int(found.alarm.sum())
    with open("scores.csv", newline="") as file:
        spe = [float(row["spe"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(spe, found.spe, rtol=1e-9)


def test_calibrate_keeps_limits_that_score_then_takes(cli, watched):
    args = ["score", "store", "odd.csv", "--k-of-n", "3/5", "--hold-off", 5]
    by_theory = cli(*args, "--json").json
    from_rows = cli(*args, "--normal", "calm.csv", "--json").json
    before = CheckpointStore("store").latest()
    said = cli("calibrate", "store", "calm.csv").out
    assert said.startswith("limits from 600 rows kept in ")
    after = CheckpointStore("store").latest()
    assert Monitor(after).n_calibrated == 600
    assert (
        after.to_record_batch()
        .drop_columns(["calibration"])
        .equals(before.to_record_batch().drop_columns(["calibration"]))
    )
    kept = cli(*args, "--json").json
    assert kept["limits"][0]["method"] == "empirical"
    for name in ("spe", "t2"):
        assert kept["limits"][0][name] == pytest.approx(from_rows["limits"][0][name], rel=0.05)
        assert kept["limits"][0][name] != by_theory["limits"][0][name]
    assert cli(*args).out.endswith("at 0.99 from 600 normal rows\n")
    assert cli(*args, "--confidence", 0.9999).out.endswith("at 0.9999 from theory\n")
    # again: in place of what was kept, not beside it; --normal does so for once
    assert cli("calibrate", "store", "calm.csv", "--json").json[0]["n_rows"] == 600
    assert cli(*args, "--normal", "calm.csv", "--json").json == from_rows
    cli("fit", "calm.csv", "-n", 1, "-o", "store", "--resume", "-q")  # the ledger is not disturbed
    assert cli(*args, "--json").json["limits"][0]["method"] == "theory"


def test_calibrate_each_key_and_a_file(cli, write, rows):
    press = ["a", "b"] * 1500
    path = write("a.csv", rows, press=press)
    cli("fit", path, "--key-column", "press", "-n", 2, "-o", "store", "-q")
    said = cli("calibrate", "store", path, "--key-column", "press", "--json").json
    assert [(each["key"], each["n_rows"]) for each in said] == [("a", 1500), ("b", 1500)]
    store = CheckpointStore("store")
    assert [Monitor(store.latest(key)).n_calibrated for key in "ab"] == [1500, 1500]
    Path("one.bytes").write_bytes(store.latest("a").without_moments().to_bytes())
    write("few.csv", rows[:50])
    assert "50 rows kept in one.bytes" in cli("calibrate", "one.bytes", "few.csv").out
    assert "normal" not in cli("score", "one.bytes", "few.csv").err
    assert "there is no key" in cli("calibrate", "store", "few.csv", "--key", "c", code=2).err
