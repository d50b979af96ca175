"""Where the order of rows matters they are learned in event-time order, as StreamingPCA would."""

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows, SlidingWindows
from extras import needs_torch, torch, torch_for
from streams import learn, run_events, stream, timed, with_late_rows

from streampca import StreamingPCA

SECOND = 1_000_000


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


OPTIONS = {
    "first order": {"solver": "first_order", "batch_size": 16},
    "with an optimizer": {"solver": "first_order", "optimizer": sgd, "batch_size": 16},
    "dense": {"solver": "first_order", "memory": "dense", "batch_size": 16},
    "forgetting": {"forgetting_factor": 0.98},
    "minibatch": {"memory": "minibatch", "batch_size": 32},
}


def assert_same(checkpoint, pca):
    assert checkpoint.n_samples_seen == pca.n_samples_seen_
    np.testing.assert_allclose(checkpoint.weight, pca.weight_)
    np.testing.assert_allclose(checkpoint.mean, pca.mean_)
    np.testing.assert_allclose(checkpoint.decoder, pca.decoder_, atol=1e-12)
    np.testing.assert_allclose(checkpoint.encoder, pca.encoder_, atol=1e-12)
    np.testing.assert_allclose(checkpoint.explained_variance, pca.explained_variance_)


@pytest.mark.parametrize("which", torch_for(OPTIONS, lambda which: "solver" in OPTIONS[which]))
def test_shuffled_rows_are_learned_as_if_they_came_in_order(tmp_path, which, engine):
    X, times = stream(200)
    options = OPTIONS[which]
    history = learn(timed(X, times), FixedWindows(50), tmp_path, **options).history()
    pca = StreamingPCA(3, **options)
    assert len(history) == 4
    for checkpoint in history:
        start, stop = checkpoint.window_start // SECOND, checkpoint.window_end // SECOND
        assert_same(checkpoint, pca.partial_fit(X[start:stop]).flush())


@needs_torch
def test_gradient_descent_gets_there(tmp_path, engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12000, 4)) * [8.0, 4.0, 2.0, 0.5]
    options = {"solver": "first_order", "optimizer": sgd, "batch_size": 10, "n_components": 2}
    rows = timed(np.split(X, 30), np.arange(30))
    last = learn(rows, FixedWindows(10), tmp_path, **options).latest()
    assert last.moments_kind == "minibatch"
    np.testing.assert_allclose(np.abs(last.components), np.eye(2, 4), atol=0.05)


@needs_torch
def test_a_key_goes_on_descending_where_another_job_stopped(tmp_path, engine):
    X, times = stream(200)
    options = OPTIONS["with an optimizer"]
    whole = learn(timed(X, times), FixedWindows(50), tmp_path / "whole", **options).latest()
    learn(timed(X[:100], times[:100]), FixedWindows(50), tmp_path / "parts", **options)
    options = options | {"resume_from": tmp_path / "parts"}
    rest = timed(X[100:], times[100:])
    last = learn(rest, FixedWindows(50), tmp_path / "parts", **options).latest()
    np.testing.assert_allclose(last.decoder, whole.decoder, atol=1e-12)
    assert last.n_samples_seen == 200


def test_rows_of_sliding_windows_are_learned_once(tmp_path, engine):
    X, times = stream(200)
    windows = SlidingWindows(100, 50)
    last = learn(timed(X, times), windows, tmp_path, **OPTIONS["forgetting"]).latest()
    assert_same(last, StreamingPCA(3, **OPTIONS["forgetting"]).partial_fit(X))


def test_gaps_are_filled_by_the_components_so_far(tmp_path, engine):
    X, times = stream(200)
    X[::7, 2] = np.nan
    names = list("abcdef")
    rows = [{k: v for k, v in zip(names, x, strict=True) if v == v} for x in X]
    options = {"missing": "impute", "features": names}
    last = learn(timed(rows, times), FixedWindows(50), tmp_path, **options).latest()
    pca = StreamingPCA(3, missing="impute")
    for start in range(0, 200, 50):
        pca.partial_fit(X[start : start + 50]).flush()
    np.testing.assert_allclose(last.mean, pca.mean_)
    np.testing.assert_allclose(last.explained_variance, pca.explained_variance_)


@needs_torch
def test_late_rows_descend_late(tmp_path, engine):
    _, events = with_late_rows()
    store = run_events(events, tmp_path, FixedWindows(30), half_life=30, **OPTIONS["first order"])
    again = max((c for c in store.history() if c.late), key=lambda c: c.sequence)
    assert again.n_samples_seen in (60, 90)
    np.testing.assert_allclose(store.at(90 * SECOND).n_samples_seen, 90)
    last = max(store.history(), key=lambda c: c.sequence)
    np.testing.assert_allclose(last.weight, 30 / 4 + 30 / 2 + 30)
