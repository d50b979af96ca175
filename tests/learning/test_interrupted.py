"""What is broken off leaves the model of some first rows, or one that says so at every use."""

import copy
import pickle
import threading

import numpy as np
import pyarrow as pa
import pytest
from extras import torch_for
from interrupts import BREAKS, broken_off, count_lines
from oracle import batch_covariance

from streampca import StreamingPCA, StreamingReducedRankRegression, TornError

KINDS = {
    "small": ({}, 8, 40),
    "narrow": ({}, 54, 10_000),
    "narrow and far": ({"dtype": "float32"}, 20, 12_000),
    "narrow, far, few": ({}, 5, 30_000),
    "wide": ({"batch_size": 64}, 150, 200),
    "weights": ({"batch_size": 16}, 6, 50),
    "many with weights": ({}, 30, 10_000),
    "half-life": ({"half_life": 20.0, "batch_size": 8}, 7, 40),
    "gaps": ({"missing": "impute", "batch_size": 8, "n_components": 2}, 6, 40),
    "factored": ({"memory": "factored", "n_components": 3, "batch_size": 32}, 60, 400),
    "uncentred": ({"center": False}, 12, 3_000),
    "steps": ({"solver": "first_order", "n_components": 2, "batch_size": 16}, 6, 60),
    "minibatch": ({"memory": "minibatch", "solver": "first_order", "n_components": 2}, 6, 600),
}
CALLS = {
    "partial_fit": lambda model, new, other: model.partial_fit(*new[:1], sample_weight=new[1]),
    "decay": lambda model, new, other: model.decay(0.5),
    "merge": lambda model, new, other: model.merge(other),
    "flush": lambda model, new, other: model.flush(),
}
READINGS = {
    "components_": lambda model: model.components_,
    "mean_": lambda model: model.mean_,
    "checkpoint": lambda model: model.checkpoint(),
    "part": lambda model: model._part(),
    "transform": lambda model: model.transform(np.zeros((3, model.n_features_in_))),
    "pickle": pickle.dumps,
}


class Case:
    """Rows of a kind, and a model that has learned some."""

    def __init__(self, kind, seed):
        self.rng = np.random.default_rng([seed, *map(ord, kind)])
        self.parameters, self.n, self.m = KINDS[kind]
        self.kind = kind
        self.mixed = self.rng.normal(size=(self.n, self.n)) / np.arange(1, self.n + 1)[:, None]
        self.parts = [self.rows(int(self.rng.integers(3, self.m))), self.rows(self.m)]
        self.model = StreamingPCA(**self.parameters)
        self.learn(self.model, self.parts[0])
        self.other = StreamingPCA(**self.parameters)
        self.learn(self.other, self.rows(30))

    def rows(self, m):
        X = self.rng.normal(size=(m, self.n)) @ self.mixed + (50.0 if "far" in self.kind else 1.0)
        weights = self.rng.uniform(0.5, 3.0, m) if "weights" in self.kind else None
        if self.kind == "gaps":
            X[self.rng.random(X.shape) < 0.2] = np.nan
            X[: m // 2, -1] = np.nan
        return X.astype(self.parameters.get("dtype", "float64")), weights

    @staticmethod
    def learn(model, part):
        return model.partial_fit(part[0], sample_weight=part[1])

    def prefix(self, before, n_samples):
        """A model of the rows before, and as many of the new ones as were seen."""
        count = n_samples - len(self.parts[0][0])
        assert 0 <= count <= self.m
        twin = copy.deepcopy(before)
        X, weights = self.parts[1]
        if count:
            self.learn(twin, (X[:count], weights if weights is None else weights[:count]))
        return twin


def is_torn(model, X):
    """Whether a model refuses to be used; if so, it must refuse all use."""
    try:
        _ = model.n_samples_seen_
    except TornError:
        pass
    else:
        return False
    uses = [
        *READINGS.values(),
        lambda model: model.var_,
        lambda model: model.flush(),
        lambda model: model.partial_fit(X[:2]),
        lambda model: model.decay(0.5),
        lambda model: StreamingPCA().merge(model),
        copy.deepcopy,
    ]
    for use in uses:
        with pytest.raises(TornError, match="broken off"):
            use(model)
    return True


def lock_is_free(model):
    found = []

    def take():
        found.append(model._learner.lock.acquire(timeout=5))
        model._learner.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return found == [True]


def assert_same(model, twin, rtol=1e-7):
    assert model.n_samples_seen_ == twin.n_samples_seen_
    assert model.weight_ == pytest.approx(twin.weight_, rel=1e-9)
    single = model._learner.moments.dtype == "float32"
    unit = twin.var_.max()
    rtol = 1e-4 if single else rtol
    np.testing.assert_allclose(model.mean_, twin.mean_, rtol=rtol, atol=rtol * unit**0.5)
    np.testing.assert_allclose(model.var_, twin.var_, rtol=rtol, atol=rtol * unit)
    values = twin.explained_variance_
    np.testing.assert_allclose(model.explained_variance_, values, rtol=rtol, atol=rtol * unit)
    ours, theirs = (m.components_.T * np.sqrt(m.explained_variance_) for m in (model, twin))
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=10 * rtol * unit)


def draws(rng, n_lines, count):
    """Lines over all of a call, with one of the first, and one of the last."""
    return sorted({1, n_lines, *rng.integers(1, n_lines + 1, count).tolist()})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", torch_for(KINDS, lambda kind: "solver" in KINDS[kind][0]))
def test_learning_that_is_broken_off(kind, call):
    case, change = Case(kind, len(call)), CALLS[call]
    if call == "merge" and kind == "minibatch":
        pytest.skip("the moments of two minibatches are none of a stream")
    before, new, later = case.model, case.parts[1], case.rows(20)
    after = copy.deepcopy(before)
    n_torn = 0
    for k in draws(case.rng, count_lines(lambda: change(after, new, case.other)), 12):
        model, error = copy.deepcopy(before), BREAKS[case.rng.integers(len(BREAKS))]
        broken_off(lambda m=model: change(m, new, case.other), k, error)
        assert lock_is_free(model)
        if is_torn(model, new[0]):
            n_torn += 1
            twin = StreamingPCA(**case.parameters)
            assert_same(case.learn(twin, later), model.fit(later[0], sample_weight=later[1]))
            continue
        if call == "partial_fit":
            twin = case.prefix(before, model.n_samples_seen_)
        else:
            done = model.weight_ == pytest.approx(after.weight_, rel=1e-12)
            twin = copy.deepcopy(after if done else before)
        twin.flush()  # as reading did
        assert_same(copy.deepcopy(model), copy.deepcopy(twin))
        assert_same(case.learn(model, later), case.learn(twin, later))
    assert n_torn or call in ("flush", "partial_fit")  # there may be nothing to fold in


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("kind", torch_for(KINDS, lambda kind: "solver" in KINDS[kind][0]))
def test_readings_that_are_broken_off_tear_nothing_that_they_need_not_change(kind, reading):
    case, read, later = Case(kind, 7), READINGS[reading], None
    if reading == "part" and case.parameters.get("solver"):
        pytest.skip("refused")
    before, later = case.model, case.rows(20)
    before._learner.settle()
    for k in draws(case.rng, count_lines(lambda: read(copy.deepcopy(before))), 8):
        model, twin = copy.deepcopy(before), copy.deepcopy(before)
        if broken_off(lambda m=model: read(m), k, KeyboardInterrupt):
            assert lock_is_free(model)
            assert_same(copy.deepcopy(model), copy.deepcopy(twin))
            assert_same(case.learn(model, later), case.learn(twin, later))


@pytest.mark.parametrize("kind", ["small", "narrow", "weights", "half-life", "many with weights"])
def test_what_is_left_is_batch_pca_of_a_prefix(kind):
    case = Case(kind, 3)
    X, weights = (
        None if part[0] is None else np.concatenate(part) for part in zip(*case.parts, strict=True)
    )
    forgetting = 0.5 ** (1 / case.parameters.get("half_life", np.inf))
    n_lines = count_lines(lambda: case.learn(copy.deepcopy(case.model), case.parts[1]))
    for k in draws(case.rng, n_lines, 30):
        model = copy.deepcopy(case.model)
        broken_off(lambda m=model: case.learn(m, case.parts[1]), k, KeyboardInterrupt)
        if is_torn(model, X):
            continue
        m = model.n_samples_seen_
        mean, Sigma = batch_covariance(
            X[:m],
            weights if weights is None else weights[:m],
            forgetting ** np.arange(m - 1, -1, -1.0),
        )
        C = model.components_
        np.testing.assert_allclose(model.mean_, mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            (C.T * model.explained_variance_) @ C, Sigma, atol=1e-9 * np.trace(Sigma)
        )


def test_parts_are_all_forgotten_where_one_is_broken_off():
    case = Case("small", 5)
    X = case.parts[1][0]

    def parts():
        table = pa.table({str(i): column for i, column in enumerate(X.T)})
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=10))

    for k in draws(
        case.rng, count_lines(lambda: copy.deepcopy(case.model).partial_fit(parts())), 30
    ):
        model = copy.deepcopy(case.model)
        broken_off(lambda m=model: m.partial_fit(parts()), k, KeyboardInterrupt)
        count = model.n_samples_seen_ - len(case.parts[0][0])
        assert count in (0, len(X))
        assert_same(model, case.prefix(case.model, model.n_samples_seen_))


@pytest.mark.parametrize("m", [20, 2_000])
def test_a_regression_that_is_broken_off(m):
    rng = np.random.default_rng(m)
    X, Y = rng.normal(size=(3 * m, 5)), rng.normal(size=(3 * m, 2))
    before = StreamingReducedRankRegression(2).partial_fit(X[:m], Y[:m])

    def learn(model):
        return model.partial_fit(X[m : 2 * m], Y[m : 2 * m])

    for k in draws(rng, count_lines(lambda: learn(copy.deepcopy(before))), 30):
        model = copy.deepcopy(before)
        broken_off(lambda one=model: learn(one), k, KeyboardInterrupt)
        try:
            n = model.n_samples_seen_
        except TornError:
            for use in (pickle.dumps, learn, lambda one: one.predict(X[:1]), lambda one: one.loss_):
                with pytest.raises(TornError):
                    use(model)
            continue
        twin = StreamingReducedRankRegression(2).partial_fit(X[:n], Y[:n])
        for one in (model, twin):
            one.partial_fit(X[2 * m :], Y[2 * m :])
        np.testing.assert_allclose(model.predict(X), twin.predict(X), atol=1e-8)


def test_a_first_call_that_is_broken_off_teaches_nothing_wrong():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4))
    n_lines = count_lines(lambda: StreamingPCA(2).partial_fit(X))
    for k in draws(rng, n_lines, 40):
        model = StreamingPCA(2)
        broken_off(lambda m=model: m.partial_fit(X), k, KeyboardInterrupt)
        if model._learner is None or not is_torn(model, X):
            n = 0 if model._learner is None else model.n_samples_seen_
            model.partial_fit(X[n:])
            assert_same(model, StreamingPCA(2).partial_fit(X))


@pytest.mark.parametrize("n", [5, 54, 120])
def test_memory_to_work_in_is_in_no_copy(n):
    X = np.random.default_rng(n).normal(size=(3 * 4096, n))
    model = StreamingPCA(2).partial_fit(X[:9000])  # some of them are sums that wait
    held = 8 * (model._learner._buffer._rows.n_held * n + 3 * n * n)
    assert len(pickle.dumps(model)) < held + 20_000
    again = pickle.loads(pickle.dumps(model)).partial_fit(X[9000:])
    assert (again.components_ == model.partial_fit(X[9000:]).components_).all()
