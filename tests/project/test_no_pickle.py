"""Nothing that is read runs code: the packages do not unpickle, and hostile files are inert."""

import ast
import contextlib
import dataclasses
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checkpoints import make

from beam_pipelines.rows.coders import BlockCoder, CheckpointCoder, moments_from_bytes
from beam_pipelines.rows.elements import Block
from streampca import Checkpoint, CheckpointStore, CheckpointWarning, StreamingPCA
from streampca.checkpoint import relative_path
from streampca.wire.arrays import decode, encode
from streampca.wire.sealed import WireError, seal

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("streampca", "beam_pipelines") for path in (ROOT / package).rglob("*.py")
)

# Modules that build objects or code from bytes, and calls that run code from text.
MODULES = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal"),
    *("shelve", "code", "codeop", "runpy", "imp", "ctypes", "subprocess"),
}
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
METHODS = {"system", "popen", "import_module", "unpickle", "find_class", "register_extension_type"}
# torch.load and numpy.load unpickle.
LOADERS = {"torch", "np", "numpy", "pickle", "joblib"}

ALLOWED = {
    # Names of optional packages, written in the source, and none of them read from data.
    ("import_module", "streampca/cli"),
    ("import_module", "streampca/_extras.py"),
    ("import_module", "streampca/__init__.py"),  # of the package's own wings
    # The routine of numpy's own BLAS that numpy calls for X.T @ X, by a name in the source.
    ("ctypes", "streampca/arrays/blas.py"),
    ("ctypes", "streampca/arrays/lapack.py"),  # of its LAPACK, in the same way
}


def findings(tree):
    """(name, line) of what could run code from data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        else:
            names = []
        yield from ((name, node.lineno) for name in names if name in MODULES)
        if not isinstance(node, ast.Call):
            continue
        allow = [k.value for k in node.keywords if k.arg == "allow_pickle"]
        refused = any(isinstance(value, ast.Constant) and value.value is False for value in allow)
        if allow and not refused:
            yield "allow_pickle", node.lineno
        match node.func:
            case ast.Name(name) if name in CALLS:
                yield name, node.lineno
            case ast.Attribute(_, name) if name in METHODS:
                yield name, node.lineno
            case ast.Attribute(ast.Name(module), "load") if module in LOADERS and not refused:
                yield f"{module}.load", node.lineno


def test_the_search_finds_what_it_looks_for():
    code = """
import pickle
from joblib import load
import torch, numpy as np
torch.load("x"), np.load("x"), eval("1"), os.system("x")
np.memmap("x", allow_pickle=True), np.load("x", allow_pickle=False)
"""
    found = {(name, line) for name, line in findings(ast.parse(code))}
    assert found == {
        *(("pickle", 2), ("joblib", 3), ("torch.load", 5), ("np.load", 5), ("eval", 5)),
        *(("system", 5), ("allow_pickle", 6)),
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_unpickles_or_runs_code_from_data(source):
    name = str(source.relative_to(ROOT))
    found = [
        f"{name}:{line}: {what}"
        for what, line in findings(ast.parse(source.read_text()))
        if not any(what == word and name.startswith(place) for word, place in ALLOWED)
    ]
    assert found == []


# --- hostile files that would leave a mark if they ran --------------------------------------------


class Mark:
    """Unpickling this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mark(tmp_path):
    """A path that exists as soon as the hostile pickle has been read by anything."""
    return tmp_path / "was here"


@pytest.fixture
def pickled(mark):
    data = pickle.dumps(Mark(mark))
    pickle.loads(data)
    assert mark.is_dir()  # the attack works
    mark.rmdir()
    return data


def test_a_pickle_in_the_place_of_a_checkpoint_is_not_read(tmp_path, pickled, mark):
    store = CheckpointStore(tmp_path / "store")
    path = Path(store.write(make()))
    wrapped = b"PAR1" + pickled + b"streamP1" + bytes(4) + len(pickled).to_bytes(4, "little")
    for data in (pickled, wrapped + b"PAR1"):
        path.write_bytes(data)
        with pytest.warns(CheckpointWarning, match=str(path)):
            assert store.latest() is None
    assert not mark.exists()


@pytest.mark.parametrize(
    "read",
    [
        decode,
        moments_from_bytes,
        Checkpoint.from_bytes,
        Checkpoint.from_parquet_bytes,
        CheckpointCoder().decode,
        BlockCoder().decode,
    ],
)
def test_a_pickle_in_the_place_of_state_is_not_read(pickled, mark, read):
    for data in (pickled, b"rows\x01\x00" + pickled, pickled + b"streamP1" + bytes(12)):
        with pytest.raises(WireError):
            read(data)
    assert not mark.exists()


def test_a_pickle_inside_a_sealed_checkpoint_is_not_read(pickled, mark):
    batch = make().to_record_batch()
    at = batch.schema.get_field_index("moments")
    column = pa.array([pickled], batch.schema.field(at).type)
    hostile = batch.set_column(at, batch.schema.field(at), column)
    for read in (
        lambda: Checkpoint.from_bytes(seal(hostile)),
        lambda: Checkpoint.from_record_batch(hostile),
    ):
        with pytest.raises(WireError):
            read()
    arrays = decode(encode("dense", {"data": np.frombuffer(pickled, np.uint8)}, {})).arrays
    assert arrays["data"].tobytes() == pickled  # bytes stay bytes
    assert not mark.exists()


HOSTILE_SETTINGS = [
    {"optimizer": "__import__('os').mkdir('{mark}')"},
    {"n_components": "__import__('os').mkdir('{mark}')"},
    {"device": "cpu; __import__('os').mkdir('{mark}')"},
    {"__class__": "os.mkdir", "__reduce__": ["os.mkdir", ["{mark}"]]},
    {"py/object": "os.mkdir", "py/reduce": ["os.mkdir", ["{mark}"]]},
]


@pytest.mark.parametrize("hostile", HOSTILE_SETTINGS, ids=lambda settings: next(iter(settings)))
def test_settings_are_values_never_code(hostile, mark, recwarn):
    hostile = json.loads(json.dumps(hostile).replace("{mark}", str(mark)))
    good = StreamingPCA(2).fit(np.eye(4)).checkpoint()
    bad = dataclasses.replace(good, settings=dict(good.settings) | hostile)
    bad = Checkpoint.from_bytes(bad.to_bytes())
    try:
        pca = StreamingPCA.from_checkpoint(bad)
        assert pca.n_samples_seen_ == 4  # a value that is not used does no harm
    except (ValueError, TypeError):
        pass
    assert not mark.exists()


def test_arrow_extension_types_build_no_objects():
    """Old Arrow versions unpickled Python extension types named in a file's metadata."""
    field = pa.field(
        "key",
        pa.string(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(print),
        },
    )
    batch = make().to_record_batch()
    fields = [field, *list(batch.schema)[1:]]
    hostile = pa.RecordBatch.from_arrays(
        batch.columns, schema=pa.schema(fields, batch.schema.metadata)
    )
    with contextlib.suppress(WireError):
        assert Checkpoint.from_bytes(seal(hostile)).key is None


def test_a_block_of_rows_holds_numbers_only(pickled):
    data = bytearray(BlockCoder().encode(Block(("a",), np.zeros((len(pickled) // 8, 1)))))
    data[-(len(pickled) // 8) * 8 :] = pickled[: len(pickled) // 8 * 8]
    with pytest.raises(WireError, match="checksum"):
        BlockCoder().decode(bytes(data))


def test_the_store_s_path_of_a_key_that_is_code_is_a_plain_name(tmp_path, mark):
    key = f"$(mkdir '{mark}'); __import__('os').mkdir('{mark}')"
    store = CheckpointStore(tmp_path / "store")
    store.write(make(key=key))
    assert store.keys() == [key]
    assert relative_path(make(key=key)).count("/") == 1
    assert not mark.exists()
