"""The web application: which path gives what."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from streampca.checkpoint import Checkpoint, CheckpointStore
from streampca.monitor import Monitor
from streampca.serve import answers, errors
from streampca.serve import rows as bodies
from streampca.serve.answers import Json
from streampca.serve.crowd import Turns, Work
from streampca.serve.feed import Feed
from streampca.serve.guard import Guard
from streampca.serve.history import Histories
from streampca.serve.linger import Linger
from streampca.serve.live import Live
from streampca.serve.query import (
    checkpoint_of,
    confidence_of,
    key_of,
    key_text,
    takes,
    until_of,
    whole,
)
from streampca.serve.reader import Key, Reader

_STATIC = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/charts.js": ("charts.js", "text/javascript"),
    "/live.js": ("live.js", "text/javascript"),
    "/panels.js": ("panels.js", "text/javascript"),
    "/rows.js": ("rows.js", "text/javascript"),
    "/times.js": ("times.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""All resources by their names: no path is ever made from a request."""


def create_app(
    store: str | CheckpointStore,
    *,
    rows: Iterable[Any] | None = None,
    rules: Any = None,
    allowed_hosts: Collection[str] = (),
    is_stopping: Callable[[], bool] = lambda: False,
) -> Starlette:
    """Make the ASGI application that shows a store.

    Parameters
    ----------
    store : str or CheckpointStore
        It may be empty, or not exist yet.
    rows : iterable, optional
        Rows to show as they come, beside the newest model: lists in the order of its features,
        dictionaries by name, or tuples (key, row). Read in a thread once a page is open.
    rules : Rules, mapping or str, optional
        When such rows make an event; see `streampca.monitor.Rules`. By default, when 3 of 5 rows
        are out, until 10 in sequence are not.
    allowed_hosts : collection of str
        Names, beside localhost and any IP address, by which the server may be called.
    is_stopping : callable
        Whether the server wants to end, so that open event streams end too.

    Returns
    -------
    starlette.applications.Starlette

    Examples
    --------
    >>> import tempfile
    >>> from starlette.testclient import TestClient
    >>> client = TestClient(create_app(tempfile.mkdtemp()), base_url="http://localhost")
    >>> client.get("/keys").json()["keys"]
    []
    """
    reader = Reader(store if isinstance(store, CheckpointStore) else CheckpointStore(store))
    endpoints = _Endpoints(reader, has_rows=rows is not None)
    live = Live(reader, is_stopping)
    feed = Feed(reader, rows or (), is_stopping, rules)
    routes = [
        *(Route(path, _static(*what), methods=["GET"]) for path, what in _STATIC.items()),
        *endpoints.routes(),
        Route("/events", takes(live.answer, "key")),
        *([Route("/rows", takes(feed.answer, "key"))] if rows is not None else []),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Linger, turns=Turns()),
            Middleware(Guard, hosts=allowed_hosts),
            Middleware(GZipMiddleware, minimum_size=2000, compresslevel=4),
        ],
        exception_handlers={
            HTTPException: errors.on_http,
            OSError: errors.on_failure,
            ClientDisconnect: errors.on_leaving,
            Exception: errors.on_defect,
        },
    )
    app.router.redirect_slashes = False  # an error is a sentence, not another address
    return app


class _Endpoints:
    """Answers in JSON. Those that read files run in threads, beside the event loop."""

    def __init__(self, store: Reader, *, has_rows: bool) -> None:
        self._store = store
        self._has_rows = has_rows
        self._histories = Histories(store)
        self._work = Work()
        self._uploads = Turns()
        # Limits need the moments, the large part of a checkpoint: kept for a page that asks again.
        self._monitor = functools.lru_cache(maxsize=4)(_Watched)

    def routes(self) -> list[Route]:
        """All of them, with the parameters that each takes."""
        shown, model = ("n_components", "n_features"), ("key", "at", "sequence")
        return [
            Route("/keys", takes(self._in_thread(self.keys))),
            Route("/components", takes(self._in_thread(self.components), *model, *shown)),
            Route("/history", takes(self._in_thread(self.history), *model, "limit")),
            Route("/times", takes(self._in_thread(self.times), "key", "skip")),
            Route("/transform", takes(self.transform, *model, "confidence"), methods=["POST"]),
        ]

    def _in_thread(
        self, endpoint: Callable[[Request], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint of which not too many are under way at once."""

        async def answer(request: Request) -> Response:
            return await self._work.run(request, endpoint, request)

        return answer

    def keys(self, _: Request) -> Response:
        """GET /keys."""
        # A URI may hold a user's name and secret before an "@".
        shown = re.sub(r"//[^/@]*@", "//", self._store.store.uri)
        keys = [
            {
                "key": key,
                "query": key_text(key),
                "n_checkpoints": count,
                "window_end": answers.time_text(last[0]) if last else None,
            }
            for key, count, last in self._store.listing.now()
        ]
        return Json({"store": shown, "keys": keys, "rows": self._has_rows})

    def components(self, request: Request) -> Response:
        """GET /components."""
        count = whole(request, "n_components", 100, 1, 10_000)
        features = whole(request, "n_features", 1_000, 1, 1_000_000)
        _, checkpoint = checkpoint_of(request, self._store)
        return Json(answers.components(checkpoint, count, features))

    def history(self, request: Request) -> Response:
        """GET /history."""
        count = whole(request, "limit", 200, 1, 2_000)
        key, until = key_of(request, self._store), until_of(request)
        return Json(self._histories.last(key, count, until))

    def times(self, request: Request) -> Response:
        """GET /times."""
        key = key_of(request, self._store)
        skip = whole(request, "skip", 0, 0, 2**63 - 1)
        names = self._store.written(key).now()
        return Json(
            {
                "key": key,
                "n_checkpoints": len(names),
                "window_end": [answers.time_text(end) for end, _ in names[skip:]],
                "sequence": [sequence for _, sequence in names[skip:]],
            }
        )

    async def transform(self, request: Request) -> Response:
        """POST /transform."""
        body = await bodies.read_body(request, self._uploads)
        return await self._work.run(request, self._transform, request, body)

    def _transform(self, request: Request, body: bytes) -> Response:
        confidence = confidence_of(request)
        given = bodies.parse(body)
        key, found = checkpoint_of(request, self._store)
        watched = self._monitor(self._store, key, found.window_end, found.sequence)
        checkpoint = watched.checkpoint
        X = bodies.in_order(given, checkpoint)
        try:
            scores = checkpoint.transform(X)
            limits = watched.monitor.limits(confidence)
            assessment = watched.monitor._against(X, *limits[:2])
        except ValueError as error:
            raise errors.bad(str(error)) from None
        return Json(answers.assessed(checkpoint, scores, assessment, confidence))


class _Watched:
    """A checkpoint with its monitor."""

    def __init__(self, store: Reader, key: Key, window_end: int | None, sequence: int) -> None:
        found = store.read(key, (window_end, sequence), moments=True)
        if found is None:
            raise errors.missing("the checkpoint has been deleted meanwhile; ask again")
        self.checkpoint: Checkpoint = found
        self.monitor = Monitor(found, n_components="auto")


def _static(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = resources.files("streampca.serve").joinpath("static", name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return answer
