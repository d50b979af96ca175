"""Checkpoints for tests: small, valid, and different wherever asked."""

import numpy as np
from hypothesis import strategies as st

from streampca.checkpoint import Checkpoint, Drift

MINUTE = 60_000_000


def make(n=5, p=2, dtype="float64", seed=0, **changes):
    """A valid checkpoint of n features and p components."""
    rng = np.random.default_rng(seed)
    components = np.linalg.qr(rng.normal(size=(n, p)))[0].T.astype(dtype)
    variance = np.sort(rng.uniform(1, 2, p))[::-1]
    fields = {
        "n_samples_seen": 100,
        "weight": 100.0,
        "mean": rng.normal(size=n),
        "components": components,
        "explained_variance": variance,
        "explained_variance_ratio": variance / (2 * variance.sum()),
        "total_variance": float(2 * variance.sum()),
        "decoder": components.T,
        "encoder": components,
        "residuals": np.zeros(p),
        "moments_kind": "dense",
        "moments": {"sigma": rng.normal(size=(n, n)), "weight": np.float64(100)},
        "settings": {"n_components": p, "whiten": False},
    }
    return Checkpoint(**(fields | changes))


CHECKPOINT = make(
    key="press 4",
    window_start=0,
    window_end=MINUTE,
    feature_names=["temp", "flow", "pressure", "speed", "naïve"],
)

KEYS = st.none() | st.integers() | st.text(max_size=200)
TIMES = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)


@st.composite
def checkpoints(draw):
    """Any checkpoint that is allowed."""
    n = draw(st.integers(1, 6))
    p = draw(st.integers(1, n))
    ends = sorted(draw(st.tuples(TIMES, TIMES)), key=lambda time: (time is not None, time or 0))
    names = st.lists(st.text(), min_size=n, max_size=n, unique=True).map(tuple)
    return make(
        n,
        p,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        seed=draw(st.integers(0, 99)),
        key=draw(KEYS),
        window_start=ends[0],
        window_end=ends[1],
        sequence=draw(st.integers(0, 2**63 - 1)),
        n_samples_seen=draw(st.integers(0, 2**63 - 1)),
        weight=draw(st.floats(0, allow_infinity=False)),
        feature_names=draw(st.none() | names),
        drift=draw(st.none() | st.just(Drift(0.25, np.linspace(0, 1, p)))),
        late=draw(st.booleans()),
        settings=draw(
            st.dictionaries(
                st.text(),
                st.none()
                | st.booleans()
                | st.text()
                | st.floats(allow_nan=False, allow_infinity=False),
            )
        ),
    )
