"""Input of jobs that are killed and run again, what they are asked for, what they write."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from streams import stream

from streampca import CheckpointStore

NAMES = list("abcdef")
KEYS = ["press 4", "press 5", "7"]
START = datetime(2026, 1, 1, tzinfo=UTC)


def write(folder, m=600, seed=0):
    """Three files whose rows are of any time and key, in several row groups, with a silent hour."""
    X, _ = stream(m, len(NAMES), seed)
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, 7200, m) + rng.integers(0, 2, m) * 14400)
    keys = [KEYS[i] for i in rng.integers(0, 3, m)]
    times = [START + timedelta(seconds=int(s)) for s in seconds]
    columns = {"time": times, "press": keys} | dict(zip(NAMES, X.T, strict=True))
    table = pa.table(columns)
    for i, rows in enumerate(np.array_split(rng.permutation(m), 3)):
        pq.write_table(table.take(rows), folder / f"rows{i}.parquet", row_group_size=70)


def content(store):
    """What a store has, bit for bit, in whichever files; nothing twice."""
    found = list(CheckpointStore(store).everything())
    assert found
    named = {(c.key, c.window_end, c.sequence): c.to_bytes() for c in found}
    assert len(named) == len(found)
    return named


CASES = {
    "plain": [],
    "sliding": ["--window", "sliding:1h,20m"],
    "sliding, each its own": ["--window", "sliding:1h,20m", "--no-carry"],
    "sessions": ["--window", "session:40s"],
    "sessions, each its own": ["--window", "session:40s", "--no-carry"],
    "global": ["--window", "global"],
    "each its own": ["--no-carry"],
    "factored": ["--memory", "factored", "--oversample", "1"],
    "float32": ["--dtype", "float32"],
    "half-life": ["--half-life", "30min"],
    "rows forgotten": ["--half-life", "50"],
    "forgetting": ["--forgetting-factor", "0.98"],
    "idle": ["--idle-timeout", "1h"],
    "not centred, whitened": ["--no-center", "--whiten", "--random-state", "3"],
    "gaps": ["--missing", "impute"],
    "late and early": ["--allowed-lateness", "1h", "--early-every", "10s", "--half-life", "1h"],
    "hot": ["--hot-key-shards", "3"],
    "descent": ["--solver", "first_order", "--batch-size", "16"],
}
