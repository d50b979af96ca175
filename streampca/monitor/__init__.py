"""SPE (Q) and Hotelling's T^2: how far rows are from a model, from how far on that is unusual, why.

And the same question of models: `trends` of a history of checkpoints, and limits for them.
"""

from streampca.monitor.assessment import Assessment
from streampca.monitor.assessment import in_limits as in_limits
from streampca.monitor.calibration import METHODS as METHODS
from streampca.monitor.events import Event, Events, Levels, Scored
from streampca.monitor.gaps import Gaps as Gaps
from streampca.monitor.kept import chance_of as chance_of
from streampca.monitor.kept import components_to_keep as components_to_keep
from streampca.monitor.kept import leaves_a_rest as leaves_a_rest
from streampca.monitor.lags import Lags
from streampca.monitor.lags import check_lags as check_lags
from streampca.monitor.lags import lagged_name as lagged_name
from streampca.monitor.limits import empirical_limit
from streampca.monitor.monitor import Monitor
from streampca.monitor.quantiles import QuantileSketch
from streampca.monitor.rules import Rules
from streampca.monitor.spectrum import slim as slim
from streampca.monitor.statistics import Statistics
from streampca.monitor.trend import IndividualsChart, Trends, individuals_chart, trends
from streampca.monitor.trend import same_features as same_features
from streampca.monitor.watch import Watch
from streampca.monitor.watch import micros_of as micros_of

__all__ = [
    "Assessment",
    "Event",
    "Events",
    "IndividualsChart",
    "Lags",
    "Levels",
    "Monitor",
    "QuantileSketch",
    "Rules",
    "Scored",
    "Statistics",
    "Trends",
    "Watch",
    "empirical_limit",
    "individuals_chart",
    "trends",
]
