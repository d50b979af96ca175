"""Thousands of small models in one process: `KeyedPCA`, and each of its models by itself."""

from streampca.estimators.bank.keyed import KeyedPCA

__all__ = ["KeyedPCA"]
