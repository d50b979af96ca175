"""The next items made in threads of their own, while the last one is used."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

_THREADS = 2


def side_by_side(function: Callable[[S], T], items: Iterator[S]) -> Iterator[T]:
    """The function's results, in the items' order; two are computed at a time, where cores are two.

    An error, of the function or of the items, is raised after the results of all items before it.

    Examples
    --------
    >>> list(side_by_side(str.upper, iter("abc")))
    ['A', 'B', 'C']
    """
    if (os.cpu_count() or 1) < _THREADS:
        yield from map(function, items)
        return
    under_way: deque[Future[T]] = deque()
    failed: Exception | None = None
    pool = ThreadPoolExecutor(_THREADS, "streampca-parse")
    try:
        while True:
            try:
                item = next(items)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised below, after what came before it
                failed = error
                break
            under_way.append(pool.submit(function, item))
            if len(under_way) > _THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
    if failed is not None:
        raise failed


def ahead(items: Iterator[T], most: int = 2) -> Iterator[T]:
    """The same items in the same order, up to `most` of them made before they are needed.

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
