"""Regression on smooth and collinear inputs: as good a fit as rounding allows, and no nonsense."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from regression_rows import learned
from spectra import FAMILIES

COLLINEAR = (
    *("geometric", "low_rank", "moving_peaks", "chromatogram", "images", "mesh", "monomials"),
    *("equal_columns", "constant_features", "one_hot", "steps", "equal_rows", "large_feature"),
)


def fit_error(X, Y, p, share):
    """Squared error of the best model of rank p on directions above this share of the first.

    By singular values of the centred rows, features in units of their deviations: no moments.
    """
    Z, T = X - X.mean(0), Y - Y.mean(0)
    lengths = np.linalg.norm(Z, axis=0)
    Z = Z[:, lengths > 0] / lengths[lengths > 0]
    U, s, _ = np.linalg.svd(Z, full_matrices=False)
    U = U[:, s > share * s.max(initial=0.0)]
    fitted = np.linalg.svd(U.T @ T, compute_uv=False)[:p] ** 2
    return (T**2).sum() - fitted.sum(), (T**2).sum()


def rows(seed, family, n, noise):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(5, 300))
    X = FAMILIES[family](rng, m, n)
    Y = X @ rng.normal(size=(n, 4)) * n**-0.5
    return X, Y / (Y.std() or 1.0) + noise * rng.normal(size=(m, 4)), rng


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=60)
@given(
    family=st.sampled_from(COLLINEAR),
    n=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
    noise=st.sampled_from([0.0, 1e-3, 0.3]),
    p=st.integers(1, 4),
)
def test_the_fit_is_the_best_on_directions_above_rounding(dtype, family, n, seed, noise, p):
    """Moments square the condition: directions of the (standardised) inputs whose variance is above
    the rounding of the moments count, those below it are left out.

    The moments are sums of m products in the dtype of the rows: known to 8 sqrt(m) eps of the
    trace n. What a direction explains, of a share of the first's variance, is then known to
    8 sqrt(m) eps n / share. The fit must be as good as that with the directions above any share.
    """
    X, Y, rng = rows(seed, family, n, noise)
    X, Y = X.astype(dtype), Y.astype(dtype)
    size = int(rng.choice([7, 50, 300]))
    model = learned(X, Y, size, n_components=p, dtype=dtype)
    A, B, s = model.decoder_, model.encoder_, model.singular_values_
    predicted = np.asarray(model.predict(X), "float64")
    assert np.isfinite(predicted).all()
    assert np.isfinite(B).all()
    assert np.abs(A.T @ A - np.eye(p)).max() <= 1e-10
    assert (np.diff(s) <= 0).all()
    X, Y = X.astype("float64"), Y.astype("float64")
    eps = float(np.finfo(dtype).eps)
    rounding = 8 * len(X) ** 0.5 * eps * n
    found = ((Y - predicted) ** 2).sum()
    for share in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12):
        if rounding < 0.01 * share:
            best, total = fit_error(X, Y, p, share**0.5)
            assert found <= best + (4 * rounding / share + 10 * eps) * total
    total = ((Y - Y.mean(0)) ** 2).sum()
    assert (s**2).sum() <= total * (1 + 4 * rounding) + 1e-25


@pytest.mark.parametrize("width", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("n", [100, 300])
def test_concentration_from_smooth_spectra(n, width):
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, n)
    pure = np.exp(-(((grid - np.array([[0.3], [0.5], [0.6]])) / width) ** 2))
    amounts = rng.uniform(size=(200, 3))
    X = amounts @ pure
    model = learned(X, amounts, 50)
    held_out = rng.uniform(size=(50, 3))
    np.testing.assert_allclose(model.predict(held_out @ pure), held_out, atol=1e-4)
    assert model.rank_ == 3
