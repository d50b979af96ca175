"""What travels and waits is as large as is said, and a pipeline that is too large says so."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from beam_pipelines import LearnComponents, MomentsFn, SizeWarning
from beam_pipelines.learning import sizes
from beam_pipelines.learning.parameters import check
from streampca import StreamingPCA

CASES = [
    (n, {"n_components": p, "memory": memory, "dtype": dtype})
    for n in (50, 300, 1000)
    for p in (2, 10)
    for memory in ("dense", "factored")
    for dtype in (None, "float32")
]


@pytest.mark.parametrize(("n", "options"), CASES)
def test_moments_and_models_are_as_large_as_is_said(n, options):
    X = np.random.default_rng(0).normal(size=(max(200, n), n))
    fn = MomentsFn(**options)
    element = len(fn.extract_output(fn.add_input(fn.create_accumulator(), X)))
    state = len(StreamingPCA(**options).fit(X).checkpoint().to_bytes())
    # Names, shapes and Arrow's own headers are some kilobytes, however many features there are.
    assert 0 <= element - sizes.element_bytes(check(options), n) < 8_000
    assert 0 <= state - sizes.state_bytes(check(options), n) < 16_000


def test_few_rows_take_less():
    """Of dense memory: they are kept as rows until they make a matrix."""
    options = {"n_components": 2, "memory": "dense"}
    X = np.random.default_rng(0).normal(size=(6, 1000))
    fn = MomentsFn(**options)
    element = len(fn.extract_output(fn.add_input(fn.create_accumulator(), X)))
    assert element < 8 * 8 * 1000 < sizes.element_bytes(check(options), 1000)


def test_the_table_of_the_page_is_what_is_computed():
    page = Path(__file__).parent.parent.parent / "docs/deploy.md"
    assert sizes.table() in page.read_text()


@pytest.mark.parametrize(
    ("n", "options", "says"),
    [
        (4096, {"memory": "dense"}, "135 MB in state, and its moments 134 MB.*memory='factored'"),
        (4096, {"memory": "dense", "n_components": 0.9}, "a whole number of components"),
        (10**6, {}, "Use fewer components"),
    ],
)
def test_a_pipeline_that_is_too_large_for_dataflow_says_so(n, options, says):
    with pytest.warns(SizeWarning, match=says):
        LearnComponents(**{"n_components": 10, "features": n} | options)


@pytest.mark.parametrize(
    ("n", "options"), [(3000, {}), (4096, {"memory": "factored"}), (None, {}), (5, {})]
)
def test_others_say_nothing(n, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LearnComponents(**{"n_components": 3, "features": n} | options)
