"""What a history shows is read without the rest, and is right or not there."""

import dataclasses
import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from checkpoints import MINUTE, checkpoints, make
from hypothesis import given, settings
from hypothesis import strategies as st

from streampca.checkpoint import CheckpointStore, CheckpointWarning, Drift, Summary, columns
from streampca.checkpoint.bundle import InMemory, read_index, shown_pages, tail
from streampca.checkpoint.bundle_index import Index
from streampca.checkpoint.fields import equal
from streampca.checkpoint.files import OpenedLocally
from streampca.checkpoint.footer import check_bundle_footer

GOLDEN = Path(__file__).parent / "golden" / "store_1"


def same(one, other):
    assert len(one) == len(other)
    for mine, its in zip(one, other, strict=True):
        assert equal(tuple(mine), tuple(its)), (mine, its)


def some(windows=6, keys=("a", "b"), **changes):
    """Drift from the second on; two checkpoints of each window."""
    return [
        make(
            key=key,
            p=1 + i % 3,
            window_start=i // 2 * MINUTE,
            window_end=(i // 2 + 1) * MINUTE,
            sequence=i,
            seed=i,
            n_samples_seen=10 * i,
            late=i % 5 == 4,
            drift=Drift(0.1 * i, np.full(1 + i % 3, 0.5)) if i else None,
            **changes,
        )
        for key in keys
        for i in range(windows)
    ]


def assert_short_of(store):
    for key in store.keys():  # noqa: SIM118 - it is no dictionary
        full = [Summary.of(checkpoint) for checkpoint in store.history(key)]
        same(store.summaries(key), full)
        for last in {1, 2, len(full), len(full) + 1}:
            same(store.summaries(key, last=last), full[-last:])


@settings(max_examples=30, deadline=None)
@given(st.lists(checkpoints(), min_size=1, max_size=8), st.integers(1, 5), st.randoms())
def test_it_is_what_is_in_the_checkpoints(tmp_path_factory, written, group, chance):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streampca.checkpoint.bundle._GROUP_ROWS", group)
        store = CheckpointStore(folder)
        for _ in range(3):
            store.write_many(chance.sample(written, chance.randint(1, len(written))))
            store.write(chance.choice(written))
        assert_short_of(store)
        store.compact()
        assert_short_of(store)
    shutil.rmtree(folder)


def test_keys_that_are_alike_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("streampca.checkpoint.bundle._GROUP_ROWS", 4)
    store = CheckpointStore(tmp_path)
    store.write_many(some(keys=(None, 1, "1", "none", "None")))
    assert_short_of(store)
    assert store.summaries("2") == []


def test_means_and_components_are_not_read(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    (path,) = store.write_many(some(n=300))
    store.keys()  # reads the index
    read, before = [], OpenedLocally.read_at
    monkeypatch.setattr(
        OpenedLocally, "read_at", lambda f, at, n: read.append(n) or before(f, at, n)
    )
    assert len(store.summaries("a")) == 6
    assert sum(read) < Path(path).stat().st_size / 5
    data = bytearray(Path(path).read_bytes())
    mean = data.index(some(n=300)[0].mean.tobytes())
    data[mean] ^= 1
    Path(path).write_bytes(data)
    assert len(CheckpointStore(tmp_path).summaries("a")) == 6
    with pytest.warns(CheckpointWarning, match="not a readable checkpoint"):
        CheckpointStore(tmp_path).history("a")


def pages_of(data):
    file = InMemory(data)
    footer = tail(file).footer
    groups = check_bundle_footer(footer, file.size, len(read_index(file)))
    return [shown_pages(group) for group in groups]


def flipped(store, path, data, at, bit, right):
    """Right, or left out and told."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    path.write_bytes(changed)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", CheckpointWarning)
        found = CheckpointStore(store).summaries("a")
    for each in found:
        assert any(equal(tuple(each), tuple(other)) for other in right), at
    assert told or len(found) == len(right), at


def test_a_flipped_bit_of_what_is_read_is_found_wherever_it_is(tmp_path):
    """Of what Parquet says of its pages, too, for which it has no checksum."""
    store = CheckpointStore(tmp_path)
    path = Path(store.write_many(some(keys=("a",)))[0])
    right, data = store.summaries("a"), path.read_bytes()
    chance = random.Random(0)
    ((*pages,),) = pages_of(data)
    for start, size in pages:
        for at in range(start, start + size):
            flipped(tmp_path, path, data, at, chance.randrange(8), right)
    rest = range(len(data))
    for at in chance.sample(rest, 200):
        flipped(tmp_path, path, data, at, chance.randrange(8), right)


def test_every_changed_number_of_what_is_read_is_found(tmp_path):
    store = CheckpointStore(tmp_path)
    path = Path(store.write_many(some(keys=("a",)))[0])
    right, data, chance = store.summaries("a"), path.read_bytes(), random.Random(1)
    ((*pages,),) = pages_of(data)
    for start, size in pages:
        for _ in range(60):
            at, n = chance.randrange(start, start + size), chance.randrange(1, 9)
            changed = bytearray(data)
            changed[at : at + n] = chance.randbytes(n)
            path.write_bytes(changed[: len(data)])
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", CheckpointWarning)
                found = CheckpointStore(tmp_path).summaries("a")
            assert told or len(found) == len(right)
            for each in found:
                assert any(equal(tuple(each), tuple(other)) for other in right), at


def test_what_is_torn_is_told_as_ever(tmp_path):
    store = CheckpointStore(tmp_path)
    path = Path(store.write_many(some(keys=("a",)))[0])
    data = path.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.warns(CheckpointWarning, match="Skipped.*parquet"):
            assert CheckpointStore(tmp_path).summaries("a") == []


def test_of_the_last_those_that_can_be_read_are_given(tmp_path):
    store = CheckpointStore(tmp_path)
    written = some(keys=("a",), windows=8)
    paths = [store.write_many(written[i : i + 2])[0] for i in range(0, 8, 2)]
    Path(paths[-1]).write_bytes(Path(paths[-1]).read_bytes()[:-5])
    with pytest.warns(CheckpointWarning):
        found = CheckpointStore(tmp_path).summaries("a", last=3)
    same(found, [Summary.of(checkpoint) for checkpoint in written[3:6]])


@pytest.mark.parametrize("shown", [[], [0], [1, 2, 3]])
def test_a_file_without_these_checksums_is_read_completely(tmp_path, monkeypatch, shown):
    of = Index.of
    monkeypatch.setattr(Index, "of", lambda *given: of(*given[:-1], shown))
    store = CheckpointStore(tmp_path)
    store.write_many(some())
    assert_short_of(store)


def test_a_store_of_an_older_version_is_read(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "store")
    store = CheckpointStore(tmp_path / "store")
    assert store.keys() == [7, "a"]
    assert [s.n_samples_seen for s in store.summaries(7)] == [100, 200, 300]
    assert_short_of(store)
    assert store.verify().problems == {}
    before = {key: store.history(key) for key in (7, "a")}
    store.write_many([make(key="a", window_end=9 * MINUTE)])
    store.compact()
    assert store.history(7) == before[7]
    assert store.history("a")[:-1] == before["a"]
    assert_short_of(CheckpointStore(tmp_path / "store"))


def test_what_a_history_shows_are_columns_in_their_order():
    names = columns.SCHEMA.names
    assert sorted(columns.SHOWN, key=names.index) == list(columns.SHOWN)


def test_numbers_that_no_checkpoint_has_are_left_to_who_reads_all(tmp_path, monkeypatch):
    """As somebody writes them who knows the format: with all checksums right."""
    for field in ("weight", "total_variance", "explained_variance", "explained_variance_ratio"):
        for wrong in (np.nan, np.inf, -np.inf):
            store = CheckpointStore(tmp_path / f"{field}{wrong}")
            good, bad = some(keys=("a",), windows=2)
            old = getattr(bad, field)
            changed = wrong if isinstance(old, float) else np.full_like(old, wrong)
            object.__setattr__(bad, field, changed)
            store.write_many([good, bad])
            with pytest.warns(CheckpointWarning):
                same(store.summaries("a"), [Summary.of(good)])


def test_a_row_that_is_another_than_the_index_says_is_passed_over(tmp_path, monkeypatch):
    written = some(keys=("a",), windows=3)
    of = Index.of
    monkeypatch.setattr(
        Index,
        "of",
        lambda rows, *given: of(
            [*rows[:2], dataclasses.replace(rows[2], window_end=5 * MINUTE)], *given
        ),
    )
    store = CheckpointStore(tmp_path)
    store.write_many(written)
    with pytest.warns(CheckpointWarning, match="which its index does not say"):
        same(store.summaries("a"), [Summary.of(checkpoint) for checkpoint in written[:2]])
