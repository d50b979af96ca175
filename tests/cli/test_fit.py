"""`streampca fit`: every format and pipe gives batch PCA of its rows, in constant memory."""

import os
import pty
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle import batch_pca

from streampca import CheckpointStore, StreamingPCA

NAMES = ("oil", "air", "heat", "load")
FORMATS = ["a.parquet", "a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.jsonl.gz"]
COMMAND = [sys.executable, "-m", "streampca"]


def assert_batch(checkpoint, X, tolerance=1e-9):
    mean, C, values, _ = batch_pca(X, len(checkpoint.components))
    np.testing.assert_allclose(checkpoint.mean, mean, rtol=tolerance)
    np.testing.assert_allclose(checkpoint.explained_variance, values, rtol=tolerance)
    cosines = np.abs((checkpoint.components * C).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, rtol=tolerance)
    assert checkpoint.n_samples_seen == len(X)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_batch_pca(cli, write, rows, name):
    said = cli("fit", write(name, rows), "-o", "store", "-n", 3)
    assert "3,000 rows read" in said.out
    assert said.err == ""
    found = CheckpointStore("store").latest()
    assert_batch(found, rows)
    assert found.feature_names == NAMES


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_standard_input_is_read_as_what_it_is(cli, write, rows, tmp_path, name):
    data = (tmp_path / write(name, rows)).read_bytes()
    cli("fit", "-", "-o", "store", stdin=data)
    assert_batch(CheckpointStore("store").latest(), rows)


def test_patterns_and_several_files_are_one_stream(cli, write, rows):
    for day in range(3):
        write(f"day{day}/x.csv", rows[day * 500 : day * 500 + 500])
    write("rest.jsonl", rows[1500:])
    cli("fit", "day*/*.csv", "rest.jsonl", "day0/x.csv", "-o", "store")  # no file twice
    assert_batch(CheckpointStore("store").latest(), rows)


def test_each_key_has_its_model(cli, write, rows):
    press = np.where(np.arange(3000) % 3 == 0, "a", "b")
    path = write("a.csv", rows, press=press.tolist())
    cli("fit", path, "--key-column", "press", "-o", "store", "-n", 2)
    store = CheckpointStore("store")
    assert store.keys() == ["a", "b"]
    for key in ("a", "b"):
        assert_batch(store.latest(key), rows[press == key])


def test_whole_numbers_are_keys_too(cli, write, rows):
    press = [4, 5] * 1500
    for name in ("a.jsonl", "b.parquet"):
        cli("fit", write(name, rows, press=press), "--key-column", "press", "-o", name + ".store")
        assert CheckpointStore(name + ".store").keys() == [4, 5]


def test_columns_are_chosen(cli, write, rows):
    path = write("a.csv", rows, press=["x"] * 3000)
    cli("fit", path, "--columns", "air,load", "-o", "one")
    assert CheckpointStore("one").latest().feature_names == ("air", "load")
    cli("fit", path, "--exclude", "press,air", "-o", "two")
    assert CheckpointStore("two").latest().feature_names == ("oil", "heat", "load")


def test_a_column_of_lists_is_many_features(cli, rows):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.astype("float32").ravel()), 4)
    pq.write_table(pa.table({"x": lists}), "a.parquet")
    cli("fit", "a.parquet", "-o", "store")
    found = CheckpointStore("store").latest()
    assert found.feature_names == ("x_0", "x_1", "x_2", "x_3")
    assert found.components.dtype == np.float32
    cli("transform", "store", "a.parquet", "-o", "z.parquet")
    assert pq.read_table("z.parquet").num_rows == 3000


def test_options_reach_the_estimator(cli, write, rows):
    path = write("a.csv", rows)
    given = ["--memory", "factored", "--half-life", "500", "--batch-size", "100"]
    cli("fit", path, "-o", "store", "-n", 2, *given, "--dtype", "float32")
    found = CheckpointStore("store").latest()
    wanted = {"memory": "factored", "half_life": 500.0, "batch_size": 100, "dtype": "float32"}
    assert wanted.items() <= found.settings.items()
    assert found.components.dtype == np.float32
    assert 700 < found.weight < 750  # 1 / (1 - 2 ** (-1 / 500))
    cli("fit", path, "-o", "share", "-n", "0.9")
    assert CheckpointStore("share").latest().explained_variance_ratio.sum() >= 0.9


def test_gaps_are_filled_where_asked(cli, write, rows):
    X = rows.tolist()
    X[17][1] = X[40][2] = None
    X = np.array(X, object)
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        path = write(name, X)
        assert "row" in cli("fit", path, code=2).err or name == "a.jsonl"
        cli("fit", path, "-o", name + ".store", "--missing", "impute")
        found = CheckpointStore(name + ".store").latest()
        expected = StreamingPCA(missing="impute").fit(X.astype(float))
        assert found.n_samples_seen == 3000
        np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-12)


def test_times_stand_in_checkpoints(cli, write, rows):
    seconds = np.arange(3000)
    times = (np.datetime64("2026-01-01T00:00:00") + seconds).astype(str).tolist()
    path = write("a.csv", rows, time=times)
    cli("fit", path, "--timestamp-column", "time", "-o", "store", "--checkpoint-rows", 1000)
    history = CheckpointStore("store").history()
    start = int(np.datetime64("2026-01-01", "us").astype(int))
    assert [(c.window_end - start) // 1_000_000 for c in history] == [999, 1999, 2999]
    for checkpoint in history:
        assert_batch(checkpoint, rows[: checkpoint.n_samples_seen])
    then = cli("components", "store", "--at", "2026-01-01T00:40", "--json").json
    assert then["n_samples_seen"] == 2000
    assert then["window_end"] == "2026-01-01T00:33:19Z"
    assert "had been taken by" in cli("components", "store", "--at", "2025-01-01", code=2).err


def test_forgetting_by_time_weighs_each_row_by_its_age(cli, write, rows):
    seconds = np.random.default_rng(1).permutation(3000)  # rows may come in any order
    path = write("a.jsonl", rows, time=seconds.tolist())
    given = ["--timestamp-column", "time", "--half-life", "10min"]
    cli("fit", path, "-o", "store", "--checkpoint-rows", 700, *given)
    found = CheckpointStore("store").latest()
    weights = 0.5 ** ((2999 - seconds) / 600)
    assert found.weight == pytest.approx(weights.sum())
    mean = weights @ rows / weights.sum()
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    C = np.cov(rows.T, aweights=weights, bias=True)
    _, vectors = np.linalg.eigh(C)
    np.testing.assert_allclose(np.abs(found.components @ vectors[:, ::-1]), np.eye(4), atol=1e-6)


def test_without_a_store_components_are_shown(cli, write, rows):
    path = write("a.csv", rows)
    said = cli("fit", path, "-n", 2)
    assert "Components after 3,000 rows" in said.out
    assert {name in said.out for name in NAMES} == {True}
    (model,) = cli("fit", path, "-n", 2, "--json").json["models"]
    pca = StreamingPCA(2).fit(rows)
    np.testing.assert_allclose(np.abs(model["components"]), np.abs(pca.components_), rtol=1e-9)


def test_json_says_what_was_done(cli, write, rows):
    said = cli("fit", write("a.csv", rows), "-n", 2, "-o", "store", "--json").json
    assert said["n_rows"] == 3000
    assert said["store"] == "store"
    assert said["models"][0]["n_samples_seen"] == 3000


def big_csv(path, n_rows):
    """A file of many rows, made of one block of text over and over."""
    X = np.random.default_rng(0).normal(size=(10_000, 9))
    block = "\n".join(",".join(map("{:.8f}".format, row)) for row in X.tolist()) + "\n"
    with open(path, "w") as file:
        file.write(",".join(f"f{i}" for i in range(9)) + "\n")
        for _ in range(n_rows // 10_000):
            file.write(block)


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for n_rows in (20_000, 800_000):  # 2 MB and 80 MB
        big_csv(tmp_path / "x.csv", n_rows)
        code = (
            "import resource, sys; from streampca.cli.commands import app\n"
            "try: app()\n"
            "finally: sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))"
        )
        command = [sys.executable, "-c", code, "fit", "x.csv", "-n", "2", "-q", "-o", f"s{n_rows}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        peaks.append(int(done.stderr) * (1 if sys.platform == "darwin" else 1024))
    assert peaks[1] - peaks[0] < 40e6


def test_progress_is_for_terminals_only(tmp_path):
    big_csv(tmp_path / "x.csv", 20_000)
    main, terminal = pty.openpty()
    command = [*COMMAND, "fit", "x.csv", "-n", "2"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True
    )
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert "20,000 rows" in shown
    assert "rows/s" in shown
    assert b"\x1b" not in done.stdout
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert piped.stderr == b""
    assert piped.stdout.split(b" in ")[0] == done.stdout.split(b" in ")[0]


@pytest.mark.parametrize("command", ["score", "transform"])
def test_progress_of_all_files_where_somebody_sees_it(tmp_path, command):
    big_csv(tmp_path / "x.csv", 20_000)
    big_csv(tmp_path / "y.csv", 10_000)
    subprocess.run([*COMMAND, "fit", "x.csv", "-n", "2", "-q", "-o", "s"], cwd=tmp_path, check=True)
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    asked = [*COMMAND, command, "s", "x.csv", "y.csv", "-o", "out.csv"]
    subprocess.run(
        asked, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True
    )
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert "30,000 rows" in shown
    assert "rows/s" in shown
    assert "0:00:00" in shown  # nothing is left at the end: bytes of all files were counted
    piped = subprocess.run(asked, cwd=tmp_path, capture_output=True, check=True)
    assert piped.stderr == b""
