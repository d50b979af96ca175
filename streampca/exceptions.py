"""Exceptions of its own; every other mistake is a ValueError or TypeError, as elsewhere."""

from __future__ import annotations


class NotFittedError(ValueError, AttributeError):
    """A result was asked for before any row was seen.

    Inherits from ValueError and AttributeError, as scikit-learn's does, so that code which
    catches that one also catches this one and `hasattr(estimator, "components_")` works.

    Examples
    --------
    >>> from streampca import StreamingPCA
    >>> hasattr(StreamingPCA(2), "components_")
    False
    """
