"""Claims about weights, and about labels, which are none."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import IncrementalPCA

from streampca import StreamingPCA


def test_labels_are_no_weights(digits):
    labels = np.linspace(1.0, 9.0, len(digits))
    expected = StreamingPCA(3).fit(digits)
    for learned in (
        StreamingPCA(3).partial_fit(digits, labels),
        StreamingPCA(3).partial_fit(digits, y=labels),
        StreamingPCA(3).partial_fit(digits, ["a"] * len(digits)),  # whatever they are
        StreamingPCA(3).fit(digits, labels),
    ):
        assert learned.weight_ == len(digits)
        assert learned.checkpoint() == expected.checkpoint()
    np.testing.assert_array_equal(
        StreamingPCA(3).fit_transform(digits, labels), expected.transform(digits)
    )


def test_weights_are_given_third_or_by_name(digits):
    weights = np.arange(len(digits)) % 3
    expected = StreamingPCA(3).partial_fit(digits, sample_weight=weights).checkpoint()
    assert StreamingPCA(3).partial_fit(digits, None, weights).checkpoint() == expected
    assert StreamingPCA(3).fit(digits, None, weights).checkpoint() == expected


def test_takes_what_callers_of_incremental_pca_pass(digits):
    for model in (StreamingPCA, IncrementalPCA):
        pca = model(3, whiten=True, copy=False, batch_size=100)
        assert clone(pca).copy is False
        rows = digits.copy()
        pca.partial_fit(rows[:900], None, check_input=True).partial_fit(rows[900:], y=None)
        assert model is IncrementalPCA or np.array_equal(rows, digits)  # theirs centres in place
    with pytest.raises(ValueError, match="check_input is given by name"):
        StreamingPCA(3).partial_fit(digits, None, False)
    with pytest.raises(ValueError, match="row 0"):  # checked all the same
        StreamingPCA(3).partial_fit(digits * np.nan, check_input=False)
