"""Control limits against the distributions that they stand for; quantiles of streams."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from streampca import StreamingPCA
from streampca.monitor import Monitor, QuantileSketch, empirical_limit
from streampca.monitor.limits import box, hotelling, jackson_mudholkar, saddlepoint
from streampca.monitor.spectrum import slim


def exceeded(weights, limit):
    """P(sum_j w_j chi-square(1) > limit) by Imhof's integral (Biometrika 48, 1961)."""

    def angle(u):
        return 0.5 * np.arctan(weights * u).sum() - 0.5 * limit * u

    def integrand(u):
        return np.sin(angle(u)) / (u * np.prod((1 + (weights * u) ** 2) ** 0.25))

    return 0.5 + integrate.quad(integrand, 1e-12, np.inf, limit=500)[0] / np.pi


# How often Gaussian rows exceed a limit, over alpha: between these. Approximations are coarse far
# out where a few directions hold most of what is left out; the saddlepoint's is not.
ACCURACY = {
    "equal": (np.ones(20), {jackson_mudholkar: (0.96, 1.01), box: (0.99, 1.01)}),
    "geometric": (0.8 ** np.arange(25), {jackson_mudholkar: (0.63, 1.0), box: (0.97, 2.1)}),
    "harmonic": (1 / np.arange(1.0, 31), {jackson_mudholkar: (0.94, 1.06), box: (0.92, 3.8)}),
    "one leads": (np.r_[1.0, np.full(20, 0.01)], {box: (0.5, 10)}),
}


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("name", ACCURACY)
def test_limits_of_spe_are_quantiles_of_a_sum_of_chi_squares(name, confidence):
    left_out, bounds = ACCURACY[name]
    for limit, (low, high) in {saddlepoint: (0.93, 1.05), **bounds}.items():
        assert low <= exceeded(left_out, limit(left_out, confidence)) / (1 - confidence) <= high


def test_jackson_and_mudholkar_give_way_where_there_is_no_power():
    left_out = ACCURACY["harmonic"][0]
    assert jackson_mudholkar(left_out, 0.99) == saddlepoint(left_out, 0.99)


@pytest.mark.parametrize("n", [1, 2, 5, 100])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.7, 0.99, 0.99999])
def test_the_saddlepoint_of_equal_variances_is_that_of_chi_square(n, confidence):
    limit = saddlepoint(np.full(n, 0.3), confidence) / 0.3
    assert stats.chi2.sf(limit, n) == pytest.approx(1 - confidence, rel=0.09)


def test_the_saddlepoint_scales_and_leaves_out_what_has_no_variance():
    left_out = np.array([3.0, 1.0, 0.5])
    limit = saddlepoint(left_out, 0.99)
    assert saddlepoint(1e-200 * left_out, 0.99) == pytest.approx(1e-200 * limit)
    assert saddlepoint(np.r_[left_out, 0.0], 0.99) == limit
    assert saddlepoint(np.zeros(3), 0.99) == 0.0


def test_limits_of_equal_variances_are_those_of_chi_square():
    equal = np.full(12, 0.3)
    assert box(equal, 0.99) == pytest.approx(0.3 * stats.chi2.ppf(0.99, 12))
    assert jackson_mudholkar(equal, 0.99) == pytest.approx(0.3 * stats.chi2.ppf(0.99, 12), rel=2e-3)


@pytest.mark.parametrize(("n_rows", "confidence"), [(8, 0.95), (30, 0.99)])
def test_false_alarms_of_t2_after_few_rows_are_as_many_as_the_f_limit_says(n_rows, confidence):
    """Over many small streams, each with a model of its own and rows that are new to it."""
    streams, p, rng = 4000, 3, np.random.default_rng(0)
    limit = hotelling(p, n_rows, confidence)
    alarms = 0
    for _ in range(streams):
        X = rng.normal(size=(n_rows + 1, p))
        D = X[:-1] - X[:-1].mean(0)
        _, s, C = np.linalg.svd(D, full_matrices=False)
        z = C @ (X[-1] - X[:-1].mean(0))
        alarms += (z * z / (s * s / (n_rows - 1))).sum() > limit
    alpha = 1 - confidence
    assert alarms / streams == pytest.approx(alpha, abs=4 * (alpha * confidence / streams) ** 0.5)
    monitor = Monitor(StreamingPCA(p).fit(rng.normal(size=(n_rows, p))))
    assert monitor.t2_limit(confidence) == pytest.approx(limit)


# --- empirical limits of a stream ----------------------------------------------------------------


STREAMS = {
    "normal": lambda rng, m: rng.normal(size=m),
    "heavy": lambda rng, m: rng.standard_cauchy(size=m),
    "skewed": lambda rng, m: rng.lognormal(sigma=3, size=m),
    "rising": lambda rng, m: np.sort(rng.normal(size=m)),
    "falling": lambda rng, m: -np.sort(rng.normal(size=m)),
    "few values": lambda rng, m: rng.integers(0, 3, size=m).astype(float),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_sketch_keeps_the_tail_of_any_stream_in_little_memory(kind):
    values = STREAMS[kind](np.random.default_rng(0), 200_000)
    sketch = QuantileSketch()
    for block in np.array_split(values, 997):
        sketch.update(block)
        assert sketch.n_kept <= 1300
    for confidence in (0.5, 0.9, 0.99, 0.999, 0.9999):
        limit = sketch.limit(confidence)
        low, high = (values < limit).mean(), (values <= limit).mean()
        # a cluster's share of the values, by construction
        error = 2 * np.pi * (confidence * (1 - confidence)) ** 0.5 / 400
        assert low - error <= confidence <= high + error


@given(st.lists(st.floats(-1e6, 1e6), min_size=100, max_size=300), st.integers(1, 50))
def test_a_sketch_of_few_values_is_exact_in_any_pieces(values, size):
    sketch = QuantileSketch()
    for start in range(0, len(values), size):
        sketch.update(values[start : start + size])
    assert sketch.limit(0.99) == empirical_limit(values, 0.99)


def test_merged_sketches_are_of_all_values():
    rng = np.random.default_rng(1)
    halves, whole = [QuantileSketch(), QuantileSketch()], rng.lognormal(size=100_000)
    for sketch, part in zip(halves, np.split(whole, 2), strict=True):
        for block in np.array_split(part, 40):
            sketch.update(block)
    merged = halves[0].merge(halves[1])
    assert merged.count == len(whole)
    assert (whole > merged.limit(0.99)).mean() == pytest.approx(0.01, abs=0.0016)


def test_a_sketch_says_what_it_cannot_know():
    sketch = QuantileSketch()
    with pytest.raises(ValueError, match="needs 100 normal rows at least, and has 0"):
        sketch.limit(0.99)
    with pytest.raises(ValueError, match="value 1 is inf"):
        sketch.update([1.0, np.inf])
    assert sketch.count == 0
    sketch.update(np.arange(100.0))
    assert sketch.limit(0.99) == 98.0
    with pytest.raises(ValueError, match="needs 1,000 normal rows at least, and has 100"):
        sketch.limit(0.999)


def test_empirical_limits_hold_where_rows_are_not_gaussian():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    rows = lambda m: rng.standard_t(4, size=(m, 6)) @ mix  # noqa: E731
    monitor = Monitor(StreamingPCA(2).fit(rows(5000)))
    for _ in range(20):
        monitor.calibrate(rows(1000))
    assert monitor.n_calibrated == 20_000
    new = rows(40_000)
    tolerance = 4 * (0.01 * 0.99 * (1 / 20_000 + 1 / 40_000)) ** 0.5
    for values, limit in (
        (monitor.spe(new), monitor.spe_limit(0.99, "empirical")),
        (monitor.t2(new), monitor.t2_limit(0.99, "empirical")),
    ):
        assert (values > limit).mean() == pytest.approx(0.01, abs=tolerance)
    assert (monitor.spe(new) > monitor.spe_limit(0.99)).mean() > 0.02  # Gaussian's is too low


@given(st.integers(0, 2**32 - 1))
def test_rows_that_the_limit_of_t2_counts_are_independent_of_the_unit_of_weights(seed):
    rng = np.random.default_rng(seed)
    m, half_life = int(rng.integers(2, 200)), float(rng.uniform(2, 100))
    X, w = rng.normal(size=(m, 4)), rng.uniform(0.01, 0.9, size=m)
    aged = w * 0.5 ** (np.arange(m)[::-1] / half_life)
    pca = StreamingPCA(2, half_life=half_life).partial_fit(X, sample_weight=w)
    rows = aged.sum() ** 2 / (aged**2).sum()
    assert Monitor(pca).n_rows == pytest.approx(rows, rel=1e-9)
    assert Monitor(pca.decay(10.0 ** -rng.uniform(0, 12))).n_rows == pytest.approx(rows, rel=1e-9)
    assert Monitor(slim(pca.checkpoint())).n_rows == pytest.approx(rows, rel=1e-9)
    copies = StreamingPCA(2).fit(X, sample_weight=rng.integers(1, 9, size=m))
    assert Monitor(copies).n_rows == m  # of whole weights: rows were seen once


@pytest.mark.parametrize("half_life", [10, 50])
@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_false_alarms_of_t2_after_forgetting_and_in_any_unit(half_life, unit):
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(300):
        X = rng.normal(size=(20 * half_life + 20, 3))
        learned, new = X[:-20], X[-20:]
        pca = StreamingPCA(3, half_life=half_life)
        pca.partial_fit(learned, sample_weight=np.full(len(learned), unit)).decay(0.01)
        monitor = Monitor(pca)
        alarms.append((monitor.t2(new) > monitor.t2_limit(0.99)).mean())
    assert np.mean(alarms) == pytest.approx(0.01, abs=4 * np.std(alarms) / len(alarms) ** 0.5)
