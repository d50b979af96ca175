"""What rows known to be normal said of limits, kept in the checkpoint of the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from streampca.monitor.quantiles import QuantileSketch

__all__ = ["METHODS", "sketches_of", "with_sketches"]

METHODS = {"theory": ("jackson-mudholkar", "f"), "empirical": ("empirical", "empirical")}
"""What rules call the methods of both limits, of SPE and of T^2."""


def sketches_of(model: Any, n_components: int) -> tuple[QuantileSketch, QuantileSketch]:
    """Those of SPE and T^2 that a checkpoint holds of so many components; empty ones otherwise.

    SPE and T^2 of another number of components are other statistics.
    """
    kept = getattr(model, "calibration", None) or {}
    names = _names(n_components)
    if any(name not in kept for name in names):
        return QuantileSketch(), QuantileSketch()
    spe, t2 = (QuantileSketch.of_clusters(kept[name]) for name in names)
    return spe, t2


def with_sketches(model: Any, n_components: int, *sketches: QuantileSketch) -> Any:
    """The checkpoint with sketches of SPE and T^2 of so many components in place of others."""
    if not all(sketch.count for sketch in sketches):
        raise ValueError(
            "there is no calibration to keep: give rows that are known to be normal to calibrate"
        )
    kept = {
        name: np.ascontiguousarray(sketch.clusters())
        for name, sketch in zip(_names(n_components), sketches, strict=True)
    }
    return dataclasses.replace(model, calibration=kept)


def _names(n_components: int) -> tuple[str, str]:
    return f"spe of {n_components}", f"t2 of {n_components}"
