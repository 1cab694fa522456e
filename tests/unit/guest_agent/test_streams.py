"""Channels that are streams: a unix socket, a serial port; both dialects over one connection."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import stat
import tempfile
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singularity import channels, stream
from singularity.channels import keeper, listener
from singularity.channels.keeper import Keeper
from singularity.channels.names import parse
from singularity.channels.virtio import Edges
from singularity.channels.vsock import is_host
from singularity.dialects import Dialects
from singularity.errors import SettingsError
from unit.guest_agent.agent_doubles import memory_guest
from unit.guest_agent.running_loop import RunningLoop
from unit.waiting import until

VERSION = b'{"name":"version","value":"agent"}'
PING = b'{"execute":"guest-ping"}'


class Agent:
    """Channels that are open, and connections to them."""

    def __init__(self, running: RunningLoop) -> None:
        self._running = running
        self._dialects = Dialects(memory_guest(), running.loop)
        self._keepers: list[Keeper] = []
        self.loop = running.loop

    def open(self, name: str) -> Keeper:
        kept = Keeper(channels.make(name, self.loop, self._dialects), self.loop)
        self._keepers.append(kept)
        self._running.do(kept.open)
        return kept

    def close(self) -> None:
        for kept in self._keepers:
            self._running.do(kept.close)

    def do(self, work: Any) -> None:
        self._running.do(work)


@pytest.fixture
def agent() -> Iterator[Agent]:
    with RunningLoop() as running:
        made = Agent(running)
        yield made
        made.close()


@pytest.fixture
def path(agent: Agent) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sub/socket")
        agent.open(f"unix:{path}")
        yield path


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    return connection


def receive(connection: socket.socket, end: bytes = b"\n\n") -> bytes:
    answer = b""
    while not answer.endswith(end):
        piece = connection.recv(65536)
        assert piece
        answer += piece
    return answer


def test_a_message_that_a_blank_line_ends_is_answered_by_one(path: Path) -> None:
    with connect(path) as connection:
        connection.sendall(VERSION + b"\n\n")
        assert receive(connection) == b'{"message":"1.0.0", "returncode":"0"}\n\n'


def test_a_message_is_answered_when_its_last_brace_is_there(path: Path) -> None:
    with connect(path) as connection:
        for byte in VERSION:
            connection.sendall(bytes([byte]))
        assert b'"0"' in receive(connection)


def test_each_message_has_its_dialect(path: Path) -> None:
    with connect(path) as connection:
        connection.sendall(PING + b"\n")
        assert json.loads(receive(connection, b"\n")) == {"return": {}}
        connection.sendall(b'\xff{"execute":"guest-sync-delimited","arguments":{"id":7}}\n')
        assert receive(connection, b"}\n") == b'\xff{"return": 7}\n'
        connection.sendall(VERSION + b"\n\n")
        assert b'"1.0.0"' in receive(connection)


def test_garbage_is_answered_in_the_dialect_that_it_looks_like(path: Path) -> None:
    with connect(path) as connection:
        connection.sendall(b"garbage\n")
        assert json.loads(receive(connection))["returncode"] == "500"
        connection.sendall(b'{"execute": guest}\n')
        assert json.loads(receive(connection, b"\n"))["error"]["class"] == "GenericError"
        connection.sendall(PING + b"\n")
        assert json.loads(receive(connection, b"\n")) == {"return": {}}


def test_messages_that_come_at_once_are_answered_in_their_order(path: Path) -> None:
    with connect(path) as connection:
        connection.sendall((VERSION + b"\n\n") * 50 + b'{"name":"last"}\n\n')
        answers = b""
        while b'"404"' not in answers:
            answers += connection.recv(65536)
        assert answers.count(b'"1.0.0"') == 50
        assert answers.endswith(b'"404"}\n\n')


def test_whoever_leaves_in_the_midst_of_it_harms_nobody(path: Path) -> None:
    for begun in (b"", b"{", VERSION, b"\xff", b"x" * 100000):
        with connect(path) as connection:
            connection.sendall(begun)
    with connect(path) as connection:
        connection.sendall(VERSION)
        assert receive(connection)


def test_a_message_whose_rest_does_not_come_is_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALLED_SECONDS", 0.2)
    with connect(path) as connection:
        connection.sendall(b'{"name": "injectfile", "value": "')
        time.sleep(0.5)
        connection.sendall(VERSION)
        assert receive(connection) == b'{"message":"1.0.0", "returncode":"0"}\n\n'


def test_a_slow_message_is_waited_for_as_long_as_it_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALLED_SECONDS", 0.4)
    with connect(path) as connection:
        for at in range(0, len(VERSION), 5):
            connection.sendall(VERSION[at : at + 5])
            time.sleep(0.1)
        assert receive(connection) == b'{"message":"1.0.0", "returncode":"0"}\n\n'


def test_whoever_takes_no_answers_holds_up_nobody(path: Path) -> None:
    with connect(path) as deaf, connect(path) as other:
        deaf.setblocking(False)
        sent = 0
        while select.select([], [deaf], [], 0.5)[1]:
            sent += deaf.send((VERSION + b"\n\n") * 1000)
            assert sent < 50_000_000
        other.sendall(VERSION)
        assert receive(other)


def test_a_flood_over_one_connection_leaves_another_its_turn(path: Path) -> None:
    with connect(path) as flood, connect(path) as other:
        flood.sendall((VERSION + b"\n\n") * 3000)
        start = time.monotonic()
        other.sendall(VERSION)
        receive(other)
        assert time.monotonic() - start < 1


def test_a_key_exchange_may_go_on_over_another_connection(path: Path) -> None:
    with connect(path) as connection:
        connection.sendall(b'{"name":"keyinit","value":"126190143978468524724357084322869"}')
        assert b'"D0"' in receive(connection)
    with connect(path) as connection:
        connection.sendall(b'{"name":"password","value":"YQ=="}')
        assert b"Invalid password data received" in receive(connection)


def test_only_its_owner_may_connect(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_more_connections_than_are_allowed_wait_for_others_to_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 2)
    first, second = connect(path), connect(path)
    for connection in (first, second):
        connection.sendall(VERSION)
        receive(connection)
    with connect(path) as third:
        third.sendall(VERSION)
        assert not select.select([third], [], [], 0.1)[0]
        first.close()
        assert receive(third)
    second.close()


def test_a_socket_that_a_killed_daemon_left_is_replaced(agent: Agent, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "socket")
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))
        left.close()
        agent.open(f"unix:{path}")
        with connect(path) as connection:
            connection.sendall(VERSION)
            assert receive(connection)
        agent.close()
        agent._keepers.clear()
        assert not path.exists()


def test_what_is_no_socket_is_not_replaced(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_text("precious")
        agent.open(f"unix:{path}")
        assert path.read_text() == "precious"
        path.unlink()
        until(path.is_socket)


@pytest.fixture
def port(agent: Agent) -> Iterator[int]:
    """The hypervisor's end of a serial port."""
    host, guest = pty.openpty()
    tty.setraw(guest)
    agent.open(f"virtio:{os.ttyname(guest)}")
    os.close(guest)
    yield host
    os.close(host)


def answer(port: int, end: bytes = b"\n") -> bytes:
    said = b""
    while not said.endswith(end):
        assert select.select([port], [], [], 10)[0]
        said += os.read(port, 65536)
    return said


def test_a_serial_port_speaks_qemus_dialect(port: int) -> None:
    os.write(port, b'\xff{"execute":"guest-sync-delimited","arguments":{"id":7}}\n')
    assert answer(port) == b'\xff{"return": 7}\n'
    os.write(port, PING + b"\n")
    assert json.loads(answer(port)) == {"return": {}}
    os.write(port, b"garbage\n")
    assert "error" in json.loads(answer(port))
    os.write(port, b'{"arguments": {}}\n')
    assert "error" in json.loads(answer(port))


def test_a_serial_port_speaks_novas_dialect_too(port: int) -> None:
    os.write(port, VERSION + b"\n\n")
    assert answer(port, b"\n\n") == b'{"message":"1.0.0", "returncode":"0"}\n\n'


def test_answers_that_are_not_taken_at_once_arrive_whole(port: int) -> None:
    for _ in range(20):
        os.write(port, b'{"execute":"guest-info"}\n')
    time.sleep(0.3)
    said = b""
    while said.count(b"\n") < 20:
        assert select.select([port], [], [], 10)[0]
        said += os.read(port, 1000)
    assert len({json.dumps(json.loads(line)) for line in said.splitlines()}) == 1


def test_a_port_that_vanishes_is_opened_again(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "port")
        first, second = pty.openpty(), pty.openpty()
        for host, guest in (first, second):
            tty.setraw(guest)
            link.unlink(missing_ok=True)
            link.symlink_to(os.ttyname(guest))
            if (host, guest) == first:
                agent.open(f"virtio:{link}")
            else:
                os.close(first[0])
            os.write(host, PING + b"\n")
            assert json.loads(answer(host)) == {"return": {}}
        for fd in (first[1], *second):
            os.close(fd)


def test_a_port_that_nobody_has_open_is_not_read_over_and_over(agent: Agent) -> None:
    reader, writer = os.pipe()
    os.close(writer)  # what reads as its end, and counts as readable, for good
    calls: list[bytes] = []
    made: list[Edges] = []

    def begin() -> None:
        made.append(Edges(agent.loop, lambda: None))
        made[0].watch(reader, lambda: calls.append(os.read(reader, 10)))

    agent.do(begin)
    time.sleep(0.3)
    agent.do(lambda: (made[0].unwatch(reader), made[0].close()))
    os.close(reader)
    assert 1 <= len(calls) <= 2


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("auto", ("auto", "")),
        ("xenstore", ("xenstore", "")),
        ("xenstore:/run/xenstored/socket", ("xenstore", "/run/xenstored/socket")),
        ("unix:/run/a:b", ("unix", "/run/a:b")),
        ("virtio", ("virtio", "/dev/virtio-ports/org.qemu.guest_agent.0")),
        ("virtio:org.example.0", ("virtio", "/dev/virtio-ports/org.example.0")),
        ("virtio:/dev/hvc1", ("virtio", "/dev/hvc1")),
        ("vsock:9999", ("vsock", "9999")),
    ],
)
def test_a_channel_has_a_kind_and_an_address(name: str, parts: tuple[str, str]) -> None:
    assert parse(name) == parts


@pytest.mark.parametrize(
    "name", ["", "unix", "unix:", "auto:x", "vsock", "vsock:0", "vsock:-1", "vsock:99999999999", "x:y"]
)
def test_what_is_no_channel_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is no channel"):
        parse(name)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(channels.names, "XENBUS", (str(tmp_path / "xenbus"),))
    monkeypatch.setattr(channels.names, "PORTS", str(tmp_path))
    monkeypatch.delenv("XENSTORED_PATH", raising=False)
    monkeypatch.delenv("XENSTORED_RUNDIR", raising=False)
    assert channels.resolve(["auto", "unix:/x"]) == ["unix:/x"]
    (tmp_path / "xenbus").touch()
    (tmp_path / "org.qemu.guest_agent.0").touch()
    assert channels.resolve(["auto", "xenstore"]) == ["xenstore", "virtio"]
    monkeypatch.setenv("XENSTORED_RUNDIR", "/somewhere")
    assert channels.names.xenstore_path() == "/somewhere/socket"


def test_only_the_hypervisor_is_heard_by_vsock() -> None:
    assert [is_host((cid, 1024)) for cid in (0, 1, 2, 3)] == [False, False, True, False]
