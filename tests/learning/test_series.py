"""Windows learned and read together are what they are one by one, however they are cut."""

import copy

import numpy as np
import pytest

from streampca import StreamingPCA
from streampca.checkpoint import measure_drift, measure_drifts
from streampca.learning import read_each
from streampca.moments import dense_of_few

KINDS = ["noise", "strong", "constant", "few directions", "alike", "far away", "tiny", "huge"]


def windows(kind, n, draws, count=24):
    """Windows of few rows, of different sizes."""
    spread = np.r_[[10.0, 6.0, 3.0], np.full(n - 3, 0.3)]
    for _ in range(count):
        X = draws.normal(size=(int(draws.integers(1, max(2, (n - 1) // 2))), n))
        yield {
            "noise": X,
            "strong": X * spread + 5.0,
            "constant": np.full_like(X, 3.0),
            "few directions": X[:, :1] * np.ones(n),
            "alike": np.repeat(X[:1], len(X), axis=0),
            "far away": X * spread + 1e9,
            "tiny": X * spread * 1e-120,
            "huge": X * spread * 1e120,
        }[kind]


def one_by_one(pca, rows, decays):
    found = []
    for X, factor in zip(rows, decays, strict=True):
        pca.decay(factor).merge(dense_of_few(X, center=pca.center))
        found.append(pca._learned(True))
    return found


def together(pca, rows, decays, cuts):
    found, start = [], 0
    while start < len(rows):
        stop = min((cut for cut in cuts if cut > start), default=len(rows))
        readings = pca._learn_each(rows[start:stop], decays[start:stop])
        assert readings
        found += [pca._learned_then(reading, True) for reading in readings]
        start += len(readings)
    return found


def assert_same(mine, theirs, kind):
    scale = max(theirs["total_variance"], 1e-300)
    for name in ("mean", "n_samples_seen", "weight", "settings", "moments_kind"):
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    for name in ("explained_variance", "total_variance"):
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-11, atol=1e-14 * scale)
    np.testing.assert_allclose(mine["residuals"], theirs["residuals"], rtol=0, atol=1e-13)
    assert mine["moments"].keys() == theirs["moments"].keys()
    for name, value in theirs["moments"].items():
        np.testing.assert_array_equal(mine["moments"][name], value, err_msg=name)
    if kind in ("strong", "huge", "tiny"):  # else a direction is one of many that are as good
        np.testing.assert_allclose(mine["components"], theirs["components"], atol=1e-9)
    C = mine["components"]
    np.testing.assert_allclose(C @ C.T, np.eye(len(C)), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "p"), [(5, 1), (12, 2), (50, 2), (50, 9), (30, 3)])
@pytest.mark.parametrize("center", [True, False])
def test_together_is_as_one_by_one_whatever_the_cuts(kind, n, p, center):
    draws = np.random.default_rng([KINDS.index(kind), n, p])
    rows = list(windows(kind, n, draws))
    decays = [1.0 if draws.random() < 0.6 else float(draws.uniform(0.1, 1)) for _ in rows]
    begun = StreamingPCA(p, memory="dense", center=center).merge(
        dense_of_few(rows[0], center=center)
    )
    begun._learned(False)
    wanted = one_by_one(copy.deepcopy(begun), rows[1:], decays[1:])
    before = None
    for cuts in ([], [1, 2, 3, 9], range(len(rows))):
        pca = copy.deepcopy(begun)
        found = together(pca, rows[1:], decays[1:], cuts)
        for mine, theirs in zip(found, wanted, strict=True):
            assert_same(mine, theirs, kind)
        for mine, other in zip(found, before or found, strict=True):
            for name in ("components", "explained_variance", "residuals", "total_variance"):
                np.testing.assert_array_equal(mine[name], other[name], err_msg=name)
        before = found
        # and it goes on as it would have
        pca.merge(dense_of_few(rows[0], center=center))
        other = copy.deepcopy(begun)
        one_by_one(other, rows[1:], decays[1:])
        other.merge(dense_of_few(rows[0], center=center))
        np.testing.assert_allclose(
            pca.explained_variance_, other.explained_variance_, rtol=1e-10, atol=1e-300
        )


def test_signs_that_turn_are_kept_from_window_to_window():
    """Components change places: each keeps the sign of the one that it resembles."""
    n, draws = 40, np.random.default_rng(5)
    turns = [np.r_[5.0, 4.9, 4.8, np.full(n - 3, 0.1)], np.r_[0.1, 9.0, 20.0, np.full(n - 3, 0.1)]]
    rows = [draws.normal(size=(8, n)) * turns[i // 6 % 2] for i in range(30)]
    pca = StreamingPCA(3).merge(dense_of_few(rows[0]))
    pca._learned(False)
    wanted = one_by_one(copy.deepcopy(pca), rows[1:], [0.5] * 29)
    found = together(pca, rows[1:], [0.5] * 29, [])
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine["components"], theirs["components"], atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 0.9},
        {"n_components": "parallel"},
        {"scale": True},
        {"dtype": "float32"},
        {"memory": "factored"},
        {"forgetting_factor": 0.9},
        {"missing": "impute"},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_alone(options):
    X = np.random.default_rng(0).normal(size=(60, 20))
    pca = StreamingPCA(**{"n_components": 2, **options}).partial_fit(X)
    pca._learned(False)
    before = copy.deepcopy(pca)
    assert pca._learn_each([X[:3]], [1.0]) == []
    assert pca.n_samples_seen_ == 60
    np.testing.assert_array_equal(pca.explained_variance_, before.explained_variance_)


def test_what_is_too_large_for_a_float_changes_nothing():
    X = np.random.default_rng(0).normal(size=(60, 20))
    pca = StreamingPCA(2, memory="dense").partial_fit(X)
    before = pca._learned(True)
    assert pca._learn_each([X[:3], 1e160 * X[:3], X[:3]], [1.0] * 3) == []
    after = pca._learned(True)
    for name, value in before["moments"].items():
        np.testing.assert_array_equal(after["moments"][name], value)


def test_readings_before_any_are_none():
    pca = StreamingPCA(2)
    assert not pca._learns_each
    assert pca._learn_each([np.ones((2, 9))], [1.0]) == []
    assert read_each(StreamingPCA(2).fit(np.eye(9))._learner, [np.ones((5, 9))], [1.0]) == []


@pytest.mark.parametrize("p", [1, 2, 3, 5])
@pytest.mark.parametrize("moved", [0.0, 1e-9, 0.1, 3.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_drifts_of_many_are_those_of_each(p, moved, dtype):
    draws = np.random.default_rng([p, int(moved)])
    M = draws.normal(size=(9, p, 12)) * moved + draws.normal(size=(p, 12))
    C = np.linalg.qr(M.transpose(0, 2, 1))[0].transpose(0, 2, 1).astype(dtype)
    found = measure_drifts(C[1:], C[0])
    for i, drift in enumerate(found):
        wanted = measure_drift(C[i + 1], C[i])
        assert drift.angle == pytest.approx(wanted.angle, abs=1e-7 if dtype == "float32" else 1e-13)
        np.testing.assert_allclose(
            drift.cosines, wanted.cosines, rtol=1e-6 if dtype == "float32" else 1e-13
        )
