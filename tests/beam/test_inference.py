"""The store's newest checkpoint in RunInference; the detector inside Beam's AnomalyDetection."""

import time
from pathlib import Path

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.ml.anomaly.thresholds import FixedThreshold, QuantileThreshold
from apache_beam.ml.anomaly.transforms import AnomalyDetection
from apache_beam.ml.inference.base import ModelMetadata, RunInference
from apache_beam.ml.inference.utils import WatchFilePattern
from apache_beam.pvalue import AsSingleton
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, GlobalWindows, TimestampedValue
from streams import stream

from beam_pipelines.anomaly import PCAReconstruction
from beam_pipelines.inference import StreamingPCAModelHandler
from streampca import CheckpointStore, StreamingPCA
from streampca.checkpoint import relative_path
from streampca.monitor import Monitor

X, _ = stream(80)


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path)
    for key, rows in ((None, X), ("a", X[:40]), (7, X[40:])):
        store.write(StreamingPCA(2).fit(rows).checkpoint(key=key, window_end=60_000_000))
    return store


def test_every_row_gets_coordinates_and_statistics(store, engine):
    model = StreamingPCA(2).fit(X)

    def check(results):
        assert len(results) == 80
        for result in results:
            row, found = result.example[None], result.inference
            np.testing.assert_allclose(found.coordinates, model.transform(row)[0])
            np.testing.assert_allclose(found.spe, Monitor(model).spe(row)[0])
            np.testing.assert_allclose(found.t2, Monitor(model).t2(row)[0])
            assert result.model_id == "window_end=60000000, sequence=0"

    handler = StreamingPCAModelHandler(store.uri, spe=True, t2=True, max_batch_size=32)
    with engines.pipeline() as p:
        assert_that(p | beam.Create(list(X)) | RunInference(handler), check)


def test_keyed_rows_use_the_model_of_their_key(store, engine):
    models = {"a": StreamingPCA(2).fit(X[:40]), 7: StreamingPCA(2).fit(X[40:])}

    def check(results):
        assert len(results) == 80
        for key, result in results:
            expected = models[key].transform(result.example[None])[0]
            np.testing.assert_allclose(result.inference.coordinates, expected)

    rows = [(("a", 7)[i % 2], x) for i, x in enumerate(X)]
    with engines.pipeline() as p:
        handler = StreamingPCAModelHandler(store.uri, keyed=True)
        assert_that(p | beam.Create(rows) | RunInference(handler), check)


def test_a_newer_checkpoint_is_found_after_a_while(store):
    handler = StreamingPCAModelHandler(store.uri, refresh_every=0.01)
    models = handler.load_model()
    (before,) = handler.run_inference([X[0]], models)
    store.write(StreamingPCA(3).fit(X).checkpoint(window_end=120_000_000))
    time.sleep(0.02)
    (after,) = handler.run_inference([X[0]], models)
    assert (before.inference.window_end, after.inference.window_end) == (60_000_000, 120_000_000)
    assert after.inference.coordinates.shape == (3,)


def test_until_then_the_store_is_left_alone(store, monkeypatch):
    handler = StreamingPCAModelHandler(store.uri, refresh_every=1000)
    models = handler.load_model()
    list(handler.run_inference([X[0]], models))
    monkeypatch.setattr(CheckpointStore, "latest", None)
    list(handler.run_inference([X[1]], models))


def replace(store, checkpoint):
    """Another file in the place of the one of this key, window and sequence."""
    place = Path(store.uri) / relative_path(checkpoint)
    place.unlink()
    assert Path(store.write(checkpoint)) == place


def test_a_checkpoint_that_was_replaced_in_its_place_is_taken_up(store):
    handler = StreamingPCAModelHandler(store.uri, refresh_every=0.01)
    models = handler.load_model()
    (before,) = handler.run_inference([X[0]], models)
    other = StreamingPCA(2).fit(X[:20])
    replace(store, other.checkpoint(window_end=60_000_000))
    time.sleep(0.02)
    (after,) = handler.run_inference([X[0]], models)
    assert before.model_id == after.model_id
    np.testing.assert_allclose(after.inference.coordinates, other.transform(X[:1])[0])
    assert not np.allclose(before.inference.coordinates, after.inference.coordinates)
    place = Path(store.uri) / relative_path(other.checkpoint(window_end=60_000_000))
    place.unlink()  # nothing is left: what is known goes on
    time.sleep(0.02)
    (again,) = handler.run_inference([X[0]], models)
    np.testing.assert_array_equal(again.inference.coordinates, after.inference.coordinates)


def test_a_side_input_is_used_until_the_store_has_a_newer_one(store):
    handler = StreamingPCAModelHandler(store.uri, refresh_every=0.0)
    models = handler.load_model()
    models.use(StreamingPCA(4).fit(X).checkpoint(window_end=60_000_000))
    (given,) = handler.run_inference([X[0]], models)
    assert given.inference.coordinates.shape == (4,)
    store.write(StreamingPCA(3).fit(X).checkpoint(window_end=60_000_001))
    (newer,) = handler.run_inference([X[0]], models)
    assert newer.inference.coordinates.shape == (3,)


@pytest.mark.parametrize("default", [None, "a", 7])
def test_unknown_keys_have_the_model_of_the_default_key_until_they_have_their_own(store, default):
    rows = {None: X, "a": X[:40], 7: X[40:]}
    handler = StreamingPCAModelHandler(
        store.uri, keyed=True, default_key=default, refresh_every=0.01
    )
    models = handler.load_model()
    pairs = [("new", X[0]), ("a", X[1]), ("other", X[2])]
    found = dict(handler.run_inference(pairs, models))
    expected = StreamingPCA(2).fit(rows[default]).transform(X[:3])
    for key, i in (("new", 0), ("other", 2)):
        np.testing.assert_allclose(found[key].inference.coordinates, expected[i])
        assert found[key].model_id == f"window_end=60000000, sequence=0, key={default!r}"
    assert found["a"].model_id == "window_end=60000000, sequence=0"
    store.write(StreamingPCA(3).fit(X[:30]).checkpoint(key="new", window_end=120_000_000))
    time.sleep(0.02)
    found = dict(handler.run_inference(pairs, models))
    assert found["new"].inference.coordinates.shape == (3,)
    assert found["new"].model_id == "window_end=120000000, sequence=0"
    np.testing.assert_allclose(found["other"].inference.coordinates, expected[2])


def test_keys_are_not_asked_for_at_every_batch(store, monkeypatch):
    handler = StreamingPCAModelHandler(store.uri, keyed=True, default_key=None, refresh_every=1000)
    models = handler.load_model()
    list(handler.run_inference([("new", X[0])], models))
    monkeypatch.setattr(CheckpointStore, "latest", None)
    list(handler.run_inference([("new", X[1])], models))


def test_a_default_that_is_missing_is_named(store):
    handler = StreamingPCAModelHandler(store.uri, keyed=True, default_key="plant")
    with pytest.raises(ValueError, match="of key 'new' in .*, nor of default_key='plant'"):
        list(handler.run_inference([("new", X[0])], handler.load_model()))


def test_unknown_keys_in_a_pipeline(store, engine):
    def check(results):
        assert {key for key, _ in results} == {"new", "a"}
        assert len(results) == 80

    rows = [(("a", "new")[i % 2], x) for i, x in enumerate(X)]
    with engines.pipeline() as p:
        handler = StreamingPCAModelHandler(store.uri, keyed=True, default_key=None)
        assert_that(p | beam.Create(rows) | RunInference(handler), check)


def test_a_path_from_a_side_input_is_used(store, tmp_path, engine):
    path = CheckpointStore(tmp_path / "new").write(
        StreamingPCA(4).fit(X).checkpoint(window_end=180_000_000)
    )

    def check(results):
        assert [r.inference.coordinates.shape for r in results] == [(4,)] * 80

    with engines.pipeline() as p:
        update = p | "Path" >> beam.Create([ModelMetadata(path, "newer")])
        handler = StreamingPCAModelHandler(store.uri)
        found = (
            p
            | beam.Create(list(X))
            | RunInference(handler, model_metadata_pcoll=AsSingleton(update).pvalue)
        )
        assert_that(found, check)


def test_paths_of_windows_are_used_in_their_windows(store, tmp_path, engine):
    paths = [
        CheckpointStore(tmp_path / f"{p}").write(
            StreamingPCA(p).fit(X).checkpoint(window_end=180_000_000)
        )
        for p in (3, 4)
    ]
    updates = [TimestampedValue(ModelMetadata(path, path), 60 * i) for i, path in enumerate(paths)]
    rows = [TimestampedValue(x, 60 * (i % 2) + 5) for i, x in enumerate(X)]

    def check(sizes):
        assert sorted(sizes) == [3] * 40 + [4] * 40

    with engines.pipeline() as p:
        update = (
            p
            | "Paths" >> beam.Create(updates).with_output_types(ModelMetadata)
            | "PathsOfWindows" >> beam.WindowInto(FixedWindows(60))
        )
        found = (
            p
            | beam.Create(rows)
            | beam.WindowInto(FixedWindows(60))
            | RunInference(
                StreamingPCAModelHandler(store.uri),
                model_metadata_pcoll=AsSingleton(update).pvalue,
            )
            | beam.Map(lambda result: len(result.inference.coordinates))
            | "OneWindow" >> beam.WindowInto(GlobalWindows())
        )
        assert_that(found, check)


@pytest.mark.engines
@pytest.mark.xfail(
    reason="Prism has no side inputs that are triggered in the global window: Beam #31438",
    strict=True,
)
def test_paths_that_beam_watches_for_on_prism(store):
    if engines.prism_path() is None:
        pytest.skip("there is no Prism: make prism, which needs Go")
    engines.use("prism")
    try:
        p = engines.pipeline(streaming=True)
        update = p | WatchFilePattern(file_pattern=f"{store.uri}/s-*/*.parquet", interval=1)
        handler = StreamingPCAModelHandler(store.uri)
        _ = p | beam.Create(list(X)) | RunInference(handler, model_metadata_pcoll=update)
        p.run().cancel()
    finally:
        engines.use("direct")


def test_what_is_missing_is_named(store):
    handler = StreamingPCAModelHandler(store.uri, key="nobody")
    with pytest.raises(ValueError, match="no checkpoint of key 'nobody' in"):
        list(handler.run_inference([X[0]], handler.load_model()))
    with pytest.raises(ValueError, match="refresh_every=-1"):
        StreamingPCAModelHandler(store.uri, refresh_every=-1)


def broken_rows():
    """Rows whose second sensor follows the first, but for every 50th one."""
    rng = np.random.default_rng(0)
    for i in range(200):
        inlet = float(rng.normal())
        outlet = 2 * inlet + 0.01 * float(rng.normal()) + (1.0 if i % 50 == 49 else 0.0)
        yield i, beam.Row(inlet=inlet, outlet=outlet)


@pytest.mark.parametrize("threshold", [FixedThreshold(50), QuantileThreshold(0.9)])
def test_the_detector_runs_unchanged_in_anomaly_detection(threshold, engine):
    detector = PCAReconstruction(1, statistic="both", threshold_criterion=threshold)

    def check(results):
        assert len(results) == 200
        broken = {True: [], False: []}
        for _, result in results:
            (prediction,) = result.predictions
            far = result.example.outlet - 2 * result.example.inlet > 0.5
            broken[far].append((prediction.score, prediction.label))
        found = [score for score, _ in broken[True]]
        usual = [score for score, _ in broken[False] if score == score]
        assert min(found) > np.quantile(usual, 0.95)
        assert {label for _, label in broken[True]} == {1}

    with engines.pipeline() as p:
        rows = p | beam.Create([("press 4", row) for _, row in broken_rows()], reshuffle=False)
        assert_that(rows | AnomalyDetection(detector), check)


@pytest.mark.parametrize("statistic", ["both", "spe", "t2"])
def test_its_scores_are_those_of_the_monitor(statistic):
    detector = PCAReconstruction(1, statistic=statistic)
    rows = [row for _, row in broken_rows()]
    scores = []
    for row in rows:
        scores.append(detector.score_one(row))
        detector.learn_one(row)
    assert np.isnan(scores[:4]).all()
    assert np.isfinite(scores[4:]).all()
    if statistic != "t2":
        ranks = np.argsort(np.argsort(-np.array(scores[4:])))
        assert (ranks[45::50] < 10).all()  # the broken ones


@pytest.mark.parametrize("value", [None, float("nan"), "wet", 10**400, 1.8e308, -1e154, 10**200])
def test_a_row_without_numbers_has_no_score_and_teaches_nothing(value):
    detector = PCAReconstruction(1)
    for _, row in broken_rows():
        detector.learn_one(row)
    before = detector.score_one(beam.Row(inlet=1.0, outlet=2.0))
    bad = beam.Row(inlet=1.0, outlet=value)
    assert detector.score_one(bad) is None
    detector.learn_one(bad)
    assert detector.score_one(beam.Row(inlet=1.0, outlet=2.0)) == before


def test_an_unknown_statistic_is_named():
    with pytest.raises(ValueError, match="statistic='q'"):
        PCAReconstruction(1, statistic="q", _run_init=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"half_lif": 9}, "no parameter half_lif: did you mean half_life"),
        ({"quiet": True}, "no parameter quiet: there are n_components"),
        ({"features": []}, r"features=\[\] is not accepted"),
        ({"features": "oil"}, "features='oil' is not accepted"),
        ({"features": ["oil", "oil"]}, "is not accepted"),
    ],
)
def test_parameters_that_would_be_passed_over_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PCAReconstruction(1, _run_init=True, **given)


def test_features_may_be_read_once():
    assert PCAReconstruction(1, features=iter("ab"), _run_init=True)._features == ["a", "b"]
