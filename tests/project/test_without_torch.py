"""numpy does without torch: it is not imported, and what needs it says how to install it."""

import ast
import sys
from pathlib import Path

import children
import pytest
from extras import needs_torch

ROOT = Path(__file__).parents[2]
# In one process, one after the other: what imports torch is named.
START = """
import pathlib, sys, tempfile
import numpy as np
from streampca import CheckpointStore, StreamingPCA, StreamingReducedRankRegression
rows = np.random.default_rng(0).normal(size=(300, 4)) * [4, 3, 2, 1] + 5
folder = pathlib.Path(tempfile.mkdtemp())
"""
IN_PYTHON = {
    "import": "import streampca.loss, streampca.metrics, streampca.monitor",
    "fit, transform": "StreamingPCA(2).fit(rows).transform(rows)",
    "the CPU by name": "StreamingPCA(2, device='cpu').fit(rows).transform(rows)",
    "rows in pieces": """
for memory in ("dense", "factored", "minibatch"):
    pca = StreamingPCA(2, memory=memory, half_life=50.0)
    for start in range(0, 300, 7):
        piece = rows[start : start + 7]
        pca.partial_fit(piece, sample_weight=np.ones(len(piece)))
    pca.inverse_transform(pca.transform(rows)), pca.residuals_
""",
    "wide rows": "StreamingPCA(3, memory='factored').fit(rows @ np.ones((4, 2000))).components_",
    "gaps": """
gaps = np.where(np.arange(300)[:, None] % 7, rows, [0, np.nan, 1, 2])
StreamingPCA(2, missing="impute").fit(gaps).transform(gaps)
""",
    "lists, Arrow and sparse rows": """
import pyarrow as pa, scipy.sparse as sp
table = pa.table(dict(zip("abcd", rows.T)))
for given in (rows.tolist(), table, sp.csr_array(rows)):
    StreamingPCA(2).fit(given).transform(given)
""",
    "pairs": "StreamingReducedRankRegression(2).fit(rows, rows[:, :3]).predict(rows)",
    "checkpoint": """
store = CheckpointStore(folder / "python")
store.write(StreamingPCA(2).fit(rows).checkpoint())
StreamingPCA.from_checkpoint(store.latest()).partial_fit(rows).transform(rows)
store.latest().transform(rows)
""",
    "monitor": """
from streampca.monitor import Monitor
Monitor(StreamingPCA(2).fit(rows)).scores(rows)
""",
}
IN_STREAMS = {
    "River": """
from streampca.river import PCA, PCAScorer, ReducedRankRegressor
pca, scorer, regressor = PCA(2), PCAScorer(2), ReducedRankRegressor(1)
for row in rows.tolist():
    x = dict(zip("abcd", row))
    pca.learn_one(x), scorer.learn_one(x), regressor.learn_one(x, {"a": x["a"]})
pca.transform_one(x), scorer.score_one(x), regressor.predict_one(x)
""",
    "Beam": """
import apache_beam as beam
from beam_pipelines import LearnComponents, WriteCheckpoints, run
with beam.Pipeline("FnApiRunner") as pipeline:
    learned = pipeline | beam.Create(list(rows)) | LearnComponents(2)
    _ = learned | WriteCheckpoints(str(folder / "beam"))
assert CheckpointStore(folder / "beam").latest().n_samples_seen == 300
""",
    "command line": """
from typer.testing import CliRunner
from streampca.cli.commands import app
np.savetxt(folder / "rows.csv", rows, delimiter=",", header="a,b,c,d", comments="")
for command in (
    ["fit", folder / "rows.csv", "-n", 2, "-o", folder / "store"],
    ["transform", folder / "store", folder / "rows.csv"],
    ["score", folder / "store", folder / "rows.csv"],
    ["components", folder / "store"],
):
    done = CliRunner().invoke(app, [str(word) for word in command])
    assert done.exit_code == 0, (command, done.output, done.exception)
""",
}
# Import statements fail as they do where it is not installed.
BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("steps", [IN_PYTHON, IN_STREAMS], ids=["Python", "streams"])
def test_torch_is_not_imported_for_rows_of_numbers(steps):
    code = START
    for name, step in steps.items():
        code += f"\n{step}\nassert 'torch' not in sys.modules, {name!r}"
    children.run(code)


@pytest.mark.parametrize("steps", [IN_PYTHON, IN_STREAMS], ids=["Python", "streams"])
def test_they_need_no_torch(steps):
    children.run("\n".join([BLOCKED, START, *steps.values()]))


DOORS = {
    "StreamingPCA(2, device='cuda').partial_fit(rows)": "device='cuda'",
    "StreamingPCA(2, device='cpu:0').partial_fit(rows)": "device='cpu:0'",  # torch's own CPU
    "StreamingReducedRankRegression(device='cuda').partial_fit(rows, rows)": "device='cuda'",
    "StreamingPCA.from_checkpoint(StreamingPCA(2).fit(rows).checkpoint(), device='cuda')": (
        "device='cuda'"
    ),
    "StreamingPCA(2, solver='first_order').partial_fit(rows)": "solver='first_order'",
    "StreamingReducedRankRegression(2, solver='first_order').partial_fit(rows, rows)": (
        "solver='first_order'"
    ),
    "import streampca; streampca.NestedMSELoss": "streampca.layer",
    "import streampca.layer": "streampca.layer",
    "from streampca import nested_mse_loss": "streampca.layer",
}
REFUSED = """
try:
    {code}
except ImportError as error:
    assert 'pip install "streampca[torch]"' in str(error), error
    assert {what!r} in str(error), error
    assert error.name == "torch"
else:
    raise AssertionError({code!r} + " was not refused")
"""


def test_without_torch_it_is_said_how_to_install_it():
    refused = [REFUSED.format(code=code, what=what) for code, what in DOORS.items()]
    children.run("\n".join([BLOCKED, START, *refused, IN_PYTHON["fit, transform"]]))


def test_a_job_for_gpus_is_built_where_torch_is_not_installed():
    children.run(f"""{BLOCKED}
from beam_pipelines import LearnComponents
LearnComponents(2, device="cuda"), LearnComponents(2, device="cuda:1", solver="first_order")
""")


def test_without_torch_all_names_that_are_listed_can_be_used():
    children.run(f"""{BLOCKED}
import inspect
import streampca
from streampca import *
assert StreamingPCA is streampca.StreamingPCA
names = dict(inspect.getmembers(streampca))
assert set(streampca.__all__) <= set(names)
assert "NestedMSELoss" not in names
""")


@needs_torch
def test_names_that_need_torch_are_listed_before_it_is_imported():
    children.run("""
import sys
import streampca
assert set(streampca.__all__) <= set(dir(streampca))
assert not hasattr(streampca, "nested_loss")
assert "torch" not in sys.modules
""")


@needs_torch
def test_names_that_need_torch_are_what_they_were():
    import streampca
    from streampca import layer

    for name in ("NestedLinearAutoencoder", "NestedMSELoss", "nested_mse_loss"):
        assert getattr(streampca, name) is getattr(layer, name)


@needs_torch
def test_a_tensor_is_learned_from_though_torch_was_imported_last():
    children.run("""
import numpy as np
from streampca import StreamingPCA
rows = np.random.default_rng(0).normal(size=(300, 4))
pca = StreamingPCA(2).partial_fit(rows[:150])
import torch
pca.partial_fit(torch.from_numpy(rows[150:]))
np.testing.assert_allclose(pca.components_, StreamingPCA(2).fit(rows).components_, atol=1e-12)
""")


def run_time_imports(path):
    """Modules imported by a file when it runs: not those for type checkers alone."""
    waiting = list(ast.parse(path.read_bytes()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        else:
            waiting += ast.iter_child_nodes(node)


def test_one_file_imports_torch():
    files = [*(ROOT / "streampca").rglob("*.py"), *(ROOT / "beam_pipelines").rglob("*.py")]
    importing = {
        str(path.relative_to(ROOT))
        for path in files
        if any(name.split(".")[0] == "torch" for name in run_time_imports(path))
    }
    assert importing == {"streampca/arrays/lazy.py"}


def test_half_imported_torch_has_no_tensors(monkeypatch):
    """While another thread imports it, it stands in sys.modules and has no names yet."""
    from types import ModuleType

    from streampca.arrays import is_tensor

    for unfinished in (ModuleType("torch"), None):
        monkeypatch.setitem(sys.modules, "torch", unfinished)
        assert not is_tensor([1.0])
