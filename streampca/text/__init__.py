"""How things are said: numbers and names in messages, the version; tables in notebooks (html.py).

Knows nothing of what is said.
"""

from streampca.text.words import counted, nearest, version

__all__ = ["counted", "nearest", "version"]
