"""The contract that River tests of its estimators, on each of ours; no check is left out."""

import pytest
from river import checks, datasets

from streampca.river import PCA, Lags, PCAScorer, ReducedRankRegressor

PARAMETERS = {
    PCA: [
        {},
        {"n_components": 2, "whiten": True},
        {"n_components": 3, "memory": "factored", "batch_size": 7},
        {"n_components": 0.9, "missing": "impute", "half_life": 50.0},
    ],
    PCAScorer: [
        {},
        {"n_components": 2, "statistic": "spe", "half_life": 200.0},
        {"n_components": 0.9, "statistic": "t2", "missing": "impute"},
        {"n_components": 2, "memory": "factored", "batch_size": 16},
    ],
    ReducedRankRegressor: [
        {},
        {"n_components": 1},
        {"n_components": 2, "half_life": 100.0, "ridge": 1.0},
    ],
    Lags: [{}, {"lags": 3}],
}


def rivers_checks():
    """River's checks with their data; Shuttle, which is bundled, stands in for a download."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "CreditCard", datasets.Shuttle)
        for kind, several in PARAMETERS.items():
            for i, parameters in enumerate(several):
                for check in checks.yield_checks(kind(**parameters)):
                    name = f"{kind.__name__}-{check.__name__}-{i}"
                    yield pytest.param(kind, check, parameters, id=name)


@pytest.mark.parametrize(("kind", "check", "parameters"), list(rivers_checks()))
def test_rivers_own_checks_pass(kind, check, parameters):
    check(kind(**parameters))


@pytest.mark.parametrize("kind", PARAMETERS)
def test_no_check_is_skipped(kind):
    assert kind()._unit_test_skips() == set()
