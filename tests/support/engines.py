"""The runners that tests of pipelines run on, each by its name.

A test asks for the fixture `engine` and builds its pipeline with `pipeline()` or the helpers of
`streams`; which runner that is is not the test's to say. What a runner lacks has a name in `LACKS`,
with the reason, and a test that needs it says so: ``@pytest.mark.needs("retries")``.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

ROOT = Path(__file__).parent.parent.parent

NAMES = ("direct", "bundle_based", "prism", "prism_pool")
"""In this process: as Beam runs bounded input and TestStream by default; all on the older runner.
Prism, with workers in this process (LOOPBACK); with a pool of workers in another folder."""

ON_PRISM = ("prism", "prism_pool")

_RETRIES = "Prism ends the job at the first bundle that fails: it never runs one again"
_POOL = "what a test changes in this process is not changed in the workers of a pool"
_COUNTERS = "BundleBasedDirectRunner loses counters that timers update (Beam #19736 and others)"
_HOLDS = "BundleBasedDirectRunner has no watermark holds for timers: what follows is late there"
_NO_WINDOW = "BundleBasedDirectRunner fails at a row that is in no window (gaps between windows)"
_AT_ONCE = "BundleBasedDirectRunner runs a step for all rows of a bundle before the next step"
_ONCE = "FnApiRunner ends the job at the first bundle that fails"
IN_STEP = "Prism does not wait for early panes before TestStream goes on: what they hold is chance"
SOME_PANES = "Prism gives late rows out in one pane or several: a checkpoint for each"
CHANCE = {IN_STEP, SOME_PANES}
"""Not an expected failure but skipped: it fails or not."""

LACKS = {
    "retries": dict.fromkeys(ON_PRISM, _RETRIES),
    "retries of bounded input": {"direct": _ONCE} | dict.fromkeys(ON_PRISM, _RETRIES),
    "this process": {"prism_pool": _POOL},
    "late rows in sessions": dict.fromkeys(
        ON_PRISM, "Prism does not merge late rows into sessions: plain GroupByKey shows it"
    ),
    "sessions that touch": dict.fromkeys(
        ON_PRISM, "Prism merges sessions that only touch: plain GroupByKey shows it"
    ),
    "late rows together": dict.fromkeys(ON_PRISM, SOME_PANES),
    "early panes of each key": dict.fromkeys(
        ON_PRISM, "Prism gives out the early panes of several keys only with their last"
    ),
    "side inputs in step": dict.fromkeys(
        ON_PRISM, "Prism lets rows wait for the checkpoint of a window that has not ended yet"
    ),
    "a row at a time": {"bundle_based": _AT_ONCE},
    "a clock in step": dict.fromkeys(ON_PRISM, IN_STEP),
    "counters": {"bundle_based": _COUNTERS},
    "holds": {"bundle_based": _HOLDS},
    "rows in no window": {"bundle_based": _NO_WINDOW},
}
"""What a test may need: the runners that lack it, each with the reason."""


def table():
    """The table of docs/beam.md: what a runner lacks, and the reason."""
    lines = ["| what a test needs | runners that lack it | reason |", "|---|---|---|"]
    for need, reasons in LACKS.items():
        for reason in dict.fromkeys(reasons.values()):
            names = ", ".join(f"`{name}`" for name, each in reasons.items() if each == reason)
            lines.append(f"| {need} | {names} | {reason} |")
    return "\n".join(lines)


_current = "direct"
_servers: dict[str, "_Server"] = {}


def use(name):
    """Let `pipeline` be of this runner from now on."""
    global _current
    _current = name


def current():
    """The name of the runner that is in use."""
    return _current


def flags(name=None, streaming=False):
    """Pipeline options of a runner; those of Prism start it, once."""
    name = name or _current
    if name == "direct":
        return ["--runner=" + ("BundleBasedDirectRunner" if streaming else "FnApiRunner")]
    if name == "bundle_based":
        return ["--runner=BundleBasedDirectRunner"]
    found = ["--runner=PortableRunner", f"--job_endpoint=localhost:{_server('prism', _prism).port}"]
    if name == "prism":
        return [*found, "--environment_type=LOOPBACK"]
    pool = f"--environment_config=localhost:{_server('pool', _pool).port}"
    return [*found, "--environment_type=EXTERNAL", pool]


def pipeline(*more, streaming=False, **options):
    """A pipeline of the runner that is in use."""
    given = [*flags(streaming=streaming), *(["--streaming"] if streaming else []), *more]
    return beam.Pipeline(options=PipelineOptions(given, **options))


def prism_path():
    """Where Prism is, as `make prism` leaves it; None if it is nowhere."""
    beside = Path(sys.executable).parent / "prism"
    given = os.environ.get("PRISM") or (str(beside) if beside.exists() else shutil.which("prism"))
    return given if given and Path(given).exists() else None


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def wait_for(port, process, log, seconds=60):
    """Wait until a process listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("localhost", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{process.args} does not listen: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


class _Server:
    """A process that listens on a port, in a folder of its own."""

    def __init__(self, command, environment=None, seconds=60):
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self.port, self.log = free_port(), self.folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command(self.port), cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        wait_for(self.port, self.process, self.log, seconds)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_server(command, seconds):
    """A process that listens on the port that `command` is given; `stop` ends it."""
    return _Server(command, seconds=seconds)


def start_prism(*more):
    """A Prism of one's own; `stop` ends it."""
    idle = "-idle_shutdown_timeout=20m"  # if this process is killed
    return _Server(
        lambda port: [prism_path(), f"-job_port={port}", "-serve_http=false", idle, *more]
    )


def start_pool(path=f"{Path(sys.executable).parent}:/usr/bin:/bin"):
    """A pool of workers of one's own, whose folder is another; `stop` ends it and them."""
    module = "apache_beam.runners.worker.worker_pool_main"
    return _Server(
        lambda port: [sys.executable, "-m", module, f"--service_port={port}"],
        # A pool starts `python` as the PATH has it.
        {
            "PATH": path,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/support", ROOT / "tests"))),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
    )


def workers_of(process):
    """Processes that a pool has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == process.pid:
            found.append(int(status.parent.name))
    return found


def _prism():
    return start_prism()


def _pool():
    return start_pool()


def _server(name, start):
    """The server of this session; another where it has died."""
    if name not in _servers or _servers[name].process.poll() is not None:
        _servers[name] = start()
        atexit.register(_servers[name].stop)
    return _servers[name]
