"""A row that is broken off while it is learned is learned, or is not, or nothing goes on."""

import copy
import datetime as dt
import pickle

import numpy as np
import pytest
from interrupts import BREAKS, broken_off, count_lines

from streampca import TornError
from streampca.river import PCA, ReducedRankRegressor

START = dt.datetime(2026, 1, 1)
NAMES = "abcdefghijkl"


def stream(seed, n_rows, n=4):
    """Rows whose features come and go, and come anew."""
    rng = np.random.default_rng(seed)
    known = n
    for i in range(n_rows):
        known += known < len(NAMES) and rng.random() < 0.02
        values = rng.normal(size=known) / np.arange(1, known + 1) + 1.0
        there = rng.random(known) < (0.9 if rng.random() < 0.3 else 1.0)
        row = {name: float(v) for name, v, has in zip(NAMES, values, there, strict=False) if has}
        yield row or {"a": 0.5}, START + dt.timedelta(seconds=int(i + rng.integers(0, 3)))


def pairs(seed, n_rows):
    for i, (x, _) in enumerate(stream(seed, n_rows)):
        y = {"u": x.get("a", 0.0) * 2.0, "v": 1.0 - x.get("b", 0.3)}
        yield x, y | ({"w": 0.5 * i} if i > n_rows // 2 else {})


MODELS = {
    "rows": lambda: PCA(2, batch_size=16),
    "by time": lambda: PCA(2, batch_size=16, half_life=dt.timedelta(seconds=30)),
    "half-life": lambda: PCA(2, batch_size=16, half_life=20.0),
    "pairs": lambda: ReducedRankRegressor(2),
}


def said(model, kind):
    """Everything that a model says."""
    if kind == "pairs":
        return model.predict_one({"a": 1.0, "c": -1.0, "e": 2.0})
    found = {"mean": model.mean_, "variance": model.explained_variance_}
    loadings = {k: {f: abs(v) for f, v in each.items()} for k, each in model.components_.items()}
    flat = found | loadings
    return {(name, key): value for name, each in flat.items() for key, value in each.items()}


def is_same(some, others):
    return some.keys() == others.keys() and all(
        some[key] == pytest.approx(others[key], rel=1e-7, abs=1e-9) for key in some
    )


def refuses(model, row, kind):
    try:
        if kind == "pairs":
            model.predict_one(row[0])
        else:
            model.transform_one(row[0])
    except TornError:
        pass
    else:
        return False
    for use in (pickle.dumps, copy.deepcopy, lambda one: one.learn_one(*row)):
        with pytest.raises(TornError):
            use(model)
    if kind != "pairs":
        for use in (lambda one: one.components_, lambda one: one.mean_):
            with pytest.raises(TornError):
                use(model)
    return True


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", MODELS)
def test_a_row_that_is_broken_off(kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    n_rows = 120
    rows = list(pairs(seed, n_rows) if kind == "pairs" else stream(seed, n_rows))
    model, n_refused = MODELS[kind](), 0
    for i, row in enumerate(rows[:60]):
        before, after = copy.deepcopy(model), copy.deepcopy(model)
        n_lines = count_lines(lambda row=row, one=after: one.learn_one(*row))
        for k in {n_lines, *rng.integers(1, n_lines + 1, 3).tolist()}:
            broken = copy.deepcopy(before)
            broken_off(
                lambda one=broken, row=row: one.learn_one(*row),
                k,
                BREAKS[rng.integers(len(BREAKS))],
            )
            if refuses(broken, row, kind):
                n_refused += 1
                continue
            learned = [copy.deepcopy(one) for one in (before, after)]
            for one in (broken, *learned):
                assert not refuses(one, row, kind)  # by a reading, which each of them has now had
                for later in rows[i + 1 : i + 20]:
                    one.learn_one(*later)
            found = said(broken, kind)
            assert any(is_same(found, said(one, kind)) for one in learned)
        model = after
    assert n_refused or kind == "pairs"


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "pairs"])
def test_a_frame_that_is_broken_off_is_learned_up_to_a_row(kind):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(len(kind))
    X = pd.DataFrame(rng.normal(size=(100, 4)), columns=list("abcd"))
    times = [START + dt.timedelta(seconds=i) for i in range(100)]

    def learn(model, start, stop):
        t = times[start:stop] if kind == "by time" else None
        model.learn_many(X.iloc[start:stop, : 3 if start == 0 else 4], t=t)
        return model

    before = learn(MODELS[kind](), 0, 10)
    n_lines = count_lines(lambda: learn(copy.deepcopy(before), 10, 80))
    for k in rng.integers(1, n_lines + 1, 40).tolist():
        model = copy.deepcopy(before)
        broken_off(lambda one=model: learn(one, 10, 80), k, KeyboardInterrupt)
        if refuses(model, (dict(X.iloc[0]), times[0]), kind):
            continue
        n = model._model.n_seen
        twin = learn(copy.deepcopy(before), 10, n) if n > 10 else copy.deepcopy(before)
        assert not refuses(twin, (dict(X.iloc[0]), times[0]), kind)  # by a reading
        for one in (model, twin):
            learn(one, 80, 100)
        assert is_same(said(model, kind), said(twin, kind))
