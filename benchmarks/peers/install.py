"""Peers that are no dependency of anything: installed once, into a folder of their own.

    python -m benchmarks.peers.install

A peer that does not install or import here is named with the reason; the others still run.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path
from types import ModuleType

from benchmarks.data import CACHE

FOLDER = CACHE / "peers"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MODULES = {
    "TorchDR": "torchdr",
    "torch-incremental-pca": "torch_incremental_pca",
    "scikit-learn-intelex": "sklearnex.preview.decomposition",
}


def install() -> dict[str, str]:
    """Install what is missing, all at once and else one by one; why each of the rest failed."""
    marker = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if marker.exists() and marker.read_text() == wanted:
        return {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [line for line in wanted.splitlines() if line and not line.startswith("#")]
    failed = {} if not _pip(lines) else {line: said for line in lines if (said := _pip([line]))}
    if not failed:
        marker.write_text(wanted)
    return failed


def _pip(requirements: list[str]) -> str:
    """Why pip failed, or nothing."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    # a prefix, not a target: scikit-learn-intelex keeps its modules among a wheel's data files
    command += ["--prefix", str(FOLDER), "--no-warn-script-location", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else f"pip ended {done.returncode}")


def load(peer: str) -> ModuleType:
    """The peer's module.

    Raises
    ------
    ImportError
        If it is not installed or does not work here.
    """
    paths = {"base": str(FOLDER), "platbase": str(FOLDER)}
    for kind in ("purelib", "platlib"):
        folder = sysconfig.get_path(kind, "posix_prefix", paths)
        if folder not in sys.path:
            sys.path.append(folder)  # last: what is in the environment comes first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchDR warns of optional packages
        return importlib.import_module(MODULES[peer])


def main() -> None:
    for requirement, reason in install().items():
        print(f"{requirement} does not install: {reason}")
    for peer in MODULES:
        try:
            load(peer)
        except ImportError as error:
            print(f"{peer} cannot be used: {error}")
        else:
            print(f"{peer} is ready")


if __name__ == "__main__":
    main()
