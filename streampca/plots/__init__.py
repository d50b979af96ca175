"""Figures of models, of their history, and of rows beside them.

Needs the extra: ``pip install "streampca[plot]"``. Each function returns a matplotlib Figure, which
notebooks show by themselves, and touches nothing else of matplotlib, so that it can be called from
any thread of a server; with `ax=` it draws into a figure of yours. Figures can be read in black and
white and at the width of a phone. What they show is computed elsewhere.
"""

try:
    import matplotlib as _  # noqa: F401
except ImportError as error:  # pragma: no cover - the test environment has matplotlib
    raise ImportError('streampca.plots needs matplotlib: pip install "streampca[plot]"') from error

from streampca.plots.biplot import plot_biplot
from streampca.plots.components import plot_components
from streampca.plots.control import plot_contributions, plot_control
from streampca.plots.event import plot_event
from streampca.plots.loadings import plot_loadings
from streampca.plots.scores import plot_scores
from streampca.plots.scree import plot_scree
from streampca.plots.similarity import plot_acs

__all__ = [
    "plot_acs",
    "plot_biplot",
    "plot_components",
    "plot_contributions",
    "plot_control",
    "plot_event",
    "plot_loadings",
    "plot_scores",
    "plot_scree",
]
