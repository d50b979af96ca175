"""scikit-learn's parameter verbs, as its BaseEstimator has them, without needing scikit-learn."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping
from typing import Any, Self

_LEARNED = ("_learner", "_feature_names", "_target_names", "_single")


class Parameters:
    """Constructor parameters are stored under their own names, untouched."""

    def __copy__(self) -> Self:
        """One that learns by itself: what is learned is changed in place, and never shared."""
        return copy.deepcopy(self)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor parameters by name."""
        return {name: getattr(self, name) for name in _defaults_of(self)}

    def set_params(self, **parameters: Any) -> Self:
        """Change constructor parameters.

        They hold from the next `partial_fit` on where rows so far can be kept, which says so where
        they cannot; all of them hold from the next `fit` on.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"no parameter {name!r}: there are {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = _defaults_of(self)
        changed = [f"{k}={v!r}" for k, v in self.get_params().items() if v is not defaults[k]]
        return f"{type(self).__name__}({', '.join(changed)})"

    @classmethod
    def _estimator(cls) -> type:
        """The estimator whose parameters decide, whatever subclasses leave out or add."""
        raise NotImplementedError

    def _given(self) -> dict[str, Any]:
        """Values of that estimator's parameters."""
        return parameters_of(self, self._estimator())

    def _differs(self, used: Mapping[str, Any]) -> bool:
        """Whether parameters are no longer those that learning began with."""
        own = vars(self)
        for name, value in used.items():
            now = own.get(name, value)
            if now is not value and now != value:  # equal after pickle
                return True
        return False

    def _blank(self) -> Self:
        """An estimator like this one that has learned nothing."""
        fresh = object.__new__(type(self))
        kept = {name: value for name, value in vars(self).items() if name not in _LEARNED}
        fresh.__dict__.update(kept)
        return fresh


def parameters_of(built: Any, base: type) -> dict[str, Any]:
    """Values of the parameters of a base class; defaults where a subclass leaves some out."""
    own = vars(built)
    return {name: own.get(name, default) for name, default in _defaults(base).items()}


def _defaults_of(estimator: Any) -> dict[str, Any]:
    kind: Any = type(estimator)
    return _defaults(kind)


@functools.cache
def _defaults(of: Any) -> dict[str, Any]:
    """Constructor parameters and their defaults; ``**kwargs`` are passed on, not stored."""
    parameters = list(inspect.signature(of.__init__).parameters.values())[1:]
    passed_on = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {each.name: each.default for each in parameters if each.kind not in passed_on}
