"""A real server that speaks S3, and a proxy before it that ends who is in the middle of something.

The server is moto's, in an environment of its own (`make object-store`); MOTO says where it is.
"""

import http.client
import http.server
import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

SERVER = Path(os.environ.get("MOTO", "build/object-store/bin/moto_server"))
_HOP = {"transfer-encoding", "connection", "content-length", "expect"}
CHANGES = {"PUT", "POST", "DELETE"}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served():
    """The port of a server of its own."""
    port = free_port()
    command = [str(SERVER), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()


def filesystem(port):
    """What pyarrow makes of it."""
    return fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=f"127.0.0.1:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


class Proxy(http.server.ThreadingHTTPServer):
    """Hands requests on; at one that changes something it ends the client, before or after it.

    `fault` is the number of that request from 0 on, and whether the server still does it; None for
    no fault. `victim` is the process that is killed.
    """

    daemon_threads = True

    def __init__(self, port):
        self.there, self.fault, self.victim = port, None, None
        self.n_changes, self.lock = 0, threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def counted(self):
        """The number of this change."""
        with self.lock:
            self.n_changes += 1
            return self.n_changes - 1


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        proxy = self.server
        body = self._body()
        number = proxy.counted() if self.command in CHANGES else None
        fault = proxy.fault if number is not None else None
        hit = fault is not None and fault[0] == number
        if hit and not fault[1]:
            proxy.victim.kill()
            self.close_connection = True
            return
        there = http.client.HTTPConnection("127.0.0.1", proxy.there, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        there.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
        answer = there.getresponse()
        data = answer.read()
        if hit:
            proxy.victim.kill()
            self.close_connection = True
            return
        with suppress(OSError):  # the client may be gone
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", length or 0)
            self.end_headers()
            self.wfile.write(data)

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_):
        """Nothing is logged."""


@contextmanager
def proxied(port):
    """A proxy that runs."""
    proxy = Proxy(port)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
