"""What importing takes: `import streampca` beside what it cannot do without.

    python -m benchmarks.imports            medians of nine processes each, a minute at most
    python -m benchmarks.imports --times 3

Each line is a new process, with the files in the cache of the operating system; lines take turns,
so that a busy moment of the machine meets all of them. Time to start Python itself is left out.
`import streampca` is to take no more than 0.25 s; the process ends with 1 where it took longer than
that on a machine that imports numpy and pyarrow in 0.15 s, or as much longer as these did.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time

LIMIT = 0.25
ALLOWED = LIMIT / 0.15
"""Of what numpy and pyarrow take: on a slow or busy machine these take longer too."""

LINES = {
    "numpy, pyarrow": "import numpy, pyarrow",
    "streampca": "import streampca",
    "streampca, torch": "import streampca, torch",
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
    """Median seconds of each line, less those of a Python that imports nothing."""
    lines = {"nothing": "pass"} | {
        name: line
        for name, line in LINES.items()
        if name not in NEEDS or importlib.util.find_spec(NEEDS[name])
    }
    taken: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(times + 1):
        for name, line in lines.items():
            taken[name].append(seconds(line))
    medians = {name: statistics.median(each[1:]) for name, each in taken.items()}  # first: cold
    nothing = medians.pop("nothing")
    return {name: median - nothing for name, median in medians.items()}


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
