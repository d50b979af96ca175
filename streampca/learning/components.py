"""What StreamingPCA's learner is made of: components read off moments, exactly or by steps.

Knows what the estimator's parameters mean, and nothing of rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import Array, completed, oriented, to_device, to_numpy
from streampca.learning.learner import Learner
from streampca.learning.model import Model, cast_components
from streampca.learning.options import (
    CHANGEABLE,
    Resolved,
    check_parameters,
    is_open,
    refuse_changes,
    resolve_parameters,
)
from streampca.learning.saved import Saved
from streampca.learning.solver import Solver
from streampca.learning.stepping import Stepped
from streampca.moments import FactoredMoments, Moments, make_moments
from streampca.solvers import (
    ROUNDING,
    count_of_share,
    holds,
    parallel_count,
    solve,
    within_total,
)

if TYPE_CHECKING:
    pass


ComponentLearner: TypeAlias = Learner[Model]


class _Components(Solver[Model]):
    def filled(self, model: Model, X: Array) -> Array:
        return model.filled(X)


class ExactComponents(_Components):
    """Components solved from moments each time they are read.

    Parameters
    ----------
    n_components : int
        How many, at most.
    enough : float or "parallel", optional
        The share of variance that is enough, or parallel analysis.
    warm : bool
        Whether a solution starts from the last one, whose number of components must be the same.
    scaled : bool
        Whether features count in units of their standard deviations as they are when it is read.
    """

    def __init__(self, n_components: int, *, enough: Any, warm: bool, scaled: bool = False) -> None:
        self.n_components, self._enough, self._warm = n_components, enough, warm
        self._scaled = scaled

    @property
    def is_plain(self) -> bool:
        """Whether a reading is the leading eigenpairs, as many as there are components."""
        return self._enough is None and not self._scaled

    def read(self, moments: Moments, previous: NDArray[Any] | None) -> Model:
        if not self._scaled:
            return self._solved(moments, previous)
        scale = moments.scale
        model = self._solved(moments.rescaled(scale), previous)
        return replace(model, mean=moments.mean, scale=scale)

    def _solved(self, moments: Moments, previous: NDArray[Any] | None) -> Model:
        count = self.n_components
        solution = solve(moments, count, self._start(moments, previous))
        total = moments.total_variance
        values, excess = self._variances(moments, to_numpy(solution.eigenvalues), total)
        if self._enough is not None:
            count = min(self._count(moments, values), count)
        values = values[:count]
        A = to_numpy(solution.A)[:, :count].astype("float64", copy=False)
        # without variance a direction is what rounding made of it: the same rows give the same
        A = completed(np.where(values > 0, A, 0.0))
        C = oriented(A.T, previous)
        components = cast_components(C.T, moments.dtype)
        return _model(
            moments,
            components=components,
            eigenvalues=values,
            decoder=components.T,
            encoder=components,
            loss=_loss_at(values, total),
            residuals=to_numpy(solution.residuals)[:count],
            total=total,
            excess=excess,
        )

    def _count(self, moments: Moments, values: NDArray[np.float64]) -> int:
        """How many components are enough."""
        if self._enough == "parallel":
            freedom = moments.effective_rows - moments.center
            return parallel_count(values, moments.variance, freedom, scaled=self._scaled)
        return count_of_share(values, moments.total_variance, self._enough)

    def _start(self, moments: Moments, previous: NDArray[Any] | None) -> Any:
        """Where to start from, (n, p); None to start cold."""
        if previous is None or not self._warm or len(previous) < self.n_components:
            return None
        # torch takes no reversed arrays
        return to_device(np.ascontiguousarray(previous.T, "float64"), moments.device)

    def _variances(
        self, moments: Moments, values: NDArray[np.float64], total: float
    ) -> tuple[NDArray[np.float64], float]:
        """Eigenvalues that add up to no more than there is, and by how much they did."""
        if not np.isfinite(values).all():
            raise FloatingPointError(
                "the covariance is not finite: the rows are too large for "
                f"{moments.dtype}; scale them or use dtype='float64'"
            )
        # below this there is only the rounding of the eigenvalue solver itself
        rounding = moments.n_features * float(np.finfo("float64").eps) * max(float(values[0]), 0.0)
        values = np.where(values > rounding, values, 0.0)
        if not moments.of_all_rows:
            return values, 0.0
        return within_total(values, total)

    def restored(self, saved: Saved, moments: Moments) -> Model | None:
        kept = holds(saved.components, saved.explained_variance, saved.total_variance)
        if moments.of_all_rows and not kept:
            return None  # written when this was not made sure of: solved again
        loss = _loss_at(saved.explained_variance, saved.total_variance)
        if saved.scale is None:
            return _saved_model(saved, moments, loss)
        model = _saved_model(saved, moments.rescaled(saved.scale), loss)
        return replace(model, mean=moments.mean, scale=saved.scale)


class SteppedComponents(_Components, Stepped[Model]):
    """Components that a first-order solver moves with each minibatch."""

    def read(self, moments: Moments, previous: NDArray[Any] | None) -> Model:
        reading = self._first_order.read(moments)
        A = completed(reading.directions)
        C = oriented(A.T, previous)
        return _model(
            moments,
            components=cast_components(C.T, moments.dtype),
            eigenvalues=reading.eigenvalues,
            decoder=reading.decoder,
            encoder=reading.encoder,
            loss=reading.loss,
            residuals=reading.residuals,
            total=moments.total_variance,
        )

    def restored(self, saved: Saved, moments: Moments) -> Model:
        return _saved_model(saved, moments, self._first_order.read(moments).loss)


def _loss_at(values: NDArray[np.float64], total: float) -> float:
    """The nested loss at its minimum: sum_k (total - values[0] - ... - values[k - 1])."""
    weights = np.arange(len(values), 0, -1.0)
    return len(values) * total - float(weights @ values)


def _saved_model(saved: Saved, moments: Moments, loss: float) -> Model:
    return _model(
        moments,
        components=saved.components,
        eigenvalues=saved.explained_variance,
        decoder=saved.decoder,
        encoder=saved.encoder,
        loss=loss,
        residuals=saved.residuals,
        total=moments.total_variance,
    )


def _model(m: Moments, *, loss: float, total: float, excess: float = 0.0, **solved: Any) -> Model:
    """The model of these moments; `loss` is in units of variance, `excess` beyond the total."""
    if excess <= ROUNDING[m.dtype] * total:
        excess = 0.0
    per_weight = m.denominator / m.weight if m.weight else 0.0
    return Model(
        mean=m.mean,
        total_variance=total,
        n_samples=m.n_samples,
        n_copies=m.n_copies,
        weight=m.weight,
        effective_rows=m.effective_rows,
        denominator=m.denominator,
        loss=loss * per_weight,
        discarded_variance=m.discarded_variance + excess,
        **solved,
    )


# --- learners ------------------------------------------------------------------------------------


def learner_of_components(
    parameters: dict[str, Any],
    n_features: int,
    dtype: str,
    device: str | None,
    memory: str | None = None,
) -> ComponentLearner:
    """A learner that has seen no rows; `memory` is the kind of moments that are there already."""
    options = resolve_parameters(parameters, n_features, device, memory=memory)
    moments = make_moments(
        options.memory,
        n_features,
        n_directions=options.n_directions,
        center=parameters["center"],
        dtype=dtype,
        device=device,
    )
    if parameters["solver"] != "first_order":
        return Learner(parameters, options, moments, _exact(parameters, options))
    from streampca.solvers import FirstOrder  # imports torch

    first_order = FirstOrder(
        n_features,
        options.n_components,
        optimizer=parameters["optimizer"],
        dtype=dtype,
        device=device,
        seed=parameters["random_state"],
    )
    return Learner(parameters, options, moments, SteppedComponents(first_order))


def _exact(parameters: dict[str, Any], options: Resolved) -> ExactComponents:
    asked = parameters["n_components"]
    enough = asked if is_open(asked) else None
    warm = asked is not None and enough is None
    scaled = bool(parameters["scale"])
    return ExactComponents(options.n_components, enough=enough, warm=warm, scaled=scaled)


def adopt(learner: ComponentLearner, parameters: dict[str, Any]) -> None:
    """Go on with other parameters; those that rows so far were learned with must be the same.

    Raises
    ------
    ValueError
        If they are not, or memory is too small for more components; nothing has changed.
    """
    check_parameters(parameters)
    refuse_changes(learner.parameters, parameters, CHANGEABLE)
    with learner.lock:
        before, moments = learner.options, learner.moments
        kept = {**parameters, "memory": before.memory}
        options = resolve_parameters(kept, learner.n_features, moments.device)
        stepped = isinstance(learner.solver, SteppedComponents)
        more = options.n_components > before.n_components
        fixed = stepped and options.n_components != before.n_components
        if fixed or (more and moments.kind == "factored"):
            raise ValueError(
                f"n_components cannot change from {learner.parameters['n_components']!r} to "
                f"{parameters['n_components']!r}: {moments.kind} memory of rows so "
                "far holds no more. Set it back, or call fit, which forgets them"
            )
        options = replace(options, n_directions=before.n_directions, why=before.why)
        solver = learner.solver if stepped else _exact(parameters, options)
        learner.reconfigure(parameters, options, solver)


def widened(
    learner: ComponentLearner, parameters: dict[str, Any], means: NDArray[np.float64]
) -> ComponentLearner:
    """A learner of k more features that goes on from here; they stand last.

    Rows so far count as having had the new features' means (k,): a feature that was not there
    says nothing about variance, and its mean is best estimated from where it was there. Old
    components keep their loadings and their signs, and have no loadings on the new features.
    """
    with learner.lock:
        learner.settle()
        old, n = learner.moments, learner.n_features
        outgrown = "factored" if old.kind == "factored" else None
        wider = learner_of_components(parameters, n + len(means), old.dtype, old.device, outgrown)
        wider.moments = old.widened(np.arange(n), np.concatenate([old.mean, means]))
        if wider.options.memory == "factored":  # n has outgrown dense memory, or there are more
            wider.moments = FactoredMoments.of(wider.moments, wider.options.n_directions)
        wider._gaps.unseen[:n] = learner._gaps.unseen
        if learner._previous is not None:
            wider._previous = np.pad(learner._previous, ((0, 0), (0, len(means))))
        return wider
