"""What happens to whatever goes wrong in a command: one line, one exit code."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import typer
from typer.core import TyperGroup

from streampca import CheckpointWarning
from streampca.cli import output
from streampca.text import nearest

APP: Any = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}
"""How typer shows every command: as plain text."""

_USAGE: Any = typer.BadParameter.__mro__[2]  # click's own class, wherever typer keeps it
_BAD, _INTERRUPTED = 2, 130


class _Ended(BaseException):
    """Somebody ended this process by a signal."""

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(signal)


@contextmanager
def _ending_tidily() -> Iterator[None]:
    """Let files that are half written be removed when this process is ended from outside."""

    def end(number: int, _: Any) -> None:
        raise _Ended(number)

    names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    mine = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []
    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _interrupts_said() -> Iterator[None]:
    """Where somebody interrupts a command typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt:
        output.say("interrupted")
        raise typer.Exit(_INTERRUPTED) from None


class Commands(TyperGroup):
    """All commands; no traceback leaves them."""

    def main(self, args: Any = None, *_: Any, standalone_mode: bool = True, **others: Any) -> Any:
        """Run one command; exit code 0, 1 for alarms and the like, 2 for bad input."""
        # pyarrow's own handlers would take Ctrl-C while it parses, and call the file unreadable
        pa.enable_signal_handlers(False)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # what a terminal has no sign for is escaped
                stream.reconfigure(errors="backslashreplace")
        with warnings.catch_warnings(), _ending_tidily():
            warnings.showwarning = lambda message, *_, **__: output.warn(str(message))
            warnings.simplefilter("always", CheckpointWarning)
            code = self._run(args, others)
        if standalone_mode:
            sys.exit(code)
        return code

    def make_context(self, *names: Any, **others: Any) -> Any:
        """Read the arguments."""
        with _interrupts_said():
            return super().make_context(*names, **others)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _interrupts_said():
            return super().invoke(ctx)

    def _run(self, args: Any, others: dict[str, Any]) -> int:
        try:
            code = super().main(args, standalone_mode=False, **others)
            sys.stdout.flush()
        except _USAGE as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                output.say(error.format_message())
                return _BAD
            return _say(_usage(error))
        except typer.Exit as exit_:
            return exit_.exit_code
        except SystemExit:  # typer's own end where nobody reads our output any more
            return 0
        except BrokenPipeError:  # whoever read our output has seen enough
            _show_no_more()
            return 0
        except (KeyboardInterrupt, typer.Abort):
            output.say("interrupted")
            return _INTERRUPTED
        except _Ended as ended:
            output.say("terminated")
            return 128 + ended.signal
        except MemoryError:
            return _say("there is not enough memory; try --memory factored or fewer columns")
        except OSError as error:
            if error.errno != errno.EBADF or error.filename is not None:
                return _say(_line(error))
            _show_no_more()
            return _say("standard output is closed, where the result is to go")
        except (ValueError, ImportError, ArithmeticError, TypeError) as error:
            return _say(_line(error))
        except Exception as error:  # noqa: BLE001 - no traceback leaves the command line
            return _say(
                f"{type(error).__name__}: {_line(error)} (this should have been said better: it is "
                "a defect of streampca)"
            )
        return code if isinstance(code, int) else 0


def _show_no_more() -> None:
    """Let go of what is still to be written to stdout: Python's last flush would fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _usage(error: Any) -> str:
    plain = getattr(error, "param", None) is None  # ours, which names the option itself
    message = " ".join((error.message if plain else error.format_message()).split())
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", None)
    if wrong is not None and context is not None:
        known = [name for param in context.command.params for name in param.opts]
        hint = nearest(wrong.lstrip("-"), [name[2:] for name in known if name[:2] == "--"])
        message = f"No such option: {wrong}" + (f": did you mean --{hint}?" if hint else "")
    return message if context is None else f"{message} ({context.command_path} --help says more)"


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__


def _say(line: str) -> int:
    output.say(f"error: {line}")
    return _BAD
