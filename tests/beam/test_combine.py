"""Moments of a window do not depend on how a runner splits, orders and merges its rows."""

import apache_beam as beam
import cloudpickle
import engines
import numpy as np
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st
from oracle import batch_pca

from beam_pipelines import LearnComponents, MomentsFn
from beam_pipelines.learning import RowsOrMomentsFn
from beam_pipelines.learning.pending import Pending
from beam_pipelines.learning.running import Learning, Running, Standing
from beam_pipelines.rows import Place
from beam_pipelines.rows.coders import BlockCoder, moments_from_bytes, n_samples_of
from beam_pipelines.rows.elements import Block
from streampca import StreamingPCA
from streampca.wire.arrays import WireError, encode

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5)) * [9, 5, 3, 2, 1] + 7


def check(data, X):
    moments, _ = moments_from_bytes(data)
    mean, _, _, total = batch_pca(X, 1)
    assert moments.n_samples == len(X)
    np.testing.assert_allclose(moments.mean, mean)
    np.testing.assert_allclose(moments.total_variance, total)
    np.testing.assert_allclose(moments @ np.eye(5), np.cov(X.T), atol=1e-10)


@given(st.permutations(range(6)), st.lists(st.integers(0, 300), min_size=5, max_size=5))
def test_the_order_of_merging_does_not_matter(order, cuts):
    fn = MomentsFn(n_components=2)
    parts = []
    for rows in np.split(X, sorted(cuts)):
        part = fn.create_accumulator()
        for row in rows:
            part = fn.add_input(part, row)
        parts.append(part)
    merged = fn.merge_accumulators([parts[i] for i in order])
    check(fn.extract_output(merged), X)


def test_accumulators_cross_workers_half_way():
    fn = MomentsFn(n_components=2)
    coder = fn.get_accumulator_coder()
    assert coder.is_deterministic()
    accumulator = coder.decode(coder.encode(fn.create_accumulator()))
    for row in X:
        accumulator = fn.add_input(accumulator, row)
        if len(accumulator.blocks) == 17:
            accumulator = coder.decode(coder.encode(accumulator))
    check(fn.extract_output(accumulator), X)


@pytest.mark.parametrize("m", [1, 6, 24, 25, 60])
def test_few_rows_cross_workers_as_rows(m):
    X = np.random.default_rng(0).normal(size=(m, 50)) + 3
    fn = MomentsFn(n_components=3, dtype="float64")
    parts = [fn.add_input(fn.create_accumulator(), x) for x in X]
    coder = fn.get_accumulator_coder()
    merged = fn.merge_accumulators([coder.decode(coder.encode(part)) for part in parts])
    data = fn.extract_output(merged)
    moments, _ = moments_from_bytes(data)
    assert ("factor" in moments.state()) == (2 * m < 50)
    assert len(data) < 8 * 50 * (m if 2 * m < 50 else 50) + 3500
    np.testing.assert_allclose(moments.mean, X.mean(0))
    np.testing.assert_allclose(moments.scatter, np.cov(X.T, ddof=0) * m, atol=1e-12 * m)


@pytest.mark.parametrize("m", [1, 6, 24, 25, 60, 200])
@pytest.mark.parametrize("place", [False, True])
def test_in_a_job_few_rows_stay_rows_wherever_bundles_end(m, place):
    X = np.random.default_rng(0).normal(size=(m, 50))
    fn, coder = RowsOrMomentsFn(n_components=3), MomentsFn(n_components=3).get_accumulator_coder()
    cut, draws = np.array_split(X, 4), np.random.default_rng(1)
    blocks = [Block(None, x, Place(0, 0, 0, i) if place else None) for i, x in enumerate(cut)]
    found = set()
    for _ in range(5):
        blocks = [blocks[i] for i in draws.permutation(4)]
        parts = [fn.add_input(fn.create_accumulator(), b) for b in blocks if len(b.values)]
        parts = [coder.decode(coder.encode(p)) if draws.random() < 0.5 else p for p in parts]
        found.add(fn.extract_output(fn.compact(fn.merge_accumulators(parts))))
        data = max(found)
        assert n_samples_of(data) == m
        if 2 * m < 50:
            rows = Block.from_bytes(data).values
            np.testing.assert_array_equal(rows[np.lexsort(rows.T)], X[np.lexsort(X.T)])
            assert not place or (rows == X).all()
        else:
            moments, _ = moments_from_bytes(data)
            np.testing.assert_allclose(moments.scatter, np.cov(X.T, ddof=0) * m, atol=1e-11 * m)
    assert len(found) == 1 or not place


def test_no_rows_are_no_bytes():
    fn = MomentsFn(n_components=2)
    merged = fn.merge_accumulators([fn.create_accumulator(), fn.create_accumulator()])
    assert fn.extract_output(merged) == b""


def test_it_combines_by_itself_in_a_pipeline(engine):
    with engines.pipeline() as p:
        moments = p | beam.Create(list(X)) | beam.CombineGlobally(MomentsFn(n_components=2))

        def same(found):
            (data,) = found
            check(data, X)

        assert_that(moments, same)


def test_it_travels_to_workers():
    fn = cloudpickle.loads(cloudpickle.dumps(MomentsFn(n_components=2, features=["a"])))
    assert fn.add_input(fn.create_accumulator(), {"a": 1.0}).names == ("a",)


def test_other_bytes_are_refused():
    with pytest.raises(WireError, match="Expected moments"):
        moments_from_bytes(encode("something", {}, {}))
    data = MomentsFn(n_components=1)
    whole = data.extract_output(data.add_input(data.create_accumulator(), X[0]))
    with pytest.raises(WireError, match="Torn"):
        moments_from_bytes(whole[:-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0"),
        ({"memory": "large"}, "memory='large'"),
        (
            {"n_components": 2, "memory": "minibatch", "carry": False},
            "memory='minibatch' needs carry=True",
        ),
        (
            {"n_components": 2, "solver": "first_order", "carry": False},
            "solver='first_order' needs carry=True",
        ),
        ({"missing": "impute", "hot_key_shards": 2}, "hot_key_shards must be 1"),
        ({"forgetting_factor": 2.0}, "forgetting_factor=2.0"),
        ({"hot_key_shards": 0}, "hot_key_shards must be a whole number"),
        ({"half_life": 0}, "half_life=0 is not accepted: give seconds above 0"),
        ({"half_life": "1h"}, "half_life='1h' is not accepted"),
        ({"half_life": 60, "carry": False}, "half_life needs carry=True"),
        ({"early_every": -1}, "early_every=-1"),
        ({"idle_timeout": float("nan")}, "idle_timeout=nan"),
        ({"features": "air"}, "features='air'"),
        ({"features": []}, "at least one"),
        ({"features": ["a", "a"]}, "once"),
        ({"features": 0}, "features=0"),
    ],
)
def test_options_are_checked_when_the_pipeline_is_built(options, message):
    with pytest.raises(ValueError, match=message):
        LearnComponents(**options)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="n_component"):
        LearnComponents(n_component=3)


@pytest.mark.parametrize("first", [0, 1])
def test_wide_rows_are_kept_in_one_kind_of_memory_on_every_way(first):
    """Not dense where an estimator alone would be: each key and window has a state of its own."""
    X = np.random.default_rng(0).normal(size=(20, 1100))
    options = {"n_components": 20}
    assert StreamingPCA(20).partial_fit(X).memory_ == "dense"
    fn = MomentsFn(**options)
    accumulator = fn.create_accumulator()
    for row in X[:10]:
        accumulator = fn.add_input(accumulator, row)
    moments = fn.extract_output(accumulator)
    assert moments_from_bytes(moments)[0].kind == "factored"
    data = [moments, BlockCoder().encode(Block(None, X[10:]))]
    state = Standing()
    for i in (first, 1 - first):
        minute = 60_000_000
        last = (i != first) * minute + minute
        run = Running("press 4", Learning(options), state)
        checkpoint = run.close([Pending(last - 1, last - minute, minute, 0, 0, data[i])])
        assert checkpoint.moments_kind == "factored"
        assert checkpoint.settings["memory"] == "auto"
        state = run.standing
    assert checkpoint.n_samples_seen == 20
