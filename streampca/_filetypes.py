"""What the name of a file says about its content, for the command line and Beam alike."""

from __future__ import annotations

from collections.abc import Iterable

FORMATS = ("parquet", "csv", "jsonl")

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def form_of(path: str, compressions: Iterable[str], otherwise: str = "") -> str:
    """Return the format that a name says, with or without the suffix of a compression.

    Parameters
    ----------
    path : str
        Name, path or URI.
    compressions : iterable of str
        Suffixes of what the caller can decompress.
    otherwise : str
        What else the user can do where the name says none, as the end of the sentence.

    Raises
    ------
    ValueError
        If it says none.

    Examples
    --------
    >>> form_of("logs/day.csv.gz", [".gz"])
    'csv'
    """
    stem = path.lower()
    for suffix in compressions:
        stem = stem.removesuffix(suffix)
    for suffix, form in _SUFFIXES.items():
        if stem.endswith(suffix):
            return form
    raise ValueError(
        f"{path}: unknown file type; the name must end with {', '.join(_SUFFIXES)}{otherwise}"
    )
