"""`streampca --version`, and numbers of one in what commands say."""

import importlib.metadata
from pathlib import Path

import pytest

import streampca

VERSION = importlib.metadata.version("streampca")


def test_the_version_is_that_of_the_package(cli):
    assert streampca.__version__ == VERSION
    assert "__version__" in dir(streampca)
    assert cli("--version").out == f"streampca {VERSION}\n"


def test_options_of_all_commands_are_checked(cli):
    assert "--version" in cli("--versio", code=2).err


@pytest.mark.parametrize(("n", "said"), [(1, "1 row read in"), (2, "2 rows read in")])
def test_one_row_is_said_as_one(cli, n, said):
    Path("a.csv").write_text("oil\n" + "1\n2\n"[: 2 * n])
    out = cli("fit", "a.csv", "-o", "store").out
    assert said in out
    assert "1 component of 1 feature explains" in out
