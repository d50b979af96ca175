"""A checkpoint as state: all of it comes back, and what is torn or older is known."""

import numpy as np
import pytest
from checkpoints import checkpoints, make
from hypothesis import given

from streampca import StreamingPCA
from streampca.checkpoint import CheckpointError, from_state, to_state


@given(checkpoints())
def test_all_of_a_checkpoint_comes_back(checkpoint):
    assert from_state(to_state(checkpoint)) == checkpoint
    assert from_state(checkpoint.to_bytes()) == checkpoint  # as older versions wrote state


@pytest.mark.parametrize(
    "changes",
    [
        {"decoder": np.ones((5, 2))},
        {"encoder": np.ones((2, 5), "float32"), "decoder": np.ones((5, 2), "float32")},
        {"scale": np.arange(1.0, 6.0)},
        {"calibration": {"spe": np.array([[1.0, 2.0], [3.0, 4.0]])}},
        {"moments_kind": "", "moments": {}},
        {"moments": {"a/b": np.zeros((0, 3)), "c": np.array(True), "f": np.zeros((2, 3)).T}},
        {"key": 10**900},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_what_few_checkpoints_have_comes_back(changes):
    checkpoint = make(**changes)
    found = from_state(to_state(checkpoint))
    assert found == checkpoint
    assert [a.flags.f_contiguous for a in found.moments.values()] == [
        a.flags.f_contiguous for a in checkpoint.moments.values()
    ]


def test_arrays_of_what_was_read_cannot_be_written_to():
    found = from_state(to_state(make()))
    for array in (found.components, found.decoder, found.mean, *found.moments.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("options", [{}, {"memory": "factored"}, {"scale": True}], ids=str)
def test_learning_goes_on_to_the_last_bit(options):
    rows = np.random.default_rng(0).normal(size=(60, 5)) * [5, 4, 3, 2, 1]
    pca = StreamingPCA(2, **options).partial_fit(rows[:30])
    again = StreamingPCA.from_checkpoint(from_state(to_state(pca.checkpoint())))
    assert again.partial_fit(rows[30:]).checkpoint() == pca.partial_fit(rows[30:]).checkpoint()


def test_torn_and_foreign_state_is_refused():
    data = to_state(make())
    for torn in (data[:-1], data[:100], b"", b"state", data[:200] + b"x" + data[201:]):
        with pytest.raises(CheckpointError):
            from_state(torn)
