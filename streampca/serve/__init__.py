"""A store of checkpoints as one live page and as JSON: to be read, never changed.

Needs the extra: ``pip install "streampca[serve]"``. Knows HTTP; what it shows is computed by
`streampca.checkpoint` and `streampca.monitor`.
"""

try:
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:  # pragma: no cover - the test environment has both
    raise ImportError(
        'streampca.serve needs starlette and uvicorn: pip install "streampca[serve]"'
    ) from error

from streampca.serve.app import create_app
from streampca.serve.run import serve

__all__ = ["create_app", "serve"]
