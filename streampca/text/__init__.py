"""How things are said: numbers, names and times, the version; tables in notebooks (html.py).

Knows nothing of what is said.
"""

from streampca.text.words import counted, micros, nearest, twice_in, version, zoned

__all__ = ["counted", "micros", "nearest", "twice_in", "version", "zoned"]
