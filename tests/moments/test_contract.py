"""What every kind of moments promises: counts, mean, variance, weights, forgetting, merging."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from extras import needs_torch, torch

from streampca.moments import FactoredMoments, make_moments, moments_from_state

KINDS = ["dense", "factored", "minibatch"]
DTYPES = {"float32": 3e-6, "float64": 1e-12}


def rows(m=60, n=8, seed=0, mean=3.0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(m, n)) * np.arange(1, n + 1) + mean


def make(kind, n=8, dtype="float64", **options):
    return make_moments(kind, n, n_directions=n, dtype=dtype, **options)


def covariance(moments):
    return moments @ np.eye(moments.n_features)


def fed(kind, X, sizes, dtype="float64", **options):
    moments = make(kind, X.shape[1], dtype, **options)
    start = 0
    for size in sizes:
        moments.update(X[start : start + size].astype(dtype))
        start += size
    return moments


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[60], [1] * 60, [7] * 8 + [4], [2, 58]])
def test_mean_variance_and_counts_do_not_depend_on_the_batching(kind, dtype, sizes):
    X = rows()
    moments = fed(kind, X, sizes, dtype)
    tolerance = DTYPES[dtype]
    np.testing.assert_allclose(moments.mean, X.mean(0), rtol=tolerance)
    np.testing.assert_allclose(moments.variance, X.var(0, ddof=1), rtol=10 * tolerance)
    assert moments.total_variance == pytest.approx(X.var(0, ddof=1).sum(), rel=10 * tolerance)
    assert (moments.n_samples, moments.weight) == (60, 60.0)


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[60], [1] * 60, [7] * 8 + [4]])
def test_covariance_is_exact_when_all_directions_are_kept(kind, dtype, sizes):
    X = rows()
    error = covariance(fed(kind, X, sizes, dtype)) - np.cov(X.T)
    assert np.linalg.norm(error, 2) <= 10 * DTYPES[dtype] * np.linalg.norm(np.cov(X.T), 2)


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("cut", [0, 1, 30, 59, 60])
def test_merge_of_parts_equals_the_whole(kind, cut):
    X = rows()
    left, right = fed(kind, X[:cut], [cut]), fed(kind, X[cut:], [60 - cut])
    other_way = right.copy()
    other_way.merge(left)
    left.merge(right)
    for merged in (left, other_way):
        np.testing.assert_allclose(covariance(merged), np.cov(X.T), atol=1e-10)
        np.testing.assert_allclose(merged.mean, X.mean(0))
        assert (merged.n_samples, merged.weight) == (60, 60.0)


@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_a_weight_of_three_equals_three_copies(kind):
    X = rows(20)
    weights = np.random.default_rng(1).integers(0, 4, 20)
    weighted, repeated = make(kind), make(kind)
    weighted.update(X, weights.astype(float))
    repeated.update(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(covariance(weighted), covariance(repeated), atol=1e-10)
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    assert weighted.denominator == repeated.denominator


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("sizes", [[60], [1] * 60, [13, 47]])
def test_forgetting_equals_weighted_covariance(kind, sizes):
    X, gamma = rows(), 0.9
    moments, start = make(kind), 0
    for size in sizes:
        moments.decay(gamma**size)
        moments.update(X[start : start + size], decay=gamma ** np.arange(size - 1, -1, -1.0))
        start += size
    weights = gamma ** np.arange(59, -1, -1.0)
    np.testing.assert_allclose(covariance(moments), np.cov(X.T, aweights=weights), rtol=1e-9)
    np.testing.assert_allclose(moments.mean, np.average(X, axis=0, weights=weights))


@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_without_centring_it_is_the_second_moment(kind):
    X = rows()
    moments = make(kind, center=False)
    moments.update(X[:25])
    moments.update(X[25:])
    np.testing.assert_allclose(covariance(moments), X.T @ X / 60, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_state_round_trip_goes_on_bit_for_bit(kind):
    X = rows()
    first = fed(kind, X[:40], [40], "float32")
    second = moments_from_state(kind, first.state())
    for moments in (first, second):
        moments.update(X[40:].astype("float32"))
    assert first.state().keys() == second.state().keys()
    for name, value in first.state().items():
        np.testing.assert_array_equal(value, second.state()[name], err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_state_with_a_missing_or_misshapen_array_is_refused(kind):
    state = fed(kind, rows(), [60]).state()
    with pytest.raises(ValueError, match="lacks mean"):
        moments_from_state(kind, {k: v for k, v in state.items() if k != "mean"})
    broken = (
        "rows_weight" if kind == "minibatch" else {"dense": "scatter", "factored": "squares"}[kind]
    )
    with pytest.raises(ValueError, match=broken):
        moments_from_state(kind, state | {broken: np.zeros(3)})


@pytest.mark.parametrize("kind", KINDS)
def test_update_does_not_change_the_rows(kind):
    X = rows()
    before = X.copy()
    X.setflags(write=False)
    fed(kind, X, [30, 30])
    np.testing.assert_array_equal(X, before)


@needs_torch
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_torch_device_gives_the_same_numbers(kind, dtype):
    # "meta:cpu" does not exist; a tensor-backed CPU run takes the code path of every device
    X = rows(200, 12)
    host = make_moments(kind, 12, n_directions=5, dtype=dtype)
    device = make_moments(kind, 12, n_directions=5, dtype=dtype)
    device = type(device)(*((12, 5) if kind == "factored" else (12,)), dtype=dtype, device="cpu")
    for start in range(0, 200, 40):
        host.update(X[start : start + 40].astype(dtype))
        device.update(torch.from_numpy(X[start : start + 40].astype(dtype)))
    V = np.random.default_rng(0).normal(size=(12, 3))
    got = device @ torch.from_numpy(V)
    assert isinstance(got, torch.Tensor)
    np.testing.assert_allclose(
        got.numpy(), host @ V, rtol=3e3 * DTYPES[dtype], atol=1e-3 * DTYPES[dtype]
    )
    np.testing.assert_allclose(device.mean, host.mean, rtol=10 * DTYPES[dtype])


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows_equal_dense_rows(kind, weighted):
    X = scipy.sparse.random_array((200, 30), density=0.1, random_state=0, format="csr")
    weights = np.random.default_rng(0).uniform(0, 3, 200) if weighted else None
    sparse = make_moments(kind, 30, n_directions=6, dtype="float64")
    dense = make_moments(kind, 30, n_directions=6, dtype="float64")
    for piece in (slice(0, 90), slice(90, 94), slice(94, 200)):
        w = None if weights is None else weights[piece]
        sparse.update(X[piece], w)
        dense.update(X[piece].toarray(), w)
    np.testing.assert_allclose(covariance(sparse), covariance(dense), atol=1e-12)
    np.testing.assert_allclose(sparse.variance, dense.variance, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_features_have_exactly_no_variance(kind):
    X = rows(mean=0.0)
    X[:, 2] = 1e6 / 3
    moments = fed(kind, X, [1, 9, 50], "float32")
    assert moments.variance[2] == 0.0


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float32", 1e-30), ("float32", 1.0), ("float32", 1e30)]
    + [("float64", scale) for scale in (1e-150, 1e-30, 1.0, 1e30, 1e150)],
)
def test_scale_of_the_data_does_not_matter(kind, scale, dtype):
    X = (rows(mean=1.0) * scale).astype(dtype)
    expected = np.cov((X / scale).T.astype("float64"))
    got = covariance(fed(kind, X, [20, 40], dtype)) / scale / scale
    assert np.linalg.norm(got - expected, 2) <= 10 * DTYPES[dtype] * np.linalg.norm(expected, 2)


@pytest.mark.parametrize("kind", ["dense", "factored"])
def test_a_mean_a_million_times_the_spread_costs_no_digits(kind):
    X = np.random.default_rng(0).normal(size=(500, 6)) * [5, 4, 3, 2, 1, 0.5] + 1e8
    got = covariance(fed(kind, X, [100] * 5))
    # the rows themselves carry a relative rounding of 1e-16 * 1e8 = 1e-8
    np.testing.assert_allclose(got, np.cov(X.T), atol=1e-6)


def test_kinds_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="unknown"):
        make_moments("sparse", 3)
    with pytest.raises(ValueError, match="n_directions"):
        make_moments("factored", 3)
    with pytest.raises(ValueError, match="factored moments into dense"):
        make("dense").merge(make("factored"))
    with pytest.raises(ValueError, match="9 features"):
        make("dense", 8).merge(make("dense", 9))
    with pytest.raises(ValueError, match="centred"):
        make("dense").merge(make("dense", center=False))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_zero_are_counted_and_nothing_else(kind):
    moments = make(kind)
    moments.update(rows(5), np.zeros(5))
    assert (moments.n_samples, moments.weight, moments.total_variance) == (5, 0.0, 0.0)
    moments.update(rows())
    np.testing.assert_allclose(moments.mean, rows().mean(0))


@pytest.mark.parametrize("kind", KINDS)
def test_moments_from_memory_that_cannot_be_written_go_on(kind):
    X, buffers = rows(), []
    moments = fed(kind, X[:30], [30])
    data = pickle.dumps(moments, protocol=5, buffer_callback=buffers.append)
    copied = pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])
    for each in (moments, copied):
        each.update(X[30:])
    np.testing.assert_array_equal(covariance(copied), covariance(moments))


@pytest.mark.parametrize("kind", KINDS)
def test_among_more_features_the_new_ones_stood_still(kind):
    X, places = rows(n=3), np.array([4, 0, 2])
    mean = np.array([9.0, 10.0, 9.0, 30.0, 9.0])
    wider = fed(kind, X, [60]).widened(places, mean)
    stood = np.tile(mean, (60, 1))
    stood[:, places] = X
    expected = make_moments(kind, 5, n_directions=3, dtype="float64")
    expected.update(stood)
    np.testing.assert_allclose(wider.mean, expected.mean)
    np.testing.assert_allclose(covariance(wider), covariance(expected), atol=1e-10)
    np.testing.assert_allclose(wider.variance, expected.variance, atol=1e-10)
    assert (wider.kind, wider.n_samples, wider.weight) == (kind, 60, 60.0)
    wider.update(stood[::-1] * 1.0)
    expected.update(stood[::-1] * 1.0)
    np.testing.assert_allclose(covariance(wider), covariance(expected), atol=1e-10)


@pytest.mark.parametrize("kind", ["dense", "factored"])
@pytest.mark.parametrize("q", [2, 8, 12])
def test_factored_moments_of_others_know_their_leading_directions(kind, q):
    moments = fed(kind, rows(), [60])
    factored = FactoredMoments.of(moments, q)
    kept = min(q, 8)
    values, U = np.linalg.eigh(covariance(moments))
    values, U = values[::-1], U[:, ::-1]
    best = U[:, :kept] * values[:kept] @ U[:, :kept].T
    np.testing.assert_allclose(covariance(factored), best, atol=1e-9)
    np.testing.assert_array_equal(factored.mean, moments.mean)
    np.testing.assert_allclose(factored.variance, moments.variance)
    assert factored.denominator == moments.denominator
    assert factored.discarded_variance == pytest.approx(np.append(values, 0)[kept])
