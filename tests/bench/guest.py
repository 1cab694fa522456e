"""The guest agent beside Debian's qemu-guest-agent: how soon and how often it answers, and what it costs to wait."""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.agent_daemon import MAC, AgentDaemon
from integration.nova_host import NovaHost
from lab.xenstore import XenStore, xenstore_obstacle

from .report import Part, ratio
from .server import BenchError

STARTS = 10
REQUESTS = 2000
IDLE_SECONDS = 30
DEADLINE_SECONDS = 10
THEIRS = "qemu-guest-agent"
PING = b'{"execute": "guest-ping"}\n'
VERSION = b'{"name": "version", "value": "agent"}\n\n'

Ask = Callable[[], None]
Agent = Callable[[], AbstractContextManager[tuple[int, Ask]]]
"""Starts one and gives its pid and what asks it once."""


@dataclass
class Figures:
    """What one agent took, by one dialect over one channel; times in seconds."""

    name: str
    starts: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)
    per_second: float = 0
    resident_kb: int = 0
    idle_cpu_seconds: float = 0
    idle_wakings: int = 0


def measure() -> Part:
    if not shutil.which("qemu-ga"):
        raise BenchError("Debian's qemu-guest-agent is not installed: sh tests/lab/packages.sh")
    part = Part("The guest agent, beside Debian's qemu-guest-agent")
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        folder = Path(directory)
        theirs = _figures(THEIRS, lambda: _theirs(folder / "theirs"))
        measured = [
            theirs,
            _figures("ours, qemu's dialect", lambda: _ours(folder / "qemu", PING, b"\n")),
            _figures("ours, nova's dialect", lambda: _ours(folder / "nova", VERSION, b"}")),
        ]
        if why := xenstore_obstacle():
            raise BenchError(why)
        measured.append(_figures("ours, by xenstore", lambda: _by_xenstore(folder / "xenstore")))
        configured_kb = _configured_kb(folder / "configured")
    for figures in measured:
        _rows(part, figures, theirs)
    part.add("ours: memory after it configured its guest", f"{configured_kb / 1024:.1f} MiB", "", "by xenstore")
    part.notes.append(
        "All over a unix socket but the last, whose requests go through a real xenstored: the host watches for the "
        "reply's node, writes the request's, reads the reply and removes it. The first answer is to the first request "
        f"that an agent gets after it has started, over {STARTS} starts. Waiting is {IDLE_SECONDS} s without a request "
        "and with the client connected: wakings are the context switches that the kernel counts. Memory is what is "
        "resident after all requests."
    )
    return part


def _rows(part: Part, figures: Figures, theirs: Figures) -> None:
    def milliseconds(seconds: list[float], other: list[float]) -> tuple[str, str, str]:
        median = statistics.median(seconds)
        compared = "" if figures is theirs else ratio(median, statistics.median(other), THEIRS)
        return f"{1000 * median:.2f} ms", compared, f"{len(seconds)}, median; at most {1000 * max(seconds):.1f} ms"

    def compared(value: float, other: float) -> str:
        return "" if figures is theirs or not other else ratio(value, other, THEIRS)

    part.add(f"{figures.name}: from its start to its first answer", *milliseconds(figures.starts, theirs.starts))
    part.add(f"{figures.name}: first answer", *milliseconds(figures.first, theirs.first))
    part.add(f"{figures.name}: further answers", *milliseconds(figures.further, theirs.further))
    speed = compared(figures.per_second, theirs.per_second)
    part.add(
        f"{figures.name}: one after the other", f"{figures.per_second:,.0f} a second", speed, f"{REQUESTS} requests"
    )
    memory = compared(figures.resident_kb, theirs.resident_kb)
    part.add(f"{figures.name}: memory", f"{figures.resident_kb / 1024:.1f} MiB", memory)
    waiting = f"{1000 * figures.idle_cpu_seconds:.0f} ms CPU, {figures.idle_wakings} wakings"
    part.add(f"{figures.name}: waiting", waiting, "", f"{IDLE_SECONDS} s")


def _figures(name: str, agent: Agent) -> Figures:
    figures = Figures(name)
    for _ in range(STARTS):
        begin = time.perf_counter()
        with agent() as (_, ask):
            ask()
            figures.starts.append(time.perf_counter() - begin)
    for round_ in range(STARTS):
        with agent() as (pid, ask):
            _settle(pid)
            begin = time.perf_counter()
            ask()
            figures.first.append(time.perf_counter() - begin)
            if round_ == STARTS - 1:
                _ask_much(figures, pid, ask)
    return figures


def _ask_much(figures: Figures, pid: int, ask: Ask) -> None:
    begin = time.perf_counter()
    for _ in range(REQUESTS):
        before = time.perf_counter()
        ask()
        figures.further.append(time.perf_counter() - before)
    figures.per_second = REQUESTS / (time.perf_counter() - begin)
    figures.resident_kb = _status(pid, "VmRSS")
    cpu, wakings = _cpu_seconds(pid), _wakings(pid)
    time.sleep(IDLE_SECONDS)
    figures.idle_cpu_seconds, figures.idle_wakings = _cpu_seconds(pid) - cpu, _wakings(pid) - wakings


@contextmanager
def _theirs(folder: Path) -> Iterator[tuple[int, Ask]]:
    folder.mkdir()
    path = folder / "socket"
    command = ["qemu-ga", "--method", "unix-listen", "--path", str(path), "--statedir", str(folder)]
    with subprocess.Popen([*command, "--pidfile", str(folder / "pid"), "--logfile", str(folder / "log")]) as process:
        try:
            with _connected(path) as connection:
                yield process.pid, lambda: _exchange(connection, PING, b"\n")
        finally:
            process.kill()  # it may not heed others while it starts
            process.wait()
            shutil.rmtree(folder)


@contextmanager
def _ours(folder: Path, request: bytes, end: bytes) -> Iterator[tuple[int, Ask]]:
    folder.mkdir()
    path = folder / "socket"
    try:
        with (
            AgentDaemon(folder, f"unix:{path}", "--loglevel", "warning") as agent,
            _connected(path) as connection,
        ):
            yield agent.pid, lambda: _exchange(connection, request, end)
    finally:
        shutil.rmtree(folder)


@contextmanager
def _by_xenstore(folder: Path) -> Iterator[tuple[int, Ask]]:
    folder.mkdir()
    try:
        with (
            XenStore.make() as store,
            AgentDaemon(folder, f"xenstore:{store.socket}", "--loglevel", "warning") as agent,
            store.connect() as connection,
        ):

            def ask() -> None:
                name = str(uuid.uuid4())
                connection.watch(f"data/guest/{name}")
                connection.write(f"data/host/{name}", VERSION)
                deadline = time.monotonic() + DEADLINE_SECONDS
                while not (reply := connection.read(f"data/guest/{name}")):
                    if time.monotonic() > deadline:
                        raise BenchError("the agent does not answer by xenstore")
                    connection.wait(DEADLINE_SECONDS)
                json.loads(reply)
                connection.unwatch(f"data/guest/{name}")
                connection.remove(f"data/guest/{name}")

            yield agent.pid, ask
    finally:
        shutil.rmtree(folder)


def _configured_kb(folder: Path) -> int:
    """Return how much memory an agent takes after all that nova asks of it for a new machine."""
    folder.mkdir()
    address = {"ip": "192.0.2.10", "netmask": "255.255.255.0", "enabled": "1"}
    network = {"label": "public", "mac": MAC, "ips": [address], "gateway": "192.0.2.1", "dns": ["192.0.2.53"]}
    with XenStore.make() as store, AgentDaemon(folder, f"xenstore:{store.socket}") as agent:
        NovaHost(store).configure("web1", [network], "ssh-ed25519 AAAA someone", {"/etc/motd": bytes(2000)}, "s3cret")
        return _status(agent.pid, "VmRSS")


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    """Connect as soon as somebody listens there."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE_SECONDS)
        try:
            connection.connect(str(path))
            break
        except OSError as error:
            connection.close()
            if time.monotonic() > deadline:
                raise BenchError(f"nobody listens on {path}") from error
            time.sleep(0.001)
    with connection:
        yield connection


def _exchange(connection: socket.socket, request: bytes, end: bytes) -> None:
    connection.sendall(request)
    reply = b""
    while not reply.rstrip(b" \r\n" if end != b"\n" else b"").endswith(end):
        data = connection.recv(65536)
        if not data:
            raise BenchError(f"the agent hung up after {reply!r}")
        reply += data
    json.loads(reply)


def _settle(pid: int) -> None:
    """Wait until a process that has started waits itself."""
    before = -1
    while (now := _wakings(pid)) != before:
        before = now
        time.sleep(0.2)


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if not found:
        raise BenchError(f"the kernel does not tell {name} of process {pid}")
    return int(found[1])


def _wakings(pid: int) -> int:
    return _status(pid, "voluntary_ctxt_switches") + _status(pid, "nonvoluntary_ctxt_switches")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
