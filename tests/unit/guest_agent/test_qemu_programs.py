"""Programs that the host runs in the guest: guest-exec and guest-exec-status."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from singularity.qemu import capture, children, programs
from unit.guest_agent.qemu_guest import Asker, decoded, encoded


@pytest.fixture
def asker() -> Iterator[Asker]:
    """Ask an agent of the running system: nothing of it is changed here, only harmless programs are run."""
    asker = Asker("/")
    yield asker
    asker.close()
    assert not children._running, "a process was left"


def test_a_program_tells_its_exit_code_and_what_it_wrote(asker: Asker) -> None:
    status = asker.run("/bin/sh", "-c", "echo out; echo err >&2; exit 3", capture_output=True)
    assert status.pop("exited")
    assert status.pop("exitcode") == 3
    assert decoded(status.pop("out-data")) == b"out\n"
    assert decoded(status.pop("err-data")) == b"err\n"
    assert status == {"out-truncated": False, "err-truncated": False}


@pytest.mark.parametrize(
    ("wanted", "out", "err"),
    [
        ("separated", b"out\n", b"err\n"),
        ("merged", b"out\nerr\n", None),
        ("stdout", b"out\n", None),
        ("stderr", None, b"err\n"),
        ("none", None, None),
        (False, None, None),
    ],
)
def test_output_is_kept_as_it_was_asked_for(
    asker: Asker, wanted: str | bool, out: bytes | None, err: bytes | None
) -> None:
    status = asker.run("/bin/sh", "-c", "echo out; echo err >&2", capture_output=wanted)
    found = [decoded(status[name]) if name in status else None for name in ("out-data", "err-data")]
    assert found == [out, err]


def test_of_a_program_that_wrote_nothing_no_output_is_told(asker: Asker) -> None:
    assert asker.run("true", capture_output=True) == {"exited": True, "exitcode": 0}


def test_a_signal_is_told_in_place_of_an_exit_code(asker: Asker) -> None:
    assert asker.run("/bin/sh", "-c", "kill -9 $$") == {"exited": True, "signal": 9}


def test_input_is_given_whole_however_much_it_is_and_whether_it_is_read_or_not(asker: Asker) -> None:
    data = os.urandom(300_000)
    status = asker.run("cat", input_data=encoded(data), capture_output=True)
    assert decoded(status["out-data"]) == data
    assert asker.run("true", input_data=encoded(data))["exitcode"] == 0
    assert "Base64" in asker.error("guest-exec", path="true", input_data="!!")
    assert "Base64" in asker.error("guest-exec", path="true", input_data="YQ")


def test_an_environment_replaces_the_agents_but_not_where_programs_are_looked_for(asker: Asker) -> None:
    status = asker.run("env", env=["A=1=2", "broken", "=x"], capture_output=True)
    assert decoded(status["out-data"]) == b"A=1=2\n"


def test_a_program_that_can_not_be_run_is_named(asker: Asker) -> None:
    assert "'/no/such' (No such file" in asker.error("guest-exec", path="/no/such")
    assert "'no-such' (No such file" in asker.error("guest-exec", path="no-such")
    assert "'/etc' (Permission denied)" in asker.error("guest-exec", path="/etc")


def test_an_answer_comes_at_once_while_the_program_runs(asker: Asker) -> None:
    began = time.monotonic()
    pid = asker.ask("guest-exec", path="sleep", arg=["0.4"])["pid"]
    assert asker.ask("guest-exec-status", pid=pid) == {"exited": False}
    assert time.monotonic() - began < 0.3
    assert asker.end(pid) == {"exited": True, "exitcode": 0}


def test_a_program_is_over_when_what_it_started_holds_its_output_no_more(asker: Asker) -> None:
    pid = asker.ask("guest-exec", path="/bin/sh", arg=["-c", "sleep 0.4 & echo x"], capture_output=True)["pid"]
    asker.turn(0.2)
    assert asker.ask("guest-exec-status", pid=pid) == {"exited": False}
    assert decoded(asker.end(pid)["out-data"]) == b"x\n"


def test_a_program_is_forgotten_when_its_end_was_told(asker: Asker) -> None:
    pid = asker.ask("guest-exec", path="true")["pid"]
    asker.end(pid)
    assert asker.error("guest-exec-status", pid=pid) == "Invalid parameter 'pid'"
    assert asker.error("guest-exec-status", pid=1) == "Invalid parameter 'pid'"


def test_a_program_is_reaped_though_nobody_asks(asker: Asker) -> None:
    pid = asker.ask("guest-exec", path="true")["pid"]
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
    assert asker.ask("guest-exec-status", pid=pid) == {"exited": True, "exitcode": 0}


def test_what_is_too_much_is_cut_and_told_and_the_program_ends_nevertheless(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "MOST_BYTES", 100_000)
    status = asker.run("head", "-c", "1000000", "/dev/zero", capture_output=True)
    assert len(decoded(status["out-data"])) == 100_000
    assert status["out-truncated"]
    assert status["exitcode"] == 0


def test_all_programs_together_hold_no_more_than_their_budget(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "HELD_BYTES", 100)
    started = [
        asker.ask("guest-exec", path="head", arg=["-c", "80", "/dev/zero"], capture_output=True)["pid"]
        for _ in range(2)
    ]
    asker.turn(0.5)
    kept = [len(decoded(asker.end(pid)["out-data"])) for pid in started]
    assert sorted(kept) == [20, 80]
    assert len(decoded(asker.run("head", "-c", "80", "/dev/zero", capture_output=True)["out-data"])) == 80


def test_the_oldest_end_that_nobody_asked_for_gives_way(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PROGRAMS_MOST", 2)
    first, second = (asker.ask("guest-exec", path="true", capture_output=True)["pid"] for _ in range(2))
    asker.turn(0.3)
    third = asker.ask("guest-exec", path="true")["pid"]
    assert asker.error("guest-exec-status", pid=first) == "Invalid parameter 'pid'"
    asker.end(second)
    asker.end(third)


def test_what_holds_the_output_of_programs_that_ended_blocks_no_others(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PROGRAMS_MOST", 2)
    shell = ["-c", "sleep 2 & exit 0"]
    first, second = (asker.ask("guest-exec", path="sh", arg=shell, capture_output=True)["pid"] for _ in range(2))
    asker.turn(0.3)
    assert asker.ask("guest-exec-status", pid=first) == {"exited": False}
    assert asker.run("true")["exitcode"] == 0
    assert asker.error("guest-exec-status", pid=first) == "Invalid parameter 'pid'"
    assert asker.ask("guest-exec-status", pid=second) == {"exited": False}


def test_no_more_programs_run_than_may(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PROGRAMS_MOST", 2)
    running = [asker.ask("guest-exec", path="sleep", arg=["0.5"])["pid"] for _ in range(2)]
    assert "2 programs run" in asker.error("guest-exec", path="true")
    for pid in running:
        asker.end(pid)


def test_nothing_of_the_agent_is_open_in_a_program(asker: Asker) -> None:
    status = asker.run("/bin/sh", "-c", "ls /proc/self/fd; ps -o sid= -p $$; echo $$", capture_output=True)
    *descriptors, session, pid = decoded(status["out-data"]).split()
    assert descriptors == [b"0", b"1", b"2", b"3"]  # the last is of ls
    assert session == pid


def test_below_another_root_what_is_not_there_does_not_run(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    said = asker.error("guest-exec", path="/bin/true")
    assert "No such file" in said if os.geteuid() == 0 else "chroot" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for chroot")
def test_below_another_root_a_program_sees_nothing_outside(tmp_path: Path) -> None:
    needed = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    for file in ["/bin/sh", *re.findall(r"/\S+", needed)]:
        copy = tmp_path / file[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    status = Asker(tmp_path).run("sh", "-c", "pwd; echo /bin /et*", capture_output=True)
    assert decoded(status["out-data"]) == b"/\n/bin /et*\n"
    assert Asker(tmp_path).run("/bin/sh", "-c", "exit 4", env=["A=1"])["exitcode"] == 4
