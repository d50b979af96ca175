"""A job that was killed is run again with --resume: its files are those of a run that was not."""

import shutil
from contextlib import nullcontext

import engines
import numpy as np
import pyarrow.parquet as pq
import pytest
from extras import needs_torch
from reruns import CASES, KEYS, content, write

from beam_pipelines import run
from beam_pipelines.run import record
from streampca import CheckpointStore


def arguments(folder, store, *more):
    given = ["--input", f"{folder}/rows*.parquet", "--timestamp-column", "time", "--key-column"]
    given += ["press", "--n-components", "2", "--output", str(store), *more]
    return [*given, *([] if "--window" in more else ["--window", "20m"]), *engines.flags()]


FEW = ("plain", "sessions, each its own", "half-life", "forgetting")
"""A case takes two jobs: the others are for `make engines`."""


def marks(case):
    torch = [needs_torch] if case == "descent" else []
    return torch if case in FEW else [*torch, pytest.mark.engines]


def leave_some(store, rng):
    """What a job that was killed may leave: workers have written some, in any order and files."""
    there = CheckpointStore(store)
    left = []
    for key, share in zip(KEYS, (0.3, 0.6, 0.8), strict=True):
        history = there.history(key)
        for i, checkpoint in enumerate(history):
            if rng.random() >= i / len(history) + 1e-9 and i <= share * len(history):
                left.append(checkpoint)
    for path in store.rglob("*.parquet"):
        path.unlink()
    waiting = [left[i] for i in rng.permutation(len(left))]
    while waiting:
        n = int(rng.integers(1, 5))
        some, waiting = waiting[:n], waiting[n:]
        if n == 1:
            there.write(some[0])
        else:
            there.write_many(some)


@pytest.mark.parametrize("case", [pytest.param(c, marks=marks(c)) for c in CASES])
def test_whatever_files_were_written_the_rest_is_made_bit_for_bit(tmp_path, case, engine, capsys):
    write(tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run.main(arguments(tmp_path, whole, *CASES[case])) == 0, capsys.readouterr().err
    expected = content(whole)
    rng = np.random.default_rng(list(CASES).index(case))
    shutil.copytree(whole, killed)
    leave_some(killed, rng)
    assert run.main([*arguments(tmp_path, killed, *CASES[case]), "--resume"]) == 0
    assert content(killed) == expected


def test_what_is_there_is_not_learned_again(tmp_path, engine, monkeypatch, capsys):
    write(tmp_path)
    store = tmp_path / "store"
    assert run.main(arguments(tmp_path, store)) == 0
    paths = sorted(store.rglob("*.parquet"))
    assert paths
    capsys.readouterr()
    assert run.main([*arguments(tmp_path, store), "--resume"]) == 0
    assert capsys.readouterr().out.startswith("0 checkpoints of 600 rows in")
    assert sorted(store.rglob("*.parquet")) == paths


@pytest.mark.parametrize("apart", [True, False])
def test_a_torn_file_is_made_again(tmp_path, apart, engine):
    write(tmp_path)
    store = tmp_path / "store"
    assert run.main(arguments(tmp_path, store)) == 0
    expected = content(store)
    if apart:
        for checkpoint in CheckpointStore(store).everything():
            CheckpointStore(store).write(checkpoint)
        shutil.rmtree(next(store.glob("day=*")))
        newest = sorted(store.glob("s-press_204*/*.parquet"))[-1]
    else:
        newest = sorted(store.glob("day=*/*.parquet"))[-1]
    newest.write_bytes(newest.read_bytes()[:-40])
    here = engine != "prism_pool"  # the workers of a pool warn in logs of their own
    with pytest.warns(UserWarning, match="Skipped") if here else nullcontext():
        assert run.main([*arguments(tmp_path, store), "--resume"]) == 0
    assert content(store) == expected


def changed(given, option, value):
    return [*given[: given.index(option) + 1], value, *given[given.index(option) + 2 :]]


REFUSED = {
    "window": (lambda g: changed(g, "--window", "10m"), "window was '20m' and is '10m'"),
    "components": (lambda g: changed(g, "--n-components", "3"), "n_components was 2 and is 3"),
    "half-life": (lambda g: [*g, "--half-life", "1h"], "half_life was None and is"),
    "carry": (lambda g: [*g, "--no-carry"], "carry was True and is False"),
    "features": (lambda g: [*g, "--features", "a,b,c"], "columns was"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_another_job_does_not_go_on(tmp_path, which, capsys):
    write(tmp_path)
    given, (change, message) = arguments(tmp_path, tmp_path / "store"), REFUSED[which]
    assert run.main(given) == 0
    before = content(tmp_path / "store")
    assert run.main([*change(given), "--resume"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: --resume: this is not the job that wrote")
    assert message in error
    assert content(tmp_path / "store") == before


def test_other_input_does_not_go_on(tmp_path, capsys):
    write(tmp_path)
    given = arguments(tmp_path, tmp_path / "store")
    assert run.main(given) == 0
    shutil.copy(tmp_path / "rows0.parquet", tmp_path / "rows3.parquet")
    assert run.main([*given, "--resume"]) == 2
    assert f"{tmp_path / 'rows3.parquet'} was not among the files" in capsys.readouterr().err
    (tmp_path / "rows3.parquet").unlink()
    write_other = tmp_path / "rows1.parquet"
    pq.write_table(pq.read_table(write_other).slice(1), write_other)
    assert run.main([*given, "--resume"]) == 2
    assert f"{write_other} has changed since" in capsys.readouterr().err
    kept = write_other.read_bytes()
    write_other.unlink()
    assert run.main([*given, "--resume"]) == 2
    assert f"{write_other} was among the files" in capsys.readouterr().err
    write_other.write_bytes(kept)
    # Without --resume it may run over what is there; but then nobody knows whose the files are.
    assert run.main(given) == 0
    assert run.main([*given, "--resume"]) == 2
    assert "also has checkpoints of another job" in capsys.readouterr().err


def test_checkpoints_of_nobody_known_are_not_gone_on_from(tmp_path, capsys):
    write(tmp_path)
    given = arguments(tmp_path, tmp_path / "store")
    assert run.main([*given, "--resume"]) == 0  # nothing was written before the crash
    (tmp_path / "store" / record.NAME).unlink()
    assert run.main([*given, "--resume"]) == 2
    assert "of which there is no record" in capsys.readouterr().err
    (tmp_path / "store" / record.NAME).write_bytes(b"no record")
    assert run.main([*given, "--resume"]) == 2
    assert "is no record of a job" in capsys.readouterr().err


def test_names_with_signs_of_patterns_are_in_the_record(tmp_path, capsys):
    write(tmp_path)
    odd = tmp_path / "rows[1].parquet"
    (tmp_path / "rows1.parquet").rename(odd)
    given = arguments(tmp_path, tmp_path / "store")
    assert run.main(given) == 0
    assert odd.name in {path.rpartition("/")[2] for path, *_ in recorded(tmp_path)}
    pq.write_table(pq.read_table(odd).slice(1), odd)
    assert run.main([*given, "--resume"]) == 2
    assert f"{odd} has changed since" in capsys.readouterr().err


def recorded(folder):
    return record.JobRecord.read(str(folder / "store")).input
