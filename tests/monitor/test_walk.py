"""The walk of docs/monitoring.md, from a raw file to events: run, and it says what stands there.

`python tests/monitor/test_walk.py` writes what the commands say, and the pictures, into docs.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/monitoring.md"
IMAGES = ROOT / "docs/images"
PICTURES = ("walk-event.png", "walk-control.png")
BEGIN, END = "## From a raw file to events\n", "\n## Sensors in their own units"
sys.path.append(str(ROOT / "tests/support"))  # where this file is run by itself

import pytest  # noqa: E402
from played import BLOCK, assert_played, played  # noqa: E402

from benchmarks import data  # noqa: E402

REAL = "## A file of a real plant\n"


def walk(page):
    return page[page.index(BEGIN) : page.index(REAL)]


def real(page):
    return page[page.index(REAL) : page.index(END)]


def fetched():
    """The plant's file, put into this folder."""
    try:
        shutil.copy(data.plant_file(), "real_process_data.csv")
    except (OSError, SystemExit) as error:  # there may be no pip, or no network
        pytest.skip(f"the data cannot be fetched: {error}")


def test_the_file_of_a_real_plant_is_read_as_it_was_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fetched()
    section = real(PAGE.read_text())
    assert "Scan Timeout" in (tmp_path / "real_process_data.csv").read_text()
    assert_played(section)


def test_the_walk_says_what_its_commands_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = walk(PAGE.read_text())
    assert_played(section)
    for name in PICTURES:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"images/{name}" in section
        assert (IMAGES / name).exists()
    raw = (tmp_path / "normal.csv").read_text()
    assert ",Bad," in raw
    assert ",," in raw


def test_the_walk_is_short_and_finds_what_was_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    section = walk(PAGE.read_text())
    commands = [
        line
        for found in BLOCK.finditer(section)
        if found[2] == "console"
        for line in found[3].splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) < 10
    played(section)
    score = next(line for line in commands if " score " in line)
    asked = [*score.removeprefix("$ streampca ").replace('"', "").split(), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "streampca", *asked], capture_output=True, text=True, check=True
    )
    event = max(json.loads(done.stdout)["events"], key=lambda each: each["peak"])
    assert event["sensors"][0] == "coolant_valve"
    # the valve sticks from row 300 to 419 of today.csv
    assert 300 <= int(event["start"].split()[-1]) <= 310
    assert 410 <= int(event["end"].split()[-1]) <= 425


if __name__ == "__main__":
    text = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        text = text.replace(walk(text), played(walk(text)))
        for picture in PICTURES:
            shutil.copy(picture, IMAGES / picture)
        fetched()
        text = text.replace(real(text), played(real(text)))
    PAGE.write_text(text)
