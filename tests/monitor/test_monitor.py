"""SPE and T^2 against their definitions; limits against Gaussian rows; contributions add up."""

import numpy as np
import pytest
from hypothesis import given
from scipy import stats
from strategies import data_matrices

from streampca import StreamingPCA
from streampca.monitor import (
    Monitor,
    empirical_limit,
    individuals_chart,
    trends,
)


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
