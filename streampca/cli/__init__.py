"""The command line: adapters between files, people and the library; no mathematics.

Rows come from `streampca.files`; models.py, ledger.py and fitting.py learn from them; one file for
each other command.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run `streampca`."""
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
