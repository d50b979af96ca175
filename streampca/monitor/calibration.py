"""Empirical limits, from rows known to be normal; stored in the checkpoint of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from streampca.monitor.quantiles import QuantileSketch

METHODS = {"theory": ("jackson-mudholkar", "f"), "empirical": ("empirical", "empirical")}
"""What rules call the methods of both limits, of SPE and of T^2."""


_Pair = tuple[QuantileSketch, QuantileSketch]


def sketches_of(model: Any, n_components: int) -> dict[float | None, _Pair]:
    """Those of SPE and T^2 that a checkpoint holds of so many components; empty ones otherwise.

    None stands for the rows themselves, a number for running means with this weight. SPE and T^2 of
    another number of components are other statistics.
    """
    kept = getattr(model, "calibration", None) or {}
    found: dict[float | None, _Pair] = {None: (QuantileSketch(), QuantileSketch())}
    start = f"spe of {n_components}"
    for name in kept:
        head, _, weight = name.partition(_BY)
        ewma = float(weight) if weight else None
        names = _names(n_components, ewma)
        if head == start and names[1] in kept:
            spe, t2 = (QuantileSketch.of_clusters(kept[each]) for each in names)
            found[ewma] = spe, t2
    return found


def with_sketches(model: Any, n_components: int, pairs: Mapping[float | None, _Pair]) -> Any:
    """The checkpoint with sketches of SPE and T^2 of so many components in place of others."""
    if not all(sketch.count for sketch in pairs[None]):
        raise ValueError(
            "there is no calibration to keep: give rows that are known to be normal to calibrate"
        )
    kept = {
        name: np.ascontiguousarray(sketch.clusters())
        for ewma, pair in pairs.items()
        for name, sketch in zip(_names(n_components, ewma), pair, strict=True)
    }
    return dataclasses.replace(model, calibration=kept)


_BY = ", ewma "


def _names(n_components: int, ewma: float | None) -> tuple[str, str]:
    by = "" if ewma is None else f"{_BY}{ewma!r}"
    return f"spe of {n_components}{by}", f"t2 of {n_components}{by}"
