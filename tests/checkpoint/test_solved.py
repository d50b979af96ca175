"""A checkpoint of what was just solved is the checkpoint that every check has seen."""

import numpy as np
import pytest

from streampca import Checkpoint, StreamingPCA
from streampca.checkpoint import measure_drift, of_solved
from streampca.metrics import acs, principal_angles

X = np.random.default_rng(0).normal(size=(60, 8)) * np.arange(8, 0, -1)
FRAME = {f"f{i}": X[:, i] for i in range(8)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": True},
        {"dtype": "float32"},
        {"center": False},
        {"memory": "factored", "n_components": 2},
        {"n_components": 0.9},
        {"n_components": 1},
    ],
    ids=str,
)
def test_it_is_the_same_value_and_the_same_bytes(options):
    model = StreamingPCA(**({"n_components": 3} | options)).partial_fit(X)
    where = {"key": "k", "window_start": 0, "window_end": 60, "sequence": 7}
    expected = model.checkpoint(moments=False, **where)
    found = of_solved(**model._learned(False), **where)
    assert found == expected
    assert found.to_bytes() == expected.to_bytes()
    assert Checkpoint.from_bytes(found.to_bytes()) == expected
    for name in ("mean", "components", "decoder", "encoder", "explained_variance", "residuals"):
        assert not getattr(found, name).flags.writeable
    model.partial_fit(X * 3)  # goes on, and changes nothing that was handed out
    assert model.components_.shape
    assert found == expected


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"key": 1.5}, "key must be"),
        ({"window_end": 1.5}, "window_end must be"),
        ({"feature_names": ["a", "a"]}, "2 feature names for 8"),
        ({"mean": np.full(8, np.nan)}, "mean holds NaN"),
        ({"weight": np.inf}, "weight must be"),
    ],
)
def test_what_is_wrong_is_refused_as_ever(wrong, says):
    model = StreamingPCA(2).partial_fit(X)
    with pytest.raises(ValueError, match=says):
        of_solved(**(model._learned(False) | wrong))


@pytest.mark.parametrize("p", [1, 2, 3, 5])
@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 0.3, 0.7, 0.9, 1.5])
def test_drift_is_the_largest_angle(p, angle):
    draws = np.random.default_rng(p)
    Q = np.linalg.qr(draws.normal(size=(20, 20)))[0].T
    turned = Q[:p].copy()
    turned[-1] = np.cos(angle) * Q[p - 1] + np.sin(angle) * Q[p]
    mix = np.linalg.qr(draws.normal(size=(p, p)))[0]
    A, B = Q[:p], mix @ turned
    drift = measure_drift(B, A)
    assert drift.angle == pytest.approx(angle, rel=1e-9, abs=2e-15)
    assert drift.angle == pytest.approx(principal_angles(B, A).max(), rel=1e-9, abs=2e-15)
    np.testing.assert_allclose(drift.cosines, acs(B, A).diagonal(), atol=1e-14)


@pytest.mark.parametrize("spoil", [1e-3, np.nan])
def test_drift_of_rows_that_are_not_orthonormal_is_measured_in_full(spoil):
    A = np.eye(3, 8)
    B = A + spoil
    if np.isnan(spoil):
        with pytest.raises(ValueError, match="nan"):
            measure_drift(B, A)
    else:
        assert measure_drift(B, A).angle == principal_angles(B, A).max()
