"""Right on every kind of row: families of spectra in any pieces, held against float64 numpy.

Thousands more, by `python -m fuzz streams` (make fuzz). A stream that is wrong is one seed.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spectra import FAMILIES, SMOOTH
from spectral_run import run
from spectral_streams import DTYPES, MEMORIES, stream

seeds = st.integers(0, 2**32 - 1)


def assert_right(made, use=False):
    outcome = run(made)
    wrong = outcome.misused if use else outcome.wrong
    assert not wrong, "\n    ".join([str(made), *wrong])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory", MEMORIES)
@settings(max_examples=40)
@given(family=st.sampled_from(sorted(FAMILIES)), seed=seeds)
def test_streams_of_all_families_are_batch_pca(memory, dtype, family, seed):
    assert_right(stream(seed, family=family, memory=memory, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40)
@given(family=st.sampled_from(SMOOTH), n=st.integers(200, 600), seed=seeds)
def test_smooth_rows_with_factored_memory(dtype, family, n, seed):
    assert_right(stream(seed, family=family, n=n, memory="factored", dtype=dtype))


@settings(max_examples=100)
@given(family=st.sampled_from(sorted(FAMILIES)), n=st.integers(1, 40), seed=seeds)
def test_what_is_made_of_components_is_what_they_say(family, n, seed):
    assert_right(stream(seed, family=family, n=n), use=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_once(family, memory, dtype):
    seed = sorted(FAMILIES).index(family)
    plain = {"given": "array", "weights": "none", "place": "as they are", "parts": 1}
    assert_right(stream(seed, family=family, memory=memory, dtype=dtype, m=150, n=90, **plain))


def test_a_stream_is_its_seed():
    one, two = stream(7), stream(7)
    assert str(one) == str(two)
    np.testing.assert_array_equal(one.X, two.X)
