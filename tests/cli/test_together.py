"""`fit --key-column` learns many small models in a bank, and single ones where a bank cannot."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streampca import CheckpointStore, StreamingPCA
from streampca.cli import models as models_module
from streampca.cli.together import learns_together

OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "-n": st.sampled_from(["1", "3", "0.9", "parallel"]),
        "--half-life": st.sampled_from(["30", "2.5", "90s"]),
        "--scale": st.just(None),
        "--missing": st.just("impute"),
        "--memory": st.sampled_from(["dense", "factored"]),
        "--batch-size": st.sampled_from(["1", "7", "64"]),
        "--dtype": st.sampled_from(["float32", "float64"]),
        "--checkpoint-rows": st.sampled_from(["17", "40", "250000"]),
        "--moments": st.sampled_from(["all", "last", "none", "2"]),
        "--bad-rows": st.just("skip"),
    },
)
ORDERS = st.sampled_from(["interleaved", "one after the other", "one row each", "one key"])


def drawn(order, n_rows, seed, bad, gaps=False):
    """Rows (m, 4) of numbers or texts, a key and a second for each."""
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(n_rows, 4)) * [9, 3, 2, 1] + draws.normal(size=4) * 10
    keys = {
        "interleaved": lambda: draws.integers(0, 5, n_rows),
        "one after the other": lambda: np.sort(draws.integers(0, 5, n_rows)),
        "one row each": lambda: np.arange(n_rows),
        "one key": lambda: np.zeros(n_rows, int),
    }[order]()
    cells = X.round(6).astype(object)
    for row in draws.integers(0, n_rows, 3) if bad else []:
        cells[row, draws.integers(0, 4)] = "broken"
    if gaps:
        cells[draws.random(X.shape) < 0.2] = ""
    return cells, [f"press {key}" for key in keys], np.cumsum(draws.integers(0, 3, n_rows))


def written(path, cells, keys, seconds):
    lines = ["press,time,oil,air,heat,load"]
    for row, key, second in zip(cells, keys, seconds, strict=True):
        time = str(np.datetime64("2026-01-01T00:00:00") + second)
        lines.append(",".join([key, time, *map(str, row)]))
    Path(path).write_text("\n".join(lines) + "\n")


def files(store):
    return sorted(str(path.relative_to(store)) for path in Path(store).rglob("*.parquet"))


def assert_alike(ours, theirs, tolerance):
    """All but the last digits: names, times, settings, counts, kinds of numbers."""
    for name in ("key", "window_start", "window_end", "sequence", "n_samples_seen", "late"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.feature_names == theirs.feature_names
    assert ours.settings == theirs.settings
    assert ours.moments_kind == theirs.moments_kind
    assert ours.moments.keys() == theirs.moments.keys()
    assert ours.components.dtype == theirs.components.dtype
    size = max(theirs.explained_variance.max(initial=0.0), 1e-9)
    close = np.testing.assert_allclose
    assert ours.weight == pytest.approx(theirs.weight, rel=1e-12)
    close(ours.mean, theirs.mean, rtol=tolerance, atol=tolerance * 10)
    close(ours.explained_variance, theirs.explained_variance, atol=tolerance * size, rtol=tolerance)
    close(ours.explained_variance_ratio, theirs.explained_variance_ratio, atol=tolerance)
    gaps = -np.diff(theirs.explained_variance, append=0.0) > 1e-2 * size
    apart = gaps & np.append(True, gaps[:-1])
    close(ours.components[apart], theirs.components[apart], atol=tolerance * 1e3)
    assert (ours.drift is None) == (theirs.drift is None)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(OPTIONS, ORDERS, st.integers(1, 120), st.booleans(), st.booleans(), st.integers(0, 99))
def test_a_bank_writes_what_single_models_write(
    cli, monkeypatch, options, order, n_rows, timed, bad, seed
):
    timed = timed or options.get("--half-life") == "90s"
    gaps = "--missing" in options
    written("rows.csv", *drawn(order, n_rows, seed, bad, gaps))
    given_ = ["fit", "rows.csv", "--key-column", "press", "-q", "--columns", "oil,air,heat,load"]
    given_ += ["--timestamp-column", "time"] if timed else []
    for name, value in options.items():
        given_ += [name] if value is None else [name, value]
    code = 2 if bad and "--bad-rows" not in options else 0
    stores = [f"bank-{seed}", f"loop-{seed}"]
    said = []
    for store, choose in zip(stores, (learns_together, lambda *_: False), strict=True):
        removed(store)
        with monkeypatch.context() as patch:
            patch.setattr(models_module, "learns_together", choose)
            try:
                said.append(cli(*given_, "-o", store, code=code).err)
            except AssertionError:
                code = 2 - code  # no row that can be used
                removed(store)
                said.append(cli(*given_, "-o", store, code=code).err)
    assert said[0] == said[1].replace(stores[1], stores[0])
    assert files(stores[0]) == files(stores[1])
    tolerance = 1e-9 if options.get("--dtype") != "float32" else 1e-4
    if gaps and n_rows < 100:  # of few rows a model has no noise, and rounding fills gaps
        tolerance = max(tolerance, 1e-6)
    found = [CheckpointStore(store) for store in stores]
    assert found[0].keys() == found[1].keys()
    for key in found[0].keys():  # noqa: SIM118
        for ours, theirs in zip(*(store.history(key) for store in found), strict=True):
            assert_alike(ours, theirs, tolerance)


def removed(store):
    for path in sorted(Path(store).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("options", "n", "together"),
    [
        ({}, 50, True),
        ({"n_components": 3, "half_life": 40.0, "dtype": "float32", "batch_size": 9}, 50, True),
        ({"memory": "dense"}, 4, True),
        ({"memory": "factored"}, 4, False),
        ({"missing": "impute", "n_components": 2}, 4, True),
        ({"missing": "impute", "batch_size": 9}, 4, False),
        ({"n_components": 0.9}, 4, False),
        ({"n_components": "parallel"}, 4, False),
        ({}, 1000, False),
    ],
)
def test_which_models_are_learned_together(options, n, together):
    assert learns_together(options, n) is together


def test_a_bank_goes_on_from_a_store_of_single_models(cli, monkeypatch):
    rows = drawn("interleaved", 200, 3, bad=False)
    half = [part[:100] for part in rows]
    for store, first in (("bank", True), ("mixed", False)):
        written("rows.csv", *half)
        given_ = ["fit", "rows.csv", "--key-column", "press", "-q", "-n", "2", "-o", store]
        with monkeypatch.context() as patch:
            if not first:
                patch.setattr(models_module, "learns_together", lambda *_: False)
            cli(*given_, "--exclude", "time")
        written("rows.csv", *rows)
        cli(*given_, "--resume")
    ours, theirs = CheckpointStore("bank"), CheckpointStore("mixed")
    for key in ours.keys():  # noqa: SIM118
        assert_alike(ours.latest(key), theirs.latest(key), 1e-9)


def test_a_store_of_models_with_other_parameters_is_gone_on_with_one_by_one(cli):
    rows = drawn("interleaved", 60, 4, bad=False)
    store, X = CheckpointStore("store"), rows[0].astype(float)
    for key in sorted(set(rows[1])):
        mine = [i for i, each in enumerate(rows[1]) if each == key]
        pca = StreamingPCA(2, forgetting_factor=0.5 if key == "press 1" else 1.0)
        store.write(pca.partial_fit(X[mine]).checkpoint(key=key))
    written("rows.csv", *rows)
    given_ = ["fit", "rows.csv", "--key-column", "press", "-q", "-n", "2", "-o", "store"]
    cli(*given_, "--exclude", "time", "--resume")
    for key in store.keys():  # noqa: SIM118
        mine = [i for i, each in enumerate(rows[1]) if each == key]
        factor = 0.5 if key == "press 1" else 1.0
        alone = StreamingPCA(2, forgetting_factor=factor).partial_fit(X[mine]).partial_fit(X[mine])
        np.testing.assert_allclose(
            store.latest(key).explained_variance, alone.explained_variance_, rtol=1e-9
        )


def test_without_a_store_models_are_shown(cli):
    written("rows.csv", *drawn("interleaved", 90, 5, bad=False))
    made = cli("fit", "rows.csv", "--key-column", "press", "--exclude", "time", "--json").json
    assert [json.dumps(each["key"]) for each in made["models"]]
    assert sum(each["n_samples_seen"] for each in made["models"]) == 90


@pytest.mark.parametrize("options", [[], ["--missing", "impute"], ["--half-life", "90s"]], ids=str)
def test_rows_that_are_folded_in_on_the_way_change_nothing(cli, monkeypatch, options):
    monkeypatch.setattr("streampca.cli.together._LEAST_ROWS", 700)
    monkeypatch.setattr("streampca.cli.together._NUMBERS", 1)
    draws = np.random.default_rng(7)
    cells, _, seconds = drawn("one key", 5000, 7, bad=False, gaps="--missing" in options)
    keys = [f"press {key}" for key in np.minimum(draws.geometric(0.5, 5000), 5)]
    written("rows.csv", cells, keys, draws.permutation(seconds) // 60)
    given_ = ["fit", "rows.csv", "--key-column", "press", "--timestamp-column", "time", "-q"]
    given_ += ["-n", "2", "--checkpoint-rows", "2600", *options]
    cli(*given_, "-o", "bank")
    with monkeypatch.context() as patch:
        patch.setattr(models_module, "learns_together", lambda *_: False)
        cli(*given_, "-o", "loop")
    ours, theirs = CheckpointStore("bank"), CheckpointStore("loop")
    assert ours.keys() == theirs.keys()
    for key in ours.keys():  # noqa: SIM118
        for one, other in zip(ours.history(key), theirs.history(key), strict=True):
            assert_alike(one, other, 1e-9)


@pytest.mark.parametrize("options", [["--missing", "impute"], ["--half-life", "90s"]], ids=str)
def test_a_bank_goes_on_as_it_would_have(cli, options):
    rows = drawn("interleaved", 300, 8, bad=False, gaps="--missing" in options)
    given_ = ["fit", "rows.csv", "--key-column", "press", "--timestamp-column", "time", "-q"]
    given_ += ["-n", "2", "--checkpoint-rows", "150", *options]
    written("rows.csv", *(part[:150] for part in rows))
    cli(*given_, "-o", "halves")
    written("rows.csv", *rows)
    cli(*given_, "-o", "halves", "--resume")
    cli(*given_, "-o", "at once")
    ours, theirs = CheckpointStore("halves"), CheckpointStore("at once")
    for key in ours.keys():  # noqa: SIM118
        assert ours.history(key) == theirs.history(key)
