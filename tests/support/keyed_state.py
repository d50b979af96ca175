"""State and timers of one key, as a runner holds them, to be worked by hand."""


class Cell:
    """State of one key, as a runner holds it: what was not written is not there."""

    def __init__(self, value=None):
        self.value = value

    def read(self):
        return self.value

    def write(self, value):
        self.value = value

    def clear(self):
        self.value = None


class Bag:
    """Entries of one key."""

    def __init__(self, entries=()):
        self.entries = list(entries)
        self.n_added = 0

    def read(self):
        return list(self.entries)

    def add(self, entry):
        self.n_added += 1
        self.entries.append(entry)

    def clear(self):
        self.entries = []


class Time:
    """When a timer fires."""

    def __init__(self, micros):
        self.micros = micros


class Timers:
    """Timers that are pending, by tag."""

    def __init__(self):
        self.pending = {}
        self.n_set = 0

    def set(self, when, dynamic_timer_tag):
        self.n_set += 1
        self.pending[dynamic_timer_tag] = when.micros

    def clear(self, dynamic_timer_tag):
        self.pending.pop(dynamic_timer_tag, None)
