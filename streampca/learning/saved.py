"""What a learner needs of a checkpoint to go on from it; checkpoints themselves stand above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Saved(Protocol):
    """What a learner goes on from: moments, and the model as it was when they were saved."""

    @property
    def moments_kind(self) -> str: ...
    @property
    def moments(self) -> Mapping[str, NDArray[Any]]: ...
    @property
    def components(self) -> NDArray[Any]: ...
    @property
    def explained_variance(self) -> Float64: ...
    @property
    def total_variance(self) -> float: ...
    @property
    def scale(self) -> Float64 | None: ...
    @property
    def decoder(self) -> NDArray[Any]: ...
    @property
    def encoder(self) -> NDArray[Any]: ...
    @property
    def residuals(self) -> Float64: ...
