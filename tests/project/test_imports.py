"""What importing brings with it; what that takes, `make imports` measures.

Time differs between machines, and between two moments of one; what is imported does not.
"""

import functools
import json
import sys

import pytest
from support import children

import streampca

LISTED = """
import json, sys
import numpy, pyarrow
before = set(sys.modules)
{}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
ESTIMATORS = "from streampca import *".replace("*", ", ".join(
    name for name in streampca.__all__ if not name.lower().startswith("nested")
))  # fmt: skip
STORE = "from streampca import CheckpointStore"
COMMAND = "from streampca.cli.commands import app\napp({}, standalone_mode=False)"


@functools.cache
def brought(line: str) -> list[str]:
    """Modules that a line imports, beyond numpy and pyarrow."""
    said = children.run(LISTED.format(line))
    return json.loads(said.strip().splitlines()[-1])


def of_streampca(modules: list[str]) -> set[str]:
    """The wings among modules."""
    return {".".join(name.split(".")[:2]) for name in modules if name.startswith("streampca.")}


def test_the_estimators_bring_little_beside_numpy_and_pyarrow():
    modules = brought(ESTIMATORS)
    own = [name for name in modules if name.partition(".")[0] == "streampca"]
    others = {name.partition(".")[0] for name in modules} - {"streampca"}
    assert len(own) <= 150, own  # 143 of a fifth of a millisecond each, when this was written
    assert len(modules) - len(own) <= 40, sorted(set(modules) - set(own))
    assert others - sys.stdlib_module_names <= {"numpy", "pyarrow", "threadpoolctl"}


@pytest.mark.parametrize(
    "wing",
    ["cli", "files", "monitor", "plots", "river", "serve", "sklearn", "layer", "records"],
)
def test_wings_that_need_more_are_imported_by_who_uses_them(wing):
    assert f"streampca.{wing}" not in of_streampca(brought(ESTIMATORS))


@pytest.mark.parametrize(
    "package",
    ["pyarrow.dataset", "pyarrow.parquet", "pyarrow.compute", "pyarrow.csv", "asyncio", "logging"],
)
def test_parts_of_packages_that_take_long_are_imported_when_they_are_used(package):
    assert package not in brought(ESTIMATORS)
    assert package not in brought(STORE)


def test_the_package_alone_brings_nothing():
    assert of_streampca(brought("import streampca")) == set()


def test_a_store_brings_no_estimator():
    wings = of_streampca(brought(STORE))
    assert not wings & {f"streampca.{n}" for n in ("learning", "moments", "solvers", "estimators")}


@pytest.mark.parametrize("name", streampca.__all__)
def test_every_name_is_there_by_itself_and_again(name):
    if name.lower().startswith("nested"):
        pytest.importorskip("torch")
    assert getattr(streampca, name) is getattr(streampca, name)
    assert name in dir(streampca)


def test_modules_of_the_package_are_its_attributes():
    run = "import streampca; print(streampca.metrics.acs.__name__, hasattr(streampca, 'nothing'))"
    assert children.run(run).split() == ["acs", "False"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of two keys, in files of many."""
    folder = tmp_path_factory.mktemp("imports") / "store"
    pca = streampca.StreamingPCA(2).partial_fit([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]])
    made = [pca.checkpoint(key=key, window_end=60_000_000) for key in ("a", 5)]
    streampca.CheckpointStore(folder).write_many(made)
    return str(folder)


@pytest.mark.parametrize("command", ["components", "history"])
def test_a_question_to_a_store_brings_neither_readers_of_rows_nor_estimators(command, store):
    modules = brought(COMMAND.format([command, store, "--key", "5"]))
    unused = {"files", "monitor", "learning", "moments", "solvers", "plots", "bank"}
    assert not of_streampca(modules) & {f"streampca.{name}" for name in unused}
    assert not {"pyarrow.compute", "pyarrow.dataset", "asyncio", "numpy.testing"} & set(modules)
