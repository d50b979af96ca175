"""`streampca` in processes that start at once: forked from one that has imported it all.

A test that kills two hundred of them waits for none to import numpy again.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CODE = """
import json, os, signal, sys
import confluent_kafka
from streampca.cli import main
import streampca.cli.commands, streampca.cli.fit, streampca.files.kafka

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    given = json.loads(line)
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    os.chdir(given["folder"])
    sys.argv[1:] = given["arguments"]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code or 0)
    os._exit(0)
"""


class Forks:
    """Starts commands; `close` ends what starts them."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "log"
        environment = os.environ | {
            "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, *arguments):
        """The process of `streampca ARGUMENTS`."""
        import json

        given = {"arguments": list(map(str, arguments)), "folder": str(self.folder)}
        self._process.stdin.write(json.dumps(given | {"log": str(self.log)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def lives(pid):
    """Whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def wait_for_end(pid, seconds=300):
    """Wait until a process has gone."""
    end = time.monotonic() + seconds
    while lives(pid):
        assert time.monotonic() < end, f"process {pid} does not end"
        time.sleep(0.01)
