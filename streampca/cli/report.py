"""What `fit` says at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streampca import Checkpoint
from streampca.cli import output
from streampca.cli.describe import component_table, described
from streampca.cli.fitting import Fit
from streampca.cli.models import Models
from streampca.files import no_rows
from streampca.text import counted


def interrupted(run: Fit, store: str | None) -> str:
    """What a fit that was stopped says."""
    if store is None:
        return f"interrupted after {counted(run.n_rows, 'row')}; nothing is kept without --output"
    kept = run.ledger.n_rows - run.n_lost
    verb = "is" if kept == 1 else "are"
    return f"interrupted: {counted(kept, 'row')} {verb} in {store}; go on with --resume"


def notes(run: Fit) -> None:
    """Say what is odd about the rows of a run."""
    text = run.order.said()
    if text is not None:
        output.say(text)
    if run.silent:
        shown = ", ".join(map(repr, run.silent[:8])) + (", ..." if len(run.silent) > 8 else "")
        output.say(
            f"no row has a value of {shown}: nothing was learned of it; leave it out with --exclude"
        )


def finished(
    run: Fit, models: Models, store: str | None, seconds: float, *, json: bool, quiet: bool
) -> None:
    """Say what a fit has done.

    Raises
    ------
    ValueError
        If it has learned from no row.
    """
    latest = [model.last for model in models.by_key.values() if model.last is not None]
    if not latest:
        raise ValueError(no_rows(run.sources, run.ledger.n_bad))
    if json:
        output.as_json(
            {
                "store": store,
                "n_rows": run.n_rows,
                "n_bad_rows": run.ledger.n_bad,
                "seconds": round(seconds, 3),
                "models": [described(checkpoint) for checkpoint in latest]
                if store is None
                else [_brief(checkpoint) for checkpoint in latest],
            }
        )
        return
    if store is None:
        for checkpoint in latest:
            component_table(checkpoint).show()
    if not quiet:
        output.text(_summary(run, latest, store, seconds))


def _brief(checkpoint: Checkpoint) -> dict[str, Any]:
    full = described(checkpoint)
    names = ("key", "window_end", "sequence", "n_samples_seen", "explained_variance_ratio")
    return {name: full[name] for name in names}


def _summary(run: Fit, latest: Sequence[Checkpoint], store: str | None, seconds: float) -> str:
    parts = [f"{counted(run.n_rows, 'row')} read in {seconds:.1f} s"]
    if run.ledger.n_bad:
        where = run.ledger.bad_rows
        bad = counted(run.ledger.n_bad, "bad row")
        parts.append(f"{bad} {'skipped' if where == 'skip' else where}")
    if len(latest) == 1:
        (one,) = latest
        p, n = one.components.shape
        share = one.explained_variance_ratio.sum()
        verb = "explains" if p == 1 else "explain"
        of = f"{counted(p, 'component')} of {counted(n, 'feature')}"
        parts.append(f"{of} {verb} {share:.1%} of the variance")
    else:
        parts.append(counted(len(latest), "model"))
    if store is not None:
        parts.append(f"checkpoints in {store}")
    return "; ".join(parts)
