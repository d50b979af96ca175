"""Send a stream through StreamingPCA as it was drawn, look where it says, tell what is wrong."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from spectral_checks import Reading
from spectral_streams import Stream
from spectral_truth import Truth
from spectral_use import check_use

from streampca import Checkpoint, StreamingPCA

_LOOKS = 3
"""Looks on the way that are held against the truth; the others only see that nothing breaks."""


class Outcome(NamedTuple):
    """What a stream came to."""

    wrong: list[str]  # attributes
    misused: list[str]  # what is made of them, if they are right
    figures: dict[str, float]  # the largest of each


def kind_of(text: str) -> str:
    """What a complaint is about, without its numbers."""
    text = re.sub(r"^after \d+ rows: ", "", text)
    return re.split(r"\[| is | say | add up", text)[0]


class _Run:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.figures: dict[str, float] = {}
        self.looks = 0
        self.updates = 0

    def new(self) -> StreamingPCA:
        return StreamingPCA(**self.stream.options)

    def seen(self, rows: list[int], remembered: np.ndarray) -> Truth:
        copies = np.ones(len(rows))
        if self.stream.weights is not None:
            copies = self.stream.weights[rows]
        return Truth.of(self.stream.X[rows], copies, remembered, self.stream.options["center"])

    def learned(self, part: list[tuple[Any, ...]]) -> tuple[StreamingPCA, list[int], np.ndarray]:
        """One part; its rows and what is left of each."""
        stream, pca = self.stream, self.new()
        gamma = stream.options["forgetting_factor"]
        rows: list[int] = []
        left = np.zeros(0)
        for step in part:
            match step:
                case ("rows", start, stop):
                    counted = self.sent(pca, start, stop)
                    k = len(counted)
                    left = np.r_[left * gamma**k, gamma ** np.arange(k - 1, -1, -1.0)]
                    rows += counted
                    size = stream.options["batch_size"] or max(k, 1)
                    self.updates += 1 + k // size
                case ("decay", factor):
                    pca.decay(factor)
                    left = left * factor
                case ("resume",) if rows:
                    data = pca.checkpoint().to_bytes()
                    pca = StreamingPCA.from_checkpoint(Checkpoint.from_bytes(data))
                case ("read",) if rows:
                    self.look(pca, rows, left, whole=self.looks < _LOOKS)
                    self.looks += 1
        return pca, rows, left

    def sent(self, pca: StreamingPCA, start: int, stop: int) -> list[int]:
        """Hand over rows; those that count: rows of weight 0 are as if absent."""
        weights = self.stream.weights
        w = None if weights is None else weights[start:stop]
        counted = list(range(start, stop)) if w is None else (start + np.flatnonzero(w)).tolist()
        try:
            pca.partial_fit(self.stream.rows(start, stop), sample_weight=w)
        except ValueError:
            if counted:  # with nothing to learn from, it is refused
                raise
        return counted

    def look(self, pca, rows, left, whole: bool = True) -> Reading | None:
        """Raise if what it shows is wrong."""
        if not whole:
            _ = pca.components_
            return None
        truth = self.seen(rows, left)
        if truth.weight < 1e-290:  # nothing counts
            if not np.isfinite(pca.components_).all():
                raise _Wrong(["components_ are not finite without weight"])
            return None
        reading = Reading(pca, self.stream, truth, self.updates + len(self.stream.parts))
        wrong = reading.check()
        for name, value in reading.figures.items():
            self.figures[name] = max(self.figures.get(name, 0.0), value)
        if wrong:
            raise _Wrong([f"after {len(rows)} rows: {text}" for text in wrong])
        return reading


class _Wrong(Exception):
    pass


def run(stream: Stream) -> Outcome:
    """Learn, look, merge, look again; then use what was learned."""
    this = _Run(stream)
    # numpy's warnings are what users would see: each is a finding
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        reading, wrong = _told(lambda: _learn_and_merge(this))
        if wrong or reading is None:
            return Outcome(wrong, [], this.figures)
        misused, broken = _told(lambda: check_use(reading))
    return Outcome([], broken or misused, this.figures)


def _told(work: Callable[[], Any]) -> tuple[Any, list[str]]:
    try:
        return work(), []
    except _Wrong as wrong:
        return None, wrong.args[0]
    except (ArithmeticError, ValueError, TypeError, IndexError, AssertionError, Warning) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return None, [f"{type(error).__name__} in {where.name}: {error}"]


def _learn_and_merge(this: _Run) -> Reading | None:
    whole, rows, left = None, [], np.zeros(0)
    for part in this.stream.parts:
        pca, some, remembered = this.learned(part)
        if whole is None or not rows:
            whole, rows, left = pca, some, remembered
            continue
        whole.merge(pca)
        rows, left = rows + some, np.r_[left, remembered]
    return this.look(whole, rows, left) if rows else None
