"""Rows as they come, beside the newest model: the last of each key stay in memory, nowhere else.

Who gives the rows is not known here: anything that can be iterated, such as a generator that reads
a queue. A row that cannot be used is told of with its number; those after it go on.
"""

from __future__ import annotations

import datetime
import itertools
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streampca.monitor import Monitor
from streampca.serve.answers import assessed, plain
from streampca.serve.crowd import Slots
from streampca.serve.live import BEAT, Stream, event
from streampca.serve.query import read_key
from streampca.serve.reader import Key, Name, Reader
from streampca.serve.rows import in_order

__all__ = ["Feed"]

_LOG = logging.getLogger("streampca.serve")
_KEPT, _MOST_KEYS = 500, 1_000
_EVERY = 0.5
_SHOWN = ("spe", "t2", "alarm", "statistic", "feature", "contribution")


class Feed:
    """Rows and their statistics, for open pages.

    Parameters
    ----------
    store : Reader
    rows : iterable
        Rows as lists in the order of the model's features, or dictionaries by name; or tuples
        (key, row). Read in a thread of its own, from the first page that opens on.
    slots : Slots
        How many pages there may be.
    is_stopping : callable
        Whether the server wants to end.
    """

    def __init__(
        self, store: Reader, rows: Iterable[Any], slots: Slots, is_stopping: Callable[[], bool]
    ) -> None:
        self._store, self._rows = store, rows
        self._slots, self._is_stopping = slots, is_stopping
        self._kept: OrderedDict[Key, deque[dict[str, Any]]] = OrderedDict()
        self._models: dict[Key, tuple[Name, Any, float, float]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, daemon=True)
                self._thread.start()

    async def answer(self, request: Request) -> Response:
        """GET /rows?key=."""
        text = request.query_params.get("key")
        give_back = self._slots.take(request)
        self.start()
        return Stream(self._stream(None if text is None else read_key(text)), give_back)

    async def _stream(self, key: Key) -> AsyncIterator[str]:
        told, silent = -1, 0.0
        yield "retry: 2000\n\n"
        while not self._is_stopping():
            with self._lock:
                new = [each for each in self._kept.get(key, ()) if each["number"] > told]
            if new:
                told, silent = new[-1]["number"], 0.0
                yield event("rows", {"rows": new})
            elif silent >= BEAT:
                silent = 0.0
                yield ": still here\n\n"
            await anyio.sleep(_EVERY)
            silent += _EVERY

    def _read(self) -> None:
        try:
            for number, given in zip(itertools.count(), self._rows, strict=False):
                key, row = _keyed(given)
                when = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                entry = {"number": number, "time": when.replace("+00:00", "Z")}
                self._keep(key, entry | self._judged(key, row))
        except Exception:  # noqa: BLE001 - whoever gives the rows; the page goes on without
            _LOG.exception("the rows that the page shows as they come have ended with an error")

    def _judged(self, key: Key, row: Any) -> dict[str, Any]:
        """A row's statistics and limits, or why it has none."""
        try:
            model, spe_limit, t2_limit = self._model(key)
            X = in_order([row if isinstance(row, dict) else _listed(row)], model._fitted)
            found = model._against(X, spe_limit, t2_limit)
        except HTTPException as error:
            return {"error": error.detail.replace("row 0", "the row")}
        except (ValueError, TypeError) as error:
            return {"error": str(error).replace("row 0", "the row")}
        values = plain(assessed(model._fitted, [], found, 0.99))
        return {name: values[name][0] for name in _SHOWN} | {
            "spe_limit": values["spe_limit"],
            "t2_limit": values["t2_limit"],
        }

    def _model(self, key: Key) -> tuple[Any, float, float]:
        """The newest model's monitor with its limits; a new one where a checkpoint has come."""
        names = self._store.written(key).lately(1.0)
        if not names:
            raise HTTPException(404, f"there is no model of the key {key!r} yet")
        if key not in self._models or self._models[key][0] != names[-1]:
            checkpoint = self._store.read(key, names[-1], moments=True)
            if checkpoint is None:
                raise HTTPException(404, f"the newest model of the key {key!r} cannot be read")
            monitor = Monitor(checkpoint)
            while len(self._models) >= _MOST_KEYS:
                self._models.pop(next(iter(self._models)))
            self._models[key] = (names[-1], monitor, *monitor.limits(0.99)[:2])
        return self._models[key][1:]

    def _keep(self, key: Key, entry: dict[str, Any]) -> None:
        with self._lock:
            self._kept.setdefault(key, deque(maxlen=_KEPT)).append(entry)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEYS:
                self._kept.popitem(last=False)


def _keyed(given: Any) -> tuple[Key, Any]:
    """A row with its key, where it has one."""
    if (
        isinstance(given, tuple)
        and len(given) == 2
        and isinstance(given[0], (str, int, type(None)))
    ):
        return given
    return None, given


def _listed(row: Any) -> list[Any]:
    """A row of any sequence, in Python's own numbers: numpy's are none to JSON."""
    if not isinstance(row, Iterable) or isinstance(row, str):
        raise TypeError(f"the row is {str(row)[:50]!r}: give a list of numbers, or a dictionary")
    return row.tolist() if hasattr(row, "tolist") else list(row)
