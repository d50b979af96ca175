"""The table of engines: its lines are kept once, and the page shows what was measured."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.engines import common, table
from streampca import StreamingPCA


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "engines.md"
    path.write_text(f"before\n\n{table.BEGIN}{table.END}after\n")
    monkeypatch.setattr(table, "PAGE", path)
    monkeypatch.setattr(table, "RESULTS", tmp_path / "engines.csv")
    return path


def line(engine, what, wall):
    values = (engine, "1.0", what, "24,000", "1e-15", "0", wall, "1.0", "")
    return dict(zip(table.COLUMNS, values, strict=True))


def test_the_page_shows_what_was_measured():
    assert f"{table.BEGIN}\n{table.text()}\n{table.END}" in table.PAGE.read_text()


def test_every_line_of_rows_is_right_to_1e_14():
    errors = [float(each["error"]) for each in table.lines() if each["error"]]
    assert errors
    assert max(errors) < 1e-14


def test_a_line_takes_the_place_of_the_older_one(page):
    table.keep(line("Spark", "batch", "2.0"))
    table.keep(line("Dask", "tree", "3.0"))
    table.keep(line("Spark", "keys", "4.0"))
    table.keep(line("Spark", "batch", "5.0"))
    kept = [(each["engine"], each["what"], each["wall_s"]) for each in table.lines()]
    assert kept == [("Spark", "batch", "5.0"), ("Spark", "keys", "4.0"), ("Dask", "tree", "3.0")]
    shown = page.read_text()
    assert shown.startswith("before\n")
    assert shown.endswith("after\n")
    assert shown.count("| Spark |") == 2


def test_the_small_sizes_leave_no_lines(page, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["engine", "--quick"])
    common.report("Spark", "1.0", "batch", 10, 1e-16, 0, common.Cost([1.0], [1.0]))
    assert "| Spark | 1.0 | batch | 10 | 1e-16 |" in capsys.readouterr().out
    assert not table.RESULTS.exists()


@pytest.mark.parametrize("rows", [slice(1, None), [0, *range(300)]], ids=["missing", "twice"])
def test_a_row_that_is_missing_or_came_twice_ends_the_program(rows):
    X = common.made(300)
    assert common.check(StreamingPCA(4).partial_fit(X), X) < 1e-14
    with pytest.raises(SystemExit, match="rows were learned, not 300"):
        common.check(StreamingPCA(4).partial_fit(X[rows]), X)


def test_a_row_in_the_place_of_another_ends_the_program():
    X = common.made(300)
    other = np.vstack([X[1:], X[1:2]])
    with pytest.raises(SystemExit, match="components are off"):
        common.check(StreamingPCA(4).partial_fit(other), X)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are read from /proc")
def test_a_process_is_killed_with_all_below_it():
    code = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); "
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    below = int(process.stdout.readline())
    assert common.below(process.pid) == {process.pid, below}
    common.killed(process.pid)
    process.wait()
    process.stdout.close()
    for _ in range(600):
        stats = common._stats()
        if below not in stats or stats[below][0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what was below it goes on")
