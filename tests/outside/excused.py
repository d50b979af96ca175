"""Tests of others that cannot pass, and why: strict, so that one that begins to pass is noticed.

A name without brackets stands for all parameters of the test, one with them for that case.
"""

MLE = 'n_components="mle" has no counterpart: give a number, or a share of variance'
ALL = "n_components=None is all features: rows of a stream that come later may need them"
OWN = "scikit-learn's choice among its own solvers, by a private method"
LIMITS = "a limit of one of scikit-learn's solvers; ours has none of them"

_VALIDATION = "test_pca_validation["
_BETWEEN = r"0-must be between 1 and min\\(n_samples, n_features\\)-data"
_THREE = (
    r"auto-3-n_components=3 must be between 0 and min\\(n_samples, n_features\\)=2 "
    "with svd_solver='full'-data"
)

EXCUSED: dict[str, dict[str, str]] = {
    "sklearn.decomposition.tests.test_pca": {
        "test_n_components_mle": MLE,
        "test_n_components_mle_error": MLE,
        "test_pca_dim": MLE,
        "test_mle_redundant_data": MLE,
        "test_mle_simple_case": MLE,
        "test_fit_mle_too_few_samples": MLE,
        "test_n_components_none[data0-arpack-3]": LIMITS,
        "test_n_components_none[data1-full-4]": ALL,
        "test_n_components_none[data1-arpack-3]": ALL,
        "test_n_components_none[data1-randomized-4]": ALL,
        "test_pca_solver_equivalence[42-float64-True-False-wide-covariance_eigh]": (
            f"{ALL}; whitening gives zero along directions without variance"
        ),
        "test_pca_score": "the likelihood does not depend on whiten, which only scales coordinates",
        "test_pca_score3": "there is at least one component, n_components=0 is refused",
        "test_pca_svd_solver_auto": OWN,
        "test_sparse_pca_solver_error": "sparse rows are taken whatever the solver",
        **{
            f"{_VALIDATION}{solver}-{_BETWEEN}{i}]": LIMITS
            for solver in ("arpack", "randomized")
            for i in (0, 1)
        },
        **{
            f"{_VALIDATION}arpack-2-must be strictly less than min-data{i}]": LIMITS for i in (0, 1)
        },
        f"{_VALIDATION}{_THREE}0]": "other words for more components than features",
        f"{_VALIDATION}{_THREE}1]": ALL,
    },
    "sklearn.tests.test_base": {
        "test_get_fitted_attr_html": "counts the nine attributes of PCA; ours has nine more",
    },
    "sklearn.tests.test_pipeline": {
        "test_pipeline_methods_pca_classifier": MLE,
        "test_pipeline_score_samples_pca_lof": MLE,
    },
}
