"""What is said to a client whose request cannot be answered: a status and a sentence, as JSON."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

__all__ = ["bad", "missing", "on_failure", "on_http"]


def bad(message: str) -> HTTPException:
    """400: the request cannot be read."""
    return HTTPException(400, message)


def missing(message: str) -> HTTPException:
    """404: there is no such thing."""
    return HTTPException(404, message)


async def on_http(_: Request, error: Exception) -> Response:
    """An answer to what was raised on purpose."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def on_failure(_: Request, error: Exception) -> Response:
    """An answer where the store could not be read; what went wrong stays in the server's log."""
    return JSONResponse({"error": "the store could not be read; the server's log says why"}, 503)
