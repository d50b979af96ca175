"""`streampca export`: the projection as ONNX, or everything as numpy's .npz."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import numpy as np
import typer

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli.find import find
from streampca.files import atomic, require_readable

_ARRAYS = (
    "mean",
    "components",
    "explained_variance",
    "explained_variance_ratio",
    "decoder",
    "encoder",
)
_OPSET, _IR = 17, 8
"""Of 2022: what every runtime in use can read; subtraction and product have not changed since."""


def export(
    place: options.Place,
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Ends with .onnx or .npz.")
    ],
    key: options.KeyOption = None,
    at: options.At = None,
    json: options.Json = False,
) -> None:
    """Write the projection for use elsewhere.

    ONNX from rows to coordinates, or numpy arrays.
    """
    suffix = Path(target).suffix
    if suffix not in (".onnx", ".npz"):
        raise typer.BadParameter(f"--output {target}: the name must end with .onnx or .npz")
    checkpoint = find(place, key, at)
    made = onnx_bytes(checkpoint) if suffix == ".onnx" else npz_bytes(checkpoint)
    atomic.write(target, made)
    p, n = checkpoint.components.shape
    if json:
        output.as_json({"file": target, "format": suffix[1:], "n_features": n, "n_components": p})
    else:
        output.text(f"{target}: {p} components of {n} features, {len(made):,} bytes")


def npz_bytes(checkpoint: Checkpoint) -> bytes:
    """All arrays by the names of the checkpoint's fields; nothing in it needs pickle."""
    arrays: dict[str, Any] = {name: getattr(checkpoint, name) for name in _ARRAYS}
    if checkpoint.scale is not None:
        arrays["scale"] = checkpoint.scale
    arrays["total_variance"] = np.float64(checkpoint.total_variance)
    arrays["n_samples_seen"] = np.int64(checkpoint.n_samples_seen)
    if checkpoint.feature_names is not None:
        arrays["feature_names"] = np.array(checkpoint.feature_names)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def read_npz(path: str) -> dict[str, Any]:
    """The arrays of a file that `npz_bytes` made.

    Raises
    ------
    ValueError
        If it is no such file.
    """
    require_readable(path)
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
    except (ValueError, TypeError, EOFError, KeyError, OSError, BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path}: is no readable .npz file ({error})") from error
    for name in ("components", "explained_variance_ratio"):
        if name not in arrays:
            raise ValueError(f"{path}: has no array {name!r}; `streampca export` writes one")
    return arrays


def onnx_bytes(checkpoint: Checkpoint) -> bytes:
    """An ONNX model from `rows` (m, n) to `coordinates` (m, p): what `transform` gives.

    Coordinates of a row with gaps are NaN: a product cannot fill them.

    Raises
    ------
    ImportError
        Naming the extra, if onnx is not there.
    """
    try:
        from onnx import TensorProto, checker, helper, numpy_helper
    except ImportError as error:
        raise ImportError('writing ONNX needs onnx: pip install "streampca[onnx]"') from error
    components = checkpoint.components
    dtype = components.dtype
    p, n = components.shape
    kind = TensorProto.FLOAT if dtype == np.float32 else TensorProto.DOUBLE
    constants = {"mean": checkpoint.mean.astype(dtype), "axes": np.ascontiguousarray(components.T)}
    nodes = [helper.make_node("Sub", ["rows", "mean"], ["centred"])]
    if checkpoint.scale is not None:
        constants["scale"] = checkpoint.scale.astype(dtype)
        nodes[-1].output[0] = "in_own_units"
        nodes.append(helper.make_node("Div", ["in_own_units", "scale"], ["centred"]))
    nodes.append(helper.make_node("MatMul", ["centred", "axes"], ["coordinates"]))
    if checkpoint.settings.get("whiten"):
        constants["scales"] = checkpoint._model.scales(np.empty(0, dtype))
        nodes[-1].output[0] = "unscaled"
        nodes.append(helper.make_node("Mul", ["unscaled", "scales"], ["coordinates"]))
    graph = helper.make_graph(
        nodes,
        "projection",
        [helper.make_tensor_value_info("rows", kind, ["m", n])],
        [helper.make_tensor_value_info("coordinates", kind, ["m", p])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="streampca",
    )
    helper.set_model_props(
        model,
        {
            "feature_names": json.dumps(checkpoint.feature_names),
            "n_samples_seen": str(checkpoint.n_samples_seen),
        },
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
