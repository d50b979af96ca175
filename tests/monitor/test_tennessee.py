"""The Tennessee Eastman benchmark: rates are the published ones, the sensors the right ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tennessee

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


@pytest.fixture(scope="module")
def plant():
    try:
        folder = tennessee.fetch()
    except OSError as error:
        pytest.skip(f"the data cannot be fetched: {error}")
    return tennessee.read(folder)


@pytest.fixture(scope="module")
def monitor(plant):
    return tennessee.learn(plant)


def test_detection_rates_of_all_faults_are_those_published(plant, monitor):
    for fault, missed in tennessee.PUBLISHED_MISSED.items():
        found = tennessee.rates(monitor, plant.tests[fault][tennessee.FAULT_FROM :], "empirical")
        # A row more or less in normal operation moves the limit: up to 0.025 where a fault is
        # as good as at the limit.
        np.testing.assert_allclose(found, 1 - np.array(missed), atol=0.026, err_msg=f"{fault}")


def test_false_alarms_are_as_many_as_the_limits_say(plant, monitor):
    before = np.concatenate([test[: tennessee.FAULT_FROM] for test in plant.tests[1:]])
    found = tennessee.rates(monitor, before, "empirical")
    # 3,360 rows, not independent: the plant has a memory of hours
    assert max(found) < 0.01 + 4 * (0.01 * 0.99 / len(before)) ** 0.5


def test_components_are_those_of_batch_pca(plant, monitor):
    centred = plant.normal - plant.normal.mean(0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    cosines = np.abs((monitor.statistics.components * vectors[: tennessee.COMPONENTS]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-8)
    expected = values[: tennessee.COMPONENTS] ** 2 / (len(centred) - 1)
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


def test_the_page_shows_what_the_script_prints(plant, monitor):
    shown = re.findall(
        r"^\| (?:fault|\d+|false alarms, .*) \|.*\|$", PAGE.read_text(), re.MULTILINE
    )
    printed = [line for line in tennessee.table(plant, monitor) if not line.startswith("|--")]
    assert shown == printed
