"""Rows with time lags: the same however they come, and what dynamic PCA wants of them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from extras import needs_torch

from streampca import StreamingPCA
from streampca.monitor import Lags, Monitor, Watch

RNG = np.random.default_rng(0)


def by_hand(X, lags):
    """Row t is [x(t), x(t-1), ...], by its definition."""
    return np.array(
        [np.concatenate([X[t - i] for i in range(lags + 1)]) for t in range(lags, len(X))]
    ).reshape(-1, X.shape[1] * (lags + 1))


@pytest.mark.parametrize("lags", [1, 2, 5])
@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 3], [0, 0, 17], list(range(1, 30)), [29]])
def test_rows_are_the_same_however_they_come(lags, cuts):
    X = RNG.normal(size=(30, 3))
    X[RNG.random(X.shape) < 0.1] = np.nan
    lagged = Lags(lags)
    found = np.concatenate([lagged.transform(part) for part in np.split(X, cuts)])
    np.testing.assert_array_equal(found, by_hand(X, lags))


def test_what_is_kept_is_no_view_of_what_was_given():
    X = RNG.normal(size=(4, 2))
    lagged, given = Lags(2), X[:2].copy()
    lagged.transform(given)
    given[:] = 0
    np.testing.assert_array_equal(lagged.transform(X[2:]), by_hand(X, 2))


KINDS = [
    lambda X: pd.DataFrame(X, columns=["oil", "air"]),
    lambda X: pa.table({"oil": X[:, 0], "air": X[:, 1]}),
    lambda X: pytest.importorskip("polars").DataFrame({"oil": X[:, 0], "air": X[:, 1]}),
]


@pytest.mark.parametrize("frame", KINDS)
def test_frames_keep_their_kind_and_name_lags(frame):
    X = RNG.normal(size=(9, 2))
    given = frame(X)
    found = Lags(1).transform(given)
    assert type(found) is type(given)
    if isinstance(found, pd.DataFrame):
        assert found.index.tolist() == list(range(1, 9))
        columns = list(found.columns)
    else:
        columns = list(getattr(found, "column_names", None) or found.columns)
    assert columns == ["oil", "air", "oil (t-1)", "air (t-1)"]
    pca = StreamingPCA(2).fit(found)
    assert list(pca.feature_names_in_) == columns
    np.testing.assert_allclose(pca.mean_, by_hand(X, 1).mean(axis=0))


def test_columns_are_matched_by_name_after_the_first():
    X = RNG.normal(size=(6, 2))
    lagged = Lags(1)
    lagged.transform(pd.DataFrame(X[:3], columns=["oil", "air"]))
    other = pd.DataFrame(X[3:], columns=["oil", "air"])[["air", "oil"]]
    np.testing.assert_array_equal(lagged.transform(other).to_numpy(), by_hand(X, 1)[2:])


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ([[1.0, 2.0, 3.0]], "3 features, but 2 are expected"),
        ([[1.0, np.inf]], "row 0, feature 1"),
        ([[1.0, "wet"]], "row 0, feature 1"),
    ],
)
def test_what_cannot_be_used_is_named_and_changes_nothing(bad, named):
    X = RNG.normal(size=(6, 2))
    lagged = Lags(2)
    lagged.transform(X[:3])
    with pytest.raises(ValueError, match=named):
        lagged.transform(bad)
    np.testing.assert_array_equal(lagged.transform(X[3:]), by_hand(X, 2)[1:])


@pytest.mark.parametrize("lags", [0, -1, 1.5, True, "2", None])
def test_lags_that_are_none_are_refused(lags):
    with pytest.raises(ValueError, match=r"lags=.* is not accepted"):
        Lags(lags)


def test_no_rows_change_nothing_and_reset_forgets():
    X = RNG.normal(size=(5, 2))
    lagged = Lags(1)
    assert lagged.transform(np.empty((0, 2))).shape == (0, 4)
    assert lagged.transform(X[:1]).shape == (0, 4)
    assert lagged.transform(np.empty((0, 2))).shape == (0, 4)
    np.testing.assert_array_equal(lagged.transform(X[1:2]), by_hand(X[:2], 1))
    lagged.reset()
    assert lagged.transform(np.ones((1, 7))).shape == (0, 14)


def test_sparse_rows_come_out_dense():
    X = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = Lags(1).transform(scipy.sparse.csr_array(X))
    np.testing.assert_array_equal(found, by_hand(X, 1))


@needs_torch
def test_tensors_are_read():
    import torch

    X = RNG.normal(size=(5, 2))
    np.testing.assert_array_equal(Lags(2).transform(torch.from_numpy(X)), by_hand(X, 2))


def test_dynamic_pca_sees_a_sensor_that_stops_following_the_one_before():
    """A valve that answers a step late: rows by themselves show nothing of it, lags do."""
    cause = RNG.normal(size=4001)
    rows = np.column_stack([cause[1:], cause[:-1]]) + 0.1 * RNG.normal(size=(4000, 2))
    broken = rows[3000:].copy()
    broken[:, 1] = RNG.permutation(broken[:, 1])  # the same values, at other times
    static = Monitor(StreamingPCA(1).fit(rows[:3000]))
    assert (static.spe(broken) > static.spe_limit(0.99)).mean() < 0.05
    lagged = Lags(1)
    dynamic = Monitor(StreamingPCA(n_components=3).fit(lagged.transform(rows[:3000])))
    assert (dynamic.spe(lagged.transform(broken)) > dynamic.spe_limit(0.99)).mean() > 0.5


def test_events_name_sensors_with_their_lags():
    cause = RNG.normal(size=1001)
    rows = np.column_stack([cause[1:], cause[:-1]]) + 0.1 * RNG.normal(size=(1000, 2))
    frame = pd.DataFrame(rows, columns=["pump", "valve"])
    lagged = Lags(1)
    watch = Watch(StreamingPCA(3).fit(lagged.transform(frame[:900])), "k=2, n=3")
    new = frame[900:].copy()
    new.iloc[50:60, 1] += 4
    (event,) = [event for event in watch.add(lagged.transform(new)) if event.is_over]
    assert event.start == 50
    assert set(event.sensors[:2]) <= {"valve", "pump (t-1)"}
