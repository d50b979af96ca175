"""A real server process and clients that do what no client should: others are served all along."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from strain import FAULTS, answers, ask, connect, leave, request

from streampca import CheckpointStore, StreamingPCA
from streampca.serve import create_app

SERVER = """
import sys
from streampca.serve import connections, crowd, live, serve
live.BEAT = 1.0
connections._SECONDS, crowd._BODY_SECONDS = float(sys.argv[2]), float(sys.argv[3])
serve(sys.argv[1], port=0)
"""


class Server:
    """A server process with deadlines of its own, and what it has said."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log

    def get(self, path="/keys", host="127.0.0.1"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 20, (host, 0))
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    @property
    def said(self):
        return self.log.read_text()

    @property
    def sockets(self):
        """How many sockets the process has open."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        links = []
        for each in folder.iterdir():
            with contextlib.suppress(OSError):
                links.append(os.readlink(each))
        return sum(link.startswith("socket:") for link in links)

    def until(self, holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.said
            time.sleep(0.05)

    def settle(self):
        """Wait until it answers, and has closed what was opened for that."""
        assert self.get()[0] == 200
        last = -1
        while (now := self.sockets) != last:
            last = now
            time.sleep(0.3)


@contextlib.contextmanager
def start(store, log, head=30.0, body=30.0):
    """A server with so many seconds for heads and for bodies."""
    command = [sys.executable, "-c", SERVER, store.uri, str(head), str(body)]
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            server = Server(process, 0, log)
            server.until(lambda: "Ctrl-C" in server.said)
            server.port = int(re.search(r":(\d+)/ shows", server.said)[1])
            server.settle()
            yield server
        finally:
            process.kill()


@pytest.fixture
def serving(store, tmp_path):
    """Starts servers of the test's own store."""
    with contextlib.ExitStack() as stack:
        yield lambda **seconds: stack.enter_context(start(store, tmp_path / "log", **seconds))


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """One server for many tests: no deadline comes while they run. It has the model "a"."""
    folder = tmp_path_factory.mktemp("patient")
    store = CheckpointStore(folder / "store")
    rows = np.random.default_rng(0).normal(size=(50, 3))
    store.write(StreamingPCA(2).fit(rows).checkpoint(key="a"))
    with start(store, folder / "log") as server:
        yield server
        assert "Traceback" not in server.said


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """One server for many tests, with half a second for everything."""
    folder = tmp_path_factory.mktemp("hasty")
    with start(CheckpointStore(folder / "store"), folder / "log", 0.5, 0.5) as server:
        yield server
        assert "Traceback" not in server.said


@pytest.mark.parametrize("kind", ["silent", "head", "body", "chunked body", "unread answer"])
def test_eighty_connections_that_never_end_shut_nobody_out(patient, kind):
    """Neither another address nor the same one; deadlines of 30 seconds have not come yet."""
    server = patient
    starts = {
        "silent": b"",
        "head": b"GET /keys HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        "body": request("POST", "/transform", length=1000)[:-1] + b"\n[[1,",
        "chunked body": request("POST", "/transform", chunked=True) + b"3\r\n[[1",
        "unread answer": request("GET", "/app.js") * 50,
    }
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            stack.enter_context(connect(server.port)).sendall(starts[kind])
        for host in ("127.0.0.1", "127.0.0.2"):
            assert server.get(host=host)[0] == 200
            status, answer = ask(server.port, "/transform", [[1.0, 2.0, 3.0]], host)
            assert (status, answer["key"]) == (200, "a")


def test_a_head_that_does_not_end_is_ended(hasty):
    """Bytes that trickle in put nothing off; an answer says why."""
    server = hasty
    with connect(server.port) as slow, connect(server.port) as silent:
        slow.sendall(b"GET /keys HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for _ in range(100):
                slow.sendall(b"X-A: 1\r\n")
                time.sleep(0.05)
        (status, body), *rest = answers(slow)
        assert (status, rest) == (408, [])
        assert "head did not end within 0.5 seconds" in body["error"]
        assert silent.recv(1) == b""  # who has said nothing is told nothing


def test_a_body_that_does_not_end_is_ended(hasty):
    server = hasty
    with connect(server.port) as slow:
        slow.sendall(request("POST", "/transform", length=1000) + b"[[")
        ((status, body),) = answers(slow)
        assert status == 408
        assert "the body did not arrive within 0.5 seconds" in body["error"]


@pytest.mark.parametrize("path", ["/keys", "/nowhere", "/transform"])
def test_a_body_that_nobody_reads_keeps_no_connection(hasty, path):
    """The answer comes at once, and the connection goes after the deadline."""
    server = hasty
    base = server.sockets
    with connect(server.port) as slow:
        slow.sendall(request("POST", path, length=10**9, kind="text/plain"))
        with contextlib.suppress(OSError):
            for _ in range(40):
                slow.sendall(b"x")
                time.sleep(0.05)
        ((status, body),) = answers(slow)
        assert status in (404, 405, 415)
        assert set(body) == {"error"}
        server.until(lambda: server.sockets == base)


def test_an_answer_that_nobody_takes_is_ended(hasty):
    """More than the system buffers, asked for and never read."""
    server = hasty
    base = server.sockets
    with connect(server.port, buffer=4096) as slow:
        with contextlib.suppress(OSError):
            slow.settimeout(2)
            for _ in range(2000):
                slow.sendall(request("GET", "/app.js") * 20)
        server.until(lambda: server.sockets == base)
    assert server.get()[0] == 200
    assert "Traceback" not in server.said


def test_more_connections_than_there_is_room_for(serving):
    """The oldest of the address that has most go, so that those of others stay."""
    server = serving()
    base = server.sockets
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(connect(server.port, host="127.0.0.9"))
        other.sendall(b"GET /keys HTTP/1.1\r\n")
        for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            for _ in range(200):
                stack.enter_context(connect(server.port, host=host)).sendall(b"GET")
        assert server.get()[0] == 200
        assert server.sockets <= base + 257
        other.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
        assert [status for status, _ in answers(other)] == [200]


def test_who_sends_no_more_still_gets_the_answer(patient):
    server = patient
    body = json.dumps([[1, 2, 3]]).encode()
    sent = request("GET", "/keys") + request("POST", "/transform", length=len(body)) + body
    with connect(server.port) as half:
        half.sendall(sent)
        half.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(half)] == [200, 200]


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("path", ["/transform", "/keys", "/nowhere"])
def test_a_refused_body_is_answered_to_who_reads_only_after_sending(patient, close, path):
    """With "Connection: close" too, where closing at once would tear the answer."""
    server = patient
    with connect(server.port) as client:
        size = 8 * 2**20
        client.sendall(request("POST", path, length=size, close=close) + b" " * size)
        expected = {"/transform": 413, "/keys": 405, "/nowhere": 404}[path]
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, set(json.loads(answer.read()))) == (expected, {"error"})


LONG = "x" * 40_000


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00" + bytes(600), 400, "no HTTP"),
        (b"GET /keys HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET /keys HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host"),
        (b"GET /keys\r\n\r\n", 400, "no HTTP"),
        (b"GET /k\xc3\xa9ys HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "no HTTP"),
        (request("GET", "/" + LONG), 414, "the URL has 40,001 bytes"),
        (request("GET", "/keys?key=" + LONG), 414, "the URL has"),
        (b"GET /" + b"x" * 100_000, 431, "no HTTP"),
        (request("GET", "/nowhere"), 404, "nothing at '/nowhere'"),
        (request("GET", "/keys/"), 404, "nothing at '/keys/'"),
        (request("GET", "http://localhost/keys"), 404, "nothing at"),
        (request("OPTIONS", "*"), 404, "nothing at '*'"),
        (request("CONNECT", "localhost:80"), 404, "nothing at"),
        (request("BREW", "/keys"), 405, "BREW is not answered at '/keys': use GET or HEAD"),
        (request("GET", "/transform"), 405, "use POST"),
        (request("GET", "/keys", host="evil.example"), 421, "'evil.example' is not answered"),
        (request("POST", "/transform", length=5, kind="text/plain") + b"[[1]]", 415, "text/plain"),
        (request("POST", "/transform", length=2**40), 413, "larger than"),
        (request("POST", "/transform", chunked=True) + b"zz\r\n", 400, "no HTTP"),
        (request("POST", "/transform", encoding="br, chunked"), 501, "no HTTP"),
        (request("GET", "/components?key=" + "%22%5Cud800%22"), 404, "no key"),
        (request("GET", "/components?key=" + "9" * 4299), 404, "no key"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:20],
)
def test_every_error_is_json(hasty, sent, status, said):
    with connect(hasty.port) as client:
        client.sendall(sent)
        first, *_ = answers(client)
    assert first[0] == status
    assert set(first[1]) == {"error"}
    assert said in first[1]["error"]


def test_a_defect_is_json_too(store, monkeypatch):
    monkeypatch.setattr(type(store), "keys", lambda self: 1 / 0)
    client = TestClient(
        create_app(store), base_url="http://localhost", raise_server_exceptions=False
    )
    answer = client.get("/keys")
    assert (answer.status_code, set(answer.json())) == (500, {"error"})


def test_a_store_that_becomes_a_file_and_a_folder_again(serving, store, fill):
    """Pages that are open are told, and told again when it is back; the log says it once."""
    fill(store, "a", hours=1)
    server = serving()
    place = Path(store.uri)
    with connect(server.port) as page:
        page.sendall(request("GET", "/events?key=a"))
        stream = page.makefile("rb")
        read_until(stream, b'"n_checkpoints": 1')
        aside = place.rename(place.parent / "aside")
        place.write_text("no folder")
        problem = read_until(stream, b'"error"')
        assert "could not be read" in problem
        for path in ("/keys", "/components", "/components?key=a", "/history?key=a"):
            status, answer = server.get(path)
            assert (path, status, set(answer)) == (path, 503, {"error"})
        place.unlink()
        aside.rename(place)
        read_until(stream, b'"n_checkpoints": 1')
        assert server.get("/components?key=a")[0] == 200
        stream.close()
    lines = [line for line in server.said.splitlines() if "cannot be read" in line]
    assert len(lines) == 1
    assert "not a folder" in lines[0]
    assert "Traceback" not in server.said


def test_a_store_that_is_deleted_is_empty(serving, store, fill):
    fill(store, "a", hours=1)
    server = serving()
    shutil.rmtree(store.uri)
    assert server.get() == (200, {"store": store.uri, "keys": [], "rows": False})
    assert server.get("/components?key=a")[0] == 404


def test_a_stray_file_is_warned_about_once(serving, store, fill):
    """A file, not a reading: pages are open and ask all the time."""
    fill(store, "a", hours=1)
    folder = next(each for each in Path(store.uri).iterdir() if each.name != ".tmp")
    server = serving()
    for i in range(3):
        (folder / f"stray {i}.txt").write_text("x")
    (Path(store.uri) / "lost.parquet").write_text("x")
    with connect(server.port) as page:
        page.sendall(request("GET", "/events?key=a"))
        for _ in range(3):
            assert server.get()[0] == 200
            assert server.get("/history?key=a")[0] == 200
            time.sleep(1.1)
    warned = re.findall(r"Skipped '([^']+)'", server.said)
    assert sorted(Path(each).name for each in warned) == [
        "lost.parquet",
        *(f"stray {i}.txt" for i in range(3)),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_any_mixture_of_faults_is_survived(serving, store, fill, seed):
    """Others are answered in the midst of it, errors are JSON, and no socket stays."""
    fill(store, "a")
    server = serving(head=0.7, body=0.7)
    rng = np.random.default_rng(seed)
    base = server.sockets
    with contextlib.ExitStack() as stack:
        clients = []
        for name in rng.choice(sorted(FAULTS), 30):
            client = stack.enter_context(connect(server.port))
            clients.append((name, client))
            with contextlib.suppress(OSError):  # it may be told that it is enough
                FAULTS[name](client, rng)
            if rng.random() < 0.2:
                status, answer = server.get(host=f"127.0.0.{rng.integers(1, 9)}")
                assert (status, len(answer["keys"])) == (200, 1)
        for name, client in clients:
            if rng.random() < 0.5:
                leave(client, rng)
                continue
            for status, body in answers(client):
                assert status < 400 or set(body) == {"error"}, (name, status, body)
    server.until(lambda: server.sockets == base)
    assert server.get("/components?key=a")[0] == 200
    assert "Traceback" not in server.said
    assert "Error" not in server.said
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0


def read_until(stream, wanted):
    for line in stream:
        if wanted in line:
            return line.decode()
    raise AssertionError(f"the stream ended without {wanted!r}")


def test_who_leaves_during_a_post_leaves_no_traceback(patient):
    server = patient
    head = request("POST", "/transform", length=10_000)
    for n, how in enumerate(["close", "reset", "half"] * 4):
        with connect(server.port) as client:
            client.sendall(head + b"[" * (n * 800))
            if how == "half":
                client.shutdown(socket.SHUT_WR)
            if how == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert server.get()[0] == 200
    assert "Traceback" not in server.said
