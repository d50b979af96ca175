"""Rows on a device that cannot be used: found late, left out alone, named."""

import copy
import pickle

import numpy as np
import pytest
import torch

from streampca import StreamingPCA

N, M = 30, 200


def rows(count):
    X = np.random.default_rng(0).normal(size=(count, N)) * np.arange(N, 0, -1) + 1.0
    return X.astype("float32")


def there(X, device):
    return torch.from_numpy(X).to(device)


def started(device, X, **options):
    pca = StreamingPCA(3, device=device, batch_size=M, memory="dense", **options)
    return pca.partial_fit(there(X[:M], device))


def fit_without(X, bad, **options):
    return StreamingPCA(3, batch_size=M, memory="dense", dtype="float64", **options).fit(
        np.delete(X, bad, axis=0)
    )


def same(pca, host):
    np.testing.assert_allclose(pca.explained_variance_, host.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(pca.mean_, host.mean_, rtol=1e-4, atol=1e-4)
    assert pca.n_samples_seen_ == host.n_samples_seen_
    assert pca.weight_ == host.weight_


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_bad_row_is_named_and_nothing_else_is_lost(value, pinned, device, simulation):
    X = rows(6 * M)
    pca = started(device, X)
    X[2 * M + 17, 5] = value
    said = {}
    for start in range(M, 6 * M, M):
        piece = torch.from_numpy(X[start : start + M].copy())
        piece = piece.pin_memory() if pinned else piece.to(device)
        try:
            pca.partial_fit(piece)
        except ValueError as error:
            said[start] = str(error)
            pca.partial_fit(piece)
        piece.fill_(0.0)
    ((start, sentence),) = said.items()
    assert start in (3 * M, 4 * M)
    assert f"row 17, feature 5 is {value}" in sentence
    assert "none has been taken: give them again" in sentence
    same(pca, fit_without(X, 2 * M + 17))


def test_reading_says_it_once(device, simulation):
    X = rows(3 * M)
    pca = started(device, X)
    X[M + 3, 4] = np.nan
    pca.partial_fit(there(X[M : M + 40], device))
    with pytest.raises(ValueError, match=r"row 3, feature 4 is nan.*This row had to be left out"):
        _ = pca.components_
    pca.partial_fit(there(X[M + 40 :], device))
    same(pca, fit_without(X, M + 3))


def test_the_row_is_that_of_its_call(device, simulation):
    X = rows(3 * M)
    pca = started(device, X)
    X[M + 60, 4] = np.nan
    X[M + 70, 4] = np.inf
    for start in range(M, M + 100, 25):
        pca.partial_fit(there(X[start : start + 25], device))
    with pytest.raises(
        ValueError,
        match=r"row 10, feature 4 is nan.*\(in the call of partial_fit 1 before the last one\)"
        r".*This row and 1 more",
    ):
        pca.flush()
    same(pca, fit_without(X[: M + 100], [M + 60, M + 70]))


def test_feature_names_of_earlier_frames_are_used(device, simulation):
    pa = pytest.importorskip("pyarrow")
    X = rows(2 * M)[:, :2].copy()
    pca = StreamingPCA(1, device=device, batch_size=M, memory="dense")
    pca.partial_fit(pa.table({"speed": X[:M, 0], "temp": X[:M, 1]}))
    X[M + 1, 1] = np.nan
    pca.partial_fit(there(X[M:], device))
    with pytest.raises(ValueError, match="row 1, feature 'temp' is nan"):
        pca.flush()


def test_rows_that_are_all_bad_leave_the_model_as_it_was(device, simulation):
    X = rows(M)
    pca = started(device, X)
    before = pca.explained_variance_.copy()
    pca.partial_fit(there(np.full_like(X, np.nan), device))
    with pytest.raises(ValueError, match=f"row 0, feature 0 is nan.*and {M - 1} more"):
        pca.flush()
    np.testing.assert_array_equal(pca.explained_variance_, before)
    assert pca.n_samples_seen_ == M


@pytest.mark.parametrize("scale", [1e22, 1e-22])
def test_rows_outside_float32_squares_are_summed_in_float64(scale, device, simulation):
    X = rows(4 * M) - 1.0
    small = (X.astype("float64") * scale).astype("float32")
    pca = started(device, small)
    pca.partial_fit(there(small[M:], device))
    host = StreamingPCA(3, memory="dense").fit(small)
    np.testing.assert_allclose(pca.explained_variance_, host.explained_variance_, rtol=1e-4)


def test_entries_beyond_what_sums_hold_are_left_out(device, simulation):
    X = rows(2 * M).astype("float64")
    pca = started(device, X)
    X[M + 9, 2] = 1e160
    pca.partial_fit(there(X[M:], device))
    with pytest.raises(ValueError, match="row 9, feature 2 is 1e.160: entries above 1e.151"):
        pca.flush()
    same(pca, fit_without(X, M + 9))


def test_weights_make_entries_larger(device, simulation):
    X = rows(2 * M).astype("float64")
    pca = started(device, X)
    X[M + 9, 2] = 1e150
    weights = np.ones(M)
    weights[[9, 10]] = 1e6
    pca.partial_fit(there(X[M:], device), sample_weight=weights)
    with pytest.raises(ValueError, match="row 9, feature 2"):
        pca.flush()
    assert pca.weight_ == pytest.approx(2 * M - 2 + 1e6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_hold_the_rows_that_wait(copied, device, simulation):
    X = rows(5 * M)
    pca = started(device, X)
    X[2 * M + 3, 4] = np.nan
    pca.partial_fit(there(X[M : 2 * M], device))
    pca.partial_fit(there(X[2 * M : 2 * M + 50], device))
    pca.partial_fit(X[2 * M + 50 : 2 * M + 60])
    other = copied(pca)
    for each in (other, pca):
        with pytest.raises(ValueError, match="row 3, feature 4 is nan"):
            each.flush()
        same(each, fit_without(X[: 2 * M + 60], 2 * M + 3))


def test_a_checkpoint_waits_for_what_is_found(device, simulation):
    X = rows(2 * M)
    pca = started(device, X)
    X[M + 3, 4] = np.nan
    pca.partial_fit(there(X[M:], device))
    with pytest.raises(ValueError, match="row 3, feature 4 is nan"):
        pca.checkpoint()
    resumed = StreamingPCA.from_checkpoint(pca.checkpoint(), device=device)
    same(resumed, fit_without(X, M + 3))
