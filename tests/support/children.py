"""Code that runs in a process of its own, within limits: memory, time, the size of files."""

import os
import resource
import signal
import subprocess
import sys
import traceback

PATH = os.pathsep.join(path or os.getcwd() for path in sys.path)


def run(code, *arguments, prefix=(), timeout=120):
    """Run code in a new Python that imports what this one does; what it printed."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": PATH},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def within(call, *, memory=None, seconds=60, file_size=None):
    """Call in a forked child that may take so many more bytes of memory, and so much time.

    Returns nothing: `call` asserts. A crash, a hang and an assertion all fail the test.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            if memory is not None:
                most = _mapped() + memory
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
            call()
        except BaseException:  # noqa: BLE001 - handed to the parent, whatever it is
            os.write(write, traceback.format_exc().encode()[-60_000:])
            os._exit(1)
        os._exit(0)
    os.close(write)
    with open(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    assert status == 0, said or f"killed by signal {os.WTERMSIG(status)}"


def _mapped():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
