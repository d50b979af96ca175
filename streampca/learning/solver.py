"""What a learner is given to turn moments into a model: one verb for reading, one for stepping.

Knows neither how rows wait nor what the model is of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from streampca.arrays import Array
from streampca.learning.saved import Saved
from streampca.moments import Moments


class Read(Protocol):
    """What has been read off moments."""

    @property
    def axes(self) -> NDArray[Any]:
        """Directions (p, n) whose signs the next model keeps."""
        ...


M = TypeVar("M", bound=Read)


class Solver(ABC, Generic[M]):
    """How a model is read off moments; those that solve each time have no state of their own."""

    @abstractmethod
    def read(self, moments: Moments, previous: NDArray[Any] | None) -> M:
        """The model of what is remembered; `previous` are the axes of the one read last."""

    def step(self, moments: Moments) -> None:
        """Go on after a minibatch has been folded in."""

    def filled(self, model: M, X: Array) -> Array:
        """Rows (m, n) with their gaps filled by a model; X itself where models fill none."""
        return X

    def state(self) -> dict[str, NDArray[Any]]:
        """What it keeps between minibatches, as numpy arrays."""
        return {}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state()`."""

    def restored(self, saved: Saved, moments: Moments) -> M | None:
        """The model as it was saved with these moments; None if it is to be read again."""
        return None
