"""What no honest client sends, to the server as it listens: over a real socket."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.conftest import KEY, PASSWORD, USER, settings_in
from api.serving import serve
from commissaire.app import create_app

SIGNED_IN = f"Authorization: Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}\r\n".encode()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[int]:
    """A server's port."""
    app = create_app(settings_in(tmp_path_factory.mktemp("hostile"), empty_database))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=serve, args=[server, listener])
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join(15)
    listener.close()
    assert not thread.is_alive()


def send(port: int, request: bytes, *, seconds: float = 10) -> tuple[int, bytes]:
    """Send bytes; return the status and everything that came back, status 0 when nothing did."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return (int(answer.split()[1]) if answer else 0), answer


def request(line: bytes, body: bytes = b"", *, headers: bytes = SIGNED_IN) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + length + b"\r\n" + body


def assert_alive(port: int) -> None:
    assert send(port, request(b"GET /readyz", headers=b""))[0] == 200


@pytest.mark.parametrize(
    ("target", "statuses"),
    [
        (b"/api/v0/../../etc/passwd", {404}),
        (b"/api/v0/cluster/..%2f..%2fetc", {404}),
        (b"/api/v0/cluster/%2e%2e", {404}),
        (b"/api/v0/cluster/%00", {404}),
        (b"/api/v0/cluster/%ff%fe", {404}),
        (b"/api/v0/cluster/%ed%a0%80", {404}),
        (b"/api/v0/cluster/%0d%0aSet-Cookie:%20a=b", {404}),
        (b"/api/v0/cluster/%", {404}),
        (b"/api/v0/cluster/%zz", {404}),
        (b"/api/v0/host/-oProxyCommand=id", {404}),
        (b"/api/v0/host/%2doProxyCommand%3did", {404}),
        (b"/api/v0/host/::1%25-oProxyCommand=id", {404}),
        (b"/api/v0/host/fe80::1%25eth0%0a*%20ssh-ed25519", {404}),
        (b"/api/v0/host/fe80::1%25a%20b", {404}),
        (b"/api/v0/host/127.1", {404}),
        (b"/api/v0/host/2130706433", {404}),
        (b"/api/v0/host/0x7f000001", {404}),
        (b"/api/v0/host/10.0.0.256", {404}),
        (b"/api/v0/host/" + b"a" * 300, {404}),
        (b"/api/v0/host/a..b", {404}),
        (b"/api/v0/host/a.", {404}),
        (b"/api/v0/host/" + "wéb".encode(), {0, 400, 404}),
        (b"/api/v0/host/w%C3%A9b", {404}),
        (b"/api/v0/host/%E2%84%AA", {404}),
        (b"/api/v0/host/{{7*7}}", {404}),
        (b"/api/v1/operations/" + b"9" * 5000, {404}),
        (b"/api/v1/operations/1%20OR%201=1", {404}),
        (b"/api/v1/operations?host=a'%20OR%20'1'='1", {404}),
        (b"/api/v1/operations?cluster=%00", {200}),
        (b"/api/v1/operations?cluster=%ff", {200}),
        (b"/api/v1/operations?limit=" + b"9" * 5000, {400}),
        (b"/api/v1/hosts?after=%ed%a0%80%00", {200}),
        (b"/api/v1/hosts?" + b"a=b&" * 5000, {200, 400, 414, 431}),
        (b"/" + b"x" * 70000, {0, 400, 404, 414, 431}),
        (b"http://elsewhere/api/v0/clusters", {200, 404, 400, 401}),
        (b"*", {400, 401, 404}),
    ],
)
def test_a_strange_target_gets_a_client_error(port: int, target: bytes, statuses: set[int]) -> None:
    status, answer = send(port, request(b"GET " + target))
    assert status in statuses, answer
    assert b"Set-Cookie" not in answer.partition(b"\r\n\r\n")[0]
    assert_alive(port)


@pytest.mark.parametrize(
    "headers",
    [
        b"Authorization: Basic " + b"A" * 60000 + b"\r\n",
        b"Authorization: \x00\xff\r\n",
        b"Authorization: Basic\tYWRtaW46\r\n",
        b"Authorization: Basic YWRtaW4=\r\nAuthorization: Basic YWRtaW46eA==\r\n",
        b"X-Auth-Token: " + b"x" * 30000 + b"\r\n",
        b": empty\r\n",
        b"no colon\r\n",
        b"X: a\r\n folded\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e3\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
    ],
)
def test_strange_headers_are_refused(port: int, headers: bytes) -> None:
    status, _ = send(port, request(b"GET /api/v0/clusters", headers=headers))
    assert status in {0, 400, 403, 431}
    assert_alive(port)


def test_a_request_id_can_carry_nothing_into_the_answer(port: int) -> None:
    for value in (b"a\rX-Evil: 1", b"a\x00b", b"\xc3\xa4", b"x" * 500):
        _, answer = send(port, request(b"GET /healthz", headers=b"X-Request-Id: " + value + b"\r\n"))
        assert value not in answer
    assert_alive(port)


def test_a_body_without_an_end_is_cut_off_at_the_limit(port: int) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    headers = SIGNED_IN + b"Transfer-Encoding: chunked\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request(b"PUT /api/v0/cluster/web", headers=headers))
        try:
            for _ in range(50):
                connection.sendall(chunk)
            answer = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            answer = b"HTTP/1.1 413"  # it hung up before it was read
    assert answer.startswith(b"HTTP/1.1 413")
    assert_alive(port)


def test_bodies_that_never_come_keep_nobody_waiting(port: int) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]  # more than there are threads
    try:
        for connection in slow:
            connection.sendall(request(b"PUT /api/v0/cluster/web", b"{" + b" " * 100)[:-100])
        begin = time.monotonic()
        assert send(port, request(b"GET /api/v0/clusters"))[0] == 200
        assert time.monotonic() - begin < 5
    finally:
        for connection in slow:
            connection.close()
    assert_alive(port)


def test_followers_that_vanish_leave_nothing_behind(port: int) -> None:
    body = json.dumps({"ssh_priv_key": KEY}).encode()
    assert send(port, request(b"PUT /api/v0/host/10.0.0.1", body))[0] == 201
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request(b"GET /api/v1/operations/1/events/stream"))
            assert b"text/event-stream" in connection.recv(65536)
    assert_alive(port)


@pytest.mark.parametrize(
    "body",
    [
        {"remote_user": "-oProxyCommand=touch /tmp/x"},
        {"remote_user": "root -oProxyCommand=id"},
        {"remote_user": "root@elsewhere"},
        {"remote_user": "{{ lookup('pipe', 'id') }}"},
        {"remote_user": "$(id)"},
        {"remote_user": "root\n"},
        {"ssh_host_key": "ssh-ed25519 AAAA\n* ssh-ed25519 AAAA"},
        {"address": "10.0.0.2"},
        {"ssh_priv_key": "-----BEGIN OPENSSH PRIVATE KEY-----"},
    ],
)
def test_nothing_that_ssh_would_take_for_an_option_is_recorded(port: int, body: dict[str, Any]) -> None:
    status, _ = send(port, request(b"PUT /api/v0/host/10.0.0.7", json.dumps(body).encode()))
    assert status == 400
    assert send(port, request(b"GET /api/v0/host/10.0.0.7"))[0] == 404
