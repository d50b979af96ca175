"""All made files, by name; `made_base` says what a case is and how files are written."""

import made_binary  # noqa: F401 -- each adds its cases
import made_columns  # noqa: F401
import made_csv  # noqa: F401
import made_lines  # noqa: F401
from made_base import CASES, START, X, arrow_of, lines_of, parquet, put, text_of

__all__ = ["CASES", "START", "X", "arrow_of", "lines_of", "parquet", "put", "text_of"]
