"""The cost model against what was measured, and the defaults that follow from it."""

import ast
import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from extras import needs_torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import cost, cost_figures
from streampca import StreamingPCA
from streampca.learning import choice as choices
from streampca.learning import cost as prices_of
from streampca.learning.buffer import RowBuffer
from streampca.learning.options import resolve_parameters
from streampca.moments import default_directions, make_moments
from streampca.rows import Minibatch

POINTS = cost_figures.read(cost_figures.latest())
"""Measured by `make cost`; nothing is timed here."""

DOCS = Path(__file__).parents[2] / "docs"

features = st.integers(1, 200_000)
components = st.integers(1, 400)
kinds = st.sampled_from(["dense", "factored"])


def directions(n, p):
    return min(n, default_directions(p))


def chosen(n, **parameters):
    return resolve_parameters(StreamingPCA(**parameters).get_params(), n)


def modelled():
    return [point for point in POINTS if point.part in ("learning", "reading")]


def name(point):
    return f"{point.part}-{point.memory}-{point.n}-{point.p}-{point.m}-{point.itemsize}"


# --- against measurements ------------------------------------------------------------------------


def test_enough_was_measured_to_judge_by():
    assert {(x.part, x.memory) for x in modelled()} == {
        (part, memory) for part in ("learning", "reading") for memory in ("dense", "factored")
    }
    assert len(modelled()) > 100
    assert min(x.n for x in modelled()) <= 10
    assert max(x.n for x in modelled()) >= 100_000


@pytest.mark.parametrize("point", modelled(), ids=name)
def test_seconds_are_predicted_within_a_factor_of_two(point):
    assert 0.5 < point.predicted / point.seconds < 2


def test_seconds_are_predicted_within_a_quarter_on_the_whole():
    errors = np.log([point.predicted / point.seconds for point in modelled()])
    assert np.exp(np.sqrt(np.mean(errors**2))) < 1.25


def test_no_other_minibatch_is_much_faster_than_the_default():
    found = cost_figures.choices(POINTS)
    assert len(found) > 20
    for choice in found:
        assert choice.regret < 1.25, choice


def test_defaults_are_what_the_model_chooses_but_for_few_features():
    for choice in cost_figures.choices(POINTS):
        if choice.n >= 256:
            assert choice.default == choice.m, choice
        elif choice.memory == "factored":
            assert choice.default == min(choice.m, 512), choice
            assert choice.default_regret < 3.5, choice
        else:  # by bytes: more rows than were measured
            assert choice.default >= 2048, choice


@pytest.mark.parametrize("price", prices_of.Work._fields)
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_minibatches_are_well_chosen_with_wrong_prices_too(price, factor):
    wrong = prices_of.PRICES._replace(**{price: factor * getattr(prices_of.PRICES, price)})
    for choice in cost_figures.choices(POINTS, wrong):
        assert choice.regret < 1.25, choice


def test_memory_that_is_not_exact_is_chosen_only_where_it_is_faster():
    found = [x for x in cost_figures.memories(POINTS) if x.chosen == "factored"]
    assert found
    for shape in found:
        assert shape.factored < shape.dense, shape


def test_exactness_costs_at_most_six_times_as_long():
    found = [x for x in cost_figures.memories(POINTS) if x.chosen == "dense"]
    assert max(x.n for x in found if x.p == 10) == 1024  # the dearest of those measured
    for shape in found:
        assert shape.dense < 6 * shape.factored, shape


def test_dense_memory_goes_on_beyond_its_eight_megabytes_where_it_takes_little_longer():
    for n in (1025, 1200, 2000, 3000, 4096):
        for p in (1, 10, 20, 50, 100, 200):
            if choices.compared(n, p, directions(n, p)).slower <= 3:
                assert chosen(n, n_components=p).memory == "dense", (n, p)
    for p in (2, 10, 20, 100):  # no cliff where what dense memory may always take ends
        assert chosen(1100, n_components=p).memory == "dense"
    assert chosen(4096, n_components=10).memory == "factored"


def test_beyond_4096_features_dense_memory_is_not_slower():
    for n in (4097, 6000, 8192):
        for p in (10, 100, 400, 800, 2000):
            if chosen(n, n_components=p).memory == "dense":
                found = choices.compared(n, p, directions(n, p))
                assert found.at_worst <= 1
                assert found.held <= 4 * found.their_held
    assert chosen(6000, n_components=2000).memory == "dense"


@pytest.mark.parametrize(
    ("n", "options", "memory", "why"),
    [
        (100, {}, "dense", "exact; 0.1 MiB"),
        (1100, {"n_components": 20}, "dense", "exact; 9.2 MiB, 3.2 times the time"),
        (4000, {"n_components": 2}, "factored", "dense would take 122.1 MiB, 15.4 times"),
        (9000, {"n_components": 2}, "factored", "dense would take 618.0 MiB"),
        (1100, {"n_components": 0.9}, "dense", "all of the covariance is needed"),
        pytest.param(
            *(100, {"solver": "first_order"}, "minibatch", "for first-order steps"),
            marks=needs_torch,
        ),
    ],
)
def test_an_estimator_says_which_memory_it_has_and_why(n, options, memory, why):
    pca = StreamingPCA(**{"n_components": 2} | options)
    before = repr(pca)
    pca.partial_fit(np.random.default_rng(0).normal(size=(4, n)))
    assert pca.memory_ == memory
    assert pca.memory_reason_.startswith(why)
    assert repr(pca) == f"{before}  # {memory} memory: {pca.memory_reason_}"
    assert ast.dump(ast.parse(repr(pca))) == ast.dump(ast.parse(before))  # it is a comment
    asked = StreamingPCA(2, memory="dense").partial_fit(np.eye(3))
    assert (asked.memory_, asked.memory_reason_) == ("dense", "as asked for")
    assert repr(asked) == "StreamingPCA(n_components=2, memory='dense')"


@pytest.mark.parametrize(("n", "kind"), [(40, "factored"), (3000, "dense")])
def test_what_was_learned_with_another_choice_is_gone_on_with(n, kind):
    X = np.random.default_rng(0).normal(size=(60, n))
    old = StreamingPCA(2, memory=kind).partial_fit(X[:30])
    saved = old.checkpoint()
    saved = dataclasses.replace(saved, settings={**saved.settings, "memory": "auto"})
    for again in (
        StreamingPCA.from_checkpoint(saved),
        StreamingPCA(2).merge(old),
        StreamingPCA(2).merge(old._moments),
    ):
        assert (again.memory_, again.memory_reason_) == (kind, "as what was learned before")
        again.partial_fit(X[30:])
        assert again.n_samples_seen_ == 60
    assert StreamingPCA(2).partial_fit(X).memory_ != kind


@pytest.mark.parametrize("part", ["MNIST", "MNIST by digit"])
@pytest.mark.parametrize("p", [10, 100])
def test_default_directions_are_worth_their_time(part, p):
    measured = {x.q: x for x in POINTS if x.part == part and x.p == p}
    default = measured.pop(default_directions(p))
    assert len(measured) >= 4
    for other in measured.values():
        if other.q > default.q:  # no better ones for nearly nothing
            assert other.seconds > 1.15 * default.seconds
        else:  # nor nearly as good ones for less
            assert other.excess > 1.5 * default.excess


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
        # from 129 features on sums of one triangle wait: rows that come one by one gain 1 %
        assert wider > 0.99 * prices_of.seconds_a_row(memory, n, q, m)


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


def test_bytes_of_the_buffer_are_those_held():
    buffer = RowBuffer(300, 40, "float32")
    buffer.append(Minibatch(np.ones((1, 40), "float32"), np.array([2.0])))
    held = buffer._X.nbytes + buffer._weights.nbytes
    assert held == prices_of.buffer_bytes(40, 300)


# --- choices --------------------------------------------------------------------------------------


@given(kinds, features, components)
def test_minibatches_keep_their_limits(memory, n, p):
    q = directions(n, p)
    m = prices_of.batch_size(memory, n, q)
    least = 2 * q if memory == "factored" else 1
    assert least <= m <= max(prices_of.MOST[memory], least)
    assert m == least or prices_of.buffer_bytes(n, m) <= 2**27 + 8 * m
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
    assert '"auto" is dense up to 1,024 features' in text
    assert "up to 4,096 features (128 MiB) where it takes at most five times as long" in text
    assert chosen(1024, n_components=1).memory == "dense"
    assert chosen(1600, n_components=10).memory == "factored"
    assert chosen(4096, n_components=100).memory == "dense"
    assert chosen(4097, n_components=100).memory == "factored"
    assert "The default is about p, and at least 30." in text
    beyond = [default_directions(p) - p for p in range(1, 400)]
    assert min(beyond) == 30


# --- the benchmark --------------------------------------------------------------------------------


def test_points_survive_their_file(tmp_path):
    cost_figures.write(POINTS, tmp_path / "cost.csv")
    again = cost_figures.read(tmp_path / "cost.csv")
    assert [repr(point) for point in again] == [repr(point) for point in POINTS]


def test_prices_are_found_from_points_that_follow_them():
    true = prices_of.Work(
        *(np.array(prices_of.PRICES) * [0.3, 2.0, 0.5, 3.0, 0.4, 1.7, 0.6]).tolist()
    )
    points = [
        cost_figures.Point(
            x.part, x.memory, x.n, x.p, x.q, x.m, x.itemsize, x.work.seconds(true), 0.0, 0.0
        )
        for x in modelled()
    ]
    assert cost_figures.fitted(points) == pytest.approx(true, rel=1e-2)


def test_new_prices_are_written_into_the_model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(cost_figures.MODEL.read_text())
    prices = prices_of.Work(*(k * 1e-9 for k in range(1, 8)))
    cost_figures.renew(prices, path)
    namespace = {"__name__": "model"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    assert namespace["PRICES"] == pytest.approx(prices)
    path.write_text("PRICES = 3\n")
    with pytest.raises(ValueError, match="has no lines"):
        cost_figures.renew(prices, path)


@pytest.mark.parametrize(("memory", "m"), [("dense", 50), ("factored", 100), ("factored", 20)])
def test_learning_is_measured_for_the_shape_asked_for(memory, m):
    point = cost.learning(memory, 60, 3, m, seconds=0.0)
    assert (point.memory, point.n, point.p, point.q, point.m) == (memory, 60, 3, 40, m)
    assert 0 < point.low <= point.seconds <= point.high


def test_tables_are_printed(capsys):
    cost.show(POINTS)
    said = capsys.readouterr().out
    assert "minibatches chosen" in said
    assert "memory chosen" in said
