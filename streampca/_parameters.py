"""scikit-learn's parameter verbs, as its BaseEstimator has them, without needing scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self


class Parameters:
    """Constructor parameters are stored under their own names, untouched."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor parameters by name."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **parameters: Any) -> Self:
        """Change constructor parameters; they hold from the next `fit` on.

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
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(type(self).__init__).parameters.items()
        }
        changed = [f"{k}={v!r}" for k, v in self.get_params().items() if v is not defaults[k]]
        return f"{type(self).__name__}({', '.join(changed)})"
