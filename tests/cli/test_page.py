"""docs/cli.md: every command is run, and says what stands there.

`python tests/cli/test_page.py` writes what the commands say into the page.
"""

import contextlib
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from typer.testing import CliRunner

from streampca.cli.commands import app

PAGE = Path(__file__).parents[2] / "docs/cli.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TIMED = re.compile(r"in \d+\.\d s")


def shell(command, data=None):
    done = subprocess.run(["bash", "-c", command], input=data, capture_output=True, check=True)
    return done.stdout


def run(line):
    """What a line of the page says: `streampca` in this process, all else by a shell."""
    parts = line.split(" | ")
    data, said = None, ""
    for part in parts:
        if not part.startswith("streampca "):
            data = shell(part, data)
            continue
        found = CliRunner().invoke(app, shlex.split(part)[1:], input=data)
        data, said = found.stdout_bytes, said + found.stderr
        if found.exit_code:
            said += f"[exit code {found.exit_code}]\n"
    return (data.decode() + said).replace(os.getcwd(), "/data")


def played(text):
    """The page with what its commands say now."""

    def block(match):
        kind, body = match.groups()
        if kind == "python":
            exec(compile(body, str(PAGE), "exec"), {})
            return match[0]
        commands = [line for line in body.splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{c}\n{run(c[2:])}" for c in commands) + "```"

    return BLOCK.sub(block, text)


def test_the_page_says_what_the_commands_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    expected, got = (TIMED.sub("in ... s", text) for text in (page, played(page)))
    number = r"-?\d+\.?\d*(?:e-?\d+)?"
    # the last digit of a number may differ between machines: words first, then numbers
    assert re.sub(number, "#", got) == re.sub(number, "#", expected)
    for here, there in zip(re.findall(number, got), re.findall(number, expected), strict=True):
        assert abs(float(here) - float(there)) <= 2e-3 * max(abs(float(there)), 1)


if __name__ == "__main__":
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        page = played(page)
    PAGE.write_text(page)
