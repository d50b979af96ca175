"""The cost model against what was measured."""

import ast
import dataclasses

import numpy as np
import pytest
from extras import needs_torch

from benchmarks import cost, cost_figures
from streampca import StreamingPCA
from streampca.learning import choice as choices
from streampca.learning import cost as prices_of
from streampca.learning.options import resolve_parameters
from streampca.moments import default_directions

POINTS = cost_figures.read(cost_figures.latest())
"""Measured by `make cost`; nothing is timed here."""


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
        (100, {}, "dense", "exact; 79 KiB"),
        (2, {"n_components": 1}, "dense", "exact; 1 KiB"),
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
