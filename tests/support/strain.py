"""Raw HTTP over sockets, and a generator of what clients do wrong."""

import http.client
import json
import socket
import struct
import urllib.request


def look(port, key=""):
    """A page of a key that is open."""
    answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/events?key={key}", timeout=30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer


def told(answer):
    """What it is told, as it comes."""
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def request(
    method,
    path,
    *,
    host="localhost",
    length=None,
    chunked=False,
    kind="application/json",
    close=False,
    encoding=None,
):
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if chunked or encoding:
        lines.append(f"Transfer-Encoding: {encoding or 'chunked'}")
    if method == "POST":
        lines.append(f"Content-Type: {kind}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()


def connect(port, host="127.0.0.1", buffer=None):
    """A socket to the server, from any address of this machine."""
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.bind((host, 0))
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    return client


def ask(port, path, rows, host="127.0.0.1"):
    """Status and body of a POST of rows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 20, (host, 0))
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", path, json.dumps(rows), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def answers(client):
    """Status and body (JSON where it says so) of each answer until the connection ends."""
    found = []
    try:
        received = _all(client)
    except OSError:  # reset: what had come is gone, as it would be for any client
        return found
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status == 100:
            continue
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"content-length" not in fields:  # a stream, to its end
            found.append((status, received))
            break
        length = int(fields[b"content-length"])
        body, received = received[:length], received[length:]
        is_json = fields[b"content-type"].startswith(b"application/json")
        found.append((status, json.loads(body) if is_json and len(body) == length else body))
    return found


def _all(client):
    received = b""
    while piece := client.recv(65_536):
        received += piece
        if b"text/event-stream" in received:  # it has no end of its own
            break
    return received


def leave(client, rng):
    """Go: politely, by half, or with a reset."""
    how = rng.integers(3)
    if how == 0:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == 1:
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            return
    client.close()


PATHS = ["/", "/keys", "/components?key=a", "/history?key=a", "/nowhere", "/events?key=a"]
BODY = json.dumps({"rows": [[1.0, 2.0, 3.0]] * 50}).encode()


def _valid(rng):
    if rng.random() < 0.5:
        return request("GET", rng.choice(PATHS))
    path = rng.choice(["/transform", "/transform?key=a", "/keys", "/nowhere"])
    if rng.random() < 0.5:
        return request("POST", path, length=len(BODY)) + BODY
    chunk = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
    return request("POST", path, chunked=True) + chunk


def _cut(client, rng):
    """A request that stops anywhere."""
    sent = _valid(rng)
    client.sendall(sent[: rng.integers(len(sent))])


def _mutated(client, rng):
    """A request with a few bytes that are others."""
    sent = bytearray(_valid(rng))
    for at in rng.integers(len(sent), size=rng.integers(1, 6)):
        sent[at] = rng.integers(256)
    client.sendall(bytes(sent))


def _garbage(client, rng):
    """Bytes."""
    client.sendall(rng.bytes(rng.integers(1, 100_000)))


def _pipelined(client, rng):
    """Requests in a row, the last of them cut, and half of the connection closed."""
    sent = b"".join(_valid(rng) for _ in range(rng.integers(2, 6)))
    client.sendall(sent[: rng.integers(len(sent) // 2, len(sent) + 1)])
    client.shutdown(socket.SHUT_WR)


def _pieces(client, rng):
    """A request in pieces of any size."""
    sent = _valid(rng)
    while sent:
        size = int(rng.integers(1, 400))
        client.sendall(sent[:size])
        sent = sent[size:]


def _after(client, rng):
    """A request, and something else behind it."""
    client.sendall(_valid(rng) + rng.bytes(rng.integers(1, 2000)))


def _smuggled(client, rng):
    """Two lengths, or a length and chunks."""
    head = request("POST", "/transform", length=int(rng.integers(200)), chunked=rng.random() < 0.5)
    client.sendall(head.replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n") + BODY)


def _upgrade(client, rng):
    """Another protocol."""
    wanted = rng.choice([b"websocket", b"h2c", b"x"])
    head = request("GET", "/events?key=a")[:-2]
    client.sendall(head + b"Connection: upgrade\r\nUpgrade: " + wanted + b"\r\n\r\n")


def _expecting(client, rng):
    """Waits to be told to go on, and does not."""
    client.sendall(request("POST", "/transform", length=10)[:-2] + b"Expect: 100-continue\r\n\r\n")


FAULTS = {
    "cut": _cut,
    "mutated": _mutated,
    "garbage": _garbage,
    "pipelined": _pipelined,
    "pieces": _pieces,
    "after": _after,
    "smuggled": _smuggled,
    "upgrade": _upgrade,
    "expecting": _expecting,
}
"""By name: what a client does with a connection, drawn from a generator of random numbers."""
