"""Fuzz the readers of checkpoints and of what Beam's workers send each other, and the numbers.

    PYTHONPATH=tests:. python -m fuzz                     a minute, over all targets
    PYTHONPATH=tests:. python -m fuzz --seconds 3600 block
    PYTHONPATH=tests:. python -m fuzz streams --count 10000

An input that a target fails on is kept in tests/fuzz/found, where the suite reads it ever after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz import streams
from fuzz.targets import TARGETS

HERE = Path(__file__).parent
FOUND = HERE / "found"
RUNS = 2_000  # of each target, where inputs are to be the same each time
MEMORY = 512  # MiB beyond what the imports take


def fuzz(target: str, seconds: int, seed: int = 0) -> tuple[str, bool, str]:
    """Run one target; its name, whether all went well, and what it said.

    With a seed, the inputs are the same each time, in number too: RUNS, unless time ends first.
    """
    same = [f"-seed={seed}", f"-runs={RUNS}"] if seed else []
    with tempfile.TemporaryDirectory() as corpus:
        done = subprocess.run(
            [
                *(sys.executable, str(HERE / "run.py"), target, str(MEMORY)),
                *(f"-max_total_time={seconds}", "-max_len=16384", "-timeout=20"),
                *same,
                *("-rss_limit_mb=0", "-print_final_stats=1", "-verbosity=1"),
                *(f"-artifact_prefix={FOUND}/{target.replace(' ', '_')}-", corpus),
            ],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | ({"PYTHONHASHSEED": str(seed)} if seed else {}),
        )
        said = done.stdout + done.stderr
        statistics = dict(
            line.removeprefix("stat::").split(":", 1)
            for line in said.splitlines()
            if line.startswith("stat::")
        )
        ran = statistics.get("number_of_executed_units", "?").strip()
        kept = len(list(Path(corpus).iterdir()))
    noise = ("INFO", "WARNING", "#", "Extension modules")
    told = [line for line in said.splitlines() if not line.startswith(noise)]
    return target, done.returncode == 0, f"{ran} inputs, {kept} kept\n" + "\n".join(told)


def main() -> int:
    if sys.argv[1:2] == ["streams"]:
        return streams.main(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="in all, on two cores")
    parser.add_argument(
        "--streams", type=int, default=300, help="streams of rows besides, if no target is named"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same inputs each time; 0: others each time"
    )
    given = parser.parse_args()
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}: choose from {', '.join(TARGETS)}")
    wrong = 0
    if given.streams and not given.targets:
        wrong = streams.try_streams(range(given.streams), min(2, os.cpu_count() or 1), {}, False)
    return int(fuzz_bytes(given.targets or list(TARGETS), given.seconds, given.seed) or wrong > 0)


def fuzz_bytes(chosen: list[str], seconds: int, seed: int = 0) -> bool:
    """Run the targets; whether one failed."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print(
            "Not fuzzed: atheris is not installed. It has wheels for Linux on x86-64 with Python "
            "3.11 to 3.13; there, `pip install atheris` and run this again. What was found so far "
            "is in the test suite all the same."
        )
        return False
    cores = min(2, os.cpu_count() or 1)
    each = max(2, seconds * cores // len(chosen))
    started, failed = time.monotonic(), []
    with ThreadPoolExecutor(cores) as pool:
        for target, well, said in pool.map(lambda name: fuzz(name, each, seed), chosen):
            print(
                f"{target:15} {'clean' if well else 'FAILED'}: {said.splitlines()[0]}", flush=True
            )
            if not well:
                failed.append(target)
                print(said[-3000:])
    print(f"{len(chosen)} targets, {each} s each, {time.monotonic() - started:.0f} s in all")
    if failed:
        print(f"Inputs that failed are in {FOUND}; the suite fails on them until this is mended.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
