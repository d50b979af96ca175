"""How many equal rows a checkpoint knows: as many as the model that it was taken of."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import IncrementalPCA

from streampca import Checkpoint, CheckpointStore, KeyedPCA, StreamingPCA
from streampca.checkpoint import from_state, of_solved, to_state
from streampca.monitor import Monitor, slim
from streampca.sklearn.given import checkpoint_of

WAYS = {
    "taken without": lambda pca, c: pca.checkpoint(moments=False),
    "left out": lambda pca, c: c.without_moments(),
    "solved": lambda pca, c: of_solved(**pca._learned(False)),
    "slim": lambda pca, c: slim(c),
    "bytes": lambda pca, c: Checkpoint.from_bytes(c.without_moments().to_bytes()),
    "file": lambda pca, c: Checkpoint.from_parquet_bytes(c.to_parquet_bytes(), moments=False),
    "state": lambda pca, c: from_state(to_state(c.without_moments())),
    "gone on from": lambda pca, c: StreamingPCA.from_checkpoint(c).checkpoint(moments=False),
}


def drawn(seed, weights):
    """Rows (m, 4) and their weights: none, whole numbers, shares, and all of a tiny unit."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 120))
    w = {
        "none": None,
        "counts": rng.integers(1, 9, m).astype(float),
        "shares": (lambda w: w / w.sum())(rng.uniform(0.01, 1, m)),
        "tiny": rng.uniform(0.5, 2, m) * 10.0 ** rng.uniform(-40, -1),
    }[weights]
    return rng, rng.normal(size=(m, 4)), w


def rows_known(w, g):
    """(sum v)^2 / sum v^2 for v = w g; copies count where weights do, but no row twice."""
    v = w * g
    rest = min((v * v).sum(), (v * g).sum())
    return min(len(v), v.sum() ** 2 / rest)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    weights=st.sampled_from(["none", "counts", "shares", "tiny"]),
    memory=st.sampled_from(["dense", "factored"]),
    half_life=st.none() | st.floats(1.0, 300.0),
    silence=st.floats(-15, 0),
    merged=st.booleans(),
    center=st.booleans(),
)
def test_limits_of_a_checkpoint_are_those_of_its_model(
    seed, weights, memory, half_life, silence, merged, center
):
    rng, X, w = drawn(seed, weights)
    m, cut = len(X), int(rng.integers(1, len(X)))
    options = {"memory": memory, "half_life": half_life, "center": center}

    def learned(some):
        return StreamingPCA(2, **options).partial_fit(
            X[some], sample_weight=None if w is None else w[some]
        )

    gamma = 1.0 if half_life is None else 0.5 ** (1 / half_life)
    g = gamma ** np.arange(m - 1.0, -1, -1)
    if merged:
        g[:cut] *= gamma ** (cut - m) * 10.0**silence
        pca = learned(slice(cut)).decay(10.0**silence).merge(learned(slice(cut, m)))
    else:
        g *= 10.0**silence
        pca = learned(slice(m)).decay(10.0**silence)
    checkpoint = pca.checkpoint()
    monitor = Monitor(checkpoint)
    expected = rows_known(np.ones(m) if w is None else w, g)
    assert monitor.n_rows == pytest.approx(expected, rel=1e-7)
    for name, way in WAYS.items():
        found = Monitor(way(pca, checkpoint))
        assert found.n_rows == pytest.approx(monitor.n_rows, rel=1e-12), name
        assert found.t2_limit(0.99) == pytest.approx(monitor.t2_limit(0.99), rel=1e-9), name


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["none", "counts", "shares", "tiny"]))
def test_keyed_models_know_it_too(seed, weights):
    _, X, w = drawn(seed, weights)
    options = {"half_life": 20.0}
    alone = StreamingPCA(2, **options).partial_fit(X, sample_weight=w)
    keyed = KeyedPCA(2, **options).partial_fit(X, ["a"] * len(X), sample_weight=w)
    (checkpoint,) = keyed.checkpoints()
    assert checkpoint.effective_rows == pytest.approx(alone.checkpoint().effective_rows, rel=1e-9)
    assert Monitor(checkpoint.without_moments()).n_rows == Monitor(checkpoint).n_rows


def test_arrays_that_become_a_model_count_for_the_rows_that_they_say():
    pca = IncrementalPCA(2).partial_fit(np.random.default_rng(0).normal(size=(50, 4)))
    made = checkpoint_of(
        pca.components_, pca.mean_, pca.explained_variance_, n_samples=50, settings={}
    )
    assert made.effective_rows == pytest.approx(50)
    assert Monitor(made.without_moments()).n_rows == pytest.approx(50)


def test_files_of_many_have_it_beside_those_of_older_ones_that_have_not(tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 4))
    new = StreamingPCA(2, half_life=5.0).fit(X).checkpoint(key="new", window_end=0)
    fields = {name: getattr(new, name) for name in new.__getstate__()}
    old = Checkpoint(**fields | {"key": "old", "effective_rows": None})
    store = CheckpointStore(tmp_path)
    store.write_many([old, new])
    assert store.latest("new") == new
    assert store.latest("old") == old
    found = [store.latest(key, moments=False) for key in ("new", "old")]
    assert [each.effective_rows for each in found] == [new.effective_rows, None]
    assert Monitor(found[0]).n_rows == Monitor(new).n_rows == Monitor(old).n_rows


@pytest.mark.parametrize("schema", [1, 2])
def test_older_files_know_it_by_their_moments_alone(schema):
    text = Path(__file__).parents[1] / "checkpoint" / "golden" / f"schema_{schema}"
    found = Checkpoint.from_parquet_bytes((text / "forgetting.parquet").read_bytes())
    assert found.effective_rows is None
    g = 0.5 ** (np.arange(found.n_samples_seen) / 40.0)
    rows = g.sum() ** 2 / (g @ g)
    assert Monitor(found).n_rows == pytest.approx(rows)
    assert Monitor(slim(found)).n_rows == pytest.approx(rows)
    assert Monitor(found.without_moments()).n_rows == found.weight  # which is not to be relied on


def test_a_spectrum_that_schema_2_left_in_flight_is_read():
    X = np.random.default_rng(0).normal(size=(50, 4))
    small = slim(StreamingPCA(2, half_life=5.0).fit(X).checkpoint())
    fields = {name: getattr(small, name) for name in small.__getstate__()}
    rows = {"n_rows": np.array(small.effective_rows)}
    moments = {"moments": small.moments | rows, "effective_rows": None}
    assert Monitor(Checkpoint(**fields | moments)).n_rows == small.effective_rows


def test_it_is_part_of_what_the_checksum_covers():
    X = np.random.default_rng(0).normal(size=(50, 4))
    batch = StreamingPCA(2).fit(X).checkpoint().to_record_batch()
    at = batch.schema.get_field_index("effective_rows")
    for value in (None, 7.0):
        column = pa.array([value], pa.float64())
        changed = batch.set_column(at, batch.schema.field(at), column)
        with pytest.raises(ValueError, match="checksum"):
            Checkpoint.from_record_batch(changed)
    with pytest.raises(ValueError, match="0 columns named 'effective_rows'"):
        Checkpoint.from_record_batch(batch.drop_columns(["effective_rows"]))
    fields = StreamingPCA(2).fit(X)._learned(False)
    with pytest.raises(ValueError, match="effective_rows must be a finite number"):
        Checkpoint(**fields | {"effective_rows": float("nan")})
