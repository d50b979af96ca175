"""The names that programs of users may rely on: modules, what they export, attributes, parameters.

    python -m public_names > tests/project/public_names.txt

A line a name: `streampca.StreamingPCA.partial_fit(X, y)` stands as the method and each parameter.
"""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

MODULES = (
    "streampca",
    "streampca.checkpoint",
    "streampca.loss",
    "streampca.metrics",
    "streampca.monitor",
    "streampca.plots",
    "streampca.river",
    "streampca.serve",
    "streampca.onnx",
    "streampca.files",
    "streampca.sklearn",
    "beam_pipelines",
    "beam_pipelines.anomaly",
    "beam_pipelines.beam_yaml",
    "beam_pipelines.inference",
)


def parameters(name: str, value: Any) -> Iterator[str]:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return
    for each in signature.parameters.values():
        if each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL) or each.name.startswith("_"):
            continue
        if each.name not in ("self", "cls"):
            yield f"{name}({each.name})"


def attributes(name: str, owner: type) -> Iterator[str]:
    for each in sorted({each for each in dir(owner) if not each.startswith("_")}):
        value = inspect.getattr_static(owner, each)
        home = next(base for base in owner.__mro__ if each in vars(base))
        if not home.__module__.startswith(("streampca", "beam_pipelines")):
            continue  # inherited from another project
        yield f"{name}.{each}"
        if callable(value) or isinstance(value, classmethod | staticmethod):
            yield from parameters(f"{name}.{each}", getattr(owner, each))


def names() -> Iterator[str]:
    for module in MODULES:
        try:
            content = importlib.import_module(module)
        except ImportError:
            continue  # a version that had no such module, or an extra that is not installed
        for each in sorted(getattr(content, "__all__", ())):
            name = f"{module}.{each}"
            value = getattr(content, each)
            yield name
            yield from parameters(name, value)
            if inspect.isclass(value):
                yield from attributes(name, value)


if __name__ == "__main__":
    print(*names(), sep="\n")
