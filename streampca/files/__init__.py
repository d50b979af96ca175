"""Files as checked rows, for the command line, Beam and Python alike.

>>> from streampca.files import read

`options.py` is the one table of options; `names.py` and `source.py` find files and open them;
`dialect.py`, `csvfile.py`, `jsonlines.py` and `tables.py` turn bytes into columns, by Arrow's
readers; `columns.py`, `cells.py` and `times.py` say what columns mean; `read.py` puts it together.
Nothing here knows the command line, Beam, or what rows are used for.
"""

from streampca.files.atomic import complete
from streampca.files.bad_rows import BadRow, BadRows
from streampca.files.chunk import BEGIN, Place
from streampca.files.columns import Columns, choose_columns
from streampca.files.kafka import config_of
from streampca.files.messages import BadMessage, reader_of
from streampca.files.names import form_of
from streampca.files.read import Order, Rows, no_rows, read, read_source
from streampca.files.source import STDIN, Source, local_path, require_readable
from streampca.files.times import Rule, times_of
from streampca.files.topic import Topic, check_topics
from streampca.text import counted, nearest

__all__ = [
    "BEGIN",
    "STDIN",
    "BadMessage",
    "BadRow",
    "BadRows",
    "Columns",
    "Order",
    "Place",
    "Rows",
    "Rule",
    "Source",
    "Topic",
    "check_topics",
    "choose_columns",
    "complete",
    "config_of",
    "counted",
    "form_of",
    "local_path",
    "nearest",
    "no_rows",
    "read",
    "read_source",
    "reader_of",
    "require_readable",
    "times_of",
]
