"""What a command makes of where it runs: encodings, signals, another fit in the same store."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typer.core import TyperGroup

from streampca import CheckpointStore
from streampca.cli.app import _ending_tidily
from streampca.cli.one_writer import one_writer


def run(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "streampca", *arguments],
        env=os.environ | variables,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "variables", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}]
)
def test_signs_that_an_encoding_lacks_are_escaped(cli, rows, variables):
    Path("r.csv").write_text("\u5727\u529b,b\n" + "\n".join(f"{a},{b}" for a, b, *_ in rows[:50]))
    cli("fit", "r.csv", "-o", "store")
    shown = run("components", "store", **variables)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"\\u5727\\u529b" in shown.stdout
    said = run("components", "store", "--json", **variables)
    assert json.loads(said.stdout)["feature_names"] == ["\u5727\u529b", "b"]


def closed(numbers, *arguments):
    """Run a command whose streams of these numbers are closed when it starts."""
    line = " ".join(f"{number}>&-" for number in numbers)
    command = ["sh", "-c", f'"$@" {line}', "sh", sys.executable, "-m", "streampca", *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("numbers", [(2,), (0, 2)])
def test_nothing_is_lost_where_what_is_said_goes_nowhere(cli, write, rows, numbers):
    name = write("a.csv", rows)
    assert closed(numbers, "fit", name, "-o", "store").returncode == 0
    assert closed(numbers, "transform", "store", name, "-o", "o.csv").returncode == 0
    shown = closed(numbers, "transform", "store", name, "-o", "-")
    assert (shown.returncode, shown.stdout) == (0, Path("o.csv").read_bytes())
    cli("components", "none", code=2)
    assert closed(numbers, "components", "none").returncode == 2


@pytest.mark.parametrize("command", [["components", "s"], ["transform", "s", "a.csv"], ["--help"]])
def test_a_result_that_nobody_can_be_shown_is_an_error(cli, write, rows, command):
    cli("fit", write("a.csv", rows), "-o", "s")
    ended = closed((1,), *command)
    said = b"error: standard output is closed, where the result is to go\n"
    assert (ended.returncode, ended.stderr) == (2, said)


def test_a_second_fit_into_a_store_is_refused_until_the_first_has_ended(cli, write, rows):
    name = write("a.csv", rows)
    with one_writer(CheckpointStore("store")):
        said = cli("fit", name, "-o", "store", code=2).err
        assert "another streampca fit is writing into it" in said
    assert not Path("store").exists()
    cli("fit", name, "-o", "store")
    assert not Path("store/.fit.lock").exists()
    cli("fit", name, "-o", "store", "--resume")


def test_no_help_on_the_list_of_commands_is_cut(cli):
    listed = cli("--help").out.split("Commands:")[1]
    assert "..." not in listed


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_is_half_written_is_removed_when_a_command_is_ended(cli, write, rows, number):
    name = write("a.csv", rows)
    cli("fit", name, "-o", "store")
    pipe = "rows.csv"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-m", "streampca", "transform", "store", name, pipe, "-o", "z.csv"],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup lets it ignore SIGHUP
    )
    with open(pipe, "w") as file:  # the command waits for its rows
        file.write(Path(name).read_text().split("\n")[0] + "\n")
        file.flush()
        while not list(Path().glob("*.tmp")) and child.poll() is None:
            threading.Event().wait(0.05)
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert said.endswith(b"terminated\n")
    assert not list(Path().glob("*.tmp"))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of Unix")
def test_what_nohup_lets_a_command_ignore_it_ignores():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _ending_tidily():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("at", ["make_context", "invoke", "main"])
def test_an_interrupt_is_said_at_any_moment(cli, write, rows, monkeypatch, at):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(TyperGroup, at, interrupted)
    said = cli("fit", write("a.csv", rows), code=130)
    assert said.err == "interrupted\n"
