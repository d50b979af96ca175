"""The main job from its command line: files in, a store out, and one line for every mistake."""

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta

import engines
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streams import assert_equals_batch, stream

from beam_pipelines import run
from streampca import CheckpointStore

NAMES = ["oil", "air", "heat"]
START = datetime(2026, 1, 1, tzinfo=UTC)
X, _ = stream(240, 3)
TIMES = [START + timedelta(seconds=int(s)) for s in np.random.default_rng(0).permutation(240)]
SECONDS = np.array([(time - START).seconds for time in TIMES])
KEYS = [["press 4", "press 5"][i % 2] for i in range(240)]
COLUMNS = {"time": TIMES, "press": KEYS} | dict(zip(NAMES, X.T.tolist(), strict=True))
RECORDS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


SAID = [f"times: {n} rows came after a later one\n" for n in (224, 235)]
"""Of row groups of 100 rows, each read by itself, and of all rows in order."""


def write_parquet(folder, records=RECORDS):
    pq.write_table(pa.Table.from_pylist(records), folder / "rows.parquet", row_group_size=100)
    return folder / "rows.parquet"


def write_csv(folder, records=RECORDS, name="rows.csv", delimiter=","):
    opened = gzip.open if name.endswith(".gz") else open
    with opened(folder / name, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(records[0])
        writer.writerows(list(record.values()) for record in records)
    return folder / name


def write_json(folder, records=RECORDS):
    lines = [json.dumps(record, default=lambda time: time.isoformat()) for record in records]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


def main(capsys, *arguments):
    """Exit code, output, error."""
    given = [str(argument) for argument in arguments]
    if not any(argument.startswith("--runner") for argument in given):
        given += engines.flags()
    code = run.main(given)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def said_last(err):
    """The one line that is ours; before it comes the traceback of a runner that prints one."""
    lines = err.splitlines()
    assert len(lines) == 1 or engines.current() in engines.ON_PRISM
    return lines[-1]


def arguments(path, store, window="1m", key="press", components=2):
    given = ["--input", path, "--timestamp-column", "time", "--window", window]
    given += ["--n-components", components, "--output", store, "--features", ",".join(NAMES)]
    return [*given, *([] if key is None else ["--key-column", key])]


@pytest.mark.parametrize(
    "write",
    [
        write_parquet,
        write_csv,
        write_json,
        lambda folder: write_csv(folder, name="rows.csv.gz"),
        lambda folder: write_csv(folder, name="rows.tsv", delimiter="\t"),
        lambda folder: write_csv(folder, delimiter=";"),
    ],
    ids=["parquet", "csv", "jsonl", "csv.gz", "tsv", "semicolons"],
)
def test_every_format_gives_batch_pca_of_each_key_at_each_window(tmp_path, capsys, write, engine):
    store = tmp_path / "store"
    code, out, err = main(capsys, *arguments(write(tmp_path), store))
    assert code == 0
    read_as = "read as ';'-separated\n"  # said where it is not plain
    assert err.replace(f"{tmp_path / 'rows.csv'}: {read_as}", "") in SAID
    number = "" if engine == "bundle_based" else "8 "  # it loses what timers count: nothing is said
    assert out == f"{number}checkpoints of 240 rows in {store}\n"
    micros = int(START.timestamp() * 1e6)
    for start, key in enumerate(["press 4", "press 5"]):
        history = CheckpointStore(store).history(key)
        assert [c.window_end for c in history] == [micros + m * 60_000_000 for m in (1, 2, 3, 4)]
        for minute, checkpoint in enumerate(history, start=1):
            assert checkpoint.feature_names == tuple(NAMES)
            assert_equals_batch(checkpoint, X[start::2][SECONDS[start::2] < 60 * minute])


@pytest.mark.parametrize(
    ("window", "count"),
    [("fixed:120", 2), ("sliding:120,60", 5), ("session:10", 1), ("global", 1), ("2m", 2)],
)
def test_every_kind_of_window(tmp_path, capsys, window, count, engine):
    given = arguments(write_parquet(tmp_path), tmp_path / "store", window, key=None)
    code, _, err = main(capsys, *given)
    assert code == 0
    assert err in SAID
    history = CheckpointStore(tmp_path / "store").history()
    assert len(history) == count
    assert_equals_batch(history[-1], X)


def test_windows_without_carry(tmp_path, capsys, engine):
    given = arguments(write_parquet(tmp_path), tmp_path / "store", "sliding:120,60", key=None)
    assert main(capsys, *given, "--no-carry")[0] == 0
    history = CheckpointStore(tmp_path / "store").history()
    for minute, checkpoint in enumerate(history, start=1):
        own = np.isin(SECONDS // 60, [minute - 2, minute - 1])
        assert_equals_batch(checkpoint, X[own])


def test_patterns_take_many_files_and_a_second_run_replaces_the_first(tmp_path, capsys, engine):
    for i in range(3):
        (tmp_path / f"day{i}").mkdir()
        write_csv(tmp_path / f"day{i}", RECORDS[i::3])
    given = arguments(tmp_path / "day*" / "*.csv", tmp_path / "store")
    for _ in range(2):
        assert main(capsys, *given)[0] == 0
        assert_equals_batch(CheckpointStore(tmp_path / "store").latest("press 4"), X[::2])
        assert len(list(CheckpointStore(tmp_path / "store").everything())) == 8
        assert CheckpointStore(tmp_path / "store").verify().replaced == 0


def test_features_are_all_other_columns_by_default(tmp_path, capsys, engine):
    given = arguments(write_parquet(tmp_path), tmp_path / "store")
    given = [g for g in given if g not in ("--features", ",".join(NAMES))]
    assert main(capsys, *given)[0] == 0
    assert CheckpointStore(tmp_path / "store").latest("press 4").feature_names == tuple(NAMES)


def test_one_column_of_lists_is_many_features(tmp_path, capsys, engine):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.astype("float32").ravel()), 3)
    table = pa.table({"time": pa.array(TIMES, pa.timestamp("ns", "UTC")), "x": vectors})
    pq.write_table(table, tmp_path / "rows.parquet")
    given = ["--input", tmp_path / "rows.parquet", "--timestamp-column", "time"]
    given += ["--window", "global", "--n-components", "0.9", "--output", tmp_path / "store"]
    assert main(capsys, *given)[0] == 0
    found = CheckpointStore(tmp_path / "store").latest()
    assert found.feature_names == ("x_0", "x_1", "x_2")
    assert found.components.dtype == np.float32
    assert found.n_samples_seen == 240


@pytest.mark.parametrize("write", [write_parquet, write_csv, write_json])
@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1000), ("us", 1_000_000)])
def test_timestamps_may_be_numbers(tmp_path, capsys, write, unit, per_second, engine):
    records = [
        record | {"time": int(record["time"].timestamp()) * per_second} for record in RECORDS
    ]
    given = [*arguments(write(tmp_path, records), tmp_path / "store"), "--timestamp-unit", unit]
    assert main(capsys, *given)[0] == 0
    newest = CheckpointStore(tmp_path / "store").latest("press 4")
    assert newest.window_end == int((START + timedelta(minutes=4)).timestamp() * 1e6)


def broken(**changes):
    return [*RECORDS[:17], RECORDS[17] | changes, *RECORDS[18:]]


BROKEN = [
    (write_csv, {"air": "wet"}, "row 17 (line 19): feature 'air' is 'wet', not a finite number"),
    (write_csv, {"air": ""}, "row 17 (line 19): feature 'air' is missing"),
    (write_csv, {"time": "noon"}, "row 17 (line 19): column 'time' is 'noon', no time"),
    (write_csv, {"more": 1}, "row 17 (line 19): 6 cells where the header has 5"),
    (write_json, {"air": "wet"}, "line 18: feature 'air' is 'wet', not a finite number"),
    (write_json, {"air": None}, "line 18: feature 'air' is missing"),
    (write_json, {"time": True}, "line 18: column 'time' is True, no time"),
    (write_json, {"press": None}, "line 18: the key 'press' is missing"),
    (write_parquet, {"air": float("nan")}, "row 17: feature 'air' is nan, not a finite number"),
    (write_parquet, {"air": None}, "row 17: feature 'air' is missing"),
    (write_parquet, {"time": None}, "row 17: column 'time' is missing"),
]


@pytest.mark.parametrize(("write", "change", "message"), BROKEN)
def test_a_bad_row_ends_the_job_and_is_named(tmp_path, capsys, write, change, message, engine):
    path = write(tmp_path, broken(**change))
    code, out, err = main(capsys, *arguments(path, tmp_path / "store"))
    assert (code, out) == (1, "")
    assert said_last(err).startswith(f"error: {path}, {message}")


@pytest.mark.parametrize(("learned", "code"), [(0, 0), (39, 1), (40, 0), (80, 0)])
def test_rows_that_the_runner_lost_are_told(tmp_path, capsys, monkeypatch, learned, code):
    """0 learned is a runner that does not count; more than read are rows of several windows."""
    path = write_csv(tmp_path, RECORDS[:40])
    real = run.run

    def run_and_lose(*given):
        return real(*given)._replace(rows=40, learned_rows=learned)

    monkeypatch.setattr("beam_pipelines.run.steps.run", run_and_lose)
    ended, out, err = main(capsys, *arguments(path, tmp_path / "store"))
    assert ended == code
    assert "40 rows" in out
    if code:
        assert err.splitlines()[-1].startswith("error: 1 of the 40 rows that were read")


@pytest.mark.parametrize(("write", "change", "message"), BROKEN)
def test_or_it_is_written_elsewhere_and_the_others_are_learned(
    tmp_path, capsys, write, change, message, engine
):
    path, bad = write(tmp_path, broken(**change)), tmp_path / "bad.jsonl"
    given = arguments(path, tmp_path / "store", key=None)
    if "press" in change:
        given += ["--key-column", "press"]
    code, out, _ = main(capsys, *given, "--bad-rows", bad)
    assert code == 0
    assert out.endswith(f"of 239 rows in {tmp_path / 'store'}; 1 bad row in {bad}\n")
    (line,) = bad.read_text().splitlines()
    assert json.loads(line)["reason"].startswith(f"{path}, {message}")
    if "press" not in change:
        found = CheckpointStore(tmp_path / "store").latest()
        assert_equals_batch(found, np.delete(X, 17, axis=0))


def test_a_line_that_is_not_json_is_a_bad_row(tmp_path, capsys, engine):
    path = write_json(tmp_path)
    path.write_text(path.read_text().replace('"air"', "air", 2))
    code, _, err = main(capsys, *arguments(path, tmp_path / "store"))
    assert code == 2
    assert err.startswith(f"error: {path}, line 1 is not JSON (")


SETUP_ERRORS = {
    "no file": (["--input", "nothing*.csv"], "nothing*.csv: there is no such file"),
    "type": (["--input", "rows.txt"], "unknown file type"),
    "time": (["--timestamp-column", "when"], "there is no column 'when'; it has time, press"),
    "key": (["--key-column", "machine"], "there is no column 'machine'"),
    "feature": (["--features", "oil,ari"], "there is no column 'ari'"),
    "text": (["--features", "press"], "column 'press' holds string, not numbers"),
    "window": (["--window", "1 year"], "'1 year' is no window"),
    "no feature": (["--features", ","], "',' names no column"),
    "too many": (["--n-components", "4"], "more than the 3 features"),
}


@pytest.mark.parametrize("which", SETUP_ERRORS)
def test_a_job_that_cannot_start_says_why(tmp_path, capsys, monkeypatch, which, engine):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.txt").write_text("a")
    change, message = SETUP_ERRORS[which]
    code, out, err = main(capsys, *arguments(write_parquet(tmp_path), "store"), *change)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 something else PAR1"])
def test_a_damaged_file_is_named(tmp_path, capsys, content, engine):
    (tmp_path / "rows.parquet").write_bytes(content)
    code, _, err = main(capsys, *arguments(tmp_path / "rows.parquet", tmp_path / "store"))
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'rows.parquet'}: not a readable Parquet file")


def test_a_column_that_only_a_later_file_lacks_is_named(tmp_path, capsys, engine):
    write_parquet(tmp_path)
    later = tmp_path / "x.csv"
    later.write_text("time,press\n1,a\n")
    code, _, err = main(capsys, *arguments(tmp_path / "*.*", tmp_path / "store"))
    assert code == 1
    assert said_last(err) == f"error: {later}: there is no column 'oil'; it has time, press"


@pytest.mark.parametrize("components", ["0", "-1", "1.5", "many", "nan"])
def test_n_components_is_checked_by_the_parser(tmp_path, capsys, components, engine):
    with pytest.raises(SystemExit, match="2"):
        run.main(list(map(str, arguments("x", "y", components=components))))
    assert f"--n-components: {components}: give a whole number" in capsys.readouterr().err


def test_beam_options_follow(tmp_path, capsys, engine):
    given = arguments(write_parquet(tmp_path), tmp_path / "store")
    job = run.read_arguments(list(map(str, [*given, "--direct_num_workers=1"])))
    assert job.beam_options == ["--runner=FnApiRunner", "--direct_num_workers=1"]
    job = run.read_arguments(list(map(str, [*given, "--runner", "SparkRunner"])))
    assert job.beam_options == ["--runner", "SparkRunner"]
    assert main(capsys, *given, "--runner=BundleBasedDirectRunner")[0] == 0
    assert_equals_batch(CheckpointStore(tmp_path / "store").latest("press 4"), X[::2])
