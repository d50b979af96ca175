"""Options of the one table for transforms of Beam YAML."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Optional

from beam_pipelines.run import job_options
from streampca.files import options


def takes(*table: options.Option) -> Callable[[type], type]:
    """Give a transform the options of the table, as its argument `asked`: those given, checked.

    Beam YAML takes its schema from the signature and the lines under "Args:".
    """

    def wrap(kind: Any) -> Any:
        plain = kind.__init__
        own = dict(inspect.signature(plain, eval_str=True).parameters)
        own.pop("asked")
        more = {option.name: option for option in table}
        aliases = [alias for option in table for alias in option.aliases]

        def init(self: Any, **given: Any) -> None:
            options.refuse_unknown(given, [*list(own)[1:], *more, *aliases])
            others = {name: given.pop(name) for name in list(given) if name in own}
            rest, of_job = job_options.parted(given)
            asked = options.check(rest) | job_options.check(of_job, say=str)
            plain(self, **others, asked=asked)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [each.replace(kind=keyword) for name, each in own.items() if name != "self"]
        for name in [*more, *aliases]:
            option = next(o for o in table if name in (o.name, *o.aliases))
            hint = _hint(option)
            parameters.append(inspect.Parameter(name, keyword, default=None, annotation=hint))
        init.__signature__ = inspect.Signature([own["self"], *parameters])  # type: ignore[attr-defined]
        kind.__init__ = init
        lines = "".join(f"\n      {option.name}: {option.help}" for option in table)
        kind.__doc__ = kind.__doc__.rstrip() + lines
        return kind

    return wrap


def whole(n_components: Any) -> Any:
    """A count as such, where YAML or JSON made it a float."""
    if isinstance(n_components, float) and n_components >= 1 and n_components % 1 == 0:
        return int(n_components)
    return n_components


def _hint(option: options.Option) -> Any:
    if option.name == "half_life" or option in (*job_options.TIMES, *job_options.WATCH):
        return Any  # a number, or a text with a unit
    kind: Any = Sequence[str] if option.kind is list else option.kind
    return Optional[kind]  # noqa: UP045
