"""`make run`: components of a sensor stream, window by window, through the main job's own code.

River's Shuttle stream (Statlog, 49,097 rows of 9 sensors; BSD-3 with River, UCI) as one row a
second of event time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from beam_pipelines import run
from streampca import Checkpoint, CheckpointStore
from streampca.plots import plot_components

_ROWS = Path("data/shuttle.parquet")
_OUT = Path("out/shuttle")
_START = np.datetime64("2026-01-01T00:00:00", "us")
_SECOND = np.timedelta64(1, "s")


def write_shuttle(path: Path) -> int:
    """Write the stream as a Parquet file with event times, unless it is there; return its rows."""
    if not path.exists():
        from river.datasets import Shuttle  # an extra, and slow to import

        rows = [sensors for sensors, _ in Shuttle()]
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        times = _START + np.arange(len(rows)) * _SECOND
        table = pa.table({"time": pa.array(times, pa.timestamp("us", "UTC")), **columns})
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        pq.write_table(table, partial)
        partial.replace(path)
    return int(pq.read_metadata(path).num_rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m beam_pipelines.demo", description=__doc__)
    parser.add_argument("--window", default="1h", help="as in beam_pipelines.run (default: 1h)")
    parser.add_argument("--n-components", default="4", help="how many (default: 4)")
    given, beam_options = parser.parse_known_args(argv)
    console = Console()
    started = time.monotonic()
    with console.status("Writing River's Shuttle stream to Parquet"):
        n_rows = write_shuttle(_ROWS)
    store = _OUT / "checkpoints"
    shutil.rmtree(store, ignore_errors=True)  # of an earlier run, perhaps with other windows
    arguments = ["--input", str(_ROWS), "--timestamp-column", "time", "--output", str(store)]
    arguments += ["--window", given.window, "--n-components", given.n_components, *beam_options]
    console.print(f"{n_rows:,} rows in {_ROWS}, one a second\n", highlight=False)
    console.print(
        f"python -m beam_pipelines.run {' '.join(arguments)}", highlight=False, soft_wrap=True
    )
    windows = None
    if given.window == "1h":
        windows = -(-n_rows // 3600)
    code = _with_progress(console, store, windows, lambda: run.main(arguments))
    if code:
        return code
    history = CheckpointStore(store).history(moments=False)
    console.print(window_table(history), component_table(history[-1]))
    picture = _OUT / "components.png"
    plot_components(history).savefig(picture)
    console.print(f"checkpoints  {store.resolve()}", highlight=False, soft_wrap=True)
    console.print(f"figure       {picture.resolve()}", highlight=False, soft_wrap=True)
    console.print(f"time         {time.monotonic() - started:.1f} s", highlight=False)
    return 0


def _with_progress(
    console: Console, store: Path, total: int | None, work: Callable[[], int]
) -> int:
    """Do the work while a bar shows the windows whose checkpoints have been written."""
    done = threading.Event()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("windows closed", total=total)

        def watch() -> None:
            while not done.wait(0.1):
                progress.update(task, completed=sum(1 for _ in store.glob("*/*.parquet")))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            return work()
        finally:
            done.set()
            watcher.join()
            written = sum(1 for _ in store.glob("*/*.parquet"))
            progress.update(task, completed=written, total=written)


def window_table(history: Sequence[Checkpoint]) -> Table:
    """Explained variance of the ordered components, a row for each window."""
    p = max(len(checkpoint.components) for checkpoint in history)
    title = f"Variance explained by components 1 to {p}, and how far they turned"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("window ends (UTC)", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    for i in range(p):
        table.add_column(str(i + 1), justify="right")
    table.add_column("all", justify="right")
    table.add_column("turned", justify="right")
    for checkpoint in history:
        end = "end"
        if checkpoint.window_end is not None:
            end = str(np.datetime64(checkpoint.window_end, "us").astype("datetime64[m]"))
        ratio = checkpoint.explained_variance_ratio
        drift = checkpoint.drift
        turned = "" if drift is None else f"{np.degrees(drift.angle):.2f}°"
        shares = [f"{share:.1%}" for share in ratio] + [""] * (p - len(ratio))
        rows = f"{checkpoint.n_samples_seen:,}"
        table.add_row(end.replace("T", " "), rows, *shares, f"{ratio.sum():.1%}", turned)
    return table


def component_table(checkpoint: Checkpoint) -> Table:
    """The ordered components after the last window: what each feature has in them."""
    components = checkpoint.components
    names = checkpoint.feature_names or [f"feature {i}" for i in range(components.shape[1])]
    table = Table(title="Components after the last window", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("feature")
    for i in range(len(components)):
        table.add_column(str(i + 1), justify="right")
    for name, loadings in zip(names, components.T, strict=True):
        table.add_row(name, *(f"{loading:+.3f}" for loading in loadings))
    return table


if __name__ == "__main__":
    sys.exit(main())
