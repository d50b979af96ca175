"""What `import streampca` brings with it; what that takes, `make imports` measures.

Time differs between machines, and between two moments of one; what is imported does not.
"""

import functools
import json
import sys

import pytest
from support import children

LISTED = """
import json, sys
import numpy, pyarrow
before = set(sys.modules)
import streampca
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@functools.cache
def brought() -> list[str]:
    """Modules that `import streampca` imports, beyond numpy and pyarrow."""
    return json.loads(children.run(LISTED))


def test_the_library_brings_little_beside_numpy_and_pyarrow():
    modules = brought()
    own = [name for name in modules if name.partition(".")[0] == "streampca"]
    others = {name.partition(".")[0] for name in modules} - {"streampca"}
    assert len(own) <= 130, own  # 122 of a fifth of a millisecond each, when this was written
    assert len(modules) - len(own) <= 40, sorted(set(modules) - set(own))
    assert others - sys.stdlib_module_names <= {"numpy", "pyarrow", "threadpoolctl"}


@pytest.mark.parametrize(
    "wing",
    ["cli", "files", "monitor", "plots", "river", "serve", "sklearn", "layer", "records"],
)
def test_wings_that_need_more_are_imported_by_who_uses_them(wing):
    modules = brought()
    assert not any(name.startswith(f"streampca.{wing}") for name in modules)


@pytest.mark.parametrize(
    "package",
    ["pyarrow.dataset", "pyarrow.parquet", "pyarrow.compute", "pyarrow.csv", "asyncio", "logging"],
)
def test_parts_of_packages_that_take_long_are_imported_when_they_are_used(package):
    assert package not in brought()
