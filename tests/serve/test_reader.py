"""Many readers cost what one does, and none gets a value from before it asked."""

import itertools
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
from strain import look, told

from streampca.serve.crowd import gives_way
from streampca.serve.reader import Shared


def test_readers_that_come_together_share_their_readings():
    count, asked = itertools.count(1), itertools.count(1)
    begun, go = threading.Event(), threading.Event()

    def read():
        begun.set()
        go.wait(30)
        return next(count)

    def ask():
        if next(asked) == 49:
            threading.Timer(0.5, go.set).start()  # all of them wait by then
        return shared.now()

    shared = Shared(read)
    with ThreadPoolExecutor(50) as pool:
        first = pool.submit(shared.now)
        begun.wait()
        others = [pool.submit(ask).result for _ in range(49)]
        assert first.result() == 1
        # They asked after the first reading had begun, which may have missed what they ask for.
        assert {each() for each in others} <= {2, 3, 4}


def test_what_takes_long_is_asked_seldom(monkeypatch):
    """By a clock of the test's own."""
    clock, takes = [100.0], [0.0]
    monkeypatch.setattr(
        "streampca.serve.reader.time", types.SimpleNamespace(monotonic=lambda: clock[0])
    )

    def read():
        clock[0] += takes[0]
        return clock[0]

    shared = Shared(read)
    assert shared.lately(1.0) == 100
    clock[0] = 100.9
    assert shared.lately(1.0) == shared.glance(1.0) == 100
    clock[0], takes[0] = 101.5, 0.5
    assert shared.glance(1.0) is None
    assert shared.lately(1.0) == 102  # half a second of work: not again for ten
    clock[0] = 111.4
    assert shared.lately(1.0) == shared.glance(1.0) == 102
    assert shared.now() > 102


def test_a_failure_is_not_kept():
    answers = iter([OSError("gone"), None])
    shared = Shared(lambda: _raise(next(answers)))
    with pytest.raises(OSError, match="gone"):
        shared.now()
    assert shared.glance(60) is None
    assert shared.lately(60) == "value"


def _raise(error):
    if error is not None:
        raise error
    return "value"


def test_pages_that_are_open_share_each_reading_of_the_store(store, fill, start, monkeypatch):
    """Twenty pages of one key: a listing of the keys and one of that key a second, not twenty."""
    for key in ("a", "b"):
        fill(store, key, hours=1)
    calls = []
    for name in ("keys", "written"):
        original = getattr(type(store), name)

        def counted(self, *key, original=original, name=name):
            calls.append(name)
            return original(self, *key)

        monkeypatch.setattr(type(store), name, counted)
    with start() as port:
        pages = [look(port, "a") for _ in range(20)]
        streams = [told(page) for page in pages]
        for each in streams:
            assert next(each)["n_checkpoints"] == 1
        calls.clear()
        begun = time.monotonic()
        time.sleep(3)
        fill(store, "a", hours=1, start=1)
        for each in streams:
            seen = next(each)
            assert (seen["n_checkpoints"], "keys" in seen) == (2, False)
        readings = (time.monotonic() - begun) / 0.9 + 2
        counts = {name: calls.count(name) for name in ("keys", "written")}
        assert max(counts.values()) <= readings
        assert min(counts.values()) >= 1
        for page in pages:
            page.close()


def test_a_burst_of_questions_shares_its_listings(client, store, fill, monkeypatch):
    for key in range(30):
        fill(store, key, hours=1)
    calls, original = [], type(store).keys

    def slow(self):
        calls.append(time.monotonic())
        time.sleep(0.3)
        return original(self)

    monkeypatch.setattr(type(store), "keys", slow)
    with client, ThreadPoolExecutor(20) as pool:  # one event loop for all
        answers = list(pool.map(lambda _: client.get("/keys").json(), range(20)))
    assert [len(each["keys"]) for each in answers] == [30] * 20
    assert len(calls) <= 7  # those of one address run 8 at a time: two readings a turn at most


@pytest.mark.parametrize("n_others", [1, 5, 50])
def test_who_floods_loses_its_own(n_others):
    """However many a flood has, those of others stay."""
    others = [f"10.0.0.{i}" for i in range(n_others)]
    waiting = [*others, *["10.1.1.1"] * 300]
    while (late := gives_way(waiting, 200, 128)) is not None:
        assert waiting.pop(late) == "10.1.1.1"
    assert waiting[:n_others] == others
    assert waiting.count("10.1.1.1") == min(128, 200 - n_others)
