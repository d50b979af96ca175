"""docs/cli.md: every command is run, and says what stands there.

`python tests/cli/test_page.py` writes what the commands say into the page.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/cli.md"
sys.path.append(str(ROOT / "tests/support"))  # where this file is run by itself

from played import assert_played, played  # noqa: E402


def test_the_page_says_what_the_commands_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_played(PAGE.read_text())


if __name__ == "__main__":
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        page = played(page)
    PAGE.write_text(page)
