"""The cost model, and the defaults that follow from it."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca import StreamingPCA
from streampca.learning import choice as choices
from streampca.learning import cost as prices_of
from streampca.learning.options import resolve_parameters
from streampca.moments import default_directions, make_moments
from streampca.rows import Minibatch

DOCS = Path(__file__).parents[2] / "docs"


features = st.integers(1, 200_000)
components = st.integers(1, 400)
kinds = st.sampled_from(["dense", "factored"])


def directions(n, p):
    return min(n, default_directions(p))


def chosen(n, **parameters):
    return resolve_parameters(StreamingPCA(**parameters).get_params(), n)


# --- the model ------------------------------------------------------------------------------------


@given(kinds, features, components, st.integers(1, 5000), st.sampled_from([4, 8]))
def test_seconds_are_finite_and_positive(memory, n, p, m, itemsize):
    seconds = prices_of.seconds_a_row(memory, n, directions(n, p), m, itemsize=itemsize)
    assert 0 < seconds < 1e6
    assert 0 < prices_of.reading_seconds(memory, n, min(n, p), directions(n, p)) < 1e9


@given(features, components, st.integers(1, 5000), st.integers(1, 1000))
def test_more_features_take_longer(n, p, m, more):
    q = directions(n, p)
    for memory in ("dense", "factored") if q < n else ("dense",):
        wider = prices_of.seconds_a_row(memory, n + more, q, m)
        # from 129 features on sums of one triangle wait: rows that come one by one gain 1.2 %
        assert wider > 0.985 * prices_of.seconds_a_row(memory, n, q, m)


@given(kinds, features, components, st.integers(1, 5000))
def test_float64_takes_longer(memory, n, p, m):
    q = directions(n, p)
    single = prices_of.seconds_a_row(memory, n, q, m)
    assert single < prices_of.seconds_a_row(memory, n, q, m, itemsize=8) <= 2 * single


@given(features, st.integers(1, 5000), st.integers(1, 5000))
def test_rows_of_dense_memory_cost_less_in_larger_minibatches_down_to_their_own_cost(n, m, more):
    large, small = (prices_of.seconds_a_row("dense", n, n, size) for size in (m + more, m))
    assert prices_of.row_work("dense", n, n, m).seconds() < large < small


@given(st.integers(1000, 200_000), st.integers(1, 150), st.integers(1, 150))
def test_more_directions_take_longer(n, p, more):
    fewer, q = default_directions(p), default_directions(p + more)
    assert prices_of.seconds_a_row("factored", n, fewer, 2048) <= prices_of.seconds_a_row(
        "factored", n, q, 2048
    )


@given(kinds, features, components, st.integers(1, 5000), st.floats(0.01, 100))
def test_a_machine_that_is_slower_in_all_takes_longer(memory, n, p, m, slow):
    q, prices = directions(n, p), prices_of.Work().plus(prices_of.PRICES, slow)
    seconds = prices_of.seconds_a_row(memory, n, q, m)
    assert prices_of.seconds_a_row(memory, n, q, m, prices=prices) == pytest.approx(slow * seconds)


@pytest.mark.parametrize("slow", [2.0**-10, 0.5, 2.0, 1024.0])
def test_choices_depend_on_ratios_of_prices_alone(slow):
    prices = prices_of.Work().plus(prices_of.PRICES, slow)
    for n in (3, 100, 784, 1500, 2500, 5000, 100_000):
        for p in (1, 10, 100, 300, 1000):
            q = directions(n, p)
            assert choices.dense_pays(n, p, q, prices) == choices.dense_pays(n, p, q)
            for memory in ("dense", "factored"):
                assert prices_of.batch_size(memory, n, q, prices) == prices_of.batch_size(
                    memory, n, q
                )


@pytest.mark.parametrize(("n", "q"), [(100, 40), (100, 72), (60, 24)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_are_those_of_the_arrays_held(n, q, dtype):
    X = np.random.default_rng(0).normal(size=(900, n)).astype(dtype)
    for memory in ("dense", "factored"):
        moments = make_moments(memory, n, n_directions=q, dtype=dtype)
        for start in range(0, 900, 300):
            moments.update(Minibatch(X[start : start + 300]))
        holders = [moments]
        if memory == "dense":
            moments.leading(1)  # what waits in a sum of its own is added
            holders.append(moments._sum)
        values = [value for holder in holders for value in vars(holder).values()]
        arrays = [value for value in values if isinstance(value, np.ndarray)]
        if memory == "factored":
            arrays += [part for part in moments._sketch if isinstance(part, np.ndarray)]
        held = sum(array.nbytes for array in arrays if array is not moments._scratch)
        itemsize = np.dtype(dtype).itemsize
        expected = prices_of.remembered_bytes(memory, n, q, itemsize=itemsize)
        assert held == pytest.approx(expected, abs=16)  # two single numbers


# --- choices --------------------------------------------------------------------------------------


@given(kinds, features, components)
def test_minibatches_keep_their_limits(memory, n, p):
    q = directions(n, p)
    m = prices_of.batch_size(memory, n, q)
    least = 2 * q if memory == "factored" else 1
    assert least <= m <= max(prices_of.MOST[memory], least)
    assert m == least or 4 * n * m <= 2**27  # bytes of rows that wait, in float32
    assert m == least or m < 256 or m * n > 2**24 or m & (m - 1) == 0


@settings(max_examples=300)
@given(features, st.integers(0, 2000), components, st.none() | st.integers(0, 500))
def test_memory_that_has_outgrown_dense_stays_so_with_more_features(n, more, p, beyond):
    def dense(width):
        return chosen(width, n_components=min(p, width), oversample=beyond).memory == "dense"

    assert dense(n) or not dense(n + more)


@given(st.integers(1, 20_000), components, st.integers(0, 400))
def test_more_components_never_turn_dense_memory_into_factored(n, p, more):
    fewer, others = min(p, n), min(p + more, n)
    if choices.dense_pays(n, fewer, directions(n, fewer)):
        assert choices.dense_pays(n, others, directions(n, others))


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": "float64"},
        {"whiten": True},
        {"half_life": 50},
        {"center": False},
        {"device": "cpu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [9, 300, 1025, 1500, 50_000])
def test_the_same_shape_gets_the_same_memory_whatever_else_is_asked(n, other):
    for p in (3, 250):
        if p <= n:
            plain, same = chosen(n, n_components=p), chosen(n, n_components=p, **other)
            assert (plain.memory, plain.n_directions) == (same.memory, same.n_directions)
            assert plain.batch_size == same.batch_size


def test_what_was_asked_for_is_not_changed():
    for n in (50, 5000):
        for memory in ("dense", "factored"):
            assert chosen(n, n_components=3, memory=memory).memory == memory
        assert chosen(n, n_components=3, batch_size=7).batch_size == 7
        assert chosen(n, n_components=3, oversample=5).n_directions == 8
    assert chosen(50, n_components=3, solver="first_order").memory == "minibatch"


def test_all_eigenvalues_need_dense_memory():
    assert chosen(choices.DENSE_LIMIT, n_components=0.9).memory == "dense"
    with pytest.raises(ValueError, match="needs all eigenvalues"):
        chosen(choices.DENSE_LIMIT + 1, n_components=0.9)


@pytest.mark.parametrize("changed", [{"missing": "impute"}, {"solver": "first_order"}])
def test_with_few_features_at_most_512_rows_wait_for_what_the_last_model_has_a_say_in(changed):
    resolved = chosen(255, n_components=3, memory="dense", **changed)
    assert resolved.batch_size == 512
    assert chosen(256, n_components=3, missing="impute").batch_size == 2048


def test_minibatches_of_few_features_go_by_bytes():
    sizes = [chosen(n, n_components=1).batch_size for n in range(1, 256)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 2**14
    assert sizes[-1] == 2048
    assert all(size * n <= 2**19 for n, size in enumerate(sizes, start=1))
    # neighbours never differ by more than a step
    assert max(a / b for a, b in itertools.pairwise(sizes)) == 2


# --- what the documentation says ------------------------------------------------------------------


def table(page, name):
    """Cells of the rows of a table between marks."""
    text = (DOCS / page).read_text()
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found, f"{page} has no table {name}"
    rows = [line.strip("| ").split("|") for line in found[1].strip().splitlines()]
    return [[cell.strip().replace(",", "") for cell in row] for row in rows[2:]]


def test_the_table_of_defaults_is_what_resolve_gives():
    rows = table("choosing.md", "defaults")
    assert len(rows) >= 8
    for n, p, memory, rows_waiting, q in rows:
        got = chosen(int(n), n_components=int(p))
        assert (got.memory, got.batch_size) == (memory, int(rows_waiting)), n
        assert q == (str(got.n_directions) if memory == "factored" else "all")


def test_the_page_about_choosing_says_where_the_defaults_change():
    text = " ".join((DOCS / "choosing.md").read_text().split())
    assert '"auto" is dense - up to 1,024 features' in text
    assert "up to 4,096 features (128 MiB) where it takes at most five times as long" in text
    assert chosen(1024, n_components=1).memory == "dense"
    assert chosen(1600, n_components=10).memory == "factored"
    assert chosen(4096, n_components=100).memory == "dense"
    assert chosen(4097, n_components=100).memory == "factored"
    assert "The default is about p, and at least 30." in text
    beyond = [default_directions(p) - p for p in range(1, 400)]
    assert min(beyond) == 30
