"""Rows that are dictionaries; knows nothing of River."""

from streampca.records.buffer import too_large
from streampca.records.layout import Layout
from streampca.records.pca import RecordPCA, View
from streampca.records.regression import RecordPairs
from streampca.records.scorer import RecordScorer

__all__ = ["Layout", "RecordPCA", "RecordPairs", "RecordScorer", "View", "too_large"]
