"""Rows of presses as messages of a topic, the job that learns them, and what it has to learn."""

import json
import os
import signal
import subprocess
import sys

import engines
import numpy as np
from streams import assert_equals_batch

from streampca import CheckpointStore

START = 1_767_225_600
NAMES = ["oil", "air", "heat"]


class Rows:
    """Rows that are sent to the partitions of a topic, and remembered."""

    def __init__(self, topics, name, partitions, seed=0):
        self.topics, self.name, self.partitions = topics, name, partitions
        self.address = topics.make(name, partitions)
        self.rng = np.random.default_rng(seed)
        self.seconds, self.X, self.press = [], [], []
        self.bad = []

    def send(self, first, last, m=60, disorder=0, bad=0):
        """Rows of each partition with times from one second to another, and bad messages."""
        for partition in range(self.partitions):
            seconds = np.sort(self.rng.uniform(first, last, m).round(3))
            order = np.argsort(seconds + self.rng.uniform(0, 1, m) * disorder)
            values = [self._message(at) for at in seconds[order].tolist()]
            for _ in range(bad):
                broken = f"oil {len(self.bad)}"
                self.bad.append(broken)
                values.insert(int(self.rng.integers(1, len(values))), broken.encode())
            self.topics.send(self.name, values, partition)

    def send_one(self, second, partition=0):
        """A row by itself."""
        self.topics.send(self.name, [self._message(second)], partition)

    def _message(self, second):
        x = (self.rng.normal(size=3) * [3, 2, 1] + 5).round(6)
        press = "ab"[int(self.rng.integers(2))]
        self.seconds.append(second)
        self.X.append(x)
        self.press.append(press)
        row = {"at": START + second, "press": press} | dict(zip(NAMES, x.tolist(), strict=True))
        return json.dumps(row).encode()

    def check(self, store, end=None):
        """Every checkpoint is batch PCA of all rows up to its end; the last of them, of `end`."""
        seconds, X, press = np.array(self.seconds), np.array(self.X), np.array(self.press)
        n = 0
        for key in "ab":
            history = CheckpointStore(store).history(key)
            assert len({c.window_end for c in history}) == len(history)
            for each in history:
                until = each.window_end / 1e6 - START
                assert_equals_batch(each, X[(seconds < until) & (press == key)])
            wanted = press == key if end is None else (press == key) & (seconds < end)
            assert history[-1].n_samples_seen == wanted.sum()
            n += len(history)
        return n


def arguments(rows, store, java, *more):
    """The main job of a topic, with windows of a minute."""
    given = ["--input", rows.address, "--key-column", "press", "--timestamp-column", "at"]
    given += ["--window", "1m", "--n-components", "2", "--output", str(store)]
    return [*given, "--expansion-service", f"localhost:{java.port}", *more]


def on(prism, pool=None):
    """Options of Beam for a Prism, with workers in the process of the job or of a pool."""
    given = ["--runner=PortableRunner", f"--job_endpoint=localhost:{prism.port}"]
    if pool is None:
        return [*given, "--environment_type=LOOPBACK"]
    where = f"--environment_config=localhost:{pool.port}"
    return [*given, "--environment_type=EXTERNAL", where]


def start(given, log):
    """The main job in a process of its own."""
    command = [sys.executable, "-m", "beam_pipelines.run", *given]
    environment = os.environ | {"PYTHONPATH": str(engines.ROOT)}
    with log.open("ab") as file:
        return subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, preexec_fn=_hears_ctrl_c
        )


def _hears_ctrl_c():
    """Also where the tests were started in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def n_checkpoints(store):
    """Those that are there by now, in files of one and of many."""
    if not store.exists():
        return 0
    there = CheckpointStore(str(store))
    return sum(len(there.written(key)) for key in there.keys())  # noqa: SIM118
