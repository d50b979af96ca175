"""A checkpoint holds together, never changes, and says what it is."""

import dataclasses
import datetime
import math

import numpy as np
import pandas as pd
import pytest
from checkpoints import make

from streampca.checkpoint import Checkpoint, Drift


def test_what_it_was_built_from_may_change_afterwards():
    mean, sigma = np.zeros(5), np.eye(5)
    checkpoint = make(mean=mean, moments={"sigma": sigma})
    mean[:] = 7
    sigma[:] = 7
    assert not checkpoint.mean.any()
    np.testing.assert_array_equal(checkpoint.moments["sigma"], np.eye(5))


def test_a_read_only_view_of_something_that_can_change_is_copied_too():
    mean = np.zeros(5)
    view = mean.view()
    view.flags.writeable = False
    checkpoint = make(mean=view)
    mean[:] = 7
    assert not checkpoint.mean.any()


@pytest.mark.parametrize("name", ["mean", "components", "decoder", "explained_variance"])
def test_arrays_cannot_be_written_to(name):
    for checkpoint in (make(), Checkpoint.from_bytes(make().to_bytes())):
        with pytest.raises(ValueError, match="read-only"):
            getattr(checkpoint, name)[...] = 0
        with pytest.raises(ValueError, match="read-only"):
            checkpoint.moments["sigma"][...] = 0


def test_fields_cannot_be_set():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().key = "other"


def test_equal_content_is_equal_and_any_difference_is_not():
    assert make() == make()
    assert hash(make()) == hash(make())
    others = [
        make(seed=1),
        make(key="a"),
        make(key=1),
        make(dtype="float32"),
        make(late=True),
        make(drift=Drift(0.1, np.ones(2))),
        make(settings={}),
        make(moments={}),
        make(feature_names=list("abcde")),
    ]
    assert all(other != make() for other in others)
    assert make(key=1) != make(key="1")
    assert make() != "checkpoint"


def test_numpy_values_become_python_s():
    checkpoint = make(
        key=np.int64(4), sequence=np.int32(2), settings={"n_components": np.int64(2), "x": (1, 2)}
    )
    assert (type(checkpoint.key), type(checkpoint.sequence)) == (int, int)
    assert checkpoint.settings == {"n_components": 2, "x": [1, 2]}


def test_times_may_be_datetimes_and_become_numbers():
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    there = datetime.timezone(datetime.timedelta(hours=1))
    end = pd.Timestamp(start + datetime.timedelta(hours=3, microseconds=1)).tz_convert(there)
    checkpoint = make(window_start=start, window_end=end)
    expected = 1_767_225_600_000_000
    assert (checkpoint.window_start, checkpoint.window_end) == (expected, expected + 10_800_000_001)
    assert (type(checkpoint.window_start), type(checkpoint.window_end)) == (int, int)
    for nowhere in (start.replace(tzinfo=None), pd.NaT):
        with pytest.raises(ValueError, match="has no time zone"):
            make(window_end=nowhere)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_end": "2026-01-01"}, "give UTC microseconds, or a datetime with a time zone"),
        ({"key": 1.5}, "key must be a str, an int or None, not 1.5"),
        ({"key": True}, "key must be a str, an int or None"),
        ({"key": b"a"}, "key must be a str"),
        ({"key": "\ud800"}, "key '.*' cannot be written as UTF-8"),
        ({"window_end": 1.0}, "window_end must be a whole number, not 1.0"),
        ({"window_end": 2**63}, "window_end must lie between"),
        ({"window_start": 2, "window_end": 1}, "window_start=2 lies after window_end=1"),
        ({"window_start": 1, "window_end": -1}, "window_start=1 lies after"),
        ({"sequence": -1}, "sequence must lie between 0"),
        ({"n_samples_seen": -1}, "n_samples_seen must lie between 0"),
        ({"weight": math.nan}, "weight must be a finite number of at least 0, not nan"),
        ({"weight": -1.0}, "weight must be a finite number of at least 0"),
        ({"total_variance": math.inf}, "total_variance must be a finite number"),
        ({"feature_names": ["a"]}, "1 feature names for 5 features"),
        ({"feature_names": list("abcda")}, "feature name 'a' stands for more than one"),
        ({"feature_names": [*"abcd", 5]}, "feature names must be text, not 5"),
        ({"feature_names": [*"abcd", "\udfff"]}, "cannot be written as UTF-8"),
        ({"mean": np.zeros(4)}, r"mean must have shape \(5,\), not \(4,\)"),
        ({"mean": [0, 0, 0, 0, math.nan]}, "mean holds NaN or infinity"),
        ({"components": np.zeros(5)}, r"components must be a \(p, n\) matrix"),
        ({"components": np.zeros((0, 5))}, r"components must be a \(p, n\) matrix"),
        ({"components": np.zeros((2, 5), int)}, "components must be float32 or float64"),
        ({"decoder": np.zeros((2, 5))}, r"decoder must have shape \(5, 2\)"),
        ({"encoder": np.full((2, 5), math.inf)}, "encoder holds NaN or infinity"),
        ({"explained_variance": [1.0]}, r"explained_variance must have shape \(2,\)"),
        ({"residuals": np.zeros(3)}, "residuals must have shape"),
        ({"drift": Drift(math.nan, np.ones(2))}, "drift.angle must be a finite number"),
        ({"drift": Drift(0.0, np.ones(3))}, "drift.cosines must have shape"),
        ({"moments": {"a": np.array(["x"])}}, "moments 'a' must hold numbers"),
        ({"moments": {"a": np.array([math.nan])}}, "moments 'a' holds NaN"),
        ({"settings": {"optimizer": print}}, "setting 'optimizer' cannot be stored as JSON"),
        ({"settings": {"half_life": math.inf}}, "setting 'half_life' cannot be stored"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_transform_is_the_product_with_the_components_about_the_mean():
    rows = np.random.default_rng(1).normal(size=(7, 5))
    checkpoint = make()
    expected = (rows - checkpoint.mean) @ checkpoint.components.T
    np.testing.assert_allclose(checkpoint.transform(rows), expected, atol=1e-12)
    whitened = make(settings={"whiten": True}).transform(rows)
    np.testing.assert_allclose(
        whitened, expected / np.sqrt(checkpoint.explained_variance), atol=1e-12
    )


def test_transform_names_the_row_and_feature_that_it_cannot_use():
    rows = np.zeros((3, 5))
    rows[2, 1] = math.nan
    with pytest.raises(ValueError, match="row 2.*'b'"):
        make(feature_names=list("abcde")).transform(rows)


def turned(angle):
    """Components e1, e2 of five features with e2 turned towards e3."""
    components = np.eye(5)[:2]
    components[1, 1:3] = math.cos(angle), math.sin(angle)
    return make(components=components)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.5, math.pi / 2])
def test_drift_is_the_angle_by_which_a_component_left_the_subspace(angle):
    drift = turned(angle).with_drift(turned(0.0)).drift
    assert drift.angle == pytest.approx(angle, abs=1e-12)
    np.testing.assert_allclose(drift.cosines, [1, math.cos(angle)], atol=1e-12)


def test_turning_within_the_subspace_moves_components_but_not_the_subspace():
    swapped = make(components=-np.eye(5)[[1, 0]])
    drift = swapped.with_drift(turned(0.0)).drift
    assert drift.angle == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(drift.cosines, [0, 0], atol=1e-12)


def test_drift_against_fewer_components_compares_those_that_both_have():
    drift = make(p=3).with_drift(make(p=2)).drift
    assert drift.cosines.shape == (2,)
    assert Checkpoint.from_bytes(make(p=3, drift=drift).to_bytes()).drift.cosines.shape == (2,)


def test_the_first_checkpoint_has_no_drift():
    assert make(drift=Drift(0.1, np.ones(2))).with_drift(None).drift is None


def test_checkpoints_of_other_features_cannot_be_compared():
    with pytest.raises(ValueError, match="their features are not the same"):
        make(n=5).with_drift(make(n=6))
    with pytest.raises(ValueError, match="their features are not the same"):
        make(feature_names=list("abcde")).with_drift(make(feature_names=list("abcdx")))


def test_without_moments_it_still_transforms():
    checkpoint = make().without_moments()
    assert (checkpoint.moments_kind, checkpoint.moments) == ("", {})
    assert checkpoint.transform(np.zeros((1, 5))).shape == (1, 2)
    assert Checkpoint.from_bytes(checkpoint.to_bytes()) == checkpoint
