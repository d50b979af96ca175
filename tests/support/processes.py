"""What other processes are asked to do in tests: importable, so that spawned ones find it."""

import hashlib
import pickle

import numpy as np

from streampca import StreamingPCA

ROWS = np.random.default_rng(0).normal(size=(700, 10)) * np.geomspace(9, 1, 10) + 5
WIDE = np.random.default_rng(1).normal(size=(700, 150)) * np.geomspace(9, 1, 150) + 5
KINDS = {
    "dense": {"memory": "dense"},
    "dense, many features": {"memory": "dense"},  # whose sums wait
    "factored": {"memory": "factored", "batch_size": 40},
    "forgetting": {"half_life": 90.0, "whiten": True},
    "first order": {"solver": "first_order", "memory": "minibatch", "random_state": 3},
}


def rows_of(kind):
    return WIDE if kind.endswith("many features") else ROWS


def learned(kind, dtype="float64"):
    """An estimator of this kind that has learned, with rows that still wait."""
    pca, rows = StreamingPCA(3, **KINDS[kind]), rows_of(kind)
    for start in range(0, len(rows), 37):
        pca.partial_fit(rows[start : start + 37].astype(dtype))
    return pca


def like_those_of(pca):
    return ROWS if pca.n_features_in_ == ROWS.shape[1] else WIDE


def with_more(pca):
    """The estimator after some rows more."""
    return pca.partial_fit(like_those_of(pca)[:50])


def digest(pca):
    """A hash of every bit that was learned."""
    checkpoint = pca.checkpoint()
    rows = like_those_of(pca)
    found = hashlib.sha256(pca.transform(rows.astype(checkpoint.components.dtype)).tobytes())
    for name, array in sorted(checkpoint.moments.items()):
        found.update(name.encode() + array.tobytes())
    for array in (checkpoint.components, checkpoint.explained_variance, checkpoint.encoder):
        found.update(array.tobytes())
    return found.hexdigest()


def digest_of(kind, dtype):
    return digest(learned(kind, dtype))


def go_on(pickled):
    """Go on in this process with an estimator that came as bytes."""
    return digest(with_more(pickle.loads(pickled)))


def send(pca, where):
    """Learn on, and say what it has come to."""
    where.put(digest(with_more(pca)))
