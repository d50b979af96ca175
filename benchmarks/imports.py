"""What importing takes: `from streampca import ...` beside what it cannot do without.

    python -m benchmarks.imports            the fastest of nine processes each, a minute at most
    python -m benchmarks.imports --times 3

Each line is a new process, with the files in the cache of the operating system; lines take turns,
so that a busy moment of the machine meets all of them, and the fastest counts: other work on the
machine only ever adds to a time. Time to start Python itself is left out.
`from streampca import StreamingPCA` is to take no more than 0.25 s. A machine that needs longer for
numpy and pyarrow alone is slow or busy: there the limit is twice what these take. The process ends
with 1 above it.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time

LIMIT = 0.25
ALLOWED = 2.0
"""Times what numpy and pyarrow take; on a quiet machine the estimators take 1.4 times that."""

LINES = {
    "numpy, pyarrow": "import numpy, pyarrow",
    "streampca": "from streampca import KeyedPCA, StreamingPCA, merge_all",
    "streampca, torch": "from streampca import StreamingPCA; import torch",
    "streampca.river": "import streampca.river",
    "beam_pipelines": "import beam_pipelines",
    "streampca --help": "from streampca.cli import main; sys.argv[1:] = ['--help']; main()",
}
NEEDS = {"streampca, torch": "torch", "streampca.river": "river", "beam_pipelines": "apache_beam"}


def seconds(line: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import sys\n{line}"], check=True, capture_output=True)
    return time.perf_counter() - start


def measured(times: int) -> dict[str, float]:
    """Shortest seconds of each line, less those of a Python that imports nothing."""
    lines = {"nothing": "pass"} | {
        name: line
        for name, line in LINES.items()
        if name not in NEEDS or importlib.util.find_spec(NEEDS[name])
    }
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(times + 1):
        for name, line in lines.items():
            taken[name].append(seconds(line))
    shortest = {name: min(each[1:]) for name, each in taken.items()}  # the first run is cold
    nothing = shortest.pop("nothing")
    return {name: took - nothing for name, took in shortest.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=9, help="processes for each line")
    found = measured(parser.parse_args().times)
    base = found["numpy, pyarrow"]
    for name, took in found.items():
        print(f"{name:20} {took:6.3f} s  {took / base:5.2f} times numpy and pyarrow")
    limit = max(LIMIT, ALLOWED * base)
    held = found["streampca"] <= limit
    print(f"limit for streampca  {limit:6.3f} s: {'held' if held else 'EXCEEDED'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
