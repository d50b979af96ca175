"""Run everything behind docs/paper.md, or what is named: `python -m benchmarks.paper figure1 cost`.

With `--draw`, figures that keep their numbers are drawn from these.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

NAMES = (
    "cost",
    "figure1",
    "figure3",
    "bottleneck",
    "oscillator",
    "questions",
    "rivals",
    "figure2",
)


def main() -> None:
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")] or list(NAMES)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        raise SystemExit(f"no part {', '.join(unknown)}: there are {', '.join(NAMES)}")
    for name in chosen:
        print(f"--- {name}", flush=True)
        start = time.perf_counter()
        import_module(f"benchmarks.paper.{name}").main()
        print(f"--- {name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
