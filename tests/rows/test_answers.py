"""What is returned or was handed in may be written to: the model shares no memory with it."""

import inspect
import pickle

import numpy as np
import pytest
from extras import torch, torch_for

from streampca import CheckpointStore, StreamingPCA, StreamingReducedRankRegression
from streampca.arrays import is_tensor
from streampca.monitor import Monitor

X = np.random.default_rng(0).normal(size=(300, 6)) * [6, 5, 4, 3, 2, 1] + 1
Y = X[:, :3] @ np.random.default_rng(1).normal(size=(3, 3))


def arrays_in(value, depth=0):
    """All arrays in a value, in tuples, lists and dictionaries too."""
    if isinstance(value, np.ndarray):
        yield value
    elif is_tensor(value):
        yield value.numpy()
    elif isinstance(value, dict) and depth < 3:
        for item in value.values():
            yield from arrays_in(item, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < 3:
        for item in value:
            yield from arrays_in(item, depth + 1)


def public_values(model, calls):
    """(name, value) of every public property and attribute, and of these methods."""
    for name in dir(model):
        if name.startswith("_"):
            continue
        found = inspect.getattr_static(type(model), name, None)
        if not callable(found):
            try:
                yield name, getattr(model, name)
            except AttributeError:
                continue
    for name, given in calls.items():
        yield name, getattr(model, name)(*given)


def overwrite(value):
    """Write to every array that can be written to; how many there were."""
    written = 0
    for array in arrays_in(value):
        if array.flags.writeable and array.dtype.kind in "fiub":
            array[...] = 7
            written += 1
    return written


def check_that_nothing_is_shared(model, calls, state):
    written = 0
    for name, value in public_values(model, calls):
        before = state(model)
        written += overwrite(value)
        assert state(model) == before, f"writing to what {name} gave has changed the model"
    return written


OPTIONS = {
    "dense": {},
    "factored": {"memory": "factored"},
    "first order": {
        "memory": "minibatch",
        "solver": "first_order",
        "random_state": 0,
        "batch_size": 64,
    },
    "whitened": {"whiten": True, "dtype": "float32"},
    "not centred": {"center": False},
    "imputing": {"missing": "impute"},
    "all": {"n_components": None},
    "forgetting": {"half_life": 100.0},
}


@pytest.mark.parametrize("name", torch_for(OPTIONS, "first order".__eq__))
def test_what_an_estimator_gives_is_not_its_memory(name):
    pca = StreamingPCA(**{"n_components": 3} | OPTIONS[name]).fit(X)
    p = pca.n_components_
    calls = {
        "transform": (X,),
        "inverse_transform": (X[:, :p],),
        "score_samples": (X,),
        "get_covariance": (),
        "get_precision": (),
        "get_feature_names_out": (),
        "get_params": (),
    }
    assert check_that_nothing_is_shared(pca, calls, lambda m: m.checkpoint().to_bytes()) >= 14
    if torch:
        tensors = {"transform": (torch.tensor(X),), "score_samples": (torch.tensor(X),)}
        check_that_nothing_is_shared(pca, tensors, lambda m: m.checkpoint().to_bytes())
    before = pca.checkpoint().to_bytes()
    overwrite(vars(pca.checkpoint()))
    assert pca.checkpoint().to_bytes() == before


def _said_by(regression):
    regression = pickle.loads(pickle.dumps(regression))
    said = regression.predict(X), regression.transform(X), regression.coef_, regression.mean_
    return b"".join(np.asarray(value).tobytes() for value in said)


def test_what_a_regression_gives_is_not_its_memory():
    for targets in (Y, Y[:, 0]):
        model = StreamingReducedRankRegression(1).fit(X, targets)
        calls = {"predict": (X,), "transform": (X,), "get_params": ()}
        assert check_that_nothing_is_shared(model, calls, _said_by) >= 10


def test_what_a_checkpoint_gives_is_not_its_memory(tmp_path):
    checkpoint = StreamingPCA(3).fit(X).checkpoint()
    check_that_nothing_is_shared(checkpoint, {"transform": (X,)}, lambda c: c.to_bytes())
    before = checkpoint.to_bytes()
    again = StreamingPCA.from_checkpoint(checkpoint)
    check_that_nothing_is_shared(again, {"transform": (X,)}, lambda m: m.checkpoint().to_bytes())
    again.partial_fit(X[::-1])
    assert again.n_samples_seen_ == 600
    assert checkpoint.to_bytes() == before
    CheckpointStore(tmp_path).write(checkpoint)
    stored = CheckpointStore(tmp_path).latest()
    check_that_nothing_is_shared(stored, {"transform": (X,)}, lambda c: c.to_bytes())


def test_what_a_monitor_gives_is_not_its_memory():
    monitor = Monitor(StreamingPCA(3).fit(X))
    monitor.calibrate(X)
    calls = dict.fromkeys(("spe", "t2", "spe_contributions", "t2_contributions"), (X,))
    check_that_nothing_is_shared(monitor, calls, lambda m: m.spe(X).tobytes() + m.t2(X).tobytes())


@pytest.mark.parametrize("name", torch_for(OPTIONS, "first order".__eq__))
@pytest.mark.parametrize("make", [np.array, np.asfortranarray, *([torch.tensor] if torch else [])])
def test_rows_are_nobody_elses_once_they_are_learned(name, make):
    options = {"n_components": 3} | OPTIONS[name]
    pca, same = StreamingPCA(**options), StreamingPCA(**options)
    for size in (300, 7, 64, 1):
        given, weights = make(X[:size].copy()), np.ones(size)
        pca.partial_fit(given, sample_weight=weights)
        given[...], weights[...] = 1e9, 1e9
        same.partial_fit(make(X[:size].copy()), sample_weight=np.ones(size))
    assert pca.checkpoint() == same.checkpoint()


def test_merging_shares_nothing():
    left, right = StreamingPCA(3).fit(X[:100]), StreamingPCA(3).fit(X[100:])
    empty = StreamingPCA(3).merge(right)
    before = right.checkpoint().to_bytes()
    left.merge(right)
    left.partial_fit(X)
    empty.partial_fit(X)
    assert right.checkpoint().to_bytes() == before
