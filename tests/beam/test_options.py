"""Every option of StreamingPCA goes through to the workers; bad ones are refused at once."""

import re

import apache_beam as beam
import engines
import numpy as np
import pytest
from apache_beam.transforms.display import DisplayData
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions
from extras import needs_torch, torch, torch_for
from streams import learn, stream, timed

from beam_pipelines import LearnComponents
from beam_pipelines.learning.parameters import plain
from streampca import StreamingPCA

X, TIMES = stream(120, 8)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02)


OPTIONS = [
    {"n_components": None},
    {"n_components": 0.8},
    {"whiten": True},
    {"batch_size": 7, "forgetting_factor": 0.95},
    {"memory": "factored"},
    {"memory": "factored", "oversample": 4},
    {"memory": "minibatch", "batch_size": 30},
    {"solver": "first_order", "random_state": 3},
    {"solver": "first_order", "random_state": np.int64(4), "optimizer": adam},
    {"center": False, "copy": False},
    {"missing": "impute", "device": "cpu"},
    {"dtype": "float32"},
    {"dtype": "float64"},
    {"scale": True},
    {"n_components": "parallel", "scale": True},
]


def test_no_option_of_the_estimator_is_left_out():
    tried = {name for options in OPTIONS for name in options}
    parameters = set(StreamingPCA().get_params())
    assert tried | {"solver"} == parameters - {"half_life"}  # one of event time: test_half_life.py


@pytest.mark.parametrize(
    "options", torch_for(OPTIONS, lambda options: "solver" in options), ids=", ".join
)
def test_an_option_gives_what_the_estimator_gives_with_it(tmp_path, options, engine):
    options = {"n_components": 3} | options
    history = learn(timed(X, TIMES), FixedWindows(60), tmp_path, **options).history()
    pca = StreamingPCA(**plain(options))
    tolerance = 1e-4 if options.get("dtype") == "float32" else 1e-7
    for checkpoint in history:
        pca.partial_fit(X[checkpoint.window_start // 10**6 : checkpoint.window_end // 10**6])
        pca.flush()
        same = pca.checkpoint()
        assert checkpoint.settings == same.settings
        assert checkpoint.moments_kind == same.moments_kind
        assert checkpoint.components.dtype == same.components.dtype
        assert checkpoint.components.shape == same.components.shape
        shapes = [{k: v.shape for k, v in c.moments.items()} for c in (checkpoint, same)]
        assert shapes[0] == shapes[1]
        np.testing.assert_allclose(checkpoint.mean, same.mean, rtol=tolerance)
        if "oversample" in options:  # merging windows leaves out other remainders than rows do
            continue
        cosines = np.abs(np.sum(checkpoint.components * same.components, axis=1))
        np.testing.assert_allclose(cosines, 1, atol=tolerance)
        Z = checkpoint.transform(X), pca.transform(X)
        np.testing.assert_allclose(np.abs(Z[0]), np.abs(Z[1]), rtol=1e-2, atol=tolerance * 100)


@needs_torch
def test_a_seed_is_the_starting_point_on_every_worker(tmp_path, engine):
    options = {"solver": "first_order", "batch_size": 16, "dtype": "float64"}
    decoders = []
    for i, seed in enumerate([5, 5, 6]):
        store = learn(
            timed(X, TIMES), GlobalWindows(), tmp_path / str(i), random_state=seed, **options
        )
        decoders.append(store.latest().decoder)
    np.testing.assert_array_equal(decoders[0], decoders[1])
    assert np.abs(decoders[0] - decoders[2]).max() > 1e-6


BAD = [
    ({"n_components": 2.5}, "n_components=2.5"),
    ({"whiten": 1}, "whiten=1"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"oversample": -1}, "oversample=-1"),
    ({"optimizer": "adam"}, "optimizer='adam'"),
    ({"solver": "sgd"}, "solver='sgd'"),
    ({"missing": "drop"}, "missing='drop'"),
    ({"dtype": "int8"}, "dtype='int8'"),
    ({"center": None}, "center=None"),
    pytest.param({"device": "mars"}, "device='mars'", marks=needs_torch),
    (
        {"n_components": 0.5, "memory": "factored"},
        "factored memory does not hold: give a",
    ),
    ({"n_components": None, "solver": "first_order"}, "n_components=None needs solver='exact'"),
    ({"n_components": 3, "features": 2}, "n_components=3 is more than the 2 features"),
    ({"n_components": 3, "features": ["a", "b"]}, "n_components=3 is more than the 2 features"),
    ({"random_state": "x"}, "random_state='x' is not accepted: it must be a whole number"),
    ({"carry": "no"}, "carry='no' is not accepted: it must be True or False"),
    ({"bad_rows": 3}, "bad_rows=3 is not accepted: it must be True or False"),
    ({"resume_from": 4}, "resume_from=4 is not accepted: give the folder or URI of a store"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=str)
def test_what_cannot_work_is_refused_when_the_pipeline_is_built(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        LearnComponents(**{"n_components": 2, **options})


@needs_torch
def test_the_device_is_that_of_the_workers(tmp_path, engine):
    if torch.cuda.is_available():
        pytest.skip("this machine has what it is to lack")
    learn_on_gpus = LearnComponents(2, device="cuda")  # built where there is no CUDA
    p = engines.pipeline()
    _ = p | beam.Create(list(X)) | learn_on_gpus
    with pytest.raises(Exception, match="device='cuda': .* finds no CUDA here"):
        p.run().wait_until_finish()


@pytest.mark.parametrize("features", [np.int64(8), tuple("abcdefgh"), np.array(list("abcdefgh"))])
def test_features_may_be_numpys(tmp_path, features, engine):
    (found,) = learn(timed(X, TIMES), GlobalWindows(), tmp_path, features=features).history()
    assert found.n_samples_seen == 120
    assert found.feature_names == (None if isinstance(features, np.int64) else tuple("abcdefgh"))


def test_sessions_are_not_dealt_out(tmp_path, engine):
    with pytest.raises(ValueError, match="hot_key_shards needs fixed, sliding or global windows"):
        learn(timed(X, TIMES), Sessions(5), tmp_path, hot_key_shards=2)


def test_a_runners_console_shows_the_options():
    transform = LearnComponents(3, memory="factored", half_life=60, features=["a", "b", "c"])
    shown = {item.key: item.value for item in DisplayData.create_from(transform).items}
    assert {
        "n_components": 3,
        "memory": "factored",
        "half_life": 60.0,
        "features": "['a', 'b', 'c']",
        "carry": True,
    }.items() <= shown.items()
