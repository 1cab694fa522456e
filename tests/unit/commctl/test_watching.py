"""Watching an operation: over pipes, on a terminal, across a broken connection, and until interrupted."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from commissaire.commctl import events
from unit.commctl.server import Request, ScriptedServer, Stream, problem, sse

if TYPE_CHECKING:
    import subprocess

    from unit.commctl.conftest import Run

BEGUN, ENDED = "2026-11-21T09:00:00.000000Z", "2026-11-21T09:00:41.200000Z"
LOCATION = "/api/v1/operations/7"
Start = Callable[..., "subprocess.Popen[str]"]


def operation(state: str, **more: Any) -> dict[str, Any]:
    ended = None if state in ("queued", "running") else ENDED
    hosts = {"total": 2, "pending": 2, "running": 0, "finished": 0, "failed": 0, "not_started": 0, "cancelled": 0}
    record = {"id": "7", "kind": "restart", "cluster": "prod", "state": state, "message": None, "hosts": hosts}
    return {**record, "created_at": BEGUN, "started_at": BEGUN, "finished_at": ended, **more}


def host(address: str, state: str, phase: str | None, message: str = "", ended: bool = False) -> dict[str, Any]:
    times = {"started_at": BEGUN, "finished_at": "2026-11-21T09:00:02.600000Z" if ended else None}
    return {"address": address, "state": state, "phase": phase, "message": message, "data": None, **times}


FINISHED = [
    sse("operation", operation("running")),
    sse("host", host("10.0.0.1", "running", "rebooting", ended=True), 1),
    sse("host", host("10.0.0.1", "finished", "done", ended=True), 2),
    sse("host", host("10.0.0.1", "finished", "done", ended=True), 3),
    sse("host", host("10.0.0.2", "finished", "done", "degraded\u2028, it says", ended=True), 4),
    sse("end", operation("finished", hosts={"total": 2, "finished": 2, "failed": 0, "not_started": 0})),
]
FAILED = [
    sse("operation", operation("running")),
    sse("host", host("10.0.0.1", "failed", "rebooting", "ssh: connect to host 10.0.0.1: No route", ended=True), 1),
    sse("host", host("10.0.0.2", "not_started", None, "the failure budget is used up"), 2),
    sse(
        "end",
        operation("failed", message="1 host failed", hosts={"total": 2, "finished": 0, "failed": 1, "not_started": 1}),
    ),
]


def playing(texts: list[str]) -> Stream:
    def write(send: Callable[[str], None], request: Request) -> None:
        for text in texts:
            send(text)

    return write


def untimed(out: str) -> list[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in out.splitlines()]


def test_a_restart_is_watched_by_the_location_it_answers(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/cluster/prod/restart", 201, {"name": "prod"}, Location=LOCATION)
    server.stream("7", playing(FINISHED))
    result = commctl("cluster", "restart", "start", "prod", "--watch")
    assert (result.code, result.err) == (0, "")
    assert untimed(result.out) == [
        "restart of cluster prod, operation 7: running",
        "10.0.0.1         running      rebooting      2.6 s",
        "10.0.0.1         finished     done           2.6 s",
        "10.0.0.2         finished     done           2.6 s  degraded , it says",
        "restart of cluster prod, operation 7: finished",
        "2 restarted, 0 failed, 0 not started, 41.2 s",
    ]
    assert [path for _, path in server.calls] == [
        "/api/v0/cluster/prod/restart",
        "/api/v1/operations/7/hosts",
        "/api/v1/operations/7/events/stream",
    ]
    assert server.requests[2].headers["Accept"] == "text/event-stream"
    assert "Last-Event-ID" not in server.requests[2].headers


def test_the_status_of_a_restart_can_be_watched(commctl: Run, server: ScriptedServer) -> None:
    location = f"http://elsewhere.example{LOCATION}"
    server.answer("GET", "/api/v0/cluster/prod/restart", 200, {"name": "prod"}, Location=location)
    server.stream("7", playing(FINISHED))
    assert commctl("cluster", "restart", "status", "prod", "--watch").code == 0


def test_a_server_that_names_no_operation_can_not_be_watched(commctl: Run, server: ScriptedServer) -> None:
    server.answer("PUT", "/api/v0/cluster/prod/restart", 201, {"name": "prod"})
    result = commctl("cluster", "restart", "start", "prod", "--watch")
    assert result.code == 2
    assert "the server named no operation to watch" in result.err


def test_a_failed_operation_exits_2_and_says_which_host_and_why(commctl: Run, server: ScriptedServer) -> None:
    server.stream("7", playing(FAILED))
    result = commctl("operation", "watch", "7")
    assert result.code == 2
    assert result.out.count("No route") == 1
    assert untimed(result.out)[1] == (
        "10.0.0.1         failed       rebooting      2.6 s  ssh: connect to host 10.0.0.1: No route"
    )
    assert untimed(result.out)[-2:] == [
        "restart of cluster prod, operation 7: failed",
        "0 restarted, 1 failed, 1 not started, 41.2 s",
    ]


def test_a_cancelled_operation_exits_2(commctl: Run, server: ScriptedServer) -> None:
    counts = {"total": 2, "finished": 1, "cancelled": 1}
    server.stream("7", playing([sse("end", operation("cancelled", message="cancelled by admin", hosts=counts))]))
    result = commctl("operation", "watch", "7")
    assert result.code == 2
    assert untimed(result.out)[-2:] == [
        "cancelled: cancelled by admin",
        "1 restarted, 0 failed, 0 not started, 1 cancelled, 41.2 s",
    ]


def test_an_unknown_operation_can_not_be_watched(commctl: Run, server: ScriptedServer) -> None:
    result = commctl("operation", "watch", "8")
    assert (result.code, result.err) == (2, "Not Found (404)\nno operation 8\n")


def test_watching_without_a_server_is_exit_1_at_once(commctl: Run, server: ScriptedServer) -> None:
    server.stop()
    begun = time.monotonic()
    result = commctl("operation", "watch", "7")
    assert result.code == 1
    assert time.monotonic() - begun < 2


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make broken connections be tried again faster than people need."""
    monkeypatch.setattr(events, "PACE_SECONDS", 0.02)
    monkeypatch.setattr(events.follow, "__defaults__", (0.3,))


@pytest.mark.usefixtures("quick")
def test_a_broken_stream_is_taken_up_after_the_last_event(commctl: Run, server: ScriptedServer) -> None:
    server.stream("7", playing(FINISHED[:2]), playing([]), playing([": nothing yet\n\n"]), playing(FINISHED[2:]))
    result = commctl("operation", "watch", "7")
    assert result.code == 0
    assert [request.headers.get("Last-Event-ID") for request in server.requests[1:]] == [None, "1", "1", "1"]
    assert len(untimed(result.out)) == 6
    assert result.err == ""


@pytest.mark.usefixtures("quick")
def test_a_server_that_restarts_is_waited_for(commctl: Run, server: ScriptedServer) -> None:
    def ill_then_well(send: Callable[[str], None], request: Request) -> None:
        stream = server.streams.pop("/api/v1/operations/7/events/stream")
        path = "/api/v1/operations/7/events/stream"
        server.answer("GET", path, 503, problem(503, "Service Unavailable", "starting"))
        threading.Timer(0.15, lambda: server.streams.update({path: [playing(FINISHED)]})).start()
        assert stream
        send(FINISHED[0])

    server.stream("7", ill_then_well)
    result = commctl("operation", "watch", "7")
    assert result.code == 0
    first, *_, last = result.err.splitlines()
    assert first.startswith("connection lost, trying again (Service Unavailable (503)")
    assert last == "connected again"


@pytest.mark.usefixtures("quick")
def test_a_server_that_stays_away_is_exit_1_and_says_how_to_go_on(commctl: Run, server: ScriptedServer) -> None:
    def leave(send: Callable[[str], None], request: Request) -> None:
        send(FINISHED[0])
        server._http.server_close()

    server.stream("7", leave)
    result = commctl("operation", "watch", "7")
    assert result.code == 1
    assert result.err.splitlines()[0].startswith("connection lost, trying again (no server: ")
    assert result.err.splitlines()[1:] == [
        "the server has been away for 0 s; the operation goes on there, or when the server is back.",
        "Watch it again:  commctl operation watch 7",
        "Cancel it:       commctl operation cancel 7",
    ]


def waiting(gone: threading.Event) -> Stream:
    def write(send: Callable[[str], None], request: Request) -> None:
        send(sse("operation", operation("running")))
        send(sse("host", host("10.0.0.1", "running", "rebooting"), 1))
        gone.wait(20)

    return write


def test_ctrl_c_stops_watching_and_says_the_operation_goes_on(start: Start, server: ScriptedServer) -> None:
    gone = threading.Event()
    server.stream("7", waiting(gone))
    process = start("operation", "watch", "7")
    assert process.stdout is not None
    assert any("rebooting" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    gone.set()
    assert process.returncode == 130
    assert err.splitlines() == [
        "No longer watching; the operation goes on.",
        "Watch it again:  commctl operation watch 7",
        "Cancel it:       commctl operation cancel 7",
    ]


def test_a_reader_that_leaves_ends_the_watch_quietly(start: Start, server: ScriptedServer) -> None:
    read, write = os.pipe()
    server.stream("7", playing(FINISHED))
    os.close(read)
    process = start("operation", "watch", "7", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (141, "")


def on_terminal(start: Start, lines: int, *arguments: str) -> tuple[int, str]:
    """Run commctl on a terminal of *lines* lines; return its exit code and all it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 100, 0, 0))
    process = start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            written += os.read(ours, 65536)
        except OSError:  # how a terminal says that its other side is closed
            break
    os.close(ours)
    return process.wait(10), written.decode()


def test_a_terminal_gets_a_live_display(start: Start, server: ScriptedServer) -> None:
    server.stream("7", playing(FAILED))
    code, written = on_terminal(start, 24, "operation", "watch", "7")
    assert code == 2
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    assert "restart of cluster prod  7  failed" in plain
    last = plain[plain.rindex("restart of cluster prod  7  failed") :]
    assert re.search(r"10\.0\.0\.1 +failed +rebooting +3 s", last)
    assert last.count("ssh: connect to host 10.0.0.1: No route") == 1
    assert re.search(r"10\.0\.0\.2 +not_started", plain)
    assert "0 finished, 0 running, 1 failed, 0 skipped, 0 pending, 1 not started, 0 cancelled" in plain
    assert plain.rstrip().endswith("0 restarted, 1 failed, 1 not started, 41.2 s")
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l"), "the cursor is shown again"


def test_3000_hosts_stay_readable_on_a_terminal(start: Start, server: ScriptedServer) -> None:
    rows = [sse("host", host(f"h{number}", "finished", "done", ended=True), number) for number in range(2997)]
    rows += [sse("host", host("slow", "running", "rebooting"), 2997)]
    rows += [sse("host", host("bad", "failed", "verifying", "no ssh", ended=True), 2998)]
    counts = {"total": 3000, "finished": 2997, "failed": 1, "cancelled": 2}
    end = sse("end", operation("cancelled", hosts=counts))
    script = playing([sse("operation", operation("running", hosts={"total": 3000})), *rows, end])
    server.stream("7", script, hosts=[f"h{number}" for number in range(2997)])
    code, written = on_terminal(start, 20, "operation", "watch", "7")
    assert code == 2
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).replace("\r", "\n")
    last = plain[plain.rindex("restart of cluster prod  7  cancelled") :]
    assert len(last.splitlines()) < 20
    assert re.search(r"slow +running", last)
    assert re.search(r"bad +failed", last)
    assert "... and 2997 more hosts" in last
    assert "2997 finished, 0 running, 1 failed, 0 skipped, 0 pending, 0 not started, 2 cancelled" in last


def test_a_new_host_is_waited_for(
    commctl: Run, server: ScriptedServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commissaire.commctl.arrival.POLL_SECONDS", 0.01)
    (tmp_path / "key").write_text("key")
    server.answer("PUT", "/api/v0/host/a", 201, {"address": "a"})
    for status in ("investigating", "investigating", "bootstrapping", "active"):
        server.answer("GET", "/api/v1/hosts/a", 200, {"address": "a", "status": status, "message": None})
    result = commctl("host", "create", "--wait", "a", str(tmp_path / "key"))
    assert (result.code, result.err) == (0, "")
    assert untimed(result.out) == ["a  investigating", "a  bootstrapping", "a  active"]


def test_a_new_host_that_fails_exits_2_with_the_reason(commctl: Run, server: ScriptedServer, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("key")
    server.answer("PUT", "/api/v0/host/a", 201, {"address": "a"})
    server.answer("GET", "/api/v1/hosts/a", 200, {"address": "a", "status": "failed", "message": "Permission denied"})
    result = commctl("host", "create", "--watch", "a", str(tmp_path / "key"))
    assert result.code == 2
    assert untimed(result.out) == ["a  failed         Permission denied"]
