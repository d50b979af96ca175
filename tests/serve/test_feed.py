"""Rows as they come are judged by the newest model of their key, and told to whoever watches."""

import json
import queue
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from starlette.testclient import TestClient
from strain import told

from streampca.monitor import Monitor, Watch
from streampca.serve import create_app
from streampca.serve.happened import RULES


@pytest.fixture
def given():
    """Rows that a test gives while the server runs; None ends them."""
    rows = queue.Queue()
    yield rows
    rows.put(None)


def watch(port, query=""):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/rows{query}", timeout=30)


def take(events, count):
    """So many rows, in however many events they come."""
    rows = []
    while len(rows) < count:
        rows += next(events)["rows"]
    assert len(rows) == count
    return rows


def test_a_row_has_the_statistics_and_limits_of_the_newest_model(store, fill, start, given):
    first = fill(store)[-1]
    X = np.random.default_rng(1).normal(size=(20, 3)) * [3, 2, 1] + 10
    X[7] += [0, 0, 40]
    with start(rows=iter(given.get, None)) as port, watch(port) as answer:
        events = told(answer)
        for row in X:
            given.put(row.tolist())
        rows = take(events, 20)
        expected = Monitor(first).assess(X)
        for name in ("spe", "t2", "alarm"):
            np.testing.assert_allclose([row[name] for row in rows], getattr(expected, name))
        assert [row["spe_limit"] for row in rows] == [pytest.approx(expected.spe_limit)] * 20
        assert (rows[7]["alarm"], rows[7]["feature"]) == (True, "<b>load</b>")
        assert [row["number"] for row in rows] == list(range(20))
        second = fill(store, hours=30, start=3)[-1]
        limit = Monitor(second).spe_limit(0.99)
        assert limit != pytest.approx(rows[0]["spe_limit"])
        for _ in range(100):  # the newest checkpoint is seen within a second or so
            given.put(X[0].tolist())
            (row,) = take(events, 1)
            if row["spe_limit"] == pytest.approx(limit):
                break
        assert row["spe"] == pytest.approx(Monitor(second).spe(X[:1])[0])


def odd_rows(count, odd, load=60.0):
    X = np.random.default_rng(1).normal(size=(count, 3)) * [0.3, 0.2, 0.1] + 10
    X[odd, 2] = load
    return X


def listed(events, wanted):
    """The newest list of events that holds so many, of which the last is over."""
    while True:
        found = next(events).get("events", [])
        if len(found) >= wanted and found[-1]["is_over"]:
            return found


def test_rows_that_are_out_for_a_while_are_an_event(store, fill, start, given):
    model = fill(store)[-1]
    X = odd_rows(40, slice(10, 16))
    with start(rows=iter(given.get, None)) as port, watch(port) as answer:
        for row in X:
            given.put(row.tolist())
        (event,) = listed(told(answer), 1)
        expected = Watch(Monitor(model, n_components="auto"), RULES, n_sensors=8)
        (wanted,) = [each for each in expected.add(X) if each.is_over]
        for name in ("start", "end", "n_rows", "n_out", "statistic", "peak_row"):
            assert event[name] == getattr(wanted, name)
        assert event["peak"] == pytest.approx(wanted.peak)
        assert event["sensors"] == list(wanted.sensors)
        np.testing.assert_allclose(event["shares"], wanted.shares)
        assert event["start_time"] <= event["peak_time"] <= event["end_time"]
        with watch(port) as late:  # a page that opens later has the list with its first rows
            assert next(told(late))["events"] == [event]


def test_rules_of_events_are_those_given(store, fill, start):
    fill(store)
    X = odd_rows(12, [3, 7])
    with start(rows=iter(X.tolist()), rules={"k": 1, "n": 1}) as port, watch(port) as answer:
        found = listed(told(answer), 2)
        assert [(event["start"], event["end"]) for event in found] == [(3, 3), (7, 7)]
    with pytest.raises(ValueError, match="did you mean hold_off"):
        create_app(store, rows=[], rules="hold=3")


def test_an_event_goes_on_under_a_new_model_and_passes_over_bad_rows(store, fill, start, given):
    fill(store)
    X = odd_rows(40, slice(10, 25)).tolist()
    with start(rows=iter(given.get, None)) as port, watch(port) as answer:
        events = told(answer)
        for row in X[:15]:
            given.put(row)
        given.put(["bad"])
        opened = next(news["events"] for news in events if news.get("events"))
        assert (opened[-1]["start"], opened[-1]["is_over"]) == (10, False)
        fill(store, hours=30, start=3)
        time.sleep(2.5)  # the newest checkpoint is seen within a second or so
        for row in X[15:]:
            given.put(row)
        (event,) = listed(events, 1)
        assert (event["start"], event["end"]) == (10, 25)  # the bad row is row 15


def test_each_key_has_its_own_rows_and_model(store, fill, start, given):
    checkpoints = {key: fill(store, key, seed=seed)[-1] for seed, key in enumerate(["a", 7])}
    rows = [(key, [9.0, 11.0, float(i)]) for i in range(3) for key in checkpoints]
    with start(rows=iter(given.get, None)) as port:
        for each in rows:
            given.put(each)
        for key, checkpoint in checkpoints.items():
            with watch(port, f"?key={key}") as answer:
                seen = take(told(answer), 3)
                mine = [row for of, row in rows if of == key]
                np.testing.assert_allclose(
                    [row["spe"] for row in seen], Monitor(checkpoint).spe(mine)
                )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1, 2], "the row has 2 features, and the model has 3"),
        ([1, "x", 3], "the row, feature 'air' is 'x', and must be a number"),
        ([1, None, 3], "the row, feature 'air' is nan"),
        ({"oil": 1, "air": 2}, "the row lacks the feature '<b>load</b>'"),
        (("nobody", [1, 2, 3]), "no model of the key 'nobody'"),
        (7, "the row is '7': give a list"),
        (([1], [1, 2, 3]), "the row has 2 features"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_of_and_the_next_goes_on(
    store, fill, start, given, row, said
):
    fill(store)
    with start(rows=iter(given.get, None)) as port:
        given.put(row)
        given.put([10, 10, 10])
        with watch(port) as answer:
            *bad, good = take(told(answer), 1 if "nobody" in said else 2)
            assert (good["number"], good["alarm"]) == (1, False)
        if "nobody" in said:
            with watch(port, "?key=nobody") as answer:
                bad = take(told(answer), 1)
        assert said in bad[0]["error"]


def test_what_gives_the_rows_may_fail(store, fill, start, caplog):
    fill(store)

    def rows():
        yield [10, 10, 10]
        raise RuntimeError("the queue is gone")

    with start(rows=rows()) as port:
        with watch(port) as answer:
            assert take(told(answer), 1)[0]["number"] == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/keys", timeout=30) as answer:
            assert json.load(answer)["rows"] is True
    assert "the queue is gone" in caplog.text


def test_the_last_rows_stay_for_a_page_that_opens_late(store, fill, start):
    fill(store)
    with start(rows=iter([[10, 10, 10]] * 700)) as port:
        with watch(port) as first:
            events, last = told(first), -1
            while last < 699:
                last = next(events)["rows"][-1]["number"]
        with watch(port) as late:
            assert [row["number"] for row in take(told(late), 500)] == list(range(200, 700))


def test_without_rows_there_is_no_such_path(client, port):
    assert client.get("/keys").json()["rows"] is False
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        watch(port)
    refused.value.close()


def test_times_are_all_of_a_key_and_history_ends_where_it_is_told(client, store, fill):
    fill(store, hours=6)
    answer = client.get("/times").json()
    assert answer["n_checkpoints"] == 6
    assert answer["window_end"] == [f"1970-01-01T0{hour}:00:00Z" for hour in range(1, 7)]
    assert client.get("/times?skip=4").json()["window_end"] == answer["window_end"][4:]
    assert client.get("/times?skip=9").json()["sequence"] == []
    for end, (at, limit) in {
        4: (answer["window_end"][3], 2),
        5: ("1970-01-01T05:59:59Z", 3),
        6: ("2030-01-01", 100),
        0: ("1960-01-01", 100),
    }.items():
        found = client.get("/history", params={"at": at, "limit": limit}).json()
        seen = [entry["window_end"] for entry in found["checkpoints"]]
        assert seen == answer["window_end"][max(end - limit, 0) : end]
        assert found["n_checkpoints"] == 6


def test_history_ends_at_a_sequence_where_there_are_no_windows(client, store, fill):
    fill(store, hours=5, ends=False)
    found = client.get("/history?sequence=2").json()["checkpoints"]
    assert [entry["sequence"] for entry in found] == [0, 1, 2]
    with TestClient(create_app(store), base_url="http://localhost") as other:
        assert other.get("/history?sequence=x").status_code == 400
