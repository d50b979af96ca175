"""The model of one key while its windows close, one after the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from beam_pipelines.learning.ahead import Ahead, Known
from beam_pipelines.learning.folding import Folding, described, empty_moments
from beam_pipelines.learning.parameters import check
from beam_pipelines.learning.pending import Pending
from beam_pipelines.rows import MAGIC, Block, Names, moments_from_bytes, moments_to_bytes
from streampca.arrays import one_thread
from streampca.checkpoint import Checkpoint, keeps_moments, measure_drift, of_solved
from streampca.estimators import StreamingPCA
from streampca.learning import remembered
from streampca.moments import Moments, moments_from_state

Key = str | int | None


@dataclasses.dataclass(frozen=True)
class Learning:
    """How every key learns."""

    options: dict[str, Any]  # those of StreamingPCA
    carry: bool = True
    half_life: int | None = None  # microseconds of event time
    idle: int | None = None  # microseconds of silence after which a model begins anew
    lateness: int = 0  # microseconds for which a window takes late rows
    moments: str | int = "all"  # which checkpoints hold them: "last", "none", or every so many
    in_order: bool = False  # whether rows are learned as they come, and not by window
    bounded: bool = False  # whether the input ends: then the watermark passes all windows at once

    @cached_property
    def folding(self) -> Folding:
        """Makes moments of rows."""
        return Folding(check(self.options))

    def keeps(self, sequence: int, *, last: bool) -> bool:
        """Whether the checkpoint of this sequence is handed out with moments."""
        return keeps_moments(self.moments, sequence, last=last)

    def only_last(self, sequence: int) -> bool:
        """Whether the checkpoint of this sequence has moments because none of its key follows.

        Of models that are learned apart those of windows that overlap have them, too.
        """
        return (
            self.carry and self.keeps(sequence, last=True) and not self.keeps(sequence, last=False)
        )


class Standing(NamedTuple):
    """Where a key stands between bundles."""

    model: Checkpoint | None = None  # after the window that was closed last
    closed: int | None = None  # last instant of the newest window that has been closed
    sequence: int = 0  # of the next checkpoint


class Running:
    """One key's model: learns what waited for a window, and reports."""

    def __init__(self, key: Key, learning: Learning, standing: Standing) -> None:
        self._key = key
        self._learning = learning
        self._total: Moments | None = None  # of the window that is being closed
        self._ahead = Ahead(learning.half_life, learning.idle)
        self._begin(standing)

    def _begin(self, standing: Standing) -> None:
        model = standing.model
        self.standing = standing
        self._pca: StreamingPCA | None = None
        self._names = None if model is None else model.feature_names
        self._width = 0 if model is None else model.components.shape[1]  # 0: no row yet

    def expect(self, groups: Sequence[list[Pending]]) -> None:
        """The parts of windows that are closed next, in order and with nothing in between."""
        if self._learning.carry and not self._learning.in_order:
            self._ahead.expect(groups)

    def close(self, parts: list[Pending], *, moments: bool = True) -> Checkpoint:
        """Learn the parts of a window, and take its checkpoint; one with moments can be resumed.

        On one thread of the BLAS: workers share a machine, and the last bits of a solution can
        depend on how many there are, which differs between environments.
        """
        with one_thread():
            return self._close(parts, moments)

    def _close(self, parts: list[Pending], moments: bool) -> Checkpoint:
        window = parts[0]
        late, fields = False, self._learned_ahead(parts, moments)
        if fields is None:
            late = self.learn(parts)
            assert self._pca is not None
            fields = self._pca._learned(moments)
        before = self.standing.model  # none where this one begins anew
        if before is not None and "drift" not in fields:
            components = np.asarray(fields["components"])
            fields["drift"] = measure_drift(components, before.components)
        # Moments have no names: the checkpoint gets those of the rows.
        fields["feature_names"] = self._names
        fields |= {
            "key": self._key,
            "window_start": window.span.start,
            "window_end": window.span.end,
            "sequence": self.standing.sequence,
            "late": late,
        }
        checkpoint = Checkpoint(**fields) if moments else of_solved(before, **fields)
        self.standing = self.standing._replace(model=checkpoint, sequence=checkpoint.sequence + 1)
        return checkpoint

    def _learned_ahead(self, parts: list[Pending], moments: bool) -> dict[str, Any] | None:
        """What has been learned up to a window, if that was together with others."""
        model, closed, _ = self.standing
        if model is None or closed is None or not self._learning.carry:
            return None
        pca, known = self._started(), Known(self._names, self._width, closed, model.components)
        found = self._ahead.reading(parts, pca, known)
        if found is None:
            return None
        self._total = None
        self.standing = self.standing._replace(closed=parts[0].last)
        return pca._learned_then(found[0], moments) | {"drift": found[1]}

    def learn(self, parts: list[Pending]) -> bool:
        """Learn the parts of a window; return whether that window had been closed before."""
        last, learning, before = parts[0].last, self._learning, self.standing.closed
        if before is not None and learning.idle is not None and last - before > learning.idle:
            self._begin(Standing())
            before = None
        late = before is not None and last <= before
        pca = self._started()
        own = 1.0  # what is remembered of the rows of this window
        if learning.half_life is not None and before is not None:
            share = remembered(abs(last - before), learning.half_life)
            if late:
                own = share
            else:
                pca.decay(share)
        self._add(pca, [part.data for part in parts if part.data], own)
        if not late:
            self.standing = self.standing._replace(closed=last)
        return late

    def kept(self, window: Pending) -> Pending | None:
        """What the window has learned, to be added to when rows come late; None for no rows."""
        if self._total is None:
            return None
        data = moments_to_bytes(self._total, self._names)
        return window._replace(kept=1, order=0, data=data)

    # --- rows in --------------------------------------------------------------------------------

    def _add(self, pca: StreamingPCA, parts: list[bytes], remembered: float) -> None:
        self._total = None
        for data in parts:
            block = Block.from_bytes(data) if data.startswith(MAGIC) else None
            if block is not None and self._learning.in_order:
                self._check(block.names, block.values.shape[1])
                self._agree(pca, block)
                weights = None if remembered == 1.0 else [remembered] * len(block.values)
                pca.partial_fit(block.values, sample_weight=weights)
                continue
            if block is not None:
                names, moments = block.names, self._learning.folding.alone([block.values])
            else:
                moments, names = moments_from_bytes(data, self._learning.options.get("device"))
            self._check(names, moments.n_features)
            if self._total is None:
                self._total = moments
            else:
                self._total.merge(moments)  # panes and shards of one window
        if self._total is not None:
            self._total.decay(remembered)
            pca.merge(self._total)

    def _agree(self, pca: StreamingPCA, block: Block) -> None:
        """An estimator that has seen no row keeps what moments of other workers are kept in."""
        if not pca.__sklearn_is_fitted__():
            n, dtype = block.values.shape[1], block.values.dtype.name
            pca.merge(empty_moments(pca.get_params(), n, dtype))

    def _check(self, names: Names, n_features: int) -> None:
        if not self._width:
            self._names, self._width = names, n_features
        elif (names, n_features) != (self._names, self._width):
            raise ValueError(
                f"key {self._key!r}: rows have other features than before, "
                f"{described(names, n_features)} after {described(self._names, self._width)}: "
                "give features=[...]"
            )

    # --- the estimator ----------------------------------------------------------------------------

    def _started(self) -> StreamingPCA:
        """The estimator to add to: the running one, or one that remembers no row."""
        model, carry = self.standing.model, self._learning.carry
        if model is None and (self._pca is None or not carry):
            self._pca = StreamingPCA(**self._learning.options)
        elif self._pca is None or not carry:
            assert model is not None
            self._pca = self._resumed(model if carry else self._emptied(model))
        return self._pca

    def _resumed(self, model: Checkpoint) -> StreamingPCA:
        """The estimator that made a checkpoint; with other options, one that knows its rows."""
        options = self._learning.options
        place = {"device": options.get("device"), "optimizer": options.get("optimizer")}
        if not differing(options, model):
            return StreamingPCA.from_checkpoint(model, **place)
        try:
            moments = moments_from_state(
                model.moments_kind, model.moments, device=options.get("device")
            )
            return StreamingPCA(**options).merge(moments)
        except ValueError as error:
            raise ValueError(
                f"key {self._key!r}: cannot go on from {model!r}, which was learned with other "
                f"options: {error}"
            ) from error

    def _emptied(self, model: Checkpoint) -> Checkpoint:
        """The same model with nothing remembered: its components give the next ones their signs."""
        parameters = StreamingPCA(**self._learning.options).get_params()
        moments = empty_moments(parameters, model.components.shape[1], model.components.dtype.name)
        return dataclasses.replace(
            model,
            moments_kind=moments.kind,
            moments=moments.state(),
            n_samples_seen=0,
            weight=0.0,
        )


def differing(options: dict[str, Any], model: Checkpoint) -> str:
    """In which options a checkpoint's model is another than one with these; "" if in none.

    Where it is computed does not count.
    """
    asked = _settings(StreamingPCA(**options))
    # What a checkpoint does not know, an older streampca did not have, or it does not matter.
    before = {**_settings(StreamingPCA()), **model.settings, "device": None}
    names = [name for name in asked if before[name] != asked[name]]
    return ", ".join(f"{name}={before[name]!r} and not {asked[name]!r}" for name in names)


def _settings(pca: StreamingPCA) -> dict[str, Any]:
    """Parameters as a checkpoint holds them, apart from where they are computed."""
    found = {**pca._settings(), "device": None}
    settings: dict[str, Any] = json.loads(json.dumps(found, default=float))
    return settings
