"""Streams of such rows as somebody might send them, each drawn from one integer seed.

Which type they have, where they lie, in what pieces they come, what they weigh, what is forgotten,
merged, stored and resumed on the way, and when somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse
from spectra import FAMILIES, SMOOTH

MEMORIES = ("dense", "factored", "auto")
DTYPES = ("float32", "float64")
WEIGHTS = ("none", "counts", "heavy", "shares")
GIVEN = ("array", "array", "columns", "sparse", "list")

MOST_DENSE = 600
"""Features of what is remembered as n x n, and beyond which nobody looks after every row: a stream
should take a tenth of a second."""


@dataclass
class Stream:
    """Rows and what is done with them; `parts` are learned apart and then merged."""

    seed: int
    family: str
    dtype: str
    X: Any  # (m, n)
    weights: Any  # (m,) or None
    options: dict[str, Any]
    given: str
    parts: list[list[tuple[Any, ...]]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.family, self.options["memory"], self.dtype

    def rows(self, start: int, stop: int) -> Any:
        """Rows as the user hands them over."""
        X = self.X[start:stop]
        match self.given:
            case "columns":
                return np.asfortranarray(X)
            case "sparse":
                return scipy.sparse.csr_array(X)
            case "tensor":
                return _tensor(X)
            case "list":
                return X if self.dtype == "float32" else X.tolist()  # a list is float64
        return X

    def __str__(self) -> str:
        said = {
            k: v
            for k, v in self.options.items()
            if not (v is None or v is True or (k[0] == "f" and v == 1))
        }
        weights = "" if self.weights is None else f" weights {self.notes['weights']}"
        done = [
            " ".join(f"{step[0]} {step[1:]}" if step[0] != "rows" else f"{step[1]}:{step[2]}"
                     for step in part)
            for part in self.parts
        ]  # fmt: skip
        done = [text if len(text) < 160 else text[:160] + "..." for text in done]
        return (
            f"seed {self.seed}: {self.family} {self.X.shape} {self.dtype} as {self.given}, "
            f"{self.notes['place']}, {said}{weights}; {' | '.join(done)}"
        )


def _tensor(X: Any) -> Any:
    try:
        import torch
    except ImportError:  # an extra
        return X
    return torch.tensor(X)


class _Choices:
    """Draws that may be fixed by name."""

    def __init__(self, seed: int, fixed: dict[str, Any]) -> None:
        self.rng, self.fixed = np.random.default_rng(seed), fixed

    def of(self, name: str, values: Any, p: Any = None) -> Any:
        i = self.rng.choice(len(values), p=p)  # drawn all the same: the rest stays as it is
        return self.fixed.get(name, values[i])

    def often(self, share: float, name: str = "") -> bool:
        drawn = bool(self.rng.random() < share)
        return self.fixed.get(name, drawn)


def stream(seed: int, **fixed: Any) -> Stream:
    """The stream of a seed; `fixed` are choices by name (family, memory, dtype, m, n, p, ...)."""
    draw = _Choices(seed, fixed)
    family = draw.of("family", list(FAMILIES))
    memory, dtype = draw.of("memory", MEMORIES), draw.of("dtype", DTYPES)
    m, n = _shape(draw, family)
    if memory == "dense" and "n" not in fixed:
        n = min(n, MOST_DENSE)
    X, place = _placed(draw, FAMILIES[family](draw.rng, m, n), dtype)
    given = draw.of("given", GIVEN)
    weights, weighing = _weights(draw, m)
    options = _options(draw, m, n, memory)
    made = Stream(seed, family, dtype, X, weights, options, given)
    made.notes = {"place": place, "weights": weighing}
    made.parts = _parts(draw, m, n > MOST_DENSE)
    # drawn last, so that what was drawn before is what it was before there were these
    if memory != "factored" and n <= MOST_DENSE:  # all eigenvalues are at hand
        usual = options["n_components"]
        options["n_components"] = draw.of("n_components", [usual, None, 0.9], p=[0.9, 0.06, 0.04])
    if given == "array" and draw.often(0.15, "tensor"):
        made.given = "tensor"
    return made


def _shape(draw: _Choices, family: str) -> tuple[int, int]:
    rng = draw.rng
    m = int(rng.choice([rng.integers(1, 12), rng.integers(12, 120), rng.integers(120, 700)]))
    n = int(rng.choice([rng.integers(1, 12), rng.integers(12, 60), rng.integers(60, 260)]))
    if family in SMOOTH and rng.random() < 0.5:
        n = int(rng.choice([rng.integers(200, 600), 1025, 1100, 2048, 5000],
                           p=[0.82, 0.08, 0.06, 0.03, 0.01]))  # fmt: skip
        m = min(m, 400)
    return draw.fixed.get("m", m), draw.fixed.get("n", n)


_PLACES = ["as they are", "mean 1e3", "mean 1e6", "mean 1e8", "tiny", "small", "large", "huge"]


def _placed(draw: _Choices, X: Any, dtype: str) -> tuple[Any, str]:
    """Means of many times the spread; units at both ends of floats; sorted rows."""
    place = draw.of("place", _PLACES, p=[0.65, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05])
    sign = draw.rng.choice([-1.0, 1.0], size=X.shape[1])
    if place.startswith("mean"):
        X = X + sign * float(place[5:]) * max(X.std(), 1e-3)
    single = dtype == "float32"
    units = {"tiny": 1e-15 if single else 1e-150, "small": 1e-10 if single else 1e-30,
             "large": 1e10 if single else 1e30, "huge": 1e14 if single else 1e140}  # fmt: skip
    unit = units.get(place, 1.0)
    # squares below what a float can be are zero, and no variance can be known
    X = X if np.abs(X).max() * unit < (1e-18 if single else 1e-153) else X * unit
    if draw.often(0.1, "sorted"):
        X, place = X[np.argsort(X[:, 0], kind="stable")], place + ", sorted"
    return X.astype(dtype), place


def _weights(draw: _Choices, m: int) -> tuple[Any, str]:
    kind = draw.of("weights", WEIGHTS, p=[0.7, 0.15, 0.1, 0.05])
    drawn = draw.rng.choice([0.0, 1.0, 2.0, 3.0], size=m)
    drawn[draw.rng.integers(m)] = 2.0
    weights = {
        "none": None,
        "counts": drawn,
        "heavy": drawn * np.where(draw.rng.random(m) < 0.1, 1e6, 1.0),
        "shares": np.full(m, 1.0 / m),
    }
    return weights[kind], kind


def _options(draw: _Choices, m: int, n: int, memory: str) -> dict[str, Any]:
    rng = draw.rng
    p = int(rng.choice([1, min(n, 2), min(n, 10), min(n, 20), min(n, 50), rng.integers(1, n + 1),
                        n if n <= 120 else 20]))  # fmt: skip
    options: dict[str, Any] = {"n_components": draw.fixed.get("p", p), "memory": memory}
    options["batch_size"] = draw.of("batch_size", [None, None, None, 1, 7, 64, 1000])
    options["oversample"] = draw.of("oversample", [None, None, None, 0, 1, 5, 40])
    gamma = draw.of("forgetting", [1.0, 0.9, 0.99, 0.999], p=[0.8, 0.05, 0.07, 0.08])
    options["forgetting_factor"] = float(gamma)
    options["center"] = not draw.often(0.08, "uncentred")
    return options


def _parts(draw: _Choices, m: int, wide: bool) -> list[list[tuple[Any, ...]]]:
    """What is done with the rows, in 1 to 4 parts: pieces, looks, resumptions, decays."""
    rng = draw.rng
    count = draw.of("parts", [1, 1, 1, 1, 1, 2, 3, 4])
    cuts = np.sort(rng.integers(0, m + 1, size=count - 1))
    bounds = [0, *cuts.tolist(), m]
    size = draw.of("piece", [1, 10, 50, 100, 10**6, -1])
    looks = draw.of("looks", [0.0, 0.0, 0.2, 1.0])
    if wide:
        size, looks = max(size, 50), min(looks, 0.2)
    parts = []
    for begin, end in pairwise(bounds):
        part: list[tuple[Any, ...]] = []
        at = begin
        while at < end:
            length = int(rng.integers(1, 80)) if size == -1 else max(size, (end - begin) // 150)
            part.append(("rows", at, min(at + length, end)))
            at += length
            if rng.random() < looks:
                part.append(("read",))
            if rng.random() < 0.03:
                part.append(("resume",))
            if rng.random() < 0.02:
                part.append(("decay", float(rng.choice([0.5, 0.99, 1e-3]))))
        parts.append(part)
    return parts
