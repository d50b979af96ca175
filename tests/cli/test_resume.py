"""A fit that was killed anywhere and goes on ends with the same bits as one that was not."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from cut_off import killed

from streampca import CheckpointStore, StreamingPCA
from streampca.cli import fit as fit_module
from streampca.cli.ledger import Ledger

OPTIONS = ["-n", "2", "--checkpoint-rows", "700"]


def content(store):
    """Every file of a store but the ledger, which names paths: all bytes of all checkpoints."""
    files = sorted(Path(store).rglob("*.parquet"))
    assert files
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return dict(zip([str(path.relative_to(store)) for path in files], digests, strict=True))


@pytest.mark.parametrize("moments", ["last", "none", "3"])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 6, 8, 9, 11, 13])
def test_killed_while_moments_that_nobody_needs_are_dropped(
    cli, write, rows, monkeypatch, moments, n
):
    press = np.where(np.arange(3000) % 3 == 0, "a", "b").tolist()
    given = ["fit", write("a.csv", rows[:3000], press=press), *OPTIONS, "--key-column", "press"]
    given += ["--moments", moments]
    cli(*given, "-o", "whole")
    history = CheckpointStore("whole").history("a")
    expected = {"last": [0, 0, 0, 0, 1], "none": [0] * 5, "3": [0, 0, 1, 0, 1]}[moments]
    assert [int(bool(c.moments)) for c in history] == expected
    killed(cli, monkeypatch, n, *given, "-o", "broken")
    if moments == "none" and Ledger.read(CheckpointStore("broken")).points:
        said = cli(*given, "-o", "broken", "--resume", code=2).err
        assert "stored without moments" in said
        return
    cli(*given, "-o", "broken", "--resume")
    assert content("broken") == content("whole")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8])
def test_killed_at_any_write(cli, write, rows, monkeypatch, name, n):
    press = np.where(np.arange(3000) % 3 == 0, "a", "b").tolist()
    files = [write(f"1{name}", rows[:1700], press=press[:1700])]
    files.append(write(f"2{name}", rows[1700:], press=press[1700:]))
    given = ["fit", *files, *OPTIONS, "--key-column", "press"]
    cli(*given, "-o", "whole")
    killed(cli, monkeypatch, n, *given, "-o", "store")
    cli(*given, "-o", "store", "--resume")
    assert content("store") == content("whole")
    assert Ledger.read(CheckpointStore("store")).n_rows == 3000


@pytest.mark.parametrize(
    "options",
    [
        ["--memory", "factored"],
        ["--dtype", "float32"],
        ["--half-life", "300"],
        ["--half-life", "5min", "--timestamp-column", "time"],
        ["--missing", "impute"],
        ["-n", "0.9"],
        ["--batch-size", "64"],
    ],
    ids=" ".join,
)
def test_killed_with_any_option(cli, write, rows, monkeypatch, options):
    path = write("a.csv", rows, time=list(range(3000)))
    if "--timestamp-column" not in options:
        options = [*options, "--exclude", "time"]
    given = ["fit", path, *OPTIONS, *options]
    cli(*given, "-o", "whole")
    killed(cli, monkeypatch, 5, *given, "-o", "store")
    cli(*given, "-o", "store", "--resume")
    assert content("store") == content("whole")


def test_killed_by_the_system(cli, tmp_path):
    """SIGKILL, in the middle of a real process."""
    X = np.random.default_rng(0).normal(size=(50_000, 5)) * [5, 4, 3, 2, 1]
    np.savetxt("a.csv", X, delimiter=",", fmt="%.5f", header="a,b,c,d,e", comments="")
    given = ["fit", "a.csv", "-n", "3", "--checkpoint-rows", "1000"]
    command = [sys.executable, "-m", "streampca", *given, "-o", "store"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    while len(list(Path("store").rglob("*.parquet"))) < 8:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    read = Ledger.read(CheckpointStore("store")).n_rows
    assert 6_000 < read < 50_000
    # this process may have another number of threads, so both others run where it does
    for store, more in (("store", ["--resume"]), ("whole", [])):
        subprocess.run([*command[:-1], store, *more], cwd=tmp_path, check=True, capture_output=True)
    assert content("store") == content("whole")
    latest, whole = CheckpointStore("store").latest(), CheckpointStore("whole").latest()
    assert latest == whole
    assert latest.n_samples_seen == 50_000
    np.testing.assert_array_equal(latest.components, whole.components)


def test_ctrl_c_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "streampca", "fit", "-", "-n", "1", "-o", "store"]
    process = subprocess.Popen(
        [*command, "--checkpoint-rows", "200"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("a,b\n" + "1,2\n3,5\n" * 1000)
    process.stdin.flush()  # and stays open: the command waits for more
    ledger = tmp_path / "store/.fit.json"
    while not (ledger.exists() and json.loads(ledger.read_text())["n_rows"] >= 1000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert error.startswith("interrupted: ")
    assert error.endswith("rows are in store; go on with --resume\n")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_resuming_what_is_finished_changes_nothing(cli, write, rows, name):
    given = ["fit", write(name, rows), *OPTIONS, "-o", "store"]
    cli(*given)
    before = content("store")
    assert "0 rows read" in cli(*given, "--resume").out
    assert content("store") == before


def test_only_new_files_and_new_rows_are_read(cli, write, rows):
    write("1.csv", rows[:1000])
    cli("fit", "*.csv", "-n", 2, "-o", "store")
    write("2.csv", rows[1200:])
    with open("1.csv", "a") as file:
        np.savetxt(file, rows[1000:1200], delimiter=",", fmt="%.6f")
    assert "2,000 rows read" in cli("fit", "*.csv", "-n", 2, "-o", "store", "--resume").out
    found = CheckpointStore("store").latest()
    pca = StreamingPCA(2).fit(rows)
    assert found.n_samples_seen == 3000
    np.testing.assert_allclose(np.abs(found.components), np.abs(pca.components_), rtol=1e-9)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_the_same_pipe_again_is_known_and_another_one_is_new(cli, write, rows, tmp_path, name):
    first = (tmp_path / write(name, rows[:2000])).read_bytes()
    second = (tmp_path / write(name, rows[2000:])).read_bytes()
    given = ["fit", "-", *OPTIONS, "-o", "store", "--resume"]
    counts = [cli(*given, stdin=data).out.split()[0] for data in (first, first, second)]
    assert counts == ["2,000", "0", "1,000"]
    assert CheckpointStore("store").latest().n_samples_seen == 3000


def test_a_file_that_was_replaced_is_not_gone_on_with(cli, write, rows):
    given = ["fit", write("a.csv", rows), "-o", "store"]
    cli(*given)
    write("a.csv", rows[::-1])
    assert "is not the file that was read before" in cli(*given, "--resume", code=2).err
    write("a.csv", rows[:2000])
    assert "is not the file that was read before" in cli(*given, "--resume", code=2).err


def test_uris_are_read_and_written_too(cli, write, rows, tmp_path):
    path, store = (tmp_path / write("a.parquet", rows)).as_uri(), (tmp_path / "uri").as_uri()
    cli("fit", path, *OPTIONS, "-o", store)
    assert "0 rows read" in cli("fit", path, "-o", store, "--resume").out
    cli("fit", "a.parquet", *OPTIONS, "-o", "local")
    assert content("uri") == content("local")
    assert cli("history", store, "--json").json == cli("history", "local", "--json").json


def test_a_store_is_not_overwritten_by_accident(cli, write, rows):
    path = write("a.csv", rows)
    cli("fit", path, "-o", "store")
    before = content("store")
    assert "go on from them with --resume" in cli("fit", path, "-o", "store", code=2).err
    assert content("store") == before


def test_options_may_not_change_on_the_way(cli, write, rows):
    path = write("a.csv", rows)
    cli("fit", path, "-o", "store", "-n", 2)
    said = cli("fit", path, "-o", "store", "-n", 3, "--resume", code=2).err
    assert "--n-components 3 is not what the store was fitted with (2)" in said
    cli("fit", write("b.csv", rows), "-o", "store", "--resume")  # none need be repeated
    assert CheckpointStore("store").latest().settings["n_components"] == 2


def test_a_store_of_another_job_is_gone_on_with(cli, write, rows):
    pca = StreamingPCA(2).partial_fit(rows[:1000])
    CheckpointStore("store").write(pca.checkpoint(key="a", sequence=7))
    path = write("a.csv", rows[1000:], press=["a"] * 2000)
    cli("fit", path, "--key-column", "press", "-n", 2, "-o", "store", "--resume")
    found = CheckpointStore("store").latest("a")
    assert (found.sequence, found.n_samples_seen) == (8, 3000)
    pca.partial_fit(rows[1000:])
    np.testing.assert_allclose(np.abs(found.components), np.abs(pca.components_), rtol=1e-9)


def test_bad_rows_are_kept_once(cli, write, rows, monkeypatch):
    X = rows.astype(object)
    X[10, 0] = X[1500, 1] = X[2990, 2] = "wet"
    given = ["fit", write("a.csv", X), *OPTIONS]
    cli(*given, "-o", "whole", "--bad-rows", "whole.jsonl")
    killed(cli, monkeypatch, 4, *given, "-o", "store", "--bad-rows", "bad.jsonl")
    with open("bad.jsonl", "a") as file:
        file.write("what the killed run wrote after its last checkpoint\n")
    cli(*given, "-o", "store", "--bad-rows", "bad.jsonl", "--resume")
    assert content("store") == content("whole")
    assert Path("bad.jsonl").read_text() == Path("whole.jsonl").read_text()
    assert len(Path("bad.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("killed", [False, True])
def test_a_ledger_of_the_old_name_is_gone_on_with(cli, write, rows, killed):
    """Its ledger has the old name; who is killed before that one goes leaves both."""
    given = ["fit", write("a.csv", rows[:2000]), *OPTIONS]
    cli(*given, "-o", "store")
    new, old = Path("store/.fit.json"), Path("store/fit.json")
    before = new.read_bytes()
    assert cli("inspect", "store").out
    write("a.csv", rows)
    if killed:
        cli(*given, "-o", "store", "--resume")
        old.write_bytes(before)
    else:
        new.rename(old)
        assert Ledger.read(CheckpointStore("store")).n_rows == 2000
        cli("store", "compact", "store", "--moments", "none")  # what is gone on from stays
    cli(*given, "-o", "store", "--resume")
    assert Ledger.read(CheckpointStore("store")).n_rows == 3000
    cli("store", "copy", "store", "other")
    if not killed:
        assert not old.exists()
    write("b.csv", rows[:500])
    cli("fit", "b.csv", *OPTIONS, "-o", "store", "--resume")
    assert not old.exists()
    assert new.exists()
    assert Ledger.read(CheckpointStore("store")).n_rows == 3500
    assert Ledger.read(CheckpointStore("other")).n_rows == 3000


def test_others_read_the_folder_of_a_fit(cli, write, rows):
    cli("fit", write("a.csv", rows), *OPTIONS, "-o", "store")
    count = len(CheckpointStore("store").history())
    assert len(pd.read_parquet("store")) == count > 1
    assert ds.dataset("store", partitioning="hive").to_table().num_rows == count
    assert pl.scan_parquet("store", hidden_file_prefix=".").collect().height == count
    cli("store", "compact", "store")
    assert len(pd.read_parquet("store")) == count
    assert ds.dataset("store", partitioning="hive").to_table().num_rows == count
    assert pl.scan_parquet("store", hidden_file_prefix=".").collect().height == count


def test_a_damaged_ledger_is_named(cli, write, rows):
    given = ["fit", write("a.csv", rows), "-o", "store"]
    cli(*given)
    for text in ("{", "[]", '{"version": 2}', '{"version": 1}'):
        Path("store/.fit.json").write_text(text)
        assert "fit.json: cannot be read" in cli(*given, "--resume", code=2).err


def test_seconds_make_checkpoints_too(cli, write, rows, monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 10.0))
    monkeypatch.setattr(fit_module.time, "monotonic", lambda: next(clock))
    cli("fit", write("a.parquet", rows), "-o", "store", "--checkpoint-seconds", "5")
    history = CheckpointStore("store").history()
    assert [c.n_samples_seen for c in history] == [700, 1400, 2100, 2800, 3000]
