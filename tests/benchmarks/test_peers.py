"""The benchmarks measure what they say: on problems small enough to know the answer."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from benchmarks.peers import cost, efficiency, measure, page, plots, results, speed, wide
from benchmarks.peers import profile as profiles
from benchmarks.peers.limits import own_product, two_products
from benchmarks.peers.measure import Truth, batched, pinned, time_pass
from benchmarks.peers.methods import DENSE, EXACT, FACTORED, INCREMENTAL, REFERENCES, Method
from benchmarks.peers.results import Figure
from streampca.metrics import ordered_share, principal_angles


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(measure, "PAUSE", 0.0)


def easy_rows(m=4000, n=12):
    """Five strong directions about a mean, the rest weak."""
    draws = np.random.default_rng(0)
    spectrum = np.concatenate([[30.0, 15.0, 7.0, 3.0, 1.5], np.full(n - 5, 0.01)])
    basis = np.linalg.qr(draws.normal(size=(n, n)))[0]
    return (draws.normal(size=(m, n)) * np.sqrt(spectrum) @ basis.T + 3.0).astype("float32")


def learned(method, X, p, m=20):
    learner = method.make(X.shape[1], p)
    for batch in batched(X, m):
        learner.learn(batch.copy())
    return learner.components()


@pytest.mark.parametrize("method", REFERENCES, ids=lambda method: method.name)
def test_reference_methods_find_the_components_of_an_easy_problem(method):
    X = easy_rows()
    truth = Truth(X)
    found = learned(method, X, 3)
    assert found.shape == (3, 12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    slow = method.name == "Oja, rate 1/t"  # a rate too low forgets its start slowly
    assert principal_angles(found, truth.vectors[:, :3].T).max() < (1.0 if slow else 0.2)
    if not slow:
        assert ordered_share(found, truth.vectors[:, :3].T, 0.97) == 1.0


def test_frequent_directions_keeps_its_bound():
    X = easy_rows()
    sketch = REFERENCES[-1].make(12, 2)
    for batch in batched(X, 20):
        sketch.learn(batch.copy())
    Z = X - X.mean(axis=0)
    difference = Z.T @ Z - sketch.B.T @ sketch.B
    l = sketch.l
    squares = np.linalg.svd(Z, compute_uv=False) ** 2
    bound = min(squares[k:].sum() / (l - k) for k in range(l))
    assert np.linalg.norm(difference, 2) <= 1.01 * bound


def test_truth_is_batch_pca_and_excess_is_its_extra_error():
    X = easy_rows()
    truth = Truth(X)
    assert abs(truth.excess(truth.vectors[:, :3].T)) < 1e-12
    worse = truth.vectors[:, [0, 1, 3]].T
    expected = (truth.values[2] - truth.values[3]) / truth.values[3:].sum()
    assert truth.excess(worse) == pytest.approx(expected)
    assert truth.ordered(worse) == pytest.approx(2 / 3)
    assert truth.excess(np.full((3, 12), np.nan)) == np.inf


def test_wide_rows_know_their_batch_pca():
    rows = wide.WideRows(n=300, rank=40)
    X = np.concatenate([rows.block(i, 50) for i in range(6)])
    plain, known = Truth(X), rows.truth(6, 50)
    found = np.random.default_rng(1).normal(size=(5, 300))
    for components in (plain.vectors[:, :5].T, found):
        assert known.excess(components) == pytest.approx(plain.excess(components), abs=1e-6)
    np.testing.assert_array_equal(rows.block(3, 50), rows.block(3, 50))


def test_a_pass_over_rows_does_not_change_them_and_stops_at_its_budget():
    class Spoils:
        def learn(self, X):
            X[:] = 0

        def components(self):
            return np.eye(2, 12)

    X = easy_rows(100)
    before = X.copy()
    timing = time_pass(Spoils(), batched(X, 10))
    np.testing.assert_array_equal(X, before)
    assert timing.whole
    assert timing.rows == 100
    stopped = time_pass(Spoils(), batched(X, 10), budget=0.0)
    assert not stopped.whole
    assert stopped.rows == 10


def test_limits_compute_the_products_they_are_named_after():
    X = easy_rows(50)
    np.testing.assert_allclose(own_product(12)(X), X.T @ X, rtol=1e-5)
    A = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 3)))[0].astype("float32")
    np.testing.assert_allclose(two_products(12, 3, 64)(X), X.T @ (X @ A), rtol=1e-4, atol=1e-2)


def missing(n, p):
    raise ImportError("no such package")


def test_tables_name_a_peer_that_is_missing():
    methods = (DENSE, FACTORED, INCREMENTAL, Method("a peer", missing))
    budget = speed.Budget(whole=5, again=1, rounds=2)
    figures = list(speed.compare("easy", easy_rows(), 3, methods, budget))
    by_name = {(f.method, f.measure): f for f in figures}
    assert by_name[DENSE.name, "excess"].value < 1e-9
    assert by_name[DENSE.name, "ordered"].value == 1.0
    assert by_name[INCREMENTAL.name, "rows/s"].value > 0
    assert "no such package" in by_name["a peer", "rows/s"].note
    assert "not measured: no such package" in speed.table(figures)
    assert "not measured: no such package" in page.speed(figures, "")


def test_figures_come_back_from_their_file_and_a_part_replaces_its_own(tmp_path):
    path = tmp_path / "peers.csv"
    first = Figure(
        "speed", "MNIST, p = 10", "a", "rows/s", 12.5, low=10, high=15, n=784, note="x,y"
    )
    other = Figure("cost", "against n", "a", "seconds a row", 1e-6)
    results.replace([first, other], path)
    again = dataclasses.replace(first, value=20.0)
    results.replace([again], path)
    back = results.read(path)
    assert {f.value for f in back} == {20.0, 1e-6}
    assert next(f for f in back if f.part == "speed") == again
    assert math.isnan(next(f for f in back if f.part == "cost").low)


def test_efficiency_of_dense_memory_is_that_of_batch_pca(monkeypatch):
    monkeypatch.setattr(efficiency, "N_ROWS", 2000)
    monkeypatch.setattr(efficiency, "METHODS", (DENSE, FACTORED))
    figures = list(efficiency.r_ex(sizes=(100,), streams=1))
    dense = [f.value for f in figures if f.method == DENSE.name]
    np.testing.assert_allclose(dense, 1.0, atol=1e-3)
    factored = [f.value for f in figures if f.method == FACTORED.name and f.measure == "R_ex"]
    assert max(factored) < 1.3


def test_after_a_change_forgetting_beats_remembering(monkeypatch):
    monkeypatch.setattr(efficiency, "AFTER", (500, 2000))
    monkeypatch.setattr(efficiency, "HALF_LIFE", 300.0)
    last = {f.method: f.value for f in efficiency.change(streams=1) if f.rows == 2000}
    assert last["oracle: window since the change"] == 1.0
    assert last["dense, half-life 1,000"] < last["dense, nothing forgotten"] / 3


def test_the_profile_tells_products_from_eigenproblems():
    found = profiles.profile("dense", 400, 5, 500, seconds=0.4)
    shares = found.sampler.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["products"] > shares["orthonormalisation"]
    assert found.rate > 0
    assert profiles.kind_of("_eigenpairs", "values, W = eigh_descending(M)") == "eigenproblems"


def test_costs_and_pictures_of_small_sweeps(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "SWEEPS", {"n": (20, 40)})
    monkeypatch.setattr(cost, "POINT", {"n": 40, "p": 3, "m": 50})
    figures = list(cost.measure(("n", "rows"), seconds=0.01, marks=(100, 200)))
    assert {f.method for f in figures} >= {DENSE.name, FACTORED.name, "X'X", "two products"}
    assert all(f.value > 0 for f in figures)
    plots.draw(figures, tmp_path)
    assert (tmp_path / "cost.png").stat().st_size > 1000


def test_every_region_of_the_page_is_rendered_again(tmp_path):
    copy = tmp_path / "performance.md"
    copy.write_text(page.PAGE.read_text())
    source = results.latest()
    figures = results.read(source)
    page.render(figures, source.name, copy)
    once = copy.read_text()
    page.render(figures, source.name, copy)
    assert copy.read_text() == once
    assert "streampca, dense" in once
    copy.write_text("no marks")
    with pytest.raises(ValueError, match="has no region 'machine'"):
        page.render(figures, source.name, copy)


def test_threads_are_pinned_and_given_back():
    before = torch.get_num_threads()
    with pinned(1) as threads:
        assert threads == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_torchdr_is_measured_where_it_is_installed():
    try:
        found = learned(EXACT, easy_rows(), 3)
    except ImportError:
        pytest.skip("TorchDR is not installed: python -m benchmarks.peers.install")
    assert Truth(easy_rows()).excess(found) < 1e-4
