"""Claims about the rows that the regression takes and refuses, and its first-order steps."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from extras import needs_torch, torch
from regression_rows import assert_same, closed_form, learned, rows

from streampca import NotFittedError, StreamingReducedRankRegression
from streampca.learning import add_pairs, learner_of_pairs
from streampca.metrics import ordered_share

# --- input -------------------------------------------------------------------------------------


def test_frames_tensors_and_sparse_rows_learn_the_same():
    X, Y = rows()
    plain = learned(X, Y, n_components=2)
    names, targets = list("abcde"), ["u", "v", "w", "z"]
    for frame in (
        pd.DataFrame,
        lambda V, columns: pl.DataFrame(V, schema=columns),
        lambda V, columns: pa.Table.from_arrays(list(np.ascontiguousarray(V.T)), names=columns),
    ):
        fX, fY = frame(X, columns=names), frame(Y, columns=targets)
        model = StreamingReducedRankRegression(2).fit(fX, fY)
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-9)
        assert list(model.feature_names_in_) == names
        assert list(model.target_names_in_) == targets
    shuffled = pd.DataFrame(X, columns=names)[list("cadeb")]
    assert_same(model.predict(shuffled), plain.predict(X))
    assert_same(
        StreamingReducedRankRegression(2).fit(scipy.sparse.csr_array(X), Y).coef_, plain.coef_
    )
    assert_same(plain.predict(scipy.sparse.csr_array(X)), plain.predict(X))
    if torch:
        tensor = StreamingReducedRankRegression(2).fit(torch.tensor(X), torch.tensor(Y))
        assert_same(tensor.coef_, plain.coef_)
    with pytest.raises(AttributeError, match="came without names"):
        _ = plain.target_names_in_


def test_single_precision_rows_are_multiplied_in_double_and_predicted_in_single():
    X, Y = (V.astype("float32") for V in rows())
    model = learned(X, Y, n_components=2)
    A, B, _, _, _ = closed_form(X.astype(float), Y.astype(float), 2)
    assert_same(model.coef_, A @ B)
    assert model.predict(X).dtype == model.transform(X).dtype == np.float32
    short = learned(X, Y, n_components=2, dtype="float32")
    assert_same(short.coef_, A @ B, 1e-4)


X, Y = rows(m=20)
BAD = [
    (np.where(np.arange(5) == 3, np.nan, X), Y, "row 0, feature 3 is nan"),
    (X, np.where(np.arange(4) == 2, np.inf, Y), "targets Y: row 0, feature 2 is inf"),
    (X[:, :4], Y, "4 features, but 5 are expected"),
    (X, Y[:, :3], "targets Y: rows have 3 features, but 4 are expected"),
    (X[:9], Y, "X has 9 rows, but Y has 20"),
    (X, Y[:, 0], "targets Y: rows have 1 features"),
    (X[0], Y, "2-D"),
    (X, None, "Y is None"),
    (X * 1j, Y, "complex"),
    (X, scipy.sparse.csr_array(Y), "targets Y are sparse"),
    (np.full((20, 5), "a"), Y, "not a number"),
]


@pytest.mark.parametrize(("bad_X", "bad_Y", "message"), BAD)
def test_bad_rows_are_named_and_nothing_is_learned(bad_X, bad_Y, message):
    model = learned(X, Y, n_components=2)
    before = model.n_samples_seen_, model.coef_
    with pytest.raises(ValueError, match=message) as error:
        model.partial_fit(bad_X, bad_Y)
    assert "impute" not in str(error.value)
    assert model.n_samples_seen_ == before[0]
    np.testing.assert_array_equal(model.coef_, before[1])


def test_bad_weights_and_names_are_refused():
    model = learned(X, Y, n_components=2)
    for weights, message in (([-1.0] * 20, "row 0"), ([1.0] * 3, "sample_weight has shape")):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, Y, sample_weight=weights)
    frame = pd.DataFrame(X, columns=list("abcde"))
    named = StreamingReducedRankRegression().fit(frame, Y)
    with pytest.raises(ValueError, match="'f'"):
        named.predict(frame.rename(columns={"a": "f"}))
    large = X.copy()
    large[3, 1] = 1e150
    with pytest.raises(ValueError, match="row 3, feature 1"):
        model.partial_fit(large, Y, sample_weight=np.full(20, 1e10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0 is not accepted"),
        ({"n_components": 5}, "n_components=5 is more than the 4 targets"),
        ({"n_components": 0.9}, "n_components=0.9 is not accepted"),
        ({"ridge": -1.0}, "ridge=-1.0 is not accepted"),
        ({"memory": "minibatch"}, "memory='minibatch'"),
        ({"memory": "factored"}, "memory='factored' is not accepted"),
        ({"solver": "sgd"}, "solver='sgd' is not accepted"),
        ({"half_life": 3.0, "forgetting_factor": 0.9}, "give one of them"),
        pytest.param({"device": "moon"}, "not a torch device", marks=needs_torch),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_learned(options, message):
    model = StreamingReducedRankRegression(**options)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, Y)
    with pytest.raises(NotFittedError, match="has not seen any row"):
        model.predict(X)


def test_pickles_and_goes_on():
    model = StreamingReducedRankRegression(2, forgetting_factor=0.99).partial_fit(X[:13], Y[:13])
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(X[13:], Y[13:])
    np.testing.assert_array_equal(model.coef_, again.coef_)


# --- the paper's own method --------------------------------------------------------------------


def adam(rate, decay):
    def make(parameters):
        optimizer = torch.optim.Adam(parameters, lr=rate)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)

    return make


@needs_torch
@pytest.mark.parametrize(("n_in", "n"), [(6, 4), (4, 6)])
def test_first_order_finds_the_same_ordered_pairs_without_inverting(n_in, n):
    X, Y = rows(n_in, n, m=512)
    model = StreamingReducedRankRegression(
        3, solver="first_order", memory="dense", optimizer=adam(0.02, 0.9985), dtype="float64"
    )
    for _ in range(4000):
        model.partial_fit(X, Y)
    A, B, s, _, _ = closed_form(X, Y, 3)
    assert ordered_share(model.decoder_.T, A.T, 0.9999) == 1.0
    assert ordered_share(model.encoder_, B, 0.9999) == 1.0
    assert_same(model.coef_, A @ B, 1e-3)
    assert_same(model.explained_variance_, s**2 / 511, 1e-2)


@needs_torch
def test_first_order_learns_from_minibatches_alone():
    X, Y = rows(m=40_000)
    model = learned(
        X,
        Y,
        500,
        n_components=2,
        solver="first_order",
        optimizer=adam(0.02, 0.998),
        batch_size=20,
        dtype="float64",
        random_state=3,
    )
    A, B, _, _, _ = closed_form(X, Y, 2)
    assert ordered_share(model.decoder_.T, A.T, 0.99) == 1.0
    assert_same(model.coef_, A @ B, 0.1)
    assert model.predict(X[:3]).shape == (3, 4)
    assert np.isfinite(model.loss_)


@needs_torch
@pytest.mark.parametrize("solver", ["exact", "first_order"])
def test_device_tensors_and_numpy_learn_the_same(solver):
    # moments held as tensors, as on any device: "cpu" itself is numpy's
    X, Y = rows(m=600)
    models = []
    for device in (None, "cpu"):
        parameters = StreamingReducedRankRegression(
            2, solver=solver, memory="dense", forgetting_factor=0.999
        ).get_params()
        learner = learner_of_pairs(parameters, 5, 4, "float64", device)
        given_rows = (X, Y) if device is None else (torch.tensor(X), torch.tensor(Y))
        for start in range(0, 600, 90):
            piece = slice(start, start + 90)
            add_pairs(learner, *(V[piece] for V in given_rows), np.full(len(X[piece]), 2.0))
        models.append((learner.model(), given_rows[0]))
    (host, X), (device, tensor) = models
    np.testing.assert_allclose(device.coef, host.coef, rtol=1e-8, atol=1e-10)
    predicted = device.predict(tensor)
    assert isinstance(predicted, torch.Tensor)
    np.testing.assert_allclose(predicted.numpy(), host.predict(X), rtol=1e-8)
