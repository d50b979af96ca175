"""streampca on Apache Beam: ordered components that are carried across windows.

Needs the extra: ``pip install "streampca[beam]"``.
"""

import logging as _logging


def _is_news(record: _logging.LogRecord) -> bool:
    return not record.getMessage().startswith("apitools not found")


# Beam says so at every import where its optional Google Cloud parts are not complete.
_logging.getLogger().addFilter(_is_news)
try:
    import apache_beam as _beam  # noqa: F401
except ImportError as error:  # pragma: no cover - the test environment has Beam
    raise ImportError('beam_pipelines needs Apache Beam: pip install "streampca[beam]"') from error
finally:
    _logging.getLogger().removeFilter(_is_news)

# ruff: noqa: E402 - these import Beam
from beam_pipelines.learning import MomentsFn, SizeWarning
from beam_pipelines.rows import BadRow
from beam_pipelines.scoring import Alarms, ProjectComponents, Projected, Score, ScoredRow
from beam_pipelines.sources import ParseRows
from beam_pipelines.stores import ReadCheckpoints, Unreadable, WriteCheckpoints
from beam_pipelines.transforms import LearnComponents, Learned

__all__ = [
    "Alarms",
    "BadRow",
    "LearnComponents",
    "Learned",
    "MomentsFn",
    "ParseRows",
    "ProjectComponents",
    "Projected",
    "ReadCheckpoints",
    "Score",
    "ScoredRow",
    "SizeWarning",
    "Unreadable",
    "WriteCheckpoints",
]
