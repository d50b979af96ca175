"""A pipeline that is updated reads what workers of the version before it have left in flight."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from apache_beam.transforms.window import FixedWindows
from streams import assert_equals_batch, learn, stream, timed

from beam_pipelines import MomentsFn
from beam_pipelines.learning.pending import PENDING_CODER, Pending
from beam_pipelines.learning.running import Learning, Running, Standing
from beam_pipelines.rows.coders import BlockCoder, CheckpointCoder, moments_from_bytes
from beam_pipelines.rows.elements import Block
from streampca import Checkpoint, CheckpointStore, CheckpointWarning
from streampca.wire.arrays import WireError

X = np.arange(12.0).reshape(4, 3) ** 2
SAVED = json.loads((Path(__file__).parent / "data" / "schema_1.json").read_text())
SAVED = {name: zlib.decompress(base64.b64decode(text)) for name, text in SAVED.items()}
"""Bytes that schema 1 wrote: a checkpoint of two rows of X, moments and a block of the others."""

MINUTE = 60_000_000


@pytest.fixture
def version(monkeypatch):
    """Sets the schema version of this library."""

    def use(number):
        for module in ("wire.sealed", "wire.header", "checkpoint.columns", "checkpoint.table"):
            monkeypatch.setattr(f"streampca.{module}.SCHEMA_VERSION", number)

    return use


@pytest.mark.parametrize("part", ["moments", "rows"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_state_and_messages_of_schema_1_are_gone_on_from(version, number, part):
    version(number)
    state = Checkpoint.from_bytes(SAVED["checkpoint"])
    waiting = Pending(2 * MINUTE - 1, MINUTE, MINUTE, 0, 0, SAVED[part])
    waiting = Pending(*PENDING_CODER.decode(PENDING_CODER.encode(tuple(waiting))))
    run = Running("press 4", Learning({"n_components": 2}), Standing(state, MINUTE - 1, 1))
    checkpoint = run.close([waiting])
    assert (checkpoint.key, checkpoint.sequence, checkpoint.late) == ("press 4", 1, False)
    assert_equals_batch(checkpoint, X)


@pytest.mark.needs("this process")
def test_an_updated_job_goes_on_and_the_older_one_says_why_it_cannot(tmp_path, version, engine):
    rows, times = stream(150)
    windows = FixedWindows(50)

    def run(which, number):
        version(number)
        some = times // 50 == which
        learn(timed(rows[some], times[some]), windows, tmp_path, resume_from=tmp_path)

    run(0, 3)
    run(1, 4)
    history = CheckpointStore(tmp_path).history()
    assert [c.n_samples_seen for c in history] == [50, 100]
    assert_equals_batch(history[-1], rows[:100])
    version(3)
    with pytest.warns(CheckpointWarning, match="schema 4, newer than 3"):
        assert CheckpointStore(tmp_path).latest().n_samples_seen == 50


def newer(version, make):
    version(4)
    data = make()
    version(3)
    return data


@pytest.mark.parametrize("name", ["checkpoint", "moments", "rows"])
def test_what_a_newer_version_has_written_is_refused_by_name(version, name):
    fn, state = MomentsFn(n_components=1), Checkpoint.from_bytes(SAVED["checkpoint"])
    accumulator = fn.add_input(fn.create_accumulator(), X[0])
    make, read = {
        "checkpoint": (lambda: CheckpointCoder().encode(state), CheckpointCoder().decode),
        "moments": (lambda: fn.extract_output(accumulator), moments_from_bytes),
        "rows": (lambda: b"rows\x03" + SAVED["rows"][5:], BlockCoder().decode),
    }[name]
    with pytest.raises(WireError, match="newer"):
        read(newer(version, make))


@pytest.mark.parametrize(
    "decode",
    [
        CheckpointCoder().decode,
        moments_from_bytes,
        BlockCoder().decode,
        lambda data: MomentsFn(n_components=1)._opened([data]),  # of sums that cross workers
    ],
)
@pytest.mark.parametrize("spoil", ["torn", "changed", "foreign"])
def test_torn_changed_and_foreign_bytes_are_a_clear_error(decode, spoil):
    for whole in SAVED.values():
        middle = len(whole) // 2
        data = {
            "torn": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
            "foreign": b"PAR1 and something else" + whole[:30],
        }[spoil]
        with pytest.raises(WireError):
            decode(data)


def test_a_block_is_refused_wherever_it_is_cut_or_changed():
    data = BlockCoder().encode(Block(("a", "b"), np.eye(2)))
    for i in range(len(data)):
        with pytest.raises(WireError, match="block of rows"):
            BlockCoder().decode(data[:i])
        with pytest.raises(WireError, match="block of rows"):
            BlockCoder().decode(data[:i] + bytes([data[i] ^ 255]) + data[i + 1 :])
