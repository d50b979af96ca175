"""Exceptions of its own; every other mistake is a ValueError or TypeError, as elsewhere."""

from __future__ import annotations

from typing import Self


class NotFittedError(ValueError, AttributeError):
    """A result was requested before any row was seen.

    Inherits from ValueError and AttributeError, as scikit-learn's does, so that code which
    catches that one also catches this one and `hasattr(estimator, "components_")` works.

    Examples
    --------
    >>> from streampca import StreamingPCA
    >>> hasattr(StreamingPCA(2), "components_")
    False
    """

    @classmethod
    def of(cls, estimator: object) -> Self:
        """The error of an estimator that has learned nothing."""
        return cls(f"this {type(estimator).__name__} has not seen any row: call partial_fit first")


class UnknownKeyError(KeyError):
    """A key has no model: no row of it has been seen.

    A `KeyError` whose text is a sentence.

    Examples
    --------
    >>> from streampca import KeyedPCA
    >>> KeyedPCA(2)["press 4"]
    Traceback (most recent call last):
        ...
    streampca.exceptions.UnknownKeyError: key 'press 4' has no model: no row of it has been learned
    """

    def __str__(self) -> str:
        return str(self.args[0])


class TornError(RuntimeError):
    """Learning was broken off in the middle, and sums may hold some rows in part.

    By an interruption, or for want of memory: no number of such a model is given away.
    """

    @classmethod
    def by(cls, what: str) -> Self:
        """The error after learning that was broken off by this."""
        return cls(
            f"learning was broken off by {what}, and what is remembered may hold some rows in "
            "part: call fit, or go on from the last checkpoint"
        )
