"""scikit-learn's own checks of estimators, on the face and on the plain class."""

import pytest
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import streampca
from streampca.sklearn import IncrementalPCA, StreamingPCA

FORGETS = "a row that is repeated forgets what came before once more, a weight does not"


def excused(estimator):
    if getattr(estimator, "half_life", None) is None:
        return {}
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": FORGETS for kind in kinds}


PLAIN: dict[str, str] = {}  # none is left


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [IncrementalPCA(), StreamingPCA(), StreamingPCA(half_life=50.0, missing="impute")],
    expected_failed_checks=excused,
    xfail_strict=True,
)
def test_check_of_the_face(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_checks_of_the_plain_class():
    results = check_estimator(streampca.StreamingPCA(), on_fail=None, on_skip=None)
    failed = {each["check_name"] for each in results if each["status"] == "failed"}
    assert failed == set(PLAIN)
    assert len(results) > 50


@pytest.mark.parametrize("kind", [IncrementalPCA, StreamingPCA])
def test_bases_are_scikit_learns(kind):
    assert issubclass(kind, (ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator))
