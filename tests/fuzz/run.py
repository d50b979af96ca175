"""One target, fuzzed by atheris in this process; `python -m fuzz` starts these."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def main() -> None:
    import atheris

    target, memory, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["streampca", "beam_pipelines", "fuzz"]):
        from fuzz import targets
    corpus = Path(arguments[-1])
    for i, seed in enumerate(targets.seeds(target)):
        (corpus / f"seed{i}").write_bytes(seed)
        targets.TARGETS[target](seed)  # whatever is loaded at first use is loaded now
    # Input of kilobytes that takes more than this is a finding: it raises MemoryError.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(memory) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    atheris.Setup([sys.argv[0], *arguments], targets.TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
