"""Pages whose commands are run: what they print is what the page says.

Blocks of ```` ```console ```` are lines that begin with `$` and what they print; blocks of python
before them make what they need. `streampca serve` is asked for its page, and ended. A line
``<!-- not run: why -->`` before a block leaves it as it is.
"""

import difflib
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

from typer.testing import CliRunner

from streampca.cli.commands import app

BLOCK = re.compile(
    r"^(<!-- not run: [^\n]*-->\n)?```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE
)
TIMED = re.compile(r"in \d+\.\d s")
NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"


def shell(command, data=None):
    done = subprocess.run(["bash", "-c", command], input=data, capture_output=True, check=True)
    return done.stdout


def run(line):
    """What a line of a page says: `streampca` in this process, all else by a shell."""
    if line.startswith("streampca serve "):
        return served(shlex.split(line)[1:])
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


def served(words):
    """What the server says once its page is there; at any port, called by the usual one."""
    command = [sys.executable, "-m", "streampca", *words, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            address = line.split(" ")[0]
            with urllib.request.urlopen(address, timeout=30) as page:
                assert b"<html" in page.read()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
    return re.sub(r":\d+/", ":8765/", line)


def played(text, name="page"):
    """The page with what its commands say now."""

    def block(match):
        left_out, kind, body = match.groups()
        if left_out:
            return match[0]
        if kind == "python":
            exec(compile(body, name, "exec"), {})
            return match[0]
        lines = body.replace("\\\n", "\\\0").splitlines()  # a command may go on in the next line
        commands = [line.replace("\\\0", "\\\n") for line in lines if line.startswith("$ ")]
        joined = ((c, run(c[2:].replace("\\\n", " "))) for c in commands)
        return "```console\n" + "".join(f"{c}\n{said}" for c, said in joined) + "```"

    return BLOCK.sub(block, text)


def assert_played(page, name="page"):
    """The commands of a page say what stands there, up to times and last digits of numbers."""
    expected, got = (TIMED.sub("in ... s", text) for text in (page, played(page, name)))
    # the last digit of a number may differ between machines: words first, then numbers
    words, wanted = (re.sub(NUMBER, "#", text).splitlines() for text in (got, expected))
    assert words == wanted, "\n".join(difflib.unified_diff(wanted, words, lineterm=""))
    for here, there in zip(re.findall(NUMBER, got), re.findall(NUMBER, expected), strict=True):
        assert abs(float(here) - float(there)) <= 2e-3 * max(abs(float(there)), 1), (here, there)
