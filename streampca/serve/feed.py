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
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streampca.monitor import Monitor, Rules, Watch
from streampca.serve.answers import assessed, plain
from streampca.serve.crowd import Slots
from streampca.serve.happened import RULES, Happened, watch_of
from streampca.serve.live import PAGES, Stream, beating, event
from streampca.serve.query import read_key
from streampca.serve.reader import Key, Name, Reader
from streampca.serve.rows import in_order

_LOG = logging.getLogger("streampca.serve")
_KEPT, _MOST_KEYS = 500, 1_000
_SHOWN = ("spe", "t2", "alarm", "statistic", "feature", "contribution")


class _Model(NamedTuple):
    """The newest model of a key, its limits, and the watch of its rows."""

    monitor: Monitor
    limits: tuple[float, float]
    watch: Watch


class Feed:
    """Rows and their statistics, for open pages.

    Parameters
    ----------
    store : Reader
    rows : iterable
        Rows as lists in the order of the model's features, or dictionaries by name; or tuples
        (key, row). Read in a thread of its own, from the first page that opens on.
    is_stopping : callable
        Whether the server wants to end.
    rules : Rules, mapping or str, optional
        When rows make an event.
    """

    def __init__(
        self, store: Reader, rows: Iterable[Any], is_stopping: Callable[[], bool], rules: Any = None
    ) -> None:
        self._rules = Rules.read(RULES if rules is None else rules)
        self._happened = Happened(self._rules)
        self._store, self._rows = store, rows
        self._slots, self._is_stopping = Slots(*PAGES), is_stopping
        self._kept: OrderedDict[Key, deque[dict[str, Any]]] = OrderedDict()
        self._models: dict[Key, tuple[Name, _Model]] = {}
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

    def _stream(self, key: Key) -> AsyncIterator[str]:
        told, known = -1, 0

        async def new_rows() -> str | None:
            nonlocal told, known
            with self._lock:
                new = [each for each in self._kept.get(key, ()) if each["number"] > told]
                version, events = self._happened.of(key)
            if not new:
                return None
            news = {"rows": new} | ({"events": events} if version != known else {})
            told, known = new[-1]["number"], version
            return event("rows", news)

        return beating(new_rows, self._is_stopping)

    def _read(self) -> None:
        try:
            for number, given in zip(itertools.count(), self._rows, strict=False):
                key, row = _keyed(given)
                now = datetime.datetime.now(datetime.UTC)
                when = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
                self._keep(key, {"number": number, "time": when}, row, now)
        except Exception:  # noqa: BLE001 - whoever gives the rows; the page goes on without
            _LOG.exception("the rows that the page shows as they come have ended with an error")

    def _judged(self, key: Key, row: Any) -> tuple[dict[str, Any], _Model | None, Any]:
        """A row's statistics and limits, or why it has none; the model, and the row as it reads."""
        try:
            model = self._model(key)
            fitted = model.monitor._fitted
            X = in_order([row if isinstance(row, dict) else _listed(row)], fitted)
            found = model.monitor._against(X, *model.limits)
        except HTTPException as error:
            return {"error": error.detail.replace("row 0", "the row")}, None, None
        except (ValueError, TypeError) as error:
            return {"error": str(error).replace("row 0", "the row")}, None, None
        values = plain(assessed(fitted, [], found, 0.99))
        said = {name: values[name][0] for name in _SHOWN} | {
            "spe_limit": values["spe_limit"],
            "t2_limit": values["t2_limit"],
        }
        return said, model, X

    def _model(self, key: Key) -> _Model:
        """The newest model's monitor with its limits; a new one where a checkpoint has come."""
        names = self._store.written(key).lately(1.0)
        if not names:
            raise HTTPException(404, f"there is no model of the key {key!r} yet")
        if key not in self._models or self._models[key][0] != names[-1]:
            checkpoint = self._store.read(key, names[-1], moments=True)
            if checkpoint is None:
                raise HTTPException(404, f"the newest model of the key {key!r} cannot be read")
            monitor = Monitor(checkpoint, n_components="auto")
            while len(self._models) >= _MOST_KEYS:
                self._models.pop(next(iter(self._models)))
            watch = watch_of(monitor, self._rules, key)
            self._models[key] = names[-1], _Model(monitor, monitor.limits(0.99)[:2], watch)
        return self._models[key][1]

    def _keep(self, key: Key, entry: dict[str, Any], row: Any, now: datetime.datetime) -> None:
        judged, model, X = self._judged(key, row)
        entry |= judged
        with self._lock:
            if model is not None:
                time = round(now.timestamp() * 1e6)
                self._happened.add(key, model.watch, X, entry["number"], time)
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
