"""The command line: adapters between files, people and the library; no mathematics.

Rows come from `streampca.files`; models.py, ledger.py and fitting.py learn from them; one file for
each other command.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run `streampca`."""
    _open_what_is_closed()
    try:
        from streampca.cli.commands import app
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("typer", "rich"):
            raise
        sys.stderr.write(
            f"error: {error.name} is missing, which the command line needs: pip install "
            '"streampca[cli]"\n'
        )
        sys.exit(2)
    except KeyboardInterrupt:  # while modules are read
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    app()


def _open_what_is_closed() -> None:
    """Streams that whoever started this has closed, as supervisors do.

    Python has None for them, and the next file that is opened their number. What is said on stderr
    is not kept; results that stdout is to take, which is opened for reading, are an error.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, mode)
            if found != number:
                os.dup2(found, number)
                os.close(found)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
