"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streampca.text import counted, zoned

if TYPE_CHECKING:
    from streampca import Checkpoint
    from streampca.files.options import Option

Files = Annotated[
    list[str],
    typer.Argument(help="Parquet, CSV or JSON lines; patterns; URIs; - for standard input."),
]
Place = Annotated[
    str, typer.Argument(metavar="STORE", help="Folder or URI of checkpoints, or one's file.")
]
Moments = Annotated[
    str,
    typer.Option(
        metavar="all|last|none|K",
        help="Which checkpoints can be gone on from: the last and every K-th, or none.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, with the keys of docs/cli.md.")]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="K", help="Which model of the store; needed where it has many."),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="What was known then: ISO 8601 (UTC where no zone is given)."
    ),
]


def components(meaning: str) -> Any:
    """The option --n-components, which means something else to each command."""
    return typer.Option("--n-components", "-n", metavar="P", help=meaning)


def with_options(*options: Option) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of the table, as its argument `asked`: those given, checked."""

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters
        parameters = [each for each in own.values() if each.name != "asked"]
        parameters += [_parameter(option) for option in options]

        def run(**given: Any) -> None:
            from streampca.files import options as table

            values = {option.name: given.pop(option.name) for option in options}
            command(**given, asked=table.check(values, say=table.flag))

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return wrap


def _parameter(option: Option) -> inspect.Parameter:
    from streampca.files import options as table

    flags = [option.flag, *(table.flag(alias) for alias in option.aliases if alias != "key")]
    if option.kind is bool:
        kind: Any = Annotated[bool | None, typer.Option(*flags, help=option.help)]
    else:
        how = typer.Option(*flags, metavar=option.metavar, help=option.help)
        kind = Annotated[str | None, how]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, keyword, default=None, annotation=kind)


def names(text: str | None) -> list[str] | None:
    """The names in a list with commas.

    Examples
    --------
    >>> names("oil, air")
    ['oil', 'air']
    """
    from streampca.files import options as table

    if text is None:
        return None
    return table.check({"columns": text})["columns"]  # type: ignore[no-any-return]


def number_or_share(text: str | None) -> int | float | str | None:
    """How many components, or the share of the variance to explain; None for all.

    Examples
    --------
    >>> number_or_share("4"), number_or_share("0.95"), number_or_share(None)
    (4, 0.95, None)
    """
    from streampca.files import options as table

    if text is None:
        return None
    try:
        return table.number_or_share(text)
    except ValueError as error:
        raise typer.BadParameter(f"--n-components {error}") from None


def refuse_more(n_components: int | float | str | None, checkpoint: Checkpoint) -> None:
    """Raise where a model has fewer components than --n-components says."""
    p = len(checkpoint.components)
    if isinstance(n_components, int) and n_components > p:
        raise typer.BadParameter(
            f"--n-components {n_components}: the model has {counted(p, 'component')}; give at most "
            f"{p}, or learn more with fit --n-components"
        )


def read_time(text: str | None) -> datetime.datetime | None:
    """A time with its zone; UTC where none is given.

    Examples
    --------
    >>> read_time("2026-01-01 12:00").isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    if text is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"--at {text}: is no time; give ISO 8601, such as 2026-01-01T12:00"
        ) from None
    return zoned(time)
