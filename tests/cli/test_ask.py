"""components, history, compare, inspect: for people and for machines; and one line for mistakes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streampca import CheckpointStore, StreamingPCA
from streampca.checkpoint.files import LocalFiles
from streampca.metrics import principal_angles


@pytest.fixture
def store(cli, write, rows):
    """Three checkpoints of two components, without a key."""
    cli("fit", write("a.csv", rows), "-n", 2, "-o", "store", "--checkpoint-rows", 1000)
    return CheckpointStore("store")


def test_components_as_json_are_the_checkpoint(cli, store):
    said, latest = cli("components", "store", "--json").json, store.latest()
    np.testing.assert_array_equal(said["components"], latest.components)
    np.testing.assert_array_equal(said["mean"], latest.mean)
    assert said["feature_names"] == list(latest.feature_names)
    assert said["drift"]["angle"] == latest.drift.angle
    assert said["settings"] == latest.settings


def test_components_for_people_show_the_heaviest_features(cli, store):
    said = cli("components", "store", "--features", 1).out
    assert "(3 more)" in said
    latest = store.latest()
    heaviest = latest.feature_names[np.abs(latest.components).max(axis=0).argmax()]
    assert heaviest in said


def test_history_is_in_order(cli, store):
    said = cli("history", "store", "--json").json
    assert [each["n_samples_seen"] for each in said] == [1000, 2000, 3000]
    assert [each["drift"] is None for each in said] == [True, False, False]
    assert cli("history", "store", "--last", 1, "--json").json == said[2:]
    assert cli("history", "store").out.count("\n") == 6


def test_keys_are_asked_for_where_there_are_several(cli, rows):
    store = CheckpointStore("store")
    for key in ("a", 7, None):
        store.write(StreamingPCA(1).fit(rows[: 1000 + len(str(key))]).checkpoint(key=key))
    assert cli("components", "store", "--json").json["key"] is None
    assert cli("components", "store", "--key", "7", "--json").json["key"] == 7
    assert (
        "there is no key 'b'; it has none, 7, a"
        in cli("components", "store", "--key", "b", code=2).err
    )


def test_compare_measures_principal_angles(cli, write, rows, store):
    cli("fit", write("b.csv", rows[:300]), "-n", 3, "-o", "other")
    cli("export", "other", "-o", "other.npz")
    other = CheckpointStore("other").latest()
    angles = principal_angles(store.latest().components, other.components[:2])
    for place in ("other", "other.npz", next(Path("other/none").iterdir())):
        said = cli("compare", "store", place, "--json").json
        np.testing.assert_allclose(said["principal_angles"], angles, rtol=1e-9)
    degrees = np.degrees(angles.max())
    cli("compare", "store", "other", "--fail-above", degrees * 1.01)
    cli("compare", "store", "other", "--fail-above", degrees * 0.99, code=1)


def test_compare_matches_features_by_name(cli, rows):
    names = ("oil", "air", "heat", "load")
    for folder, order in (("one", [0, 1, 2, 3]), ("two", [3, 1, 0, 2])):
        pca = StreamingPCA(2).fit(rows[:, order])
        made = pca.checkpoint().to_record_batch()
        assert made.num_rows == 1
        from dataclasses import replace

        named = replace(pca.checkpoint(), feature_names=tuple(names[i] for i in order))
        CheckpointStore(folder).write(named)
    assert cli("compare", "one", "two", "--json").json["largest_angle"] < 1e-6


def test_inspect_says_what_is_in_a_file(cli, store):
    path = sorted(Path("store/none").iterdir())[-1]
    said = cli("inspect", path, "--json").json
    assert said["state"] == "sound"
    assert (said["schema_version"], said["n_samples_seen"], said["n_components"]) == (3, 3000, 2)
    assert said["can_resume"]
    Path("bytes").write_bytes(store.latest().to_bytes())
    assert cli("inspect", "bytes", "--json").json["state"] == "sound"
    assert "sound" in cli("inspect", path).out


@pytest.mark.parametrize("harm", ["torn", "flipped", "foreign", "empty"])
def test_inspect_tells_torn_and_foreign_files(cli, store, harm):
    path = sorted(Path("store/none").iterdir())[-1]
    data = bytearray(path.read_bytes())
    if harm == "torn":
        data = data[: len(data) // 2]
    elif harm == "flipped":
        data[len(data) // 2] ^= 1
    elif harm == "foreign":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"x": [1]}), "foreign.parquet")
        data = Path("foreign.parquet").read_bytes()
    else:
        data = b""
    path.write_bytes(data)
    said = cli("inspect", path, "--json", code=1).json
    assert said["state"] == "unreadable"
    assert said["reason"]
    whole = cli("inspect", "store", "--json", code=1).json
    assert len(whole["unreadable"]) == 1
    assert path.name in whole["unreadable"][0]
    assert whole["n_checkpoints"] == 2
    found = cli("components", "store", "--json")  # goes on with the one before, and says so
    assert found.json["n_samples_seen"] == 2000
    assert found.err.startswith("warning: Skipped ")
    assert found.err.count("\n") == 1


MISTAKES = [
    (["fit", "nothing*.csv"], "nothing*.csv: there is no such file"),
    (["fit", "."], ".: is a folder; name its files"),
    (["fit", "x.txt"], "unknown file type"),
    (["fit", "empty.csv"], "the file is empty"),
    (["fit", "numbers.csv"], "the first line holds numbers"),
    (["fit", "twice.csv"], "two columns are named 'a'"),
    (["fit", "torn.parquet"], "not a readable Parquet file"),
    (["fit", "torn.csv.gz"], "torn.csv.gz"),
    (["fit", "list.jsonl"], "list.jsonl, line 1 is not a JSON object"),
    (["fit", "a.csv", "--columns", "oil,ari"], "there is no column 'ari'"),
    (["fit", "a.csv", "-n", "5"], "--n-components 5 is more than the 4 features"),
    (["fit", "a.csv", "-n", "many"], "--n-components many"),
    (["fit", "a.csv", "--memory", "huge"], "--memory huge: give one of auto, dense, factored"),
    (["fit", "a.csv", "--half-life", "1h"], "without --timestamp-column"),
    (["fit", "a.csv", "--half-life", "soon"], "give a number of rows, or a time"),
    (["fit", "a.csv", "--resume"], "--resume needs --output"),
    (["fit", "a.csv", "-o", "a.csv"], "a.csv"),
    (["fit", "a.csv", "--input-format", "xml"], "give one of parquet, csv, jsonl"),
    (["fit", "later.csv", "a.csv", "--columns", "x"], "a.csv: there is no column 'x'"),
    (["components", "nowhere"], "nowhere: is not there"),
    (["components", "store", "--at", "noon"], "--at noon: is no time"),
    (["components", "store", "--at", "2026-01-01"], "have no times"),
    (["components", "a.csv"], "a.csv: "),
    (["transform", "store", "a.csv", "-o", "z.xls"], "unknown file type"),
    (["score", "store", "a.csv", "--confidence", "99"], "--confidence 99"),
    (["score", "store", "a.csv", "--key", "a", "--key-column", "oil"], "give one"),
    (["compare", "store", "a.npz"], "a.npz"),
    (["export", "store", "-o", "m.pkl"], "must end with .onnx or .npz"),
    (["plot", "pie", "store", "-o", "f.png"], "'pie': give one of scree"),
    (["plot", "scree", "store"], "--output FILE is needed"),
    (["plot", "control", "store", "-o", "f.png"], "needs FILES of rows"),
    (["inspect", "nowhere"], "nowhere: no such file"),
    (["frobnicate"], "No such command 'frobnicate'"),
    (["fit"], "Missing argument"),
    (["fit", "a.csv", "--no-such-option"], "No such option"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_line_that_says_what(cli, store, arguments, message):
    files = {
        "x.txt": b"a",
        "empty.csv": b"",
        "numbers.csv": b"1,2\n3,4\n",
        "twice.csv": b"a,a\n1,2\n",
        "torn.parquet": b"PAR1 something",
        "torn.csv.gz": b"\x1f\x8b\x08\x00 something",
        "list.jsonl": b"[1, 2]\n",
        "later.csv": b"x\n1\n2\n",
        "a.npz": b"PK",
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    assert message in cli(*arguments, code=2).err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "b.csv",
            "a,b\n1,2\n3,wet\n",
            "b.csv, row 1 (line 3): feature 'b' is 'wet', not a finite number",
        ),
        ("b.csv", "a,b\n1,2\n3,\n", "b.csv, row 1 (line 3): feature 'b' is missing"),
        ("b.csv", "a,b\n1,2\n3,4,5\n", "b.csv, row 1 (line 3): 3 cells where the header has 2"),
        ("b.csv", "a,b\n1,2\n3,1e200\n", "b.csv, row 1 (line 3): feature 'b' is 1e+200, too large"),
        ("b.jsonl", '{"a": 1}\n{"a": "x"}\n', "b.jsonl, line 2: feature 'a' is 'x'"),
        ("b.jsonl", '{"a": 1}\n{"a": \n', "b.jsonl, line 2: the line is not JSON"),
        ("b.jsonl", '{"a": 1}\n{"a": null}\n', "b.jsonl, line 2: feature 'a' is missing"),
    ],
)
def test_a_bad_row_is_named_or_passed_over(cli, name, text, message):
    more = '{"a": 5}\n' if name.endswith("jsonl") else "5,6\n"
    Path(name).write_text(text + more)
    assert message in cli("fit", name, "-n", 1, code=2).err
    cli("fit", name, "-n", 1, "-o", "store", "--bad-rows", "skip")
    assert CheckpointStore("store").latest().n_samples_seen == 2
    said = cli("fit", name, "-n", 1, "--bad-rows", "bad.jsonl", "--json").json
    assert said["n_bad_rows"] == 1
    assert message in Path("bad.jsonl").read_text().replace("\\", "")


def test_without_the_extra_the_command_names_it(tmp_path):
    code = "import sys; sys.modules['typer'] = None; from streampca.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith('pip install "streampca[cli]"\n')
    assert done.stderr.count("\n") == 1


def test_history_of_the_last_reads_no_other_file(cli, write, rows, monkeypatch):
    cli("fit", write("a.csv", rows), "-n", 2, "-o", "store", "-q", "--checkpoint-rows", 500)
    every = cli("history", "store", "--json").json
    assert len(every) == 6
    read, before = [], LocalFiles.opened

    def counted(self, path, *more):
        read.append(path)
        return before(self, path, *more)

    monkeypatch.setattr(LocalFiles, "opened", counted)
    assert cli("history", "store", "--last", 2, "--json").json == every[-2:]
    assert len(read) == 2
    newest = sorted(Path("store/none").glob("*.parquet"))[-1]
    newest.write_bytes(newest.read_bytes()[:-20])
    assert cli("history", "store", "--last", 2, "--json").json == every[-3:-1]
    assert cli("history", "store", "--last", 99, "--json").json == every[:-1]
