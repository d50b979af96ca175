"""scale=True in pipelines: the correlation of all rows so far, however they were dealt out."""

import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows
from streams import learn, stream, timed

from beam_pipelines import ProjectComponents, run
from beam_pipelines.anomaly import PCAReconstruction
from streampca import CheckpointStore, StreamingPCA
from streampca.metrics import principal_angles

UNITS = 10.0 ** np.array([-4, 3, 0, 5, -2, 1])


def assert_is_correlation(checkpoint, X):
    values, vectors = np.linalg.eigh(np.corrcoef(X.T))
    p = len(checkpoint.components)
    np.testing.assert_allclose(checkpoint.scale, X.std(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(checkpoint.explained_variance, values[::-1][:p], rtol=1e-10)
    angle = principal_angles(checkpoint.components, vectors[:, ::-1][:, :p].T).max()
    assert angle <= 1e-10 / min(np.abs(np.diff(values[::-1][: p + 1])))


@pytest.mark.parametrize("options", [{}, {"hot_key_shards": 3}, {"carry": False}], ids=str)
def test_windows_give_the_correlation_components_of_their_rows(tmp_path, options):
    X, times = stream(150)
    X = X * UNITS
    store = learn(timed(X, times), FixedWindows(50), tmp_path, scale=True, **options)
    for i, checkpoint in enumerate(store.history(), start=1):
        rows = X[50 * (i - 1) : 50 * i] if "carry" in options else X[: 50 * i]
        assert_is_correlation(checkpoint, rows)


def test_a_job_that_goes_on_gives_what_one_job_gives(tmp_path):
    X, times = stream(100)
    X = X * UNITS
    for some in (times < 50, times >= 50):
        store = learn(
            timed(X[some], times[some]),
            FixedWindows(50),
            tmp_path,
            scale=True,
            resume_from=tmp_path,
        )
    assert_is_correlation(store.latest(), X)


def test_rows_are_projected_in_units_of_the_scale():
    X, _ = stream(80)
    X = X * UNITS
    pca = StreamingPCA(2, scale=True).fit(X)
    found = []
    with beam.Pipeline("FnApiRunner") as pipeline:
        model = pipeline | "Model" >> beam.Create([(None, pca.checkpoint())])
        _ = (
            pipeline
            | beam.Create(list(X[:5]))
            | ProjectComponents(model, spe=True)
            | beam.Map(lambda keyed: json.dumps([*map(float, keyed[1].coordinates)]))
            | beam.combiners.ToList()
            | beam.Map(_same, np.sort(np.asarray(pca.transform(X[:5])), axis=0).tolist())
        )
    assert found == []


def _same(lines, wanted):
    Z = np.sort(np.array([json.loads(line) for line in lines]), axis=0)
    np.testing.assert_allclose(Z, wanted, atol=1e-9)


def test_the_job_and_the_yaml_provider_know_the_option(tmp_path):
    X, _ = stream(60)
    X = X * UNITS
    path = tmp_path / "rows.csv"
    np.savetxt(path, X, delimiter=",", header="a,b,c,d,e,f", comments="")
    flags = ["--window", "global", "--n-components", "2", "--output", str(tmp_path / "store")]
    run.main(["--input", str(path), *flags, "--scale"])
    assert_is_correlation(CheckpointStore(tmp_path / "store").latest(), X)


def test_scores_of_a_detector_do_not_depend_on_units():
    X, _ = stream(120)
    scores = []
    for units in (np.ones(6), UNITS):
        detector = PCAReconstruction(n_components=2, scale=True)
        for row in X * units:
            detector.learn_one(beam.Row(**dict(zip("abcdef", row.tolist(), strict=True))))
        last = beam.Row(**dict(zip("abcdef", (2 * X[0] * units).tolist(), strict=True)))
        scores.append(detector.score_one(last))
    assert scores[1] == pytest.approx(scores[0], rel=1e-6)
