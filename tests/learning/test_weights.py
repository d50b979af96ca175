"""Claims about weights, and about labels, which are none."""

import contextlib

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from learning import FITTED
from oracle import batch_covariance
from sklearn.base import clone
from sklearn.decomposition import IncrementalPCA
from sklearn.utils import estimator_checks

from streampca import KeyedPCA, StreamingPCA, StreamingReducedRankRegression
from streampca.moments import moments_from_state


def test_labels_are_no_weights(digits):
    labels = np.linspace(1.0, 9.0, len(digits))
    expected = StreamingPCA(3).fit(digits)
    for learned in (
        StreamingPCA(3).partial_fit(digits, labels),
        StreamingPCA(3).partial_fit(digits, y=labels),
        StreamingPCA(3).partial_fit(digits, ["a"] * len(digits)),  # whatever they are
        StreamingPCA(3).fit(digits, labels),
    ):
        assert learned.weight_ == len(digits)
        assert learned.checkpoint() == expected.checkpoint()
    np.testing.assert_array_equal(
        StreamingPCA(3).fit_transform(digits, labels), expected.transform(digits)
    )


def test_weights_are_given_third_or_by_name(digits):
    weights = np.arange(len(digits)) % 3
    expected = StreamingPCA(3).partial_fit(digits, sample_weight=weights).checkpoint()
    assert StreamingPCA(3).partial_fit(digits, None, weights).checkpoint() == expected
    assert StreamingPCA(3).fit(digits, None, weights).checkpoint() == expected


def test_takes_what_callers_of_incremental_pca_pass(digits):
    for model in (StreamingPCA, IncrementalPCA):
        pca = model(3, whiten=True, copy=False, batch_size=100)
        assert clone(pca).copy is False
        rows = digits.copy()
        pca.partial_fit(rows[:900], None, check_input=True).partial_fit(rows[900:], y=None)
        assert model is IncrementalPCA or np.array_equal(rows, digits)  # theirs centres in place
    with pytest.raises(ValueError, match="check_input is given by name"):
        StreamingPCA(3).partial_fit(digits, None, False)
    with pytest.raises(ValueError, match="row 0"):  # checked all the same
        StreamingPCA(3).partial_fit(digits * np.nan, check_input=False)


# --- what a weight means -------------------------------------------------------------------------

READ = (*FITTED, "weight_", "loss_")


def rows_of(draws, m, n):
    return draws.normal(size=(m, n)) * np.arange(n, 0, -1) + draws.normal(size=n)


def assert_same_answers(one, other, X, rtol, but=()):
    for name in READ:
        if name not in but:
            a, b = (np.asarray(getattr(pca, name), "float64") for pca in (one, other))
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(), err_msg=name)
    for use in ("transform", "score_samples"):
        a, b = (np.asarray(getattr(pca, use)(X), "float64") for pca in (one, other))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(), err_msg=use)


def learn(X, weights, sizes, memory, give, **options):
    pca = StreamingPCA(2, memory=memory, oversample=6, **options)
    start = 0
    for size in sizes:
        piece = slice(start, start + size)
        w = None if weights is None else weights[piece]
        if len(X[piece]) and (w is None or w.any()):
            pca.partial_fit(give(X[piece]), sample_weight=w)
        start += size
    return pca


weighted_streams = {
    "seed": st.integers(0, 2**20),
    "m": st.integers(25, 60),  # enough for all directions, whichever weights are zero
    "n": st.integers(3, 8),
    "cuts": st.integers(1, 4),
    "memory": st.sampled_from(["dense", "factored"]),
    "dtype": st.sampled_from(["float32", "float64"]),
    "sparse": st.booleans(),
}
RTOL = {"float32": 2e-3, "float64": 1e-8}


def drawn(seed, m, n, cuts, dtype, sparse):
    draws = np.random.default_rng(seed)
    give = scipy.sparse.csr_array if sparse else np.asarray
    return draws, rows_of(draws, m, n).astype(dtype), [-(-m // cuts)] * cuts, give


@settings(max_examples=60)
@given(**weighted_streams, half=st.sampled_from([1.0, 0.5]))
def test_whole_weights_are_repeated_rows(seed, m, n, cuts, memory, dtype, sparse, half):
    draws, X, sizes, give = drawn(seed, m, n, cuts, dtype, sparse)
    weights = draws.integers(0, 4, m).astype(float)
    weights[0] = 2.0
    one = learn(X, weights, sizes, memory, give).decay(half)
    repeated = np.repeat(X, weights.astype(int), axis=0)
    other = learn(repeated, None, [len(repeated)], memory, give).decay(half)
    assert_same_answers(one, other, X, RTOL[dtype])
    assert one.n_samples_seen_ == (weights > 0).sum()


@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_whole_weights_are_repeated_rows_where_there_are_fewer_rows_than_features(memory):
    X = rows_of(np.random.default_rng(0), 6, 14)
    weights = np.array([3, 1, 0, 2, 5, 1])
    one = StreamingPCA(2, memory=memory).fit(X, sample_weight=weights)
    other = StreamingPCA(2, memory=memory).fit(np.repeat(X, weights, axis=0))
    assert_same_answers(one, other, X, 1e-8)
    again = StreamingPCA.from_checkpoint(one.checkpoint())
    assert again.noise_variance_ == one.noise_variance_ > 0
    merged = StreamingPCA(2, memory=memory).merge(one)
    assert merged.noise_variance_ == pytest.approx(one.noise_variance_)


@settings(max_examples=60)
@given(**weighted_streams, gamma=st.sampled_from([1.0, 0.9]), batch=st.integers(1, 30))
def test_rows_of_weight_zero_are_as_if_absent(
    seed, m, n, cuts, memory, dtype, sparse, gamma, batch
):
    """To the last bit of a checkpoint, from which everything is read."""
    draws, X, sizes, give = drawn(seed, m, n, cuts, dtype, sparse)
    weights = draws.choice([0.0, 1.0, 2.5], m)
    weights[-1] = 1.0
    options = {"batch_size": batch, "forgetting_factor": gamma}
    one = learn(X, weights, sizes, memory, give, **options)
    there = [weights[i : i + sizes[0]].astype(bool).sum() for i in range(0, m, sizes[0])]
    counts = weights > 0
    other = learn(X[counts], weights[counts], there, memory, give, **options)
    assert one.checkpoint() == other.checkpoint()
    assert one.noise_variance_ == other.noise_variance_


@settings(max_examples=60)
@given(
    **weighted_streams,
    factor=st.sampled_from([1e-120, 1e-12, 0.01, 1 / 3, 7.0, 1e12]),
    gamma=st.sampled_from([1.0, 0.97]),
)
def test_a_factor_on_all_weights_changes_next_to_nothing(
    seed, m, n, cuts, memory, dtype, sparse, factor, gamma
):
    draws, X, sizes, give = drawn(seed, m, n, cuts, dtype, sparse)
    weights = draws.uniform(0.5, 2.0, m)
    options = {"forgetting_factor": gamma}
    one = learn(X, weights, sizes, memory, give, **options)
    other = learn(X, weights * factor, sizes, memory, give, **options)
    v = weights * gamma ** np.arange(m - 1, -1, -1)
    rows = v.sum() ** 2 / (v @ v)  # as many equal rows say as much
    change = other.var_ / one.var_ - 1
    assert np.abs(change).max() < 2 / (rows - 1) + RTOL[dtype]
    np.testing.assert_allclose(change, change[0], atol=RTOL[dtype])
    np.testing.assert_allclose(other.mean_, one.mean_, rtol=1e-5, atol=1e-5)


@settings(max_examples=60)
@given(**weighted_streams, gamma=st.sampled_from([1.0, 0.9, 0.3]), decay=st.floats(1e-6, 1.0))
def test_variances_have_the_denominator_that_is_documented(
    seed, m, n, cuts, memory, dtype, sparse, gamma, decay
):
    """Also after merging, and after going on from a checkpoint between."""
    draws, X, _, give = drawn(seed, m, n, cuts, dtype, sparse)
    weights = draws.choice([0.25, 0.5, 1.0, 3.0], m)
    if draws.integers(2):
        weights /= weights.sum()
    half = m // 2
    options = {"forgetting_factor": gamma}
    one = learn(X[:half], weights[:half], [half], memory, give, **options).decay(decay)
    one = StreamingPCA.from_checkpoint(one.checkpoint())
    other = learn(X[half:], weights[half:], [m], memory, give, **options)
    g = gamma ** np.concatenate([np.arange(half)[::-1], np.arange(m - half)[::-1]]).astype(float)
    g[:half] *= decay
    _, Sigma = batch_covariance(X, weights, g)
    rtol = RTOL[dtype]
    np.testing.assert_allclose(one.merge(other).var_, np.diag(Sigma), rtol=rtol, atol=rtol)
    v = weights * g
    W = v.sum()
    D = max(W - (v * g).sum() / W, W - (v * v).sum() / W)
    mean = v @ X / W
    plain = v @ (X - mean) ** 2 / D  # the formula as it stands in the docs
    if D > 1e-3 * W:
        np.testing.assert_allclose(one.var_, plain, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("learned", [0, 40])
def test_weights_that_are_all_zero_are_refused(digits, method, learned):
    pca = StreamingPCA(3)
    if learned:
        pca.partial_fit(digits[:learned])
    before = pca.checkpoint() if learned else None
    with pytest.raises(ValueError, match="weights of all rows are zero"):
        getattr(pca, method)(digits, sample_weight=np.zeros(len(digits)))
    if learned:
        assert pca.checkpoint() == before
    with pytest.raises(ValueError, match="weights of all rows are zero"):
        StreamingReducedRankRegression().fit(digits, digits[:, :2], np.zeros(len(digits)))


def test_a_row_of_weight_zero_is_checked_and_named_by_its_place(digits):
    X = digits.astype("float64")
    X[5, 7] = np.nan
    with pytest.raises(ValueError, match="row 5, feature 7"):
        StreamingPCA(3).partial_fit(X, sample_weight=np.arange(len(X)) != 5)
    X[5, 7] = 1e140  # too large for its weight alone
    with pytest.raises(ValueError, match="row 5, feature 7"):
        StreamingPCA(3).partial_fit(X, sample_weight=np.where(np.arange(len(X)) < 5, 0, 1e30))


def test_regression_leaves_out_rows_of_weight_zero_and_repeats_others():
    draws = np.random.default_rng(0)
    X, Y = rows_of(draws, 60, 4), rows_of(draws, 60, 3)
    weights = draws.integers(0, 3, 60)
    one = StreamingReducedRankRegression(2).fit(X, Y, weights)
    rows = np.repeat(np.arange(60), weights)
    other = StreamingReducedRankRegression(2).fit(X[rows], Y[rows])
    for name in ("coef_", "intercept_", "explained_variance_", "singular_values_", "loss_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_silence_changes_nothing_and_ends_with_the_next_row(memory, dtype):
    X = rows_of(np.random.default_rng(0), 200, 6).astype(dtype)
    pca, before = (StreamingPCA(3, memory=memory, whiten=True).fit(X) for _ in range(2))
    for _ in range(20):
        pca.decay(2.0**-1000)  # more than a float holds
    assert_same_answers(pca, before, X, RTOL[dtype], but=("weight_", "singular_values_"))
    assert 0 < pca.weight_ < 1e-99
    pca.partial_fit(X[:1] + 5)
    np.testing.assert_allclose(pca.mean_, X[0] + 5, rtol=1e-6)
    # each pair of rows says how much they differ, and only pairs with the last row count
    expected = ((X - X[0] - 5.0) ** 2).mean(axis=0) / 2
    np.testing.assert_allclose(pca.var_, expected, rtol=1e-4)
    assert np.isfinite(pca.transform(X)).all()
    assert pca.decay(0.0).weight_ == 0.0


def test_states_without_pairs_count_as_rows_of_weight_1():
    X = rows_of(np.random.default_rng(0), 50, 4)
    g = 0.9 ** np.arange(49, -1, -1.0)
    for memory in ("dense", "factored"):
        new = StreamingPCA(4, memory=memory, forgetting_factor=0.9).fit(X)._moments
        old = {k: v for k, v in new.state().items() if k not in ("pairs", "n_copies")}
        old["squared_weight"] = np.float64((g * g).sum())
        again = moments_from_state(memory, old)
        assert again.denominator == pytest.approx(new.denominator, rel=1e-12)
        assert again.n_copies == 50
        np.testing.assert_allclose(again.variance, new.variance, rtol=1e-12)
    with pytest.raises(ValueError, match="pairs"):
        moments_from_state("dense", old | {"pairs": np.array([-1.0, 0.0])})


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(
    "check",
    [
        "check_all_zero_sample_weights_error",
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
        "check_sample_weights_list",
        "check_sample_weights_not_overwritten",
        "check_sample_weights_pandas_series",
        "check_sample_weights_shape",
    ],
)
def test_checks_of_scikit_learn_on_weights_pass(check, memory):
    pca = StreamingPCA(2, memory=memory)
    getattr(estimator_checks, check)("StreamingPCA", pca)


def variances(kind, X, w):
    """The variances along two components of rows with these weights."""
    if kind == "keyed":
        return KeyedPCA(2).fit(X, ["a"] * len(X), sample_weight=w)["a"].explained_variance_
    return StreamingPCA(2, memory=kind).fit(X, sample_weight=w).explained_variance_


@pytest.mark.parametrize("kind", ["dense", "factored", "keyed"])
def test_weights_of_any_size_give_the_right_answer_or_are_refused(kind):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, w = rng.normal(size=(20, 3)), np.full(20, 10.0 ** rng.uniform(-324, 308))
        if w[0] < np.finfo("float64").tiny:
            with pytest.raises(ValueError, match="the weight|weights of all rows are zero"):
                variances(kind, X, w)
        elif w[0] < 1e300:  # divided by the weight less one row, or by the weight itself
            ratios = variances(kind, X, w) / np.linalg.eigvalsh(np.cov(X.T))[:0:-1]
            assert 0.95 - 1e-9 <= ratios[0] <= 1 + 1e-9
            assert ratios[1] == pytest.approx(ratios[0], rel=1e-9)
        else:
            with contextlib.suppress(ValueError):
                assert np.isfinite(variances(kind, X, w)).all()


@pytest.mark.parametrize("kind", ["dense", "factored", "keyed"])
def test_half_lives_of_less_than_a_row_leave_the_last_one(kind):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(6, 3))
        half_life = 10.0 ** rng.uniform(-320, -1.5)
        if kind == "keyed":
            pca = KeyedPCA(2, half_life=half_life).fit(X, ["a"] * 6)["a"]
        else:
            pca = StreamingPCA(2, half_life=half_life, memory=kind).fit(X)
        np.testing.assert_allclose(pca.mean_, X[-1], rtol=1e-9)
        assert np.isfinite(pca.explained_variance_).all()
        assert pca.weight_ == pytest.approx(1.0)
