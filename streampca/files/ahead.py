"""The next items made in a thread of their own, while the last one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(items: Iterator[T], most: int = 2) -> Iterator[T]:
    """The same items in the same order, up to `most` of them made before they are asked for.

    Reading and parsing are done by C++ without the interpreter's lock, so that they go on beside
    the products. Whoever stops early stops the thread.

    Examples
    --------
    >>> list(ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    made: queue.Queue[Any] = queue.Queue(most)
    stopped = threading.Event()

    def put(found: Any) -> bool:
        while not stopped.is_set():
            try:
                made.put(found, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    break
        except BaseException as error:  # noqa: BLE001 - raised where the items are used
            put((None, error))
        else:
            put(None)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="streampca-files", daemon=True)
    thread.start()
    try:
        while (found := made.get()) is not None:
            item, error = found
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()
