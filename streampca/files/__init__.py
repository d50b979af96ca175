"""Files as checked rows, for the command line, Beam and Python alike.

>>> from streampca.files import read

`options.py` is the one table of options; `names.py` and `source.py` find files and open them;
`dialect.py`, `csvfile.py`, `jsonlines.py` and `tables.py` turn bytes into columns, by Arrow's
readers; `columns.py`, `cells.py` and `times.py` say what columns mean; `read.py` puts it together.
Nothing here knows the command line, Beam, or what rows are used for.
"""

from streampca.files.read import Rows, read

__all__ = ["Rows", "read"]
