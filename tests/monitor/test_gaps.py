"""Rows with gaps against a model: limits of complete rows hold for them."""

import numpy as np
import pytest
from scipy import stats

from streampca import StreamingPCA
from streampca.monitor import Monitor, Watch
from streampca.river import PCAScorer

N, P = 8, 2


def process(m, seed):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(P, N))
    noise = 0.3 * 0.85 ** np.arange(N)  # not alike in all directions
    return (rng.normal(size=(m, P)) @ mix + noise * rng.normal(size=(m, N))) * UNITS


UNITS = 10.0 ** np.array([3, 0, -2, 1, 0, 2, -1, 0])
MODEL = StreamingPCA(P, scale=True, missing="impute").fit(process(20_000, 0))


def with_gaps(X, share, seed=5):
    gappy = X.copy()
    gappy[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return gappy


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("moments", [True, False])
def test_normal_rows_with_gaps_exceed_the_limits_as_often_as_complete_ones(
    share, confidence, moments
):
    checkpoint = MODEL.checkpoint()
    monitor = Monitor(checkpoint if moments else checkpoint.without_moments())
    X = with_gaps(process(20_000, 1), share)
    spe, t2 = monitor.spe(X), monitor.t2(X)
    a = 1 - confidence
    for values, limit in ((spe, monitor.spe_limit(confidence)), (t2, monitor.t2_limit(confidence))):
        known = values[~np.isnan(values)]
        exceeded = (known > limit).mean()
        # without moments what is left out is taken to be alike in all directions, and is not
        within = (0.6, 1.6) if moments or values is t2 else (0.3, 3.0)
        assert within[0] * a < exceeded < within[1] * a, (exceeded, a)
    seen = (~np.isnan(X)).sum(axis=1)
    assert np.isnan(spe[seen <= P]).all()  # two features leave nothing of two components
    assert not np.isnan(spe[seen > P]).any()
    assert np.isnan(t2).tolist() == (seen == 0).tolist()


def test_the_distribution_is_that_of_complete_rows_not_its_limit_alone():
    monitor = Monitor(MODEL)
    full, gappy = monitor.t2(process(5000, 2)), monitor.t2(with_gaps(process(5000, 3), 0.3))
    assert stats.ks_2samp(full, gappy[~np.isnan(gappy)]).statistic < 0.04
    full, gappy = monitor.spe(process(5000, 2)), monitor.spe(with_gaps(process(5000, 3), 0.3))
    assert stats.ks_2samp(full, gappy[~np.isnan(gappy)]).statistic < 0.06


def test_filling_would_hide_what_is_scored_here():
    X = process(4000, 4)
    gappy = with_gaps(X, 0.5)
    monitor = Monitor(MODEL)
    filled = MODEL.inverse_transform(MODEL.transform(gappy))
    filled = np.where(np.isnan(gappy), filled, gappy)
    by_filling = monitor.spe(filled)
    honest = monitor.spe(gappy)
    known = ~np.isnan(honest)
    ratio = by_filling[known].mean() / monitor.spe(X).mean()
    assert ratio < 0.6  # gaps add nothing to SPE
    assert honest[known].mean() / monitor.spe(X).mean() == pytest.approx(1.0, abs=0.1)


def test_complete_rows_are_scored_to_the_bit_as_before_beside_rows_with_gaps():
    X = process(50, 6)
    both = X.copy()
    both[::5, 3] = np.nan
    monitor = Monitor(MODEL)
    complete = ~np.isnan(both).any(axis=1)
    for name in ("spe", "t2", "spe_contributions", "t2_contributions", "scores"):
        one, other = getattr(monitor, name)(X), getattr(monitor, name)(both)
        np.testing.assert_allclose(one[complete], other[complete], rtol=1e-12)


def test_contributions_add_up_and_gaps_have_none():
    X = with_gaps(process(500, 7), 0.3)
    monitor = Monitor(MODEL)
    for parts, totals in (
        (monitor.spe_contributions(X), monitor.spe(X)),
        (monitor.t2_contributions(X), monitor.t2(X)),
    ):
        known = ~np.isnan(totals)
        np.testing.assert_allclose(parts[known].sum(axis=1), totals[known], rtol=1e-8)
        assert (parts[np.isnan(X)] == 0).all()


@pytest.mark.parametrize("sensor", [0, 4])
def test_a_sensor_that_is_off_is_found_in_rows_with_gaps(sensor):
    X = process(400, 8)
    X[:, sensor] += 3 * UNITS[sensor]
    gappy = with_gaps(X, 0.25)
    gappy[:, sensor] = X[:, sensor]
    found = Monitor(MODEL).assess(gappy)
    assert found.alarm.mean() > 0.9
    assert (found.feature[found.alarm] == sensor).mean() > 0.8
    events = Watch(MODEL, "k=3, n=5, hold_off=5").add(gappy)
    assert events[0].sensors[0] == f"feature {sensor}"


def test_a_row_of_gaps_alone_says_nothing_and_ends_no_stream():
    X = process(10, 9)
    X[4] = np.nan
    found = Monitor(MODEL).assess(X)
    assert not found.alarm[4]
    watch = Watch(MODEL, "ewma=0.3")
    watch.add(X)
    before = watch.state()[1][0]
    watch.add(np.full((1, N), np.nan))
    assert watch.state()[1][0] == before  # the running means stay as they were


def test_a_model_that_refuses_gaps_refuses_them_here():
    model = StreamingPCA(P).fit(process(200, 10))
    X = process(3, 11)
    X[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 1"):
        Monitor(model).spe(X)


def test_calibration_takes_rows_with_gaps():
    monitor = Monitor(MODEL).calibrate(with_gaps(process(5000, 12), 0.4))
    assert monitor.spe_limit(0.99, "empirical") == pytest.approx(monitor.spe_limit(0.99), rel=0.25)


def test_river_scores_rows_with_gaps_by_what_is_there():
    scorer = PCAScorer(P, "spe", scale=True, missing="impute")
    names = "abcdefgh"
    rows = [dict(zip(names, row, strict=True)) for row in process(3000, 13).tolist()]
    for x in rows[:2000]:
        scorer.learn_one(x)
    full = np.array([scorer.score_one(x) for x in rows[2000:]])
    some = [{k: v for k, v in x.items() if k not in "bdf"} for x in rows[2000:]]
    gappy = np.array([scorer.score_one(x) for x in some])
    assert gappy.mean() == pytest.approx(full.mean(), rel=0.35)
    odd = some[0] | {"e": some[0]["e"] + 5 * UNITS[4]}
    assert scorer.score_one(odd) > np.quantile(full, 0.99)
    parts = scorer.contributions_one(odd)
    assert max(parts, key=parts.get) == "e"
    assert parts["b"] == 0.0
    assert scorer.score_one({}) == 0.0
