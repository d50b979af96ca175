"""Limits of a model's own rows travel in its checkpoint."""

import base64
import dataclasses
import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from streampca import Checkpoint, CheckpointStore, StreamingPCA
from streampca.checkpoint import CheckpointError
from streampca.monitor import Monitor, QuantileSketch, Rules, Watch, slim

STORED = Path(__file__).parents[1] / "checkpoint" / "data" / "calibration.json"
ROWS = np.arange(12.0).reshape(4, 3) ** 2


def rows(m, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, size=(m, 2)) @ np.ones((2, 6)) + 0.3 * rng.standard_t(4, size=(m, 6))


@pytest.fixture(scope="module")
def model():
    return StreamingPCA(2).fit(rows(2000, 0)).checkpoint(key="press 4", window_end=60_000_000)


@pytest.fixture(scope="module")
def calibrated(model):
    return Monitor(model).calibrate(rows(5000, 1))


def by_file(checkpoint, tmp_path):
    CheckpointStore(tmp_path).write(checkpoint)
    return CheckpointStore(tmp_path).latest(checkpoint.key)


def without_moments(checkpoint, tmp_path):
    CheckpointStore(tmp_path).write(checkpoint)
    return CheckpointStore(tmp_path).latest(checkpoint.key, moments=False)


WAYS = {
    "bytes": lambda c, _: Checkpoint.from_bytes(c.to_bytes()),
    "file": by_file,
    "file without moments": without_moments,
    "record batch": lambda c, _: Checkpoint.from_record_batch(c.to_record_batch()),
    "slim": lambda c, _: Checkpoint.from_bytes(slim(c).to_bytes()),
    "drift": lambda c, _: c.with_drift(c),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [200, 5000])
def test_limits_are_the_same_wherever_a_checkpoint_goes(model, tmp_path, way, count):
    given = rows(count, 1)
    monitor = Monitor(model).calibrate(given)
    found = Monitor(WAYS[way](monitor.checkpoint(), tmp_path))
    assert found.n_calibrated == count
    assert found.limits(0.99)[2] == "empirical"
    for statistic in ("spe", "t2"):
        values = getattr(monitor, statistic)(given)
        limit = getattr(found, f"{statistic}_limit")(0.99, "empirical")
        # a cluster at 0.99 holds up to 0.16 % of the rows, or one row
        assert 0.99 - 0.0025 <= (values <= limit).mean() <= 0.99 + max(0.0025, 1.01 / count)


def test_what_is_kept_is_small_and_of_few_rows_exact(model, calibrated):
    with_it, without = len(calibrated.checkpoint().to_bytes()), len(model.to_bytes())
    assert with_it - without < 20_000
    few = Monitor(model).calibrate(given := rows(400, 2)).checkpoint()
    np.testing.assert_array_equal(
        few.calibration["spe of 2"][0], np.sort(Monitor(model).spe(given))
    )
    assert (few.calibration["spe of 2"][1] == 1).all()


def test_calibrating_goes_on_from_what_was_kept(model):
    parts = rows(3000, 3).reshape(3, 1000, 6)
    found = model
    for part in parts:
        found = Monitor(found).calibrate(part).checkpoint()
    monitor = Monitor(found)
    assert monitor.n_calibrated == 3000
    values = monitor.spe(parts.reshape(-1, 6))
    assert 0.987 <= (values <= monitor.spe_limit(0.99, "empirical")).mean() <= 0.993


def test_limits_are_of_as_many_components(calibrated):
    saved = calibrated.checkpoint()
    assert Monitor(saved, n_components=1).n_calibrated == 0
    assert Monitor(saved, n_components=1).limits()[2] == "theory"
    assert Monitor(Monitor(saved)).n_calibrated == 5000


def test_a_model_that_learns_on_has_no_calibration(calibrated):
    saved = calibrated.checkpoint()
    assert saved.calibration
    assert StreamingPCA.from_checkpoint(saved).checkpoint().calibration == {}
    assert saved != dataclasses.replace(saved, calibration={})


def test_without_rows_there_is_nothing_to_keep(model):
    with pytest.raises(ValueError, match="known to be normal"):
        Monitor(model).checkpoint()
    assert Monitor(model).limits(0.99) == (
        Monitor(model).spe_limit(0.99),
        Monitor(model).t2_limit(0.99),
        "theory",
    )


def test_limits_that_rows_cannot_know_are_of_theory(model):
    monitor = Monitor(Monitor(model).calibrate(rows(500, 4)).checkpoint())
    assert monitor.limits(0.99)[2] == "empirical"
    assert monitor.limits(0.999)[2] == "theory"


def test_a_watch_of_a_carried_model_has_its_limits(calibrated):
    watch = Watch(Checkpoint.from_bytes(calibrated.checkpoint().to_bytes()), "method=empirical")
    expected = Watch(calibrated, Rules(method="empirical"))
    np.testing.assert_allclose(watch.levels, expected.levels, rtol=0.02)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ewma", [0.05, 0.2, 1.0])
def test_limits_of_running_means_travel_too(model, tmp_path, way, ewma):
    monitor = Monitor(model).calibrate(rows(3000, 1), ewma=ewma)
    found = Monitor(WAYS[way](monitor.checkpoint(), tmp_path))
    assert found.is_calibrated(0.99, ewma)
    assert not found.is_calibrated(0.99, ewma / 2)
    np.testing.assert_allclose(
        found.smooth_limits(0.99, ewma), monitor.smooth_limits(0.99, ewma), rtol=0.03
    )
    watch = Watch(found, {"method": "empirical", "ewma": ewma})
    np.testing.assert_allclose(watch.levels[:2], found.smooth_limits(0.99, ewma))
    with pytest.raises(ValueError, match="calibrate with more"):
        Watch(found, {"method": "empirical", "ewma": ewma / 2})


def test_running_means_go_on_from_what_was_kept(model):
    found = model
    for part in rows(3000, 3).reshape(3, 1000, 6):
        found = Monitor(found).calibrate(part, ewma=0.1).checkpoint()
    at_once = Monitor(model).calibrate(rows(3000, 3), ewma=0.1)
    np.testing.assert_allclose(
        Monitor(found).smooth_limits(0.95, 0.1), at_once.smooth_limits(0.95, 0.1), rtol=0.05
    )


def test_rows_with_nothing_in_them_are_passed_over_by_running_means():
    X = rows(1000, 5)
    X[::7, 2] = np.nan
    X[500] = np.nan
    model = StreamingPCA(2, missing="impute").fit(rows(2000, 0))
    monitor = Monitor(model).calibrate(X, ewma=0.2)
    assert all(np.isfinite(monitor.smooth_limits(0.99, 0.2)))


# --- files ----------------------------------------------------------------------------------------


def stored():
    return {
        how: zlib.decompress(base64.b64decode(text))
        for how, text in json.loads(STORED.read_text()).items()
    }


def test_what_was_written_is_read_for_good():
    one = Checkpoint.from_bytes(stored()["checkpoint"])
    assert one == Checkpoint.from_parquet_bytes(stored()["file"])
    monitor = Monitor(one)
    assert monitor.n_calibrated == 900
    assert monitor.limits(0.99) == (190.7324017653587, 1.8443220541783827, "empirical")
    expected = StreamingPCA(1).fit(ROWS)
    np.testing.assert_allclose(one.explained_variance, expected.explained_variance_)


def test_versions_that_do_not_know_the_column_read_the_rest(calibrated, model):
    """They ask for the columns they know; the checksum of these does not depend on it."""
    batch = calibrated.checkpoint().to_record_batch()
    assert Checkpoint.from_record_batch(batch.drop_columns(["calibration"])) == model
    assert Checkpoint.from_record_batch(model.to_record_batch()) == model


def test_a_calibration_that_was_changed_is_refused(calibrated):
    batch = calibrated.checkpoint().to_record_batch()
    at = batch.schema.get_field_index("calibration")
    good = batch["calibration"][0].as_py()
    torn = bytes([*good[:-40], good[-40] ^ 1, *good[-39:]])
    for value in (torn, good[:-1], b""):
        changed = batch.set_column(at, batch.schema.field(at), pa.array([value], pa.large_binary()))
        with pytest.raises(CheckpointError):
            Checkpoint.from_record_batch(changed)
    with pytest.raises(CheckpointError, match="type string"):
        Checkpoint.from_record_batch(batch.set_column(at, "calibration", pa.array(["x"])))


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ({"spe of 2": np.ones(3)}, "shape"),
        ({"spe of 2": np.ones((2, 0))}, "shape"),
        ({"spe of 2": [[2.0, 1.0], [1.0, 1.0]]}, "in order"),
        ({"spe of 2": [[1.0, 2.0], [1.0, 0.0]]}, "counts"),
        ({"spe of 2": [[1.0, np.nan], [1.0, 1.0]]}, "NaN"),
    ],
)
def test_a_calibration_that_is_none_is_refused(model, calibration, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(model, calibration=calibration)


@pytest.mark.parametrize("count", [1, 399, 401, 1000, 20_000])
def test_a_sketch_of_clusters_says_the_same(count):
    values = np.random.default_rng(count).exponential(size=count)
    sketch = QuantileSketch()
    for part in np.array_split(values, 7):
        sketch.update(part)
    clusters = sketch.clusters()
    assert clusters.shape[1] <= 400
    assert clusters[1].sum() == count
    assert (np.diff(clusters[0]) >= 0).all()
    again = QuantileSketch.of_clusters(clusters)
    assert again.count == count
    for confidence in (0.5, 0.9, 0.99):
        if count * (1 - confidence) >= 1:
            assert again.limit(confidence) == pytest.approx(sketch.limit(confidence), rel=1e-12)
            assert (values > again.limit(confidence)).mean() == pytest.approx(
                1 - confidence, abs=max(0.012, 2 / count)
            )


@pytest.mark.parametrize("ewma", [0, -0.1, 1.5, float("nan"), "0.2", None])
def test_a_weight_of_running_means_that_is_none_is_refused_before_anything_is_kept(ewma):
    rows = np.random.default_rng(0).normal(size=(50, 4))
    monitor = Monitor(StreamingPCA(2).fit(rows))
    if ewma is None:
        assert monitor.calibrate(rows, ewma=ewma).n_calibrated == 50
        return
    with pytest.raises(ValueError, match="ewma=.* is not accepted"):
        monitor.calibrate(rows, ewma=ewma)
    assert monitor.n_calibrated == 0


@pytest.mark.parametrize("confidence", [0, 1, -1, 2, float("nan"), "0.99", None])
def test_a_confidence_that_is_none_is_refused(confidence):
    monitor = Monitor(StreamingPCA(2).fit(np.random.default_rng(0).normal(size=(50, 4))))
    for limit in (monitor.t2_limit, monitor.spe_limit):
        with pytest.raises(ValueError, match="confidence=.* is not accepted"):
            limit(confidence)


@pytest.mark.parametrize("model", [None, 1, "store", b"", [], np.eye(2)])
def test_what_is_no_model_is_not_monitored(model):
    with pytest.raises(TypeError, match="give an estimator or a Checkpoint, not"):
        Monitor(model)


@pytest.mark.parametrize("place", [0, 3])
def test_a_row_without_a_time_among_times_is_named(place):
    rows = np.random.default_rng(0).normal(size=(5, 4))
    times = np.datetime64("2026-01-01") + np.arange(5).astype("timedelta64[h]")
    times[place] = np.datetime64("NaT")
    with pytest.raises(ValueError, match=f"time of row {place} is NaT"):
        Watch(StreamingPCA(2).fit(rows)).add(rows, times)
