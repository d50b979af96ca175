"""A real server: it tells what is written while somebody looks, and ends at once."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from strain import look, told

from streampca.serve import serve


def test_events_say_what_was_written(store, fill, port):
    fill(store, "a", hours=1)
    with look(port, "a") as answer:
        events = told(answer)
        assert next(events)["n_checkpoints"] == 1
        fill(store, "a", hours=1, start=1)
        seen = next(events)
        assert (seen["n_checkpoints"], seen["window_end"]) == (2, "1970-01-01T02:00:00Z")
        fill(store, "b", hours=1)
        assert next(events)["keys"] == ["a", "b"]


def test_an_address_has_only_so_many_pages_open(port):
    looking = [look(port) for _ in range(100)]
    try:
        for each in looking:
            each.readline()
        with pytest.raises(urllib.error.HTTPError, match="429") as refused:
            look(port)
        assert "100 pages of your address" in json.loads(refused.value.read())["error"]
        refused.value.close()
    finally:
        for each in looking:
            each.close()


def test_an_interrupt_ends_the_server_while_somebody_looks(store):
    code = f"from streampca.serve import serve; serve({store.uri!r}, port=0)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            said = server.stderr.readline()
            shown = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/ shows .*; Ctrl-C ends it\n", said)
            with look(shown[1]) as answer:
                events = told(answer)
                assert next(events)["n_checkpoints"] == 0
                os.kill(server.pid, signal.SIGINT)
                assert list(events) == []  # the stream was ended, not torn
            assert (server.wait(30), server.stderr.read()) == (0, "")
        finally:
            server.kill()


def test_an_address_in_use_is_said(store):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(store, port=taken.getsockname()[1])
