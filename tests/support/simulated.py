"""A device with streams, simulated: right numbers, late answers, and an eye on every shortcut.

torch calls it "simulated:0". Its tensors hold ordinary memory, and what is done with them is done
at once; but a `Simulation` lets nobody see results before they can have come, and keeps the books
of an asynchronous device:

- `waits`: what made the host wait, that is every question about values (float, bool, item, nonzero,
  masks as indices, checked factorisations), copies that block, and events that are waited for;
- a kernel that reads or overwrites memory which another stream may still be writing to or reading
  raises `Race` (vector clocks, as in torch's own sanitizer for CUDA);
- so does one that uses another stream's memory without `record_stream`;
- host memory must not change while it is copied from, and holds garbage while it is copied to.
"""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "simulated"
DEVICE = f"{NAME}:0"

_aten = torch.ops.aten

ASKING = {
    _aten._local_scalar_dense.default,
    _aten.equal.default,
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten.is_nonzero.default,
    _aten._linalg_eigh.default,
    _aten.linalg_svd.default,
    _aten._linalg_svd.default,
    _aten._linalg_check_errors.default,
}
"""Operations for which a device has to tell the host something."""


class Race(AssertionError):
    """Two uses of the same memory that nothing puts into an order."""


class OnDevice(torch.Tensor):
    """A tensor that says it lies on the simulated device."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def __repr__(self):
        return f"OnDevice({tuple(self.shape)})"

    def record_stream(self, stream):
        current().guest(self.inner, stream)

    def __deepcopy__(self, memo):
        return self.clone()

    def __reduce_ex__(self, protocol):
        return _restored, (self.cpu().numpy(),)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on the simulated device outside of a Simulation")


class Stream:
    """Operations in order."""

    def __init__(self, device=None):
        self.clock = defaultdict(int)  # how far along each stream is, before what comes next here

    def wait_event(self, event):
        for stream, time in event.clock.items():
            self.clock[stream] = max(self.clock[stream], time)


class Event:
    """A place in a stream."""

    def __init__(self):
        self.clock = {}

    def record(self, stream):
        self.clock = dict(stream.clock)
        self.ends = current().n_kernels

    def synchronize(self):
        current().wait(self)

    def query(self):
        simulation = current()
        come = simulation.n_kernels >= self.ends + simulation.lag
        if come:
            simulation.completed(self.clock)
        return come


class Module:
    """What torch asks of a device, and what torch.cuda has for streams."""

    Stream, Event = Stream, Event

    def is_initialized(self):
        return True

    def is_available(self):
        return True

    def current_device(self):
        return 0

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        pass

    def device_count(self):
        return 1

    def current_stream(self, device=None):
        return current().stream

    @contextmanager
    def stream(self, stream):
        before, current().stream = current().stream, stream
        try:
            yield
        finally:
            current().stream = before


_setup_privateuseone_for_python_backend(NAME, backend_module=Module())
_simulations = []


def current():
    return _simulations[-1]


class Simulation(TorchDispatchMode):
    """Within it the device exists.

    Parameters
    ----------
    lag : float
        Kernels that are given to the device before a result can have come by itself: 0 for a
        device that is never behind, infinity for one that answers only to who waits.
    """

    def __init__(self, lag=0):
        super().__init__()
        self.lag = lag
        self.main = self.stream = Stream()
        self.n_kernels = 0
        self.waits = []
        self._uses = defaultdict(list)  # of memory: (first byte, end, stream, time, written)
        self._homes = {}  # memory: (the stream it was allocated in, others that were recorded)
        self._kept = []  # nothing is freed, so that no address comes twice
        self._pinned = []
        self._copies = []  # under way: (stream, time, source, as it was, target)

    def __enter__(self):
        _simulations.append(self)
        return super().__enter__()

    def __exit__(self, *raised):
        super().__exit__(*raised)
        if raised[0] is None:
            self.completed({stream: math.inf for stream, *_ in self._copies})
        _simulations.pop()

    # --- waiting ---------------------------------------------------------------------------

    def wait(self, event):
        """The host waits; `behind` counts what the computing stream still has to do then."""
        behind = self.main.clock[self.main] - event.clock.get(self.main, 0)
        self.waits.append(("event", behind))
        self.completed(event.clock)

    def _asked(self, what):
        self.waits.append((str(what), 0))
        self.completed({stream: math.inf for stream, *_ in self._copies})

    def completed(self, clock):
        left = []
        for copy in self._copies:
            stream, time, source, before, target = copy
            if clock.get(stream, 0) < time:
                left.append(copy)
            elif target is not None:
                target.copy_(before)
            elif not ((source == before) | (source.isnan() & before.isnan())).all():
                raise Race("host memory was changed while the device copied from it")
        self._copies = left

    def guest(self, x, stream):
        self._homes[_memory(x)][1].add(stream)

    # --- what is done ------------------------------------------------------------------------

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is _aten.is_pinned.default:
            return self._is_pinned(args[0])
        if func is _aten._pin_memory.default:
            return self._pin(args[0].clone())
        pin = kwargs.pop("pin_memory", None)
        placed = kwargs.get("device")
        here = placed is not None and torch.device(placed).type == NAME
        if here:
            kwargs["device"] = torch.device("cpu")
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = [x for x in tensors if isinstance(x, OnDevice)]
        if not there and not here:
            made = func(*args, **kwargs)
            return self._pin(made) if pin else made
        if func is _aten.copy_.default:
            return self._copy(*args, **kwargs)
        if func is _aten._to_copy.default and (placed is not None and bool(there) != here):
            return self._moved(args[0], here, kwargs)
        for x in tensors:
            if not isinstance(x, OnDevice) and x.ndim:
                raise RuntimeError(f"{func}: tensors on two devices")
        return self._kernel(func, args, kwargs)

    def _kernel(self, func, args, kwargs):
        masks = func in (_aten.index.Tensor, _aten.index_put_.default) and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        if func in ASKING or masks:
            self._asked(func)
        if not func.is_view:
            self._tick()
        written = set()
        for argument, given in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                written |= {id(x) for x in tree_leaves(given)}
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                written.add(id(kwargs.get(argument.name)))
        known = {}
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, OnDevice):
                known[id(x.inner)] = x
                if not func.is_view:
                    self._use(x.inner, id(x) in written)
        inner_args, inner_kwargs = tree_map(_inner, (args, kwargs))
        made = func(*inner_args, **inner_kwargs)
        return tree_map(lambda x: self._wrapped(x, known), made)

    def _tick(self):
        self.n_kernels += 1
        self.stream.clock[self.stream] += 1

    def _wrapped(self, x, known):
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) in known:
            return known[id(x)]
        if _memory(x) not in self._homes:
            self._homes[_memory(x)] = self.stream, set()
            self._kept.append(x)
            self._use(x, True)
        return OnDevice(x)

    def _use(self, x, written):
        """Check that this use comes after all that it must come after."""
        if x.numel() == 0:
            return
        home, guests = self._homes[_memory(x)]
        if self.stream is not home and self.stream not in guests:
            raise Race("memory of another stream is used without record_stream")
        first = x.data_ptr()
        reach = sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
        end = first + (reach + 1) * x.element_size()
        uses = self._uses[_memory(x)]
        for begin, stop, stream, time, wrote in uses:
            overlap = begin < end and first < stop and (wrote or written)
            if overlap and self.stream.clock[stream] < time:
                raise Race(f"memory is {'written' if written else 'read'} before it may be")
        now = (first, end, self.stream, self.stream.clock[self.stream], written)
        same = (first, end, self.stream, written)
        uses[:] = [u for u in uses if (*u[:3], u[4]) != same]
        uses.append(now)

    # --- copies between host and device ------------------------------------------------------

    def _copy(self, target, source, non_blocking=False):
        if isinstance(target, OnDevice) and isinstance(source, OnDevice):
            return self._kernel(_aten.copy_.default, (target, source), {})
        self._tick()
        if isinstance(target, OnDevice):
            self._use(target.inner, True)
            target.inner.copy_(source)
            self._under_way(source, None, non_blocking)
        else:
            self._use(source.inner, False)
            result = source.inner.to(target.dtype, copy=True)
            self._under_way(result, target, non_blocking)
        return target

    def _moved(self, x, here, kwargs):
        non_blocking = kwargs.pop("non_blocking", False)
        self._tick()
        made = _aten._to_copy.default(_inner(x), **kwargs)
        if here:
            self._under_way(x, None, non_blocking)
            return self._wrapped(made, {})
        self._use(x.inner, False)
        self._asked("a copy to the host")
        return made

    def _under_way(self, source, target, non_blocking):
        host = source if target is None else target
        if not (non_blocking and self._is_pinned(host)):
            if target is not None:
                target.copy_(source)
            self._asked("a copy between host and device")
            return
        if target is not None:
            target.fill_(float("nan"))
        time = self.stream.clock[self.stream]
        self._copies.append((self.stream, time, source, source.clone(), target))

    def _pin(self, x):
        self._pinned.append(x)
        return x

    def _is_pinned(self, x):
        if isinstance(x, OnDevice):
            return False
        return any(
            p.data_ptr() <= x.data_ptr() < p.data_ptr() + max(p.nbytes, 1) for p in self._pinned
        )


def _restored(values):
    return torch.from_numpy(values).to(DEVICE)


def _inner(x):
    return x.inner if isinstance(x, OnDevice) else x


def _memory(x):
    return x.untyped_storage()._cdata
