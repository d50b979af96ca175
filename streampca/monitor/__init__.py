"""SPE (Q) and Hotelling's T^2: how far rows are from a model, from how far on that is unusual, why.

And the same question of models: `trends` of a history of checkpoints, and limits for them.
"""

from streampca.monitor.limits import empirical_limit
from streampca.monitor.monitor import Assessment, Monitor
from streampca.monitor.quantiles import QuantileSketch
from streampca.monitor.statistics import Statistics
from streampca.monitor.trend import IndividualsChart, Trends, individuals_chart, trends

__all__ = [
    "Assessment",
    "IndividualsChart",
    "Monitor",
    "QuantileSketch",
    "Statistics",
    "Trends",
    "empirical_limit",
    "individuals_chart",
    "trends",
]
