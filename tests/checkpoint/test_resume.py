"""An estimator goes on from a checkpoint that went through a file as if it had never stopped."""

import dataclasses

import numpy as np
import pytest
from extras import needs_torch, torch

from streampca import Checkpoint, StreamingPCA
from streampca.checkpoint import CheckpointStore

ROWS = np.random.default_rng(0).normal(size=(400, 12)) * np.geomspace(5, 0.1, 12) + 3
WIDE = np.random.default_rng(1).normal(size=(400, 140)) * np.geomspace(5, 0.1, 140) + 3


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parameters", [{}, {"half_life": 50.0}, {"whiten": True}])
@pytest.mark.parametrize("rows", [ROWS, WIDE], ids=["few features", "many"])
def test_resuming_gives_the_same_bits(tmp_path, memory, dtype, parameters, rows):
    rows = rows.astype(dtype)
    whole = StreamingPCA(3, memory=memory, batch_size=50, **parameters).partial_fit(rows[:230])
    store = CheckpointStore(tmp_path)
    store.write(whole.checkpoint(key="k", window_end=0))
    resumed = StreamingPCA.from_checkpoint(store.latest("k"))
    np.testing.assert_array_equal(resumed.transform(rows), whole.transform(rows))
    for estimator in (whole, resumed):
        estimator.partial_fit(rows[230:])
    assert resumed.checkpoint() == whole.checkpoint()


@pytest.mark.parametrize("whiten", [False, True])
def test_a_checkpoint_transforms_as_its_estimator_does(whiten):
    pca = StreamingPCA(3, whiten=whiten).fit(ROWS)
    checkpoint = Checkpoint.from_bytes(pca.checkpoint().to_bytes())
    np.testing.assert_array_equal(checkpoint.transform(ROWS), pca.transform(ROWS))


def test_learning_on_does_not_change_a_checkpoint():
    pca = StreamingPCA(3).partial_fit(ROWS[:100])
    checkpoint = pca.checkpoint()
    before = Checkpoint.from_bytes(checkpoint.to_bytes())
    resumed = StreamingPCA.from_checkpoint(checkpoint)
    for estimator in (pca, resumed):
        estimator.partial_fit(ROWS[100:])
        assert estimator.components_.shape == (3, 12)
    assert checkpoint == before


def test_gaps_are_filled_as_the_estimator_fills_them():
    pca = StreamingPCA(3, missing="impute").fit(ROWS)
    gaps = ROWS.copy()
    gaps[::7, 2] = np.nan
    checkpoint = Checkpoint.from_bytes(pca.checkpoint().to_bytes())
    np.testing.assert_allclose(checkpoint.transform(gaps), pca.transform(gaps), atol=1e-12)


# --- on another device, in another type -----------------------------------------------------------
#
# Two devices that every machine has: None computes with numpy, "cpu" with torch's own products.


def gone_on(saved, **where):
    return StreamingPCA.from_checkpoint(saved, **where).partial_fit(ROWS[230:])


def assert_close(one, other, tolerance):
    np.testing.assert_allclose(
        one.explained_variance_, other.explained_variance_, rtol=tolerance, atol=0
    )
    np.testing.assert_allclose(one.components_, other.components_, atol=10 * tolerance)
    np.testing.assert_allclose(one.mean_, other.mean_, rtol=tolerance)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize(("first", "then"), [(None, "cpu"), ("cpu", None)])
def test_resuming_on_another_device_gives_the_same_to_rounding(
    memory, dtype, tolerance, first, then
):
    pca = StreamingPCA(3, memory=memory, batch_size=50, device=first, dtype=dtype)
    saved = Checkpoint.from_bytes(pca.partial_fit(ROWS[:230].astype(dtype)).checkpoint().to_bytes())
    assert_close(gone_on(saved, device=then), gone_on(saved, device=first), tolerance)


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize(("first", "then"), [("float32", "float64"), ("float64", "float32")])
def test_resuming_in_another_type_gives_the_same_to_rounding(memory, first, then):
    pca = StreamingPCA(3, memory=memory, batch_size=50, dtype=first)
    saved = pca.partial_fit(ROWS[:230].astype(first)).checkpoint()
    changed = dataclasses.replace(
        saved,
        **{n: getattr(saved, n).astype(then) for n in ("components", "decoder", "encoder")},
        moments=dict(saved.moments) | {"single_precision": np.bool_(then == "float32")},
        settings=dict(saved.settings) | {"dtype": then},
    )
    resumed = gone_on(Checkpoint.from_bytes(changed.to_bytes()))
    assert resumed.components_.dtype == then
    assert_close(resumed, gone_on(saved), 1e-5)


@needs_torch
def test_a_checkpoint_from_an_accelerator_is_plain_arrays():
    """Nothing in a checkpoint says where it was computed, but the setting that says so."""
    rows = torch.as_tensor(ROWS)
    there = StreamingPCA(3, batch_size=50).partial_fit(rows[:230])
    saved = Checkpoint.from_bytes(there.checkpoint().to_bytes())
    assert all(isinstance(array, np.ndarray) for array in saved.moments.values())
    assert_close(gone_on(saved), there.partial_fit(rows[230:]), 1e-11)
