"""numpy and torch under one roof. Knows nothing of rows and of what is remembered of them."""

from streampca.arrays.lazy import Array, is_tensor, need_torch, torch

__all__ = ["Array", "is_tensor", "need_torch", "torch"]
