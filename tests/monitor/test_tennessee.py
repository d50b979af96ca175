"""The Tennessee Eastman benchmark: rates are the published ones, the sensors the right ones."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import tennessee, tennessee_published, tennessee_tables
from streampca import StreamingPCA

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


@pytest.fixture(scope="module")
def plant():
    try:
        folder = tennessee.fetch()
    except OSError as error:
        pytest.skip(f"the data cannot be fetched: {error}")
    return tennessee.read(folder)


@pytest.fixture(scope="module")
def monitors(plant):
    return {lags: tennessee.learn(plant, lags) for lags in (0, 2)}


@pytest.fixture(scope="module")
def monitor(monitors):
    return monitors[0]


@pytest.mark.parametrize(
    ("lags", "published"),
    [(0, tennessee_published.MISSED), (2, tennessee_published.MISSED_LAGS)],
    ids=["PCA", "dynamic PCA"],
)
def test_detection_rates_of_all_faults_are_those_published(plant, monitors, lags, published):
    for fault, missed in published.items():
        rows = tennessee_tables.faulty(plant, fault, lags)
        assert len(rows) == 800
        found = tennessee.rates(monitors[lags], rows, "empirical")
        # A row more or less in normal operation moves the limit: up to 0.026 where a fault is
        # as good as at the limit.
        np.testing.assert_allclose(found, 1 - np.array(missed), atol=0.027, err_msg=f"{fault}")


@pytest.mark.parametrize(
    ("lags", "published"),
    [(0, tennessee_published.DELAY), (2, tennessee_published.DELAY_LAGS)],
    ids=["PCA", "dynamic PCA"],
)
def test_delays_of_all_faults_are_those_published(plant, monitors, lags, published):
    same = []
    for fault, known in published.items():
        rows = tennessee_tables.faulty(plant, fault, lags)
        for above, theirs in zip(tennessee.out(monitors[lags], rows), known, strict=True):
            ours = tennessee.delay(above)
            if not np.isnan(theirs):
                assert ours == theirs or abs(ours - theirs) <= 6, fault  # two rows
                same.append(ours == theirs)
    assert np.mean(same) > 0.9


def test_parallel_analysis_keeps_as_many_components_as_were_published(plant):
    rows = tennessee.lagged(plant.normal, 2)
    assert StreamingPCA("parallel", scale=True).fit(rows).n_components_ == 29


def test_rules_have_few_false_events_and_miss_less(plant, monitors):
    for lags, monitor in monitors.items():
        for rules in tennessee.RULES:
            n = tennessee.FAULT_FROM - lags
            false, better = 0, 0
            for fault in tennessee_published.MISSED:
                rows = tennessee.lagged(plant.tests[fault], lags)
                watched = tennessee.watch(monitor, rows, rules)
                false += sum(row < n for row in watched.opened)
                t2, spe = tennessee.out(monitor, rows[n:])
                better += watched.within[n:].mean() > max(t2.mean(), spe.mean()) - 0.01
            assert false <= 2
            assert better >= 18


def test_false_alarms_are_as_many_as_the_limits_say(plant, monitor):
    before = np.concatenate([test[: tennessee.FAULT_FROM] for test in plant.tests[1:]])
    found = tennessee.rates(monitor, before, "empirical")
    # 3,360 rows, not independent: the plant has a memory of hours
    assert max(found) < 0.01 + 4 * (0.01 * 0.99 / len(before)) ** 0.5


def test_components_are_those_of_batch_pca(plant, monitor):
    centred = plant.normal - plant.normal.mean(0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    cosines = np.abs(
        (monitor.statistics.components * vectors[: tennessee.COMPONENTS[0]]).sum(axis=1)
    )
    np.testing.assert_allclose(cosines, 1, atol=1e-8)
    expected = values[: tennessee.COMPONENTS[0]] ** 2 / (len(centred) - 1)
    np.testing.assert_allclose(monitor.statistics.variances, expected)


@pytest.mark.parametrize(
    ("fault", "sensors"),
    [
        (4, {"XMV(10)"}),  # reactor cooling water is warmer: its valve opens
        (6, {"XMEAS(1)", "XMV(3)"}),  # feed A is lost: its flow, its valve
        (11, {"XMV(10)", "XMEAS(9)"}),  # cooling water varies: its valve, reactor temperature
        (14, {"XMEAS(9)", "XMEAS(21)", "XMV(10)"}),  # its valve sticks
    ],
)
def test_contributions_name_the_sensors_at_the_fault(plant, monitor, fault, sensors):
    rows = plant.tests[fault][tennessee.FAULT_FROM : tennessee.FAULT_FROM + 100]
    found = monitor.assess(rows)
    named = [tennessee.NAMES[i] for i in found.feature[found.alarm]]
    assert np.mean([name in sensors for name in named]) > 0.6


def test_the_page_shows_what_the_script_prints(plant, monitors):
    printed = list(tennessee_tables.tables(tennessee_tables.said(plant, monitors)))
    page = PAGE.read_text()
    assert len(printed) == 3
    for name, table in zip(("missed", "delay", "false"), printed, strict=True):
        assert f"<!-- tennessee {name} -->\n{table}\n<!-- end -->" in page
