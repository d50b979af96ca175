"""What runners must not do to a bundle whose keys have state and timers."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import DebugOptions

NO_SPLITS = "prism_disable_sdf_split"
"""Prism's name of the option; other runners pass over experiments that they do not know."""


def refuse_splits(pipeline: Any) -> None:
    """Tell Prism not to split bundles.

    Prism (2.77) takes half of a bundle back where a worker is slow, which is right for splittable
    readers and wrong for keys with state: rows of one key then run in two bundles at a time, of
    which one writes its state over the other's, and timers are counted as rows (Beam #35771). On a
    busy machine keys lost windows, and the job ended as if all were well.
    """
    pipeline.options.view_as(DebugOptions).add_experiment(NO_SPLITS)
