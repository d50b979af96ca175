"""Ordered components for River: dictionaries in, dictionaries out, one row at a time."""

try:
    from river import base as _base  # noqa: F401 - only asked whether it is there
except ImportError as error:
    raise ImportError('streampca.river needs River: pip install "streampca[river]"') from error

from streampca.river.lags import Lags
from streampca.river.pca import PCA
from streampca.river.regressor import ReducedRankRegressor
from streampca.river.scorer import PCAScorer

__all__ = ["PCA", "Lags", "PCAScorer", "ReducedRankRegressor"]
