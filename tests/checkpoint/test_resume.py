"""An estimator goes on from a checkpoint that went through a file as if it had never stopped."""

import numpy as np
import pytest

from streampca import Checkpoint, StreamingPCA
from streampca.checkpoint import CheckpointStore

ROWS = np.random.default_rng(0).normal(size=(400, 12)) * np.geomspace(5, 0.1, 12) + 3


@pytest.mark.parametrize("memory", ["dense", "factored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parameters", [{}, {"half_life": 50.0}, {"whiten": True}])
def test_resuming_gives_the_same_bits(tmp_path, memory, dtype, parameters):
    rows = ROWS.astype(dtype)
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
