"""Copies beside computing: a device's streams and events, and the host memory that it can reach.

What a device does, it does in the order of its stream, while the host goes on. `Lane` is a second
stream, for what need not stand in that order. A device without streams, such as torch's own CPU,
does everything at once, and the same calls have the same results there.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from streampca.arrays.lazy import torch

__all__ = ["Lane", "pinned", "sent", "streams_of"]


@cache
def streams_of(device: str) -> Any:
    """The module (torch.cuda, torch.xpu, ...) of a device with streams; None if it has none."""
    if torch.device(device).type in ("cpu", "meta"):
        return None
    module = getattr(torch, torch.device(device).type, None)
    needed = ("Stream", "Event", "stream", "current_stream")
    return module if all(hasattr(module, name) for name in needed) else None


def pinned(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> torch.Tensor:
    """Host memory that the device copies from by itself; plain memory where it has no streams.

    torch gives it to nobody else before the copies from it are done.
    """
    return torch.empty(shape, dtype=dtype, pin_memory=streams_of(device) is not None)


def sent(x: torch.Tensor, device: str) -> torch.Tensor:
    """A host tensor on the device. The host waits only if x is pinned: its owner may write to it.

    Everything else is copied to pinned memory first, since torch waits for copies from memory that
    is not.
    """
    if x.device.type != "cpu" or streams_of(device) is None or x.is_pinned():
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


class Lane:
    """A stream beside the one that computes."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._streams = streams_of(device)
        self._side = None if self._streams is None else self._streams.Stream(device=device)

    def shares(self, *tensors: torch.Tensor) -> None:
        """Their memory is used here too: torch gives it to nobody else before that is done."""
        if self._side is not None:
            for tensor in tensors:
                tensor.record_stream(self._side)

    def mark(self) -> Any:
        """An event behind all that the computing stream has been given so far."""
        if self._side is None:
            return None
        event = self._streams.Event()
        event.record(self._streams.current_stream(self._device))
        return event

    def after(self, event: Any) -> None:
        """The next work of this stream waits for the event; the host does not."""
        if event is not None and self._side is not None:
            self._side.wait_event(event)

    def before(self, event: Any) -> None:
        """The next computation waits for the event; the host does not."""
        if event is not None:
            self._streams.current_stream(self._device).wait_event(event)

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> Any:
        """Copy here, beside what is computed; the event says when it is done."""
        with self:
            target.copy_(source, non_blocking=self._side is not None)
        return self.done()

    def done(self) -> Any:
        """An event behind all that has been given to this lane."""
        if self._side is None:
            return None
        event = self._streams.Event()
        event.record(self._side)
        return event

    def __enter__(self) -> None:
        self._within = None if self._side is None else self._streams.stream(self._side)
        if self._within is not None:
            self._within.__enter__()

    def __exit__(self, *raised: object) -> None:
        if self._within is not None:
            self._within.__exit__(*raised)
