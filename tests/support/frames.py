"""The same rows as every kind of frame."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

X = np.arange(12.0).reshape(4, 3) ** 2 + 0.5
NAMES = ("a", "b", "c")
NAN = float("nan")


def frames(values, names=NAMES):
    columns = {name: values[:, j] for j, name in enumerate(names)}
    return {
        "pandas": pd.DataFrame(columns),
        "pandas-arrow": pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
        "pandas-nullable": pd.DataFrame(columns).convert_dtypes(dtype_backend="numpy_nullable"),
        "polars": pl.DataFrame(columns),
        "table": pa.table(columns),
        "batch": pa.record_batch(columns),
        "chunked": pa.concat_tables([pa.table(columns)[:1], pa.table(columns)[1:]]),
    }


KINDS = tuple(frames(X))
