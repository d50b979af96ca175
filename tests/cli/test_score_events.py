"""score with rules and limits: which events it tells, and what calibrate keeps for it."""

import csv
from pathlib import Path

import numpy as np
import pytest

from streampca import CheckpointStore
from streampca.monitor import Monitor


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


def test_calibrate_keeps_limits_of_running_means(cli, watched):
    score = ("score", "store", "odd.csv", "--ewma", 0.3, "--json")
    assert cli(*score).json["limits"][0]["method"] == "theory"
    cli("calibrate", "store", "calm.csv")
    assert cli(*score).json["limits"][0]["method"] == "theory"  # rows alone were calibrated
    cli("calibrate", "store", "calm.csv", "--ewma", 0.3)
    assert cli(*score).json["limits"][0]["method"] == "empirical"
    assert cli(*score[:3], "--json").json["limits"][0]["method"] == "empirical"
    assert "ewma=2.0" in cli("calibrate", "store", "calm.csv", "--ewma", 2, code=2).err


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


def test_rules_may_ask_for_either_method(cli, watched):
    def method(*more):
        return cli("score", "store", "odd.csv", "--json", *more).json["limits"][0]["method"]

    assert method() == method("--rules", "method=theory") == "theory"
    assert (
        "calibrate" in cli("score", "store", "odd.csv", "--rules", "method=empirical", code=2).err
    )
    cli("calibrate", "store", "calm.csv")
    assert method() == method("--rules", "method=empirical") == "empirical"
    assert method("--rules", "method=theory") == "theory"
    assert method("--rules", "method=empirical", "--normal", "calm.csv") == "empirical"
    said = cli(
        "score", "store", "odd.csv", "--rules", "method=theory", "--normal", "calm.csv", code=2
    )
    assert "two sources" in said.err


def test_too_few_rows_to_calibrate_with_are_said(cli, watched, write, rows):
    write("ten.csv", rows[:10])
    assert "10 rows are too few for limits at 0.99" in cli("calibrate", "store", "ten.csv").err
    said = cli("score", "store", "odd.csv").err
    assert "calibrated with 10 rows, too few for --confidence 0.99, which needs 100" in said
    cli("calibrate", "store", "calm.csv")
    said = cli("score", "store", "odd.csv", "--confidence", 0.9999).err
    assert "calibrated with 600 rows, too few for --confidence 0.9999, which needs 10,000" in said
    assert "without --ewma 0.2" in cli("score", "store", "odd.csv", "--ewma", 0.2).err
    assert cli("score", "store", "odd.csv").err.count("calibrated with") == 0


def test_rows_out_of_their_order_are_said(cli, watched, write):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 1)) @ np.ones((1, 4)) + 0.2 * rng.normal(size=(60, 4))
    times = [f"2026-01-01T{i // 6:02}:{i % 6}0" for i in range(60)]
    for name, order in (("up.csv", slice(None)), ("down.csv", slice(None, None, -1))):
        write(name, X[order], time=times[order])
        said = cli("score", "store", name, "--timestamp-column", "time").err
        assert ("59 rows came after a later one: events" in said) == (name == "down.csv")


def test_columns_that_leave_a_feature_out_are_named(cli, watched):
    names = CheckpointStore("store").latest().feature_names
    said = cli("score", "store", "odd.csv", "--columns", ",".join(names[:2]), code=2).err
    assert f"--columns leaves out {names[2]!r}" in said


def test_limits_are_the_same_without_moments(cli, watched):
    limits = []
    for moments in ("all", "none"):
        cli(
            "fit", "calm.csv", "-n", 1, "-o", moments, "-q", "--moments", moments, "--half-life", 40
        )
        limits.append(cli("score", moments, "odd.csv", "--json").json["limits"][0]["t2"])
        assert bool(CheckpointStore(moments).latest().moments) == (moments == "all")
    assert limits[0] == pytest.approx(limits[1], rel=1e-12)
    assert limits[0] > 6.8  # of 600 rows, of which few are remembered: chi-square has 6.6
