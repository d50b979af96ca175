"""A store on a real server of S3: killed between any two requests, it is the old one or the new.

pyarrow's file systems have no conditional puts, and the store needs none: its files never change,
and which of two counts is said by their names (listing.py).
"""

import concurrent.futures
import itertools
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import s3

from streampca import CheckpointStore, CheckpointWarning, StreamingPCA

pytestmark = [
    pytest.mark.object_store,
    pytest.mark.skipif(not s3.SERVER.exists(), reason="there is no moto_server: make object-store"),
]

HOUR = 3_600_000_000
CLIENT = """
import sys
sys.path[:0] = sys.argv[4].split(":")
import s3, test_object_store as tests
from streampca import CheckpointStore
store = CheckpointStore(sys.argv[2], filesystem=s3.filesystem(int(sys.argv[1])))
print("begins", flush=True)
tests.WORK[sys.argv[3]](store)
"""


def checkpoint(key, hour, seed=0, sequence=0):
    rng = np.random.default_rng([seed, hour, sequence])
    pca = StreamingPCA(2).partial_fit(rng.normal(size=(12, 4)))
    return pca.checkpoint(key=key, window_end=HOUR * (hour + 1), sequence=sequence)


FIRST = [checkpoint(key, hour) for key in ("a", 4, None) for hour in range(5)]
NEXT = [checkpoint(key, hour, seed=1) for key in ("a", 4) for hour in (3, 4, 30)]

WORK = {
    "write": lambda store: store.write(NEXT[0]),
    "write new": lambda store: store.write(NEXT[2]),
    "write many": lambda store: store.write_many(NEXT),
    "compact": lambda store: store.compact(),
    "prune": lambda store: store.prune(keep_last=2),
    "compact without moments": lambda store: store.compact(moments="last"),
}


def name(found):
    return (type(found.key).__name__, found.key, found.window_end, found.sequence)


def content(store):
    """Each checkpoint once; what cannot be read would warn, which is an error here."""
    found = [each for key in store.keys() for each in store.history(key)]  # noqa: SIM118
    by_name = {name(each): each.to_bytes() for each in found}
    assert len(by_name) == len(found)
    return by_name


@pytest.fixture(scope="module")
def port():
    with s3.served() as found:
        s3.filesystem(found).create_dir("bucket")
        yield found


_numbers = itertools.count()


@pytest.fixture
def store(port):
    """A store of files of one and of many, some of which replace others."""
    made = CheckpointStore(f"bucket/store-{next(_numbers)}", filesystem=s3.filesystem(port))
    made.write_many(FIRST[:8])
    made.write_many(FIRST[6:12])
    for each in FIRST[12:]:
        made.write(each)
    made.write(FIRST[0])
    return made


def fresh(store, port):
    """The store as another process sees it."""
    return CheckpointStore(store.uri, filesystem=s3.filesystem(port))


def test_it_is_a_store_like_others(store, port):
    assert content(fresh(store, port)) == {name(each): each.to_bytes() for each in FIRST}
    assert store.latest("a") == FIRST[4]
    assert store.at(2 * HOUR, 4) == FIRST[6]
    assert set(fresh(store, port).keys()) == {"a", 4, None}


def run(place, work, proxy):
    """A process that does some work through the proxy; whether it came to its end."""
    arguments = [
        str(proxy.server_address[1]),
        place,
        work,
        ":".join([str(Path(__file__).parent), *sys.path]),
    ]
    command = [sys.executable, "-c", CLIENT, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy.victim:
        proxy.n_changes = 0
        assert proxy.victim.stdout.readline() == "begins\n"
        return proxy.victim.wait(timeout=120) == 0


def old_and_new(store, port, work):
    """What the store holds before some work, and after it, undisturbed."""
    before = content(store)
    copy = CheckpointStore(f"bucket/store-{next(_numbers)}", filesystem=s3.filesystem(port))
    for each in before.values():
        copy.write(type(FIRST[0]).from_bytes(each))
    WORK[work](copy)
    return before, content(copy)


@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("work", WORK)
def test_killed_at_any_request_it_is_the_old_store_or_the_new(store, port, work, is_done):
    place = store.uri
    before, after = old_and_new(store, port, work)
    with s3.proxied(port) as proxy:
        for number in range(50):
            proxy.fault = (number, is_done)
            if run(place, work, proxy):
                break
            now = content(fresh(store, port))
            lost = set(before) & set(after) - set(now)
            assert not lost
            assert set(now) <= set(before) | set(after)
            for each, data in now.items():
                assert data in (before.get(each), after.get(each)), each
    assert number > 0, "it was never killed"
    assert content(fresh(store, port)) == after


def test_a_server_that_is_busy_or_drops_lines_is_asked_again(store, port, monkeypatch):
    """Faults that end nothing: pyarrow's client tries again, and nothing is doubled."""
    with s3.proxied(port) as proxy:
        place = store.uri
        there = CheckpointStore(place, filesystem=s3.filesystem(proxy.server_address[1]))
        for number, is_done in itertools.product(range(3), (False, True)):

            class Nobody:
                @staticmethod
                def kill():
                    proxy.fault = None  # the line is dropped once

            proxy.n_changes, proxy.victim, proxy.fault = 0, Nobody, (number, is_done)
            there.write_many(NEXT)
            there.compact()
            assert proxy.n_changes > number
        expected = {name(each): each.to_bytes() for each in FIRST + NEXT}
        assert content(fresh(store, port)) == expected


def test_writers_beside_each_other_and_who_keeps_order(store, port):
    """Four writers of their own keys, one of the same checkpoint, while somebody compacts."""
    place = store.uri

    def write(writer):
        mine = CheckpointStore(place, filesystem=s3.filesystem(port))
        for hour in range(6):
            mine.write(checkpoint(f"w{writer}", hour))
            mine.write(NEXT[0])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = [pool.submit(write, i) for i in range(4)]
        while not all(each.done() for each in running):
            store.compact()
        for each in running:
            each.result()
    expected = {name(each): each.to_bytes() for each in FIRST} | {name(NEXT[0]): NEXT[0].to_bytes()}
    for i in range(4):
        expected |= {name(c): c.to_bytes() for c in (checkpoint(f"w{i}", h) for h in range(6))}
    assert content(fresh(store, port)) == expected


def test_a_torn_object_is_no_checkpoint(store, port):
    """A torn object is told of, and left out."""
    files = s3.filesystem(port)
    place = store.uri
    before = content(store)
    info = files.get_file_info(s3.fs.FileSelector(place, recursive=True))
    some = max((each for each in info if each.is_file), key=lambda each: each.size)
    with files.open_input_file(some.path) as file:
        data = file.read()
    with files.open_output_stream(some.path) as stream:
        stream.write(data[: len(data) // 2])
    with pytest.warns(CheckpointWarning):
        now = {name(c): c.to_bytes() for k in fresh(store, port).keys() for c in store.history(k)}  # noqa: SIM118
    assert now.items() <= before.items()
    with files.open_output_stream(some.path) as stream:
        stream.write(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert content(fresh(store, port)) == before
