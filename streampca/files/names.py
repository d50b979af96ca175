"""Names, patterns and URIs as sources; what names say of formats; outputs that are inputs."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from pyarrow import fs

from streampca.files.options import FORMATS, ONLY_OF_TOPICS
from streampca.files.source import STDIN, Source, filesystem_of, local_path, require_readable
from streampca.files.topic import SCHEME, Topic

OF_FILES = tuple(form for form in FORMATS if form not in ONLY_OF_TOPICS)

COMPRESSIONS = (".gz", ".bz2", ".zst", ".zstd", ".lz4", ".deflate")

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
}


def form_of(path: str, otherwise: str = "") -> str:
    """Return the format that a name says, with or without the suffix of a compression.

    Raises
    ------
    ValueError
        If it says none; `otherwise` ends the sentence.

    Examples
    --------
    >>> form_of("logs/day.csv.gz")
    'csv'
    """
    stem = path.lower()
    for suffix in COMPRESSIONS:
        stem = stem.removesuffix(suffix)
    for suffix, form in SUFFIXES.items():
        if stem.endswith(suffix):
            return form
    raise ValueError(
        f"{path}: unknown file type; the name must end with {', '.join(SUFFIXES)}{otherwise}"
    )


def partitions_of(path: str) -> dict[str, Any]:
    """What the folders of a path say, as hive writes it; whole numbers as such.

    Examples
    --------
    >>> partitions_of("plant/press=4/line=north%20hall/part.parquet")
    {'press': 4, 'line': 'north hall'}
    """
    found: dict[str, Any] = {}
    for folder in path.replace("\\", "/").split("/")[:-1]:
        name, sign, text = folder.partition("=")
        if not sign or not name:
            continue
        value: Any = unquote(text)
        if text == "__HIVE_DEFAULT_PARTITION__":
            value = None
        elif re.fullmatch(r"-?(0|[1-9]\d{0,17})", text):
            value = int(text)
        found[unquote(name)] = value
    return found


def find(patterns: Any, form: str | None = None, source: type[Source] = Source) -> Any:
    """The sources that names and patterns stand for, each once; matches of a pattern sorted.

    Raises
    ------
    TypeError
        If one is no name: an open file, bytes, a number.
    ValueError
        If a pattern matches nothing, or a name is a folder, a device, or of no type that can be
        read.
    """
    one = isinstance(patterns, (str, os.PathLike, bytes)) or not isinstance(patterns, Iterable)
    paths: dict[str, str] = {}
    for pattern in map(_name, [patterns] if one or hasattr(patterns, "read") else patterns):
        for path in _matching(pattern):
            paths.setdefault(
                path if "://" in path or path == STDIN else os.path.abspath(path), path
            )
    if not paths:
        raise ValueError("there is no file to read: give names or patterns")
    return [made(path, form, source) for path in paths.values()]


def _name(given: Any) -> str:
    if isinstance(given, (str, os.PathLike)):
        return os.fsdecode(given)
    what = f"{given!r:.60}" if isinstance(given, (bytes, int, float)) else type(given).__name__
    raise TypeError(
        f"files to read are names, patterns or URIs, as str or Path, not {what}: "
        "write it to a file, or give - and let it come by standard input"
    )


def made(path: str, form: str | None, source: type[Source] = Source) -> Source:
    """A source by its path; of a pipe, the first bytes say the format."""
    if path.startswith(SCHEME):
        return Topic(path, form)
    if form in ONLY_OF_TOPICS:
        raise ValueError(f"{path}: {form} is read from topics only (kafka://host:9092/topic)")
    found = source(path, form, partitions_of(path))
    if form is None and not found.is_pipe:
        found._form = form_of(path, f", or say --input-format {', '.join(OF_FILES)}")
    return found


def _matching(pattern: str) -> list[str]:
    local = local_path(pattern)
    if pattern == STDIN or pattern.startswith(SCHEME):
        return [pattern]
    if local is None:
        return _matching_uri(pattern)
    if os.path.exists(local):
        require_readable(local, pattern)
        return [pattern]
    found = sorted(path for path in glob.glob(local, recursive=True) if os.path.isfile(path))
    if not found:
        raise ValueError(f"{pattern}: there is no such file")
    return found


def _matching_uri(pattern: str) -> list[str]:
    sign = re.search(r"[*?\[]", pattern)
    if sign is None:
        return [pattern]
    folder = pattern[: sign.start()].rpartition("/")[0]
    filesystem, base = filesystem_of(folder)
    infos = filesystem.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    wanted = base.rstrip("/") + pattern[len(folder) :]
    paths = [info.path for info in infos if info.type == fs.FileType.File]
    found = sorted(path for path in paths if _fits(path, wanted))
    if not found:
        raise ValueError(f"{pattern}: there is no such file")
    return [folder + path[len(base.rstrip("/")) :] for path in found]


def _fits(path: str, pattern: str) -> bool:
    """Whether a path matches a pattern, level by level; ** is any number of levels."""
    here, wanted = path.split("/"), pattern.split("/")
    if "**" in wanted:
        at = wanted.index("**")
        rest = wanted[at + 1 :]
        return _fits("/".join(here[:at]), "/".join(wanted[:at])) and any(
            _fits("/".join(here[i:]), "/".join(rest)) for i in range(at, len(here))
        )
    return len(here) == len(wanted) and all(map(fnmatch.fnmatchcase, here, wanted))


def refuse_inputs(outputs: Iterable[tuple[str, str | None]], inputs: Iterable[Any]) -> None:
    """Raise if a file that is to be written is one that is to be read, through links too.

    Parameters
    ----------
    outputs : iterable of (str, str or None)
        What messages call each, and its path.
    inputs : iterable of Source or str

    Raises
    ------
    ValueError
        Naming both; nothing has been opened.
    """
    read = [getattr(each, "path", each) for each in inputs]
    written: list[tuple[str, str]] = []
    for called, path in outputs:
        if path is None or path == STDIN:
            continue
        for other in read:
            if same_file(path, other):
                raise ValueError(
                    f"{called} {path} is a file that is read ({other}), which it would replace: "
                    "give another name"
                )
        for before, other in written:
            if same_file(path, other):
                raise ValueError(f"{before} and {called} are one file, {path}: give two names")
        written.append((called, path))


def same_file(one: str, other: str) -> bool:
    """Whether two names are of one file, through symbolic and hard links."""
    a, b = local_path(one), local_path(other)
    if a is None or b is None:
        return one == other
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.realpath(a) == os.path.realpath(b)
