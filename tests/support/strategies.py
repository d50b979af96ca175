"""Hypothesis strategies for data: shapes, scales, degenerate rows and features, splits.

Values come from a drawn seed, not element by element: shrinking then finds the small shape or the
one degeneracy that matters, and examples stay cheap.
"""

import numpy as np
from hypothesis import strategies as st

SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)
"""Units of the whole data. Squares of all of them are far from the ends of float32."""

seeds = st.integers(0, 2**16)
scales = st.sampled_from(SCALES)


@st.composite
def widths(draw, max_features=12):
    """n features and p components, 1 <= p <= n."""
    n = draw(st.integers(1, max_features))
    return n, draw(st.integers(1, n))


@st.composite
def data_matrices(draw, max_rows=40, max_features=12, min_rows=1, degenerate=True):
    """Rows (m, n) in float64, decaying spectrum, off-centre, in drawn units; maybe degenerate."""
    m = draw(st.integers(min_rows, max_rows))
    n = draw(st.integers(1, max_features))
    rng = np.random.default_rng(draw(seeds))
    X = rng.normal(size=(m, n)) / np.arange(1, n + 1) @ np.linalg.qr(rng.normal(size=(n, n)))[0]
    kinds = ("plain", "constant feature", "equal features", "equal rows", "rank one")
    kind = draw(st.sampled_from(kinds if degenerate else kinds[:1]))
    if kind == "constant feature":
        X[:, draw(st.integers(0, n - 1))] = 0.0
    elif kind == "equal features":
        X[:, -1] = X[:, 0]
    elif kind == "equal rows":
        X[:] = X[0]
    elif kind == "rank one":
        X = np.outer(X[:, 0], X[0])
    return (X + rng.normal(size=n)) * draw(scales)


@st.composite
def orthonormal_rows(draw, max_features=12):
    """Directions (p, n), 1 <= p <= n."""
    n, p = draw(widths(max_features))
    rng = np.random.default_rng(draw(seeds))
    return np.linalg.qr(rng.normal(size=(n, p)))[0].T


@st.composite
def splits(draw, X, max_pieces=6):
    """X in consecutive pieces of any sizes, none empty."""
    cuts = draw(st.sets(st.integers(1, max(1, len(X) - 1)), max_size=max_pieces - 1))
    return [piece for piece in np.split(X, sorted(cuts)) if len(piece)]
