"""The answer to a request that is refused: a status, and a sentence as JSON."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streampca.serve.answers import Json

_LOG = logging.getLogger("streampca.serve")


def bad(message: str) -> HTTPException:
    """400: the request cannot be read."""
    return HTTPException(400, message)


def missing(message: str) -> HTTPException:
    """404: there is no such thing."""
    return HTTPException(404, message)


def said(message: str) -> dict[str, str]:
    """The body of every error."""
    return {"error": message}


async def on_http(request: Request, error: Exception) -> Response:
    """An answer to what was raised on purpose, and to paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    message, path = error.detail, request.scope["path"][:200]
    if error.status_code == 404 and message == "Not Found":
        message = f"there is nothing at {path!r}: / is the page, /keys lists the models"
    elif error.status_code == 405 and message == "Method Not Allowed":
        allowed = " or ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        message = f"{request.method[:20]} is not answered at {path!r}: use {allowed}"
    return Json(said(message), error.status_code, headers=error.headers)


async def on_failure(_: Request, error: Exception) -> Response:
    """The answer where the store could not be read; the reason is in the server's log alone."""
    _LOG.error("the store cannot be read: %s: %s", type(error).__name__, error)
    return Json(said("the store could not be read; the server's log says why"), 503)


async def on_defect(_: Request, error: Exception) -> Response:
    """The answer to an error in this program; the server logs the traceback."""
    return Json(said("this is a defect of streampca; the server's log says where"), 500)


async def on_leaving(_: Request, error: Exception) -> Response:
    """Nobody reads this: the client has left before its body had come."""
    return Response(status_code=400)
