"""Runs tests of others with our classes in the place of theirs, and counts.

`python -m outside [SUITE ...]` with tests/ on the path, in an environment that has them:
`make outside`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

SUITES = {
    "sklearn.decomposition.tests.test_incremental_pca": ["IncrementalPCA"],
    "sklearn.decomposition.tests.test_pca": ["PCA"],
    "sklearn.tests.test_pipeline": ["PCA"],
    "sklearn.tests.test_base": ["PCA", "IncrementalPCA"],
    "sklearn.feature_selection.tests.test_from_model": ["PCA"],
    "hyperspy.tests.learn.test_incremental_svd": ["IncrementalPCA"],
    "hyperspy.tests.learn.test_lazy_decomposition": ["IncrementalPCA"],
}
COUNTED = ("passed", "failed", "error", "xfailed", "xpassed", "skipped")
HERE = Path(__file__).parent


def run(suite: str, replaced: list[str]) -> tuple[int, str]:
    """Run one suite; its exit code and what it printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-rxfE", "--tb=short", "-n", "auto"]
    command += ["--maxprocesses", "4", "-c", str(HERE / "pytest.ini"), "-p", "no:cacheprovider"]
    command += ["-p", "outside.plugin", "--suite", suite]
    command += [part for name in replaced for part in ("--replace", name)]
    command += ["--pyargs", suite]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    return done.returncode, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    # pictures of hyperspy go nowhere
    return {**os.environ, "MPLBACKEND": "agg"}


def counts(printed: str) -> dict[str, int]:
    """Numbers in pytest's last line."""
    last = printed.strip().splitlines()[-1] if printed.strip() else ""
    found = re.findall(r"(\d+) (passed|failed|error|xfailed|xpassed|skipped)", last)
    return {what: int(number) for number, what in found}


def main(chosen: list[str]) -> int:
    """Run the suites that are chosen, or all; 1 if one has failed or ran nothing."""
    failed = False
    rows = []
    for suite, replaced in SUITES.items():
        if chosen and suite not in chosen:
            continue
        code, printed = run(suite, replaced)
        found = counts(printed)
        rows.append((suite, found))
        bad = code != 0 or not found.get("passed")
        failed |= bad
        reasons = [line for line in printed.splitlines() if line.startswith("XFAIL")]
        print(printed if bad else "\n".join(reasons), flush=True)
    print(f"{'':50}" + "".join(f"{what:>9}" for what in COUNTED))
    for suite, found in rows:
        print(f"{suite:50}" + "".join(f"{found.get(what, 0):9}" for what in COUNTED))
    return int(failed or not rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
