"""Where a pipeline's rows come from: files, files that land, topics, messages.

Knows nothing of models.
"""

from beam_pipelines.sources.formats import TOPICS, find_files, source_of
from beam_pipelines.sources.in_order import Holding, Mark
from beam_pipelines.sources.parse import Parse, ParseRows, Places
from beam_pipelines.sources.pubsub import PubSubInput, pubsub_columns, pubsub_input
from beam_pipelines.sources.reading import ReadRows
from beam_pipelines.sources.topics import Incoming, KafkaTopic, ReadTopic, form_of, schema_of
from beam_pipelines.sources.watching import WatchFiles, Watching

__all__ = [
    "TOPICS",
    "Holding",
    "Incoming",
    "KafkaTopic",
    "Mark",
    "Parse",
    "ParseRows",
    "Places",
    "PubSubInput",
    "ReadRows",
    "ReadTopic",
    "WatchFiles",
    "Watching",
    "find_files",
    "form_of",
    "pubsub_columns",
    "pubsub_input",
    "schema_of",
    "source_of",
]
