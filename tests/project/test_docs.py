"""Every page's code runs: its python blocks in order, in one namespace, in an empty folder."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from extras import torch_for
from typer.testing import CliRunner

from beam_pipelines import run
from beam_pipelines.demo import write_shuttle
from streampca.cli.commands import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
# Also those that stand in a tab or a list, which are indented.
BLOCK = re.compile(r"^([ \t]*)```[ \t]*(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
NOT_RUN = "<!-- not run:"


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page, run=True):
    """Line number and code of each python block; a comment in front says why one is not run."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        before = text[: found.start()].rstrip().rsplit("\n", 1)[-1].strip()
        if found[2] == "python" and before.startswith(NOT_RUN) != run:
            yield text[: found.start(3)].count("\n"), dedent(found[3])


def needs_torch(page):
    return any(re.search("torch|first_order|Nested", code) for _, code in blocks(page))


@pytest.mark.parametrize("page", torch_for(PAGES, needs_torch), ids=name)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for line, code in blocks(page):
        # padded, so that a traceback names the line of the page
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_says_what_its_code_prints(page, capsys):
    """Where a block of text follows a block of python, the one is what the other prints."""
    found = list(BLOCK.finditer(page.read_text()))
    printed = [
        (code[3], text[3])
        for code, text in pairwise(found)
        if (code[2], text[2], text.start() - code.end()) == ("python", "text", 2)
    ]
    assert printed or page.name != "README.md"
    for code, text in printed:
        exec(compile(code, str(page), "exec"), {})
        assert capsys.readouterr().out == text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_code_of_a_page_escapes_the_test_above(page):
    for line, code in blocks(page, run=False):
        compile("\n" * line + code, str(page), "exec")  # it is not run, but it is python
    labels = {found[2] for found in BLOCK.finditer(page.read_text())}
    assert not labels & {"py", "python3", "py3", "pycon"}
    assert "mermaid" not in labels  # its script would be loaded from another host


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_what_a_page_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shuttle(tmp_path / "data" / "shuttle.parquet")  # `make run` leaves it there
    text = "\n".join(
        found[3] for found in BLOCK.finditer((ROOT / "README.md").read_text()) if found[2] == "sh"
    )
    starts = ("streampca ", "python -m ")
    commands = [c for c in text.replace("\\\n", " ").splitlines() if c.startswith(starts)]
    assert len(commands) == 5
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[0] == "streampca":
            outcome = CliRunner().invoke(app, words[1:])
            assert outcome.exit_code == 0, (command, outcome.output)
        else:
            assert words[:3] == ["python", "-m", "beam_pipelines.run"]
            assert run.main(words[3:]) == 0, command
    assert (tmp_path / "scree.png").stat().st_size > 1000


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


@pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None,
    reason="mkdocs is in the dependency group docs: make docs installs it",
)
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert build.returncode == 0, build.stderr
    assert not re.search("WARNING|ERROR", build.stderr), build.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    fetched = re.compile(
        r"<(?:script|img|iframe|source|video)[^>]*\ssrc=\"?(?:https?:)?//"
        r"|<link[^>]*\srel=\"?(?:stylesheet|preload|preconnect|icon)[^>]*\shref=\"?(?:https?:)?//"
    )
    for page in pages:
        assert not (found := fetched.search(page.read_text())), (page.name, found[0])
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text()), sheet.name
