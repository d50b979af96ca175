"""What Beam works out anew each time though it cannot change is worked out once.

To build a small pipeline Beam reads the signature of every method of each DoFn some four times, and
makes a parser of command lines some two hundred times: half of what such a pipeline takes. What it
is told is the same here. Processes that tests start have Beam as it is, and so has `make engines`
where workers are such processes.
"""

import functools
import weakref
from collections import OrderedDict

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

_FAMILIES = 16
"""Options objects whose parsers are kept: those of a test, and of those that run beside it."""


@functools.cache
def install():
    """Let Beam remember, in this process from now on."""
    core.get_function_args_defaults = _remembered(core.get_function_args_defaults)
    PipelineOptions.view_as = _seen_before(PipelineOptions.view_as)


def _remembered(ask):
    """Arguments and defaults of methods, which belong to their functions."""
    known = weakref.WeakKeyDictionary()

    @functools.wraps(ask)
    def get_function_args_defaults(f):
        function = getattr(f, "__func__", None)
        if function is None:
            return ask(f)
        if function not in known:
            known[function] = ask(f)
        arguments, defaults = known[function]
        return list(arguments), list(defaults)

    return get_function_args_defaults


def _seen_before(view_as):
    """Views of options: a second one of a class has the names of the first, and the same values."""
    families = OrderedDict()  # by what all views share; it is kept, so that its id stays its own

    @functools.wraps(view_as)
    def again(self, cls):
        shared = self._all_options
        _, views = families.setdefault(id(shared), (shared, {}))
        families.move_to_end(id(shared))
        if len(families) > _FAMILIES:
            families.popitem(last=False)
        if cls not in views or cls.__init__ is not PipelineOptions.__init__:
            view = view_as(self, cls)
            views[cls] = view._visible_options
            return view
        view = cls.__new__(cls)
        names = views[cls]
        vars(view).update(_flags=self._flags, _visible_options=names, _all_options=shared)
        return view

    return again
