"""numpy and torch under one roof. Knows nothing of rows and of what is remembered of them."""

from streampca.arrays.backend import (
    cast,
    column_parts,
    column_squares,
    device_name,
    dtype_name,
    empty,
    frobenius,
    namespace,
    sum_of_squares,
    to_device,
    to_numpy,
    writeable,
    zeros,
)
from streampca.arrays.blas import add_gram
from streampca.arrays.inverse import inverse_on_range
from streampca.arrays.lapack import leading_eigh
from streampca.arrays.lazy import Array, is_tensor, need_torch, torch
from streampca.arrays.lengths import column_lengths, unit_columns
from streampca.arrays.linalg import (
    apart,
    eigh_descending,
    gram64,
    householder,
    made_orthonormal,
    orthogonal_part,
    orthonormal,
    orthonormal_beside,
    safe_factor,
    singular,
    towards_orthonormal,
    whitener,
)
from streampca.arrays.ordering import completed, oriented
from streampca.arrays.streams import Lane, pinned, streams_of
from streampca.arrays.threads import as_last, as_pays, beside_passes, one_thread, one_torch_thread

__all__ = [
    "Array",
    "Lane",
    "add_gram",
    "apart",
    "as_last",
    "as_pays",
    "beside_passes",
    "cast",
    "column_lengths",
    "column_parts",
    "column_squares",
    "completed",
    "device_name",
    "dtype_name",
    "eigh_descending",
    "empty",
    "frobenius",
    "gram64",
    "householder",
    "inverse_on_range",
    "is_tensor",
    "leading_eigh",
    "made_orthonormal",
    "namespace",
    "need_torch",
    "one_thread",
    "one_torch_thread",
    "oriented",
    "orthogonal_part",
    "orthonormal",
    "orthonormal_beside",
    "pinned",
    "safe_factor",
    "singular",
    "streams_of",
    "sum_of_squares",
    "to_device",
    "to_numpy",
    "torch",
    "towards_orthonormal",
    "unit_columns",
    "whitener",
    "writeable",
    "zeros",
]
