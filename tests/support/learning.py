"""What is learned of rows in inputs of any size, and how far it is from what it should be."""

from streampca import StreamingPCA
from streampca.metrics import principal_angles

FITTED = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "var_",
    "noise_variance_",
)
"""Attributes that scikit-learn's IncrementalPCA has, too."""

BATCHES = [1, 7, 100, 1797]


def learned(X, size, **options):
    pca = StreamingPCA(**options)
    for start in range(0, len(X), size):
        pca.partial_fit(X[start : start + size])
    return pca


def angle(a, b):
    return principal_angles(a, b).max()
