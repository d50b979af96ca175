"""`streampca compare`: the angles between two sets of components."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from streampca import Checkpoint
from streampca.cli import options, output
from streampca.cli.export import read_npz
from streampca.cli.find import find, is_store
from streampca.metrics import acs, principal_angles


class Side(NamedTuple):
    """One of the two."""

    components: NDArray[Any]
    ratio: NDArray[Any]
    names: tuple[str, ...] | None


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A store, a checkpoint's file, or .npz.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; may be A again, of a time.")],
    key: options.KeyOption = None,
    key_b: Annotated[
        str | None, typer.Option("--key-b", metavar="K", help="Model of B; default: --key.")
    ] = None,
    at: options.At = None,
    at_b: Annotated[str | None, typer.Option("--at-b", metavar="TIME", help="Time of B.")] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(metavar="DEGREES", help="Exit code 1 if the largest angle is larger."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure how far the components of B lie from those of A."""
    left = _side(a, key, at)
    key_b = key_b if key_b is not None or not is_store(b) else key
    right = _aligned(_side(b, key_b, at_b), left, b)
    p = min(len(left.components), len(right.components))
    angles = np.degrees(principal_angles(left.components[:p], right.components[:p]))
    cosines = acs(left.components[:p], right.components[:p]).diagonal()
    largest = float(angles.max())
    if json:
        output.as_json(
            {
                "n_components": p,
                "principal_angles": np.radians(angles),
                "largest_angle": float(np.radians(largest)),
                "cosines": cosines,
                "explained_variance_ratio": [left.ratio[:p], right.ratio[:p]],
            }
        )
    else:
        title = f"Components 1 to {p}: the largest principal angle is {largest:.3g}°"
        made = output.Table(
            title, ["component"], ["principal angle", "|cosine|", "share in A", "share in B"]
        )
        for i in range(p):
            shares = (f"{side.ratio[i]:.2%}" for side in (left, right))
            made.add_row(str(i + 1), f"{angles[i]:.3g}°", f"{cosines[i]:.6f}", *shares)
        made.show()
    if fail_above is not None and largest > fail_above:
        raise typer.Exit(1)


def _side(place: str, key: str | None, at: str | None) -> Side:
    if place.endswith(".npz") and not is_store(place):
        arrays = read_npz(place)
        names = arrays.get("feature_names")
        return Side(
            arrays["components"],
            arrays["explained_variance_ratio"],
            None if names is None else tuple(names.tolist()),
        )
    found: Checkpoint = find(place, key if is_store(place) else None, at)
    return Side(found.components, found.explained_variance_ratio, found.feature_names)


def _aligned(side: Side, like: Side, place: str) -> Side:
    """The same with its features in the order of the other's."""
    n, m = like.components.shape[1], side.components.shape[1]
    if n != m:
        raise ValueError(f"{place}: has {m} features and the other {n}: they cannot be compared")
    if None in (side.names, like.names) or side.names == like.names:
        return side
    assert side.names is not None
    assert like.names is not None
    if set(side.names) != set(like.names):
        other = sorted(set(side.names) ^ set(like.names))
        raise ValueError(
            f"{place}: not the same features as the other; only one of them has "
            f"{', '.join(other[:5])}"
        )
    order = [side.names.index(name) for name in like.names]
    return side._replace(components=side.components[:, order], names=like.names)
