"""SPE and T^2 against their definitions; limits against Gaussian rows; contributions add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from strategies import data_matrices

from streampca import StreamingPCA
from streampca.monitor import (
    Monitor,
    QuantileSketch,
    empirical_limit,
    individuals_chart,
    trends,
)
from streampca.monitor.limits import box, hotelling, jackson_mudholkar, saddlepoint


def gaussian(m, n=8, seed=0):
    """Rows of one distribution; seeds give other rows of the same."""
    mix = np.random.default_rng(99).normal(size=(n, n)) * 0.6 ** np.arange(n)
    return np.random.default_rng(seed).normal(size=(m, n)) @ mix.T + 5


@given(X=data_matrices(min_rows=3, max_features=8))
def test_spe_and_t2_are_distances_to_and_within_the_components(X):
    p = max(1, X.shape[1] // 2)
    pca = StreamingPCA(p).fit(X)
    monitor = Monitor(pca)
    D = X - X.mean(0)
    values, vectors = np.linalg.eigh(D.T @ D / (len(X) - 1))
    total = max(values.sum(), 0.0)
    C, variances = vectors[:, ::-1][:, :p].T, values[::-1][:p]
    distance = (D**2).sum(axis=1)
    length = (D @ C.T) ** 2
    if total <= 1e-12 * (X**2).sum():
        return  # equal rows: here the oracle's variances are its rounding
    # where components have (nearly) equal variances SPE is that of either
    if p < len(values) and values[::-1][p - 1] - values[::-1][p] > 1e-6 * total:
        expected = distance - length.sum(axis=1)
        np.testing.assert_allclose(monitor.spe(X), expected, atol=1e-6 * total)
        if variances[-1] > 1e-6 * total:
            expected = (length / variances).sum(axis=1)
            np.testing.assert_allclose(monitor.t2(X), expected, rtol=1e-6, atol=1e-6)


def test_t2_of_all_components_is_the_mahalanobis_distance():
    X = gaussian(500)
    D = X - X.mean(0)
    expected = np.einsum("ij,jk,ik->i", D, np.linalg.inv(np.cov(X.T)), D)
    monitor = Monitor(StreamingPCA().fit(X))
    np.testing.assert_allclose(monitor.t2(X), expected, rtol=1e-8)
    np.testing.assert_allclose(monitor.spe(X), 0, atol=1e-12)


def test_contributions_add_up_and_name_the_feature_that_moved():
    X = gaussian(1000)
    monitor = Monitor(StreamingPCA(3).fit(X))
    np.testing.assert_allclose(monitor.spe_contributions(X).sum(axis=1), monitor.spe(X))
    np.testing.assert_allclose(monitor.t2_contributions(X).sum(axis=1), monitor.t2(X))
    rest = np.eye(8) - monitor.statistics.components.T @ monitor.statistics.components
    for feature in np.flatnonzero(np.diagonal(rest) > 0.5):  # seen in SPE at least
        moved = X.mean(0) + 100 * np.eye(8)[feature]
        assert monitor.spe_contributions([moved]).argmax() == feature


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("memory", ["dense", "factored"])
def test_new_gaussian_rows_exceed_the_limits_as_often_as_they_should(confidence, memory):
    monitor = Monitor(StreamingPCA(3, memory=memory, oversample=3).fit(gaussian(20_000)))
    new = gaussian(40_000, seed=1)
    share = 1 - confidence
    # four standard deviations of the count, and a tenth for approximations
    tolerance = 4 * (share * confidence / len(new)) ** 0.5 + 0.1 * share
    for exceed in (
        monitor.t2(new) > monitor.t2_limit(confidence),
        monitor.t2(new) > monitor.t2_limit(confidence, "chi2"),
        monitor.spe(new) > monitor.spe_limit(confidence),
    ):
        assert exceed.mean() == pytest.approx(share, abs=tolerance)
    # Box's is the coarser one
    assert (monitor.spe(new) > monitor.spe_limit(confidence, "box")).mean() == pytest.approx(
        share, abs=0.5 * share
    )


def test_few_rows_widen_the_limit_of_t2_as_the_f_distribution_says():
    few = Monitor(StreamingPCA(2).fit(gaussian(20)))
    expected = 2 * (400 - 1) / (20 * 18) * stats.f.ppf(0.99, 2, 18)
    assert few.t2_limit(0.99) == pytest.approx(expected)
    assert few.t2_limit(0.99) > few.t2_limit(0.99, "chi2") == pytest.approx(stats.chi2.ppf(0.99, 2))
    forgetful = StreamingPCA(3, half_life=0.5).fit(gaussian(50))  # remembers less than 3 rows
    assert Monitor(forgetful).t2_limit() == np.inf


def test_variances_left_out_are_the_remaining_eigenvalues():
    X = gaussian(1000)
    values = np.linalg.eigvalsh(np.cov(X.T))[::-1]
    dense = Monitor(StreamingPCA(3).fit(X))
    np.testing.assert_allclose(dense.left_out, values[3:], rtol=1e-9)
    saved = StreamingPCA(3).fit(X).checkpoint()
    even = Monitor(saved.without_moments())
    np.testing.assert_allclose(even.left_out, np.full(5, values[3:].mean()))


def test_what_lies_where_the_model_has_no_variance_is_spe():
    X = gaussian(300)
    X[:, 4] = 7.0
    monitor = Monitor(StreamingPCA().fit(X))
    assert monitor.statistics.n_kept == 7
    odd = X[0] + 3 * np.eye(8)[4]
    np.testing.assert_allclose(monitor.spe([odd, X[0]]), [9, 0], atol=1e-12)
    assert np.isfinite(monitor.t2([odd])).all()
    assert monitor.combined([odd])[0] > 1e6


def test_a_constant_stream_has_limits_of_zero():
    monitor = Monitor(StreamingPCA(2).fit(np.full((50, 4), 3.0)))
    assert (monitor.spe_limit(), monitor.t2_limit()) == (0.0, 0.0)
    assert list(monitor.combined(np.full((1, 4), 3.0))) == [0.0]


def test_combined_is_two_on_average_over_the_rows_learned_from():
    X = gaussian(5000)
    assert Monitor(StreamingPCA(3).fit(X)).combined(X).mean() == pytest.approx(2, rel=1e-3)


def test_a_monitor_is_of_the_model_as_it_was_and_reads_checkpoints():
    X = gaussian(200)
    pca = StreamingPCA(3).fit(X)
    monitor, before = Monitor(pca), Monitor(pca.checkpoint()).spe(X)
    pca.partial_fit(gaussian(200, seed=2) * 3)
    np.testing.assert_array_equal(monitor.spe(X), before)


def test_bad_input_is_named():
    monitor = Monitor(StreamingPCA(3).fit(gaussian(200)))
    with pytest.raises(ValueError, match="row 0, feature 2 is nan"):
        monitor.spe([[1, 2, np.nan, 4, 5, 6, 7, 8]])
    with pytest.raises(ValueError, match="confidence=99"):
        monitor.spe_limit(99)
    with pytest.raises(ValueError, match="needs 100 normal rows at least, and has 0: calibrate"):
        monitor.spe_limit(0.99, "empirical")
    with pytest.raises(ValueError, match="with n_components"):
        monitor.t2_limit(0.99, "empirical", n_components=2)
    with pytest.raises(ValueError, match="method='f2'"):
        monitor.t2_limit(0.9, "f2")
    with pytest.raises(ValueError, match="confidence=0"):
        empirical_limit([1.0], 0)


# --- limits against the distributions that they stand for ----------------------------------------


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


def test_an_assessment_is_statistics_limits_and_the_largest_part():
    X = gaussian(1000)
    monitor = Monitor(StreamingPCA(3).fit(X))
    rows = np.vstack([X[:50], X[:8] + 30 * np.eye(8)])
    found = monitor.assess(rows, 0.95)
    np.testing.assert_array_equal(found.spe, monitor.spe(rows))
    np.testing.assert_array_equal(found.t2, monitor.t2(rows))
    assert found.spe_limit == monitor.spe_limit(0.95)
    assert found.t2_limit == monitor.t2_limit(0.95)
    for i in range(len(rows)):
        by_spe = found.spe[i] / found.spe_limit >= found.t2[i] / found.t2_limit
        of = monitor.spe_contributions if by_spe else monitor.t2_contributions
        parts = of(rows[i : i + 1])[0]
        assert (found.by_spe[i], found.feature[i]) == (by_spe, parts.argmax())
        assert found.share[i] == pytest.approx(parts.max() / parts.sum())
    assert found.alarm[50:].all()


def test_what_leaves_a_constant_stream_is_an_alarm():
    monitor = Monitor(StreamingPCA(2).fit(np.full((50, 4), 3.0)))
    found = monitor.assess([[3, 3, 3, 3], [3, 3, 4, 3]])
    assert found.alarm.tolist() == [False, True]
    assert found.feature[1] == 2


# --- histories ------------------------------------------------------------------------------------


def test_trends_are_angles_shares_and_what_is_left_out():
    history = []
    for degrees in (0, 5, 45):
        angle = np.radians(degrees)
        axes = np.array(
            [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        ) * np.array([[3.0], [2.0], [1.0]])
        history.append(StreamingPCA(1).fit(np.vstack([axes, -axes])).checkpoint())
    found = trends(history)
    np.testing.assert_allclose(np.degrees(found.angles[:, 0]), [np.nan, 5, 40])
    np.testing.assert_allclose(np.degrees(found.subspace), [np.nan, 5, 40])
    np.testing.assert_allclose(found.shares[:, 0], 9 / 14)
    np.testing.assert_allclose(found.left_out, 5 / 14)


def test_three_in_a_thousand_gaussian_values_leave_an_individuals_chart():
    values = np.random.default_rng(0).normal(5, 2, size=50_000)
    chart = individuals_chart(values)
    assert (chart.centre, chart.upper) == pytest.approx((5, 11), abs=0.1)
    outside = ((values < chart.lower) | (values > chart.upper)).mean()
    assert outside == pytest.approx(2 * stats.norm.sf(3), rel=0.25)
    assert individuals_chart([np.nan, 1.0, 2.0]) is None
    assert individuals_chart([np.nan, 1.0, 1.0, 1.0]) == (1.0, 1.0, 1.0)
