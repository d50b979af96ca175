"""A cluster of Flink from its own wheel: a job manager and task managers, on this machine alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import pyflink

from benchmarks.engines.common import killed

HOME = Path(pyflink.__file__).parent

CONFIG = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.process.size: 1100m
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.memory.process.size: 1400m
taskmanager.numberOfTaskSlots: 2
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
heartbeat.interval: 3000
heartbeat.timeout: 30000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 100
restart-strategy.fixed-delay.delay: 1s
execution.checkpointing.dir: {folder}/checkpoints
io.tmp.dirs: {folder}/tmp
python.executable: {python}
python.client.executable: {python}
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


class Cluster:
    """Runs while it is entered; task managers can be killed, and others come."""

    def __init__(self, folder: Path, managers: int) -> None:
        self.folder, self.port, self.wanted = folder, free_port(), managers
        self.processes: list[subprocess.Popen[bytes]] = []
        conf = folder / "conf"
        conf.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(HOME / "conf", conf)
        for made in ("tmp", "log", "pid"):
            (folder / made).mkdir()
        options = (HOME / "conf" / "config.yaml").read_text()
        java = next(line for line in options.splitlines() if line.strip().startswith("all:"))
        text = CONFIG.format(
            rpc=free_port(), rest=self.port, folder=folder.as_uri(), python=sys.executable
        )
        text = text.replace(f"io.tmp.dirs: {folder.as_uri()}", f"io.tmp.dirs: {folder}")
        (conf / "config.yaml").write_text(text + f"env.java.opts.{java.strip()}\n")
        self.environment = {
            **os.environ,
            "FLINK_HOME": str(HOME),
            "FLINK_CONF_DIR": str(conf),
            "FLINK_LOG_DIR": str(folder / "log"),
            "FLINK_PID_DIR": str(folder / "pid"),
        }

    def __enter__(self) -> Self:
        os.environ.update(self.environment)  # the client's, too
        os.environ["SUBMIT_ARGS"] = f"remote -m 127.0.0.1:{self.port}"
        self._start("jobmanager")
        for _ in range(self.wanted):
            self._start("taskmanager")
        self._wait(lambda: len(self._get("taskmanagers")["taskmanagers"]) == self.wanted)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill_one(self) -> None:
        """End the oldest task manager and its workers with SIGKILL, and start another."""
        process = self.processes.pop(1)
        killed(process.pid)  # its Python would outlive it
        process.wait()
        self._start("taskmanager")

    def checkpoints(self, job: str) -> int:
        """How many are complete."""
        return int(self._get(f"jobs/{job}/checkpoints")["counts"]["completed"])

    def restored(self, job: str) -> int:
        """How often the job began again from one."""
        return int(self._get(f"jobs/{job}/checkpoints")["counts"]["restored"])

    def unaligned(self, job: str) -> bool:
        """Whether they do not wait for rows that are on their way."""
        return bool(self._get(f"jobs/{job}/checkpoints/config")["unaligned_checkpoints"])

    def wait_for_checkpoints(self, job: str, count: int) -> None:
        """Wait until so many are complete; the job has to go on meanwhile."""

        def there() -> bool:
            state = self._get(f"jobs/{job}")["state"]
            if state in ("FINISHED", "FAILED", "CANCELED"):
                raise SystemExit(f"the job is {state} before {count} checkpoints were complete")
            return self.checkpoints(job) >= count

        self._wait(there)

    def _start(self, kind: str) -> None:
        # the scripts end in an exec of Java: the process is the manager itself
        command = [HOME / "bin" / f"{kind}.sh", "start-foreground"]
        log = (self.folder / "log" / f"{kind}-{len(list((self.folder / 'log').iterdir()))}").open(
            "wb"
        )
        self.processes.append(
            subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        )

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=60) as answer:
            return json.load(answer)

    def _wait(self, ready: Any, seconds: float = 300.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = [process.args for process in self.processes if process.poll() is not None]
            if ended:
                raise SystemExit(f"{ended} ended: see the logs in {self.folder}")
            try:
                if ready():
                    return
            except OSError:
                pass  # it does not answer yet
            time.sleep(0.2)
        raise SystemExit(f"not ready after {seconds} seconds: see the logs in {self.folder}")
