"""Fitted attributes as scikit-learn's users treat them: arrays that may be written to.

They are read off the model when somebody asks, and what somebody assigns, or writes into an array
that was handed out, becomes the model. Knows nothing of rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.exceptions import NotFittedError

from streampca import StreamingPCA as Plain
from streampca.sklearn.given import checkpoint_of, estimator_of, with_mean, with_noise, with_signs

_OF_VARIANCES = ("explained_variance_", "explained_variance_ratio_", "singular_values_", "var_")


class Fitted:
    """A fitted attribute: read off the model once, then an ordinary attribute of the estimator.

    Not a data descriptor: what is assigned lies in the instance's dictionary and comes first, and
    a subclass may have a property of its own in this place.
    """

    def __init__(self, doc: str, *, model: bool = False) -> None:
        self.__doc__ = doc
        self.is_model = model
        """Whether the model consists of it: assigning it changes the model."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, estimator: Attributes | None, owner: type | None = None) -> Any:
        if estimator is None:
            return self
        value = estimator._read_off(self.name)
        own = np.array(value) if isinstance(value, np.ndarray) else value
        vars(estimator)[self.name] = own
        estimator._keep(self.name, value)
        return own


class Attributes:
    """What is fitted, and the plain estimator that it comes from."""

    _core: Plain | None = None
    _seen: dict[str, Any] | None = None
    """Attributes as they stand in the core, so that a change of them is noticed."""
    _lacking: frozenset[str] = frozenset()
    """Attributes that are not known, of a model that was assigned in part."""

    components_ = Fitted("Ordered principal directions, (p, n).", model=True)
    explained_variance_ = Fitted("Variance along each component, (p,).", model=True)
    explained_variance_ratio_ = Fitted("Share of the total variance along each, (p,).")
    singular_values_ = Fitted("Singular values of the centred rows, (p,).", model=True)
    mean_ = Fitted("Mean of each feature, (n,).", model=True)
    var_ = Fitted("Variance of each feature, (n,).", model=True)
    noise_variance_ = Fitted("Mean of the variances left out.", model=True)
    n_components_ = Fitted("Number of components p.")
    n_samples_seen_ = Fitted("Rows seen.", model=True)
    n_samples_ = Fitted("Rows seen, as `PCA` calls them.")

    # --- from the model to the attributes -------------------------------------------------------

    def _read_off(self, name: str) -> Any:
        core = self._core
        if core is None or core._learner is None:
            raise NotFittedError(
                f"{name}: this {type(self).__name__} instance is not fitted yet. Call fit or "
                "partial_fit first."
            )
        if name in self._lacking:
            raise AttributeError(f"{name} is not known of a model to which it was not assigned")
        return getattr(core, {"n_samples_": "n_samples_seen_"}.get(name, name))

    def _keep(self, name: str, value: Any) -> None:
        self._seen = {**(self._seen or {}), name: value}

    def _forget(self) -> None:
        """Attributes are read off the model again."""
        self._seen, self._lacking = None, frozenset()
        for name in list(vars(self)):
            if isinstance(getattr(type(self), name, None), Fitted):
                del vars(self)[name]

    def __sklearn_is_fitted__(self) -> bool:
        if not isinstance(getattr(type(self), "components_", None), Fitted):
            return getattr(self, "components_", None) is not None
        assigned = vars(self).get("components_", self)
        if assigned is not self:
            return assigned is not None
        return self._core is not None and self._core._learner is not None

    # --- from the attributes to the model -------------------------------------------------------

    def _changed(self) -> dict[str, Any]:
        """What the model consists of and somebody has changed."""
        changed, seen = {}, self._seen or {}
        for name in _MODEL:
            own = not isinstance(getattr(type(self), name, None), Fitted)  # a subclass's property
            value = getattr(self, name, None) if own else vars(self).get(name)
            if value is not None and not _same(value, seen.get(name)):
                changed[name] = value
        return changed

    def _settled(self) -> Plain:
        """The plain estimator of a fitted one; what was assigned has become its model."""
        changed = self._changed()
        if changed:
            self._core = self._of_arrays(changed)
            for name in changed:
                self._keep(name, np.array(changed[name]))
        assert self._core is not None
        return self._core

    def _of_arrays(self, changed: dict[str, Any]) -> Plain:
        core = self._core
        if core is not None and core._learner is not None:
            if set(changed) == {"mean_"} and np.shape(changed["mean_"]) == core.mean_.shape:
                return with_mean(core, changed["mean_"])
            if set(changed) == {"noise_variance_"}:
                self._lacking -= {"noise_variance_", "explained_variance_ratio_"}
                return with_noise(core, changed["noise_variance_"])
            if set(changed) == {"components_"} and with_signs(core, changed["components_"]):
                return core
        if self._settings().get("scale"):
            raise ValueError(
                f"{sorted(changed)} of an estimator with scale=True cannot be assigned: what is "
                "remembered is in other units. Assign to one with scale=False, and put a scaler in "
                "front of it"
            )
        components = np.atleast_2d(self.components_)
        p, n = components.shape
        count = int(getattr(self, "n_samples_seen_", 0))
        variances = self._variances(changed, p, count)
        var = getattr(self, "var_", None)
        known = variances is not None and var is not None and np.shape(var) == (n,)
        made = checkpoint_of(
            components,
            np.broadcast_to(self.mean_, (n,)),
            np.zeros(p) if variances is None else variances,
            n_samples=count,
            feature_variance=self._unbiased(var, count) if known else None,
            settings=self._settings() | {"n_components": p},
        )
        noise = changed.get("noise_variance_")
        lacking = set(() if count else ("n_samples_seen_", "n_samples_", "singular_values_"))
        lacking |= set(_OF_VARIANCES if variances is None else ())
        lacking |= set() if known else {"var_"}
        lacking |= set() if known or noise is not None else {"explained_variance_ratio_"}
        lacking |= set() if count and (known or noise is not None) else {"noise_variance_"}
        self._lacking = frozenset(lacking - changed.keys())
        return estimator_of(made) if noise is None else with_noise(estimator_of(made), noise)

    def _variances(self, changed: dict[str, Any], p: int, count: int) -> Any:
        """Variances along p components, or None where nobody said."""
        if "explained_variance_" not in changed and "singular_values_" in changed and count > 1:
            variances = np.square(changed["singular_values_"]) / (count - 1)
        else:
            variances = getattr(self, "explained_variance_", None)
        return variances if np.shape(variances) == (p,) else None

    def _going_on(self) -> Plain | None:
        """The model that further rows are added to, or None where they are the first."""
        if not self.__sklearn_is_fitted__():
            return None
        seen = vars(self).get("n_samples_seen_")
        if seen is not None and not seen:
            return None
        core = self._settled()
        unknown = self._lacking & {"explained_variance_", "n_samples_seen_"}
        if unknown:
            raise ValueError(
                f"cannot learn more rows: {', '.join(sorted(unknown))} of the assigned model is "
                "not known. Assign it, or call fit"
            )
        return core

    @contextlib.contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    __copy__ = Plain.__copy__

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        for name, value in (state.pop("_seen", None) or {}).items():
            if name in state and _same(state[name], value):
                del state[name]  # read off the model again
        return state

    # --- what the estimators say ---------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        """Parameters of the plain estimator."""
        raise NotImplementedError

    def _unbiased(self, var: Any, count: int) -> Any:
        """`var_`, divided by one less than the number of rows."""
        return var

    def _with_core(self, core: Plain) -> Self:
        self._forget()
        self._core = core
        return self


_MODEL = [name for name, value in vars(Attributes).items() if getattr(value, "is_model", False)]


def _same(value: Any, other: Any) -> bool:
    return value is other or (other is not None and bool(np.array_equal(value, other)))
