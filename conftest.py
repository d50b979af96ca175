"""Where torch is not installed, what needs it is skipped: it is an extra, like all the others.

That is every test marked `needs_torch`, every file that cannot be imported without torch, and every
example in a docstring that names it.
"""

import ast
import importlib.util
import re

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
REASON = 'needs torch: pip install "streampca[torch]"'
# Statements at the top of a file. What our own modules do without saying so is an error.
_NEEDS_TORCH = re.compile(
    r"import torch\b|from torch\b|from streampca\.(layer|solvers\.first_order\w*) import"
    r"|(if TYPE_CHECKING:.*\nelse:\s+)?need_torch\(",
    re.DOTALL,
)


def _needs_torch(path):
    if path.suffix != ".py":
        return False
    body = ast.parse(path.read_bytes()).body
    return any(_NEEDS_TORCH.match(ast.unparse(statement)) for statement in body)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector):
    """A file that cannot be imported without torch is one skip."""
    if HAS_TORCH or not isinstance(collector, pytest.File) or not _needs_torch(collector.path):
        return None
    where = (str(collector.path), 0, f"Skipped: {REASON}")
    return pytest.CollectReport(collector.nodeid, "skipped", where, [])


def pytest_collection_modifyitems(items):
    """Mark examples that name torch; skip what is marked where there is none."""
    for item in items:
        examples = item.dtest.examples if isinstance(item, pytest.DoctestItem) else []
        if any("torch" in example.source for example in examples):
            item.add_marker(pytest.mark.needs_torch)
        if not HAS_TORCH and item.get_closest_marker("needs_torch"):
            item.add_marker(pytest.mark.skip(reason=REASON))
