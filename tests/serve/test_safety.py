"""Only looking, only from here, only so much."""

import inspect
import re

import pytest
from starlette.testclient import TestClient

from streampca.serve import create_app, serve
from streampca.serve.rows import MOST_BYTES

PAGES = ["/", "/style.css", "/icon.svg"]
PAGES += [f"/{name}.js" for name in ("app", "charts", "live", "panels", "rows", "times")]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "a:b:c", "[::1"])
def test_another_s_name_for_this_machine_is_refused(client, host):
    answer = client.get("/keys", headers={"host": host})
    assert answer.status_code == 421
    assert "is not answered" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8765", "[::1]:80"])
def test_addresses_and_localhost_are_answered(client, host):
    assert client.get("/keys", headers={"host": host}).status_code == 200


def test_a_name_may_be_allowed(store):
    client = TestClient(
        create_app(store, allowed_hosts=["Plant.Example"]), base_url="http://plant.example"
    )
    assert client.get("/keys").status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/keys", "/components", "/nowhere"])
def test_every_answer_forbids_what_comes_from_elsewhere(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", PAGES)
def test_the_page_names_no_other_host(client, path):
    text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
    assert not re.search(r"https?:|[\"'(=]//", text)
    assert "innerHTML" not in text
    assert "style=" not in text


@pytest.mark.parametrize("path", ["/", "/keys", "/components", "/history", "/transform", "/events"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
def test_nothing_can_be_changed(client, path, method):
    if (method, path) != ("POST", "/transform"):
        assert client.request(method, path).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../app.py",
        "/app.py",
        "//etc/passwd",
        "/..%5c..%5cx",
    ],
)
def test_no_path_leads_to_a_file(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "none/..", "\x00", "a" * 10_000]
)
def test_a_key_is_never_a_path(client, store, fill, key):
    fill(store, hours=1)
    assert client.get("/components", params={"key": key}).status_code == 404


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(client, kind):
    answer = client.post("/transform", content=b"[[1]]", headers={"content-type": kind})
    assert answer.status_code == 415


def test_a_packed_body_is_not_unpacked(client):
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/transform", content=b"x", headers=headers).status_code == 415


def test_a_large_body_is_refused_before_it_is_read(client):
    headers = {"content-type": "application/json", "content-length": str(10**15)}
    assert client.post("/transform", content=b"[[1]]", headers=headers).status_code == 413


def test_a_large_body_without_a_length_is_cut_off(client):
    sent = []

    def pieces():
        for _ in range(100):
            sent.append(1)
            yield b" " * 2**20

    headers = {"content-type": "application/json"}
    assert client.post("/transform", content=pieces(), headers=headers).status_code == 413
    assert MOST_BYTES < 100 * 2**20


def test_a_store_that_cannot_be_read_is_said_without_details(client, store, monkeypatch):
    def fail(self):
        raise PermissionError("secret path")

    monkeypatch.setattr(type(store), "keys", fail)
    answer = client.get("/keys")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_without_arguments_only_this_machine_is_listened_on():
    assert inspect.signature(serve).parameters["host"].default == "127.0.0.1"
