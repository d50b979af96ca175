"""Every command by its name."""

from __future__ import annotations

from streampca.cli.app import app
from streampca.cli.calibrate import calibrate
from streampca.cli.compare import compare
from streampca.cli.components import components, history
from streampca.cli.export import export
from streampca.cli.fit import fit
from streampca.cli.inspect import inspect
from streampca.cli.plot import plot
from streampca.cli.score import score
from streampca.cli.serve import serve
from streampca.cli.store import store
from streampca.cli.transform import transform

__all__ = ["app"]

COMMANDS = (
    *(fit, components, history, transform, calibrate, score),
    *(compare, plot, export, inspect, serve),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(store, name="store")
