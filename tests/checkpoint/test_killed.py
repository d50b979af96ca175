"""Writers killed at random moments lose nothing that `write` returned for, and leave no rubbish.

Two dozen kills in the suite; `make kill` makes hundreds (KILLS=400).
"""

import os

import children
import pytest

KILLS = int(os.environ.get("KILLS", "24"))

KILLED = """
import os, random, signal, sys, time, warnings
from checkpoints import make
from streampca.checkpoint import CheckpointStore, temporary

warnings.simplefilter("error")
folder, kills, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
store, chance, sequence, most = CheckpointStore(folder), random.Random(n), 0, 0
waiting = os.path.join(folder, ".tmp")
temporary.UNTOUCHED_MINUTE = 0.5
for kill in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        while True:
            sequence += 1
            store.write(make(n=n, sequence=sequence, seed=sequence))
            os.write(write, sequence.to_bytes(4, "big"))
    os.close(write)
    os.read(read, 4)  # it is at work
    time.sleep(chance.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = b""
    while some := os.read(read, 1 << 16):
        told += some
    os.close(read)
    acknowledged = int.from_bytes(told[-4:], "big") if told else sequence + 1
    opened = CheckpointStore(folder)
    latest = opened.latest()
    sequence = latest.sequence
    assert sequence >= acknowledged, (sequence, acknowledged)
    assert latest == make(n=n, sequence=sequence, seed=sequence)
    assert opened.keys() == [None]
    most = max(most, len(os.listdir(waiting)))
assert [c.sequence for c in store.history(moments=False)] == list(range(1, sequence + 1))
time.sleep(0.6)
store.write(make(n=n, sequence=sequence + 1))
assert os.listdir(waiting) == [], os.listdir(waiting)
print(sequence, most)
"""


@pytest.mark.parametrize("n", [30, 300])
def test_a_writer_killed_at_any_moment_loses_nothing_that_write_returned_for(tmp_path, n):
    # One process forks the writers: starting Python anew for each would take a second a kill.
    kills = KILLS // 2
    printed = children.run(KILLED, tmp_path, kills, n, timeout=60 + kills)
    written, left_behind = map(int, printed.split())
    assert written >= kills
    assert left_behind <= kills
    print(f"{kills} kills, {written} checkpoints written, up to {left_behind} files left behind")
