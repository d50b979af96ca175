"""scikit-learn's own checks of estimators, on the face and on the plain class."""

import pytest
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import streampca
from streampca.sklearn import IncrementalPCA, StreamingPCA

PLAIN = {
    "check_n_features_in_after_fitting": "frames and arrays of another width get words of ours",
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [IncrementalPCA(), StreamingPCA(), StreamingPCA(half_life=50.0, missing="impute")],
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
