"""Live pipes: learned row by row, kept on time and when somebody asks to stop; gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from streampca import CheckpointStore

COMMAND = [sys.executable, "-m", "streampca"]
ROOT = str(Path(__file__).parents[2])


@contextmanager
def running(tmp_path, *arguments, **how):
    """A command whose standard input is a pipe that we hold."""
    environment = os.environ | {"PYTHONPATH": ROOT}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **how,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                stream.close()


def send(process, text):
    process.stdin.write(text.encode() if isinstance(text, str) else text)
    process.stdin.flush()


def wait_for(process, found):
    """Until it holds; the process must be alive."""
    for _ in range(30_000):
        if found():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    raise AssertionError("it never came")


def n_learned(folder):
    """Rows that a store holds for good."""
    ledger = folder / ".fit.json"
    return json.loads(ledger.read_text())["n_rows"] if ledger.exists() else 0


FIT = ("fit", "-", "-n", "1", "-o", "store", "--checkpoint-seconds", "0.1")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_slow_pipe_is_learned_row_by_row_and_kept_while_nothing_comes(tmp_path, form):
    with running(tmp_path, *FIT) as process:
        if form == "csv":
            send(process, "a,b\n")
        for i in range(1, 4):  # each row is kept before the next is sent: nothing pushes it
            row = f"{i},{i * i}\n" if form == "csv" else json.dumps({"a": i, "b": i * i}) + "\n"
            send(process, row)
            wait_for(process, lambda i=i: n_learned(tmp_path / "store") == i)
        process.stdin.close()
        process.wait()
    assert process.returncode == 0
    found = CheckpointStore(tmp_path / "store").latest()
    assert found.n_samples_seen == 3
    np.testing.assert_allclose(found.mean, [2, 14 / 3])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_keeps_what_was_learned_and_says_how_to_go_on(tmp_path, number):
    rows = "".join(f"{i},{i % 7}\n" for i in range(300))
    given = [*FIT[:-2], "--checkpoint-rows", "200"]
    with running(tmp_path, *given) as process:
        send(process, "a,b\n" + rows)
        wait_for(process, lambda: n_learned(tmp_path / "store") == 200)
        time.sleep(0.5)  # the other hundred has been learned, and not kept
        process.send_signal(number)
        _, error = process.communicate()
    assert process.returncode == 128 + number
    assert error.decode() == "interrupted: 300 rows are in store; go on with --resume\n"
    assert n_learned(tmp_path / "store") == 300
    with running(tmp_path, *given, "--resume") as process:
        _, error = process.communicate(("a,b\n" + rows + "1,2\n").encode())
    assert (process.returncode, error) == (0, b"")
    assert CheckpointStore(tmp_path / "store").latest().n_samples_seen == 301


def test_without_a_store_it_says_that_nothing_is_kept(tmp_path):
    with running(tmp_path, "fit", "-", "-n", "1") as process:
        send(process, "a,b\n1,2\n")
        time.sleep(0.1)
        wait_for(process, lambda: _is_waiting(process))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 130
    assert b"interrupted" in error
    assert b"Traceback" not in error


def _is_waiting(process):
    """Whether it sleeps and does nothing for a while: it waits for rows."""
    place = Path(f"/proc/{process.pid}/stat")
    if not place.exists():
        time.sleep(5)
        return True
    before = _state_and_time(place)
    time.sleep(0.3)
    return before[0] == "S" and before == _state_and_time(place)


def _state_and_time(place):
    fields = place.read_text().rpartition(")")[2].split()  # the program's name stands in brackets
    return fields[0], fields[11], fields[12]


@pytest.fixture
def store(tmp_path):
    """A model of two features."""
    from streampca import StreamingPCA

    X = np.random.default_rng(0).normal(size=(50, 2))
    model = StreamingPCA(1).fit(X).checkpoint()
    from dataclasses import replace

    CheckpointStore(tmp_path / "store").write(replace(model, feature_names=("a", "b")))


def test_rows_are_transformed_as_they_come(tmp_path, store):
    with running(tmp_path, "transform", "store", "-", "--keep", "a") as process:
        send(process, "a,b\n1,2\n")
        assert process.stdout.readline() == b'"a","component_1"\n'
        assert process.stdout.readline().startswith(b"1,")
        send(process, "3,4\n")
        assert process.stdout.readline().startswith(b"3,")
        process.stdin.close()
        process.wait()
    assert process.returncode == 0


def test_who_has_read_enough_stops_it_in_silence(tmp_path, store):
    np.savetxt(tmp_path / "x.csv", np.ones((200_000, 2)), "%g", ",", header="a,b", comments="")
    command = f"set -o pipefail; {' '.join(COMMAND)} transform store x.csv | head -n 1"
    environment = os.environ | {"PYTHONPATH": ROOT}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b'"component_1"\n'


def test_standard_input_that_is_closed_is_named(tmp_path):
    environment = os.environ | {"PYTHONPATH": ROOT}
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} fit - <&-"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: standard input is closed")
    assert done.stderr.count(b"\n") == 1


def test_compressed_rows_come_through_a_pipe(tmp_path):
    import gzip

    data = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(1000)))
    with running(tmp_path, "fit", "-", "-n", "1", "--json") as process:
        for at in range(0, len(data), 100):
            send(process, data[at : at + 100])
        out, error = process.communicate()
    assert error == b""
    assert json.loads(out)["n_rows"] == 1000
