"""Bad rows in files: named by file, row and feature; the model is as if they had not been there."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_input import BAD_FILES, NAMES

from streampca import CheckpointStore


def checkpoint(folder):
    """The bytes of the last checkpoint."""
    return CheckpointStore(folder).latest().to_bytes()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_row_ends_the_command_and_nothing_is_written(cli, tmp_path, name):
    text, row, message = BAD_FILES[name]
    (tmp_path / "a.csv").write_text(text)
    said = cli("fit", "a.csv", "-o", "store", code=2)
    assert "a.csv" in said.err
    assert re.search(f"row {row}\\b|line {row + 2}\\b", said.err), said.err
    assert re.search(message, said.err), said.err
    assert CheckpointStore("store").keys() == []


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_rows_are_kept_with_their_reasons_and_the_model_does_not_see_them(cli, tmp_path, name):
    text, row, message = BAD_FILES[name]
    lines = text.splitlines(keepends=True)
    (tmp_path / "a.csv").write_text(text)
    cli("fit", "a.csv", "-o", "with", "--bad-rows", "bad.jsonl")
    (tmp_path / "a.csv").write_text("".join(lines[: row + 1] + lines[row + 2 :]))
    cli("fit", "a.csv", "-o", "without")
    assert checkpoint("with") == checkpoint("without")
    (kept,) = map(json.loads, (tmp_path / "bad.jsonl").read_text().splitlines())
    assert re.search(message, json.dumps(kept, ensure_ascii=False))


def test_a_bad_row_stops_where_a_checkpoint_was_and_the_store_stays_as_it_was(cli, tmp_path):
    X = np.random.default_rng(0).normal(size=(300, 3)).round(3)
    rows = [",".join(map(str, row)) for row in X.tolist()]
    header = ",".join(NAMES)
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
    cli("fit", "a.csv", "-o", "store")
    before = checkpoint("store")
    (tmp_path / "b.csv").write_text("\n".join([header, *rows[:9], "1,wet,2"]) + "\n")
    cli("fit", "a.csv", "b.csv", "-o", "store", "--resume", code=2)
    assert checkpoint("store") == before


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["u", "v"]), "'b' holds string, not numbers"),
        (pa.array([1, 2], pa.timestamp("s")), "'b' holds timestamp.*, not numbers"),
        (pa.array([{"x": 1}] * 2), "'b' holds struct.*, not numbers"),
        (pa.array([1.0, np.nan]), "row 1\\b.*'b' is"),
        (pa.array([1.0, None]), "row 1\\b.*'b' is"),
        (pa.array([1.0, np.inf]), "row 1\\b.*'b' is inf"),
    ],
)
def test_bad_columns_of_parquet_are_named(cli, tmp_path, column, message):
    table = pa.table(dict(zip(NAMES, (pa.array([1.0, 2.0]), column, pa.array([3.0, 4.0])),
                              strict=True)))  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    said = cli("fit", "a.parquet", "-o", "store", code=2)
    assert "a.parquet" in said.err
    assert re.search(message, said.err), said.err
    assert CheckpointStore("store").keys() == []


@pytest.mark.parametrize("text", ["", "\n", "a,b,b\n1,2,3\n", "a,b,c\n", "a,b,c\n1,2\n", "\0\0\0"])
def test_files_that_hold_no_rows_are_named(cli, tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    said = cli("fit", "a.csv", "-o", "store", code=2)
    assert re.search("a.csv|no row could be learned", said.err)
    assert CheckpointStore("store").keys() == []


def test_an_error_says_what_to_do_about_a_text_and_a_gap(cli, write):
    X = np.ones((20, 4)).astype(str)
    X[7, 1] = "Bad"
    path = write("texts.csv", X)
    said = cli("fit", path, code=2).err
    assert "is 'Bad', not a finite number" in said
    assert "--na '*'" in said
    said = cli("fit", path, "--na", "*", code=2).err
    assert "is missing" in said
    assert "--missing impute" in said
    cli("fit", path, "--na", "*", "--missing", "impute")


def test_a_sensor_that_never_gave_a_value_is_said(cli, write):
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(str)
    X[:, 2] = "Bad"
    X[0, 2] = "3"
    path = write("dead.csv", X)
    assert "no row has a value" not in cli("fit", path, "--na", "Bad", "--missing", "impute").err
    X[0, 2] = "Bad"
    write("a.csv", np.full((1, 4), "1"))
    cli("fit", "a.csv", "--missing", "impute", "-o", "store")
    names = ",".join(CheckpointStore("store").latest().feature_names)
    said = cli("fit", write("b.csv", X), "--na", "Bad", "--missing", "impute", "--columns", names)
    third = CheckpointStore("store").latest().feature_names[2]
    assert f"no row has a value of {third!r}" in said.err
