"""Break a call off anywhere: an exception at one of the lines of this package that it runs through.

Signals raise between bytecodes, so a test that draws the line sees what Ctrl-C may do. Lines with
`with` are passed over: leaving one is reported as a line, too, where no signal is looked at. So is
what counts threads of the BLAS, which belong to the process, and so to the tests after this one.
"""

import linecache
import sys
from pathlib import Path

import streampca
from streampca.arrays import threads

_HOME = str(Path(streampca.__file__).parent)
BREAKS = (KeyboardInterrupt, SystemExit, MemoryError)


class Lines:
    """Counts lines, and raises at the k-th."""

    def __init__(self, k=None, error=KeyboardInterrupt):
        self.k, self.error, self.count = k, error, 0

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *raised):
        sys.settrace(self._before)

    def _call(self, frame, event, arg):
        file = frame.f_code.co_filename
        return self._line if file.startswith(_HOME) and file != threads.__file__ else None

    def _line(self, frame, event, arg):
        if event == "line":
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
            if not text.startswith("with "):
                self.count += 1
                if self.count == self.k:
                    raise self.error
        return self._line


def count_lines(call):
    """Lines that a call runs through."""
    with Lines() as lines:
        call()
    return lines.count


def broken_off(call, k, error):
    """Whether a call was broken off at its k-th line; the second time it may have fewer."""
    try:
        with Lines(k, error):
            call()
    except error:
        return True
    return False
