"""QEMU's own agent and ours are asked the same, one after the other: the answers must be the same, or of the same form.

Only harmless things are asked for. Ours works on a folder, as always in tests, which holds a shell to run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
PROGRAM = "qemu-ga"
PACKAGE = Path(__file__).parents[2] / "roles/guest_agent/files"
START_SECONDS = 10.0
ANSWER_SECONDS = 10.0
END_SECONDS = 10.0
SHELL = "/bin/sh"

SAME_REQUESTS: list[Any] = [
    {"execute": "guest-ping"},
    {"execute": "guest-ping", "arguments": {}},
    {"execute": "guest-ping", "id": {"a": [1, None]}},
    {"execute": "guest-ping", "id": None},
    {"execute": "guest-ping", "arguments": {"a": 1}},
    {"execute": "guest-ping", "arguments": {"é": 1}},
    {"execute": "guest-ping", "arguments": []},
    {"execute": "guest-ping", "more": 1},
    {"execute": "guest-x"},
    {"execute": "guest-é", "id": 5},
    {"execute": "guest-x", "arguments": 1, "id": 3},
    {"execute": 1},
    {"execute": "guest-sync", "arguments": {"id": 12}},
    {"execute": "guest-sync", "arguments": {"id": -(2**63)}},
    {"execute": "guest-sync", "arguments": {"id": 2**63}},
    {"execute": "guest-sync", "arguments": {"id": 1.5}},
    {"execute": "guest-sync", "arguments": {"id": True}},
    {"execute": "guest-sync", "arguments": {"id": "a"}, "id": "b"},
    {"execute": "guest-sync"},
    {"execute": "guest-sync-delimited", "arguments": {"id": 7}},
    {"execute": "guest-sync-delimited"},
    {"execute": "guest-get-host-name"},
    {"execute": "guest-get-osinfo"},
    {"execute": "guest-get-timezone"},
    {"execute": "guest-get-users"},
    {"execute": "guest-exec"},
    {"execute": "guest-exec", "arguments": {"path": 1}},
    {"execute": "guest-exec", "arguments": {"path": SHELL, "arg": "a"}},
    {"execute": "guest-exec", "arguments": {"path": SHELL, "arg": ["a", 1]}},
    {"execute": "guest-exec", "arguments": {"path": SHELL, "input-data": "!!"}},
    {"execute": "guest-exec-status"},
    {"execute": "guest-exec-status", "arguments": {"pid": 1}},
    {"execute": "guest-exec-status", "arguments": {"pid": -1}},
    {"execute": "guest-file-open", "arguments": {"path": "/no/such"}},
    {"execute": "guest-file-open", "arguments": {"path": "/etc/passwd", "mode": "x"}},
    {"execute": "guest-file-read", "arguments": {"handle": 1}},
    {"execute": "guest-file-write", "arguments": {"handle": 1, "buf-b64": ""}},
    {"execute": "guest-file-seek", "arguments": {"handle": 1, "offset": 0, "whence": "x"}},
    {"execute": "guest-file-seek", "arguments": {"handle": 1, "offset": 0, "whence": True}},
    {"execute": "guest-file-seek", "arguments": {"handle": 1, "offset": 0, "whence": 0}},
    {"execute": "guest-file-flush", "arguments": {"handle": 1}},
    {"execute": "guest-file-close", "arguments": {"handle": 1}},
    {"execute": "guest-set-user-password", "arguments": {"username": "nobody-here"}},
    {"execute": "guest-set-user-password", "arguments": {"username": "nobody-here", "password": "!", "crypted": False}},
    {"execute": "guest-ssh-add-authorized-keys", "arguments": {"username": "nobody-here", "keys": ["#a"]}},
    {"execute": "guest-ssh-add-authorized-keys", "arguments": {"username": "nobody-here", "keys": ["a\nb"]}},
]

SAME_CLASS_REQUESTS: list[Any] = [
    {"execute": "guest-exec", "arguments": {"path": "/no/such"}},
    {"execute": "guest-exec", "arguments": {"path": "no-such"}},
    {"execute": "guest-exec", "arguments": {"path": SHELL, "capture-output": 1}},
    {"execute": "guest-file-open", "arguments": {"path": "/etc", "mode": "w"}},
    {"execute": "guest-shutdown", "arguments": {"mode": 1}},
    {"execute": "guest-shutdown", "arguments": {"mode": "no-such"}},
    {"execute": "guest-ssh-get-authorized-keys", "arguments": {"username": "nobody-here"}},
]
"""Told in other words, or, of a shutdown below another root, for another reason."""

CONVERSATION_OF_FILES: list[dict[str, Any]] = [
    {"execute": "guest-file-open", "arguments": {"path": "$folder/file", "mode": "w+"}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle"}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8="}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8=", "count": 2}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8=", "count": 9}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8=", "count": -9}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "!!"}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": ""}},
    {"execute": "guest-file-seek", "arguments": {"handle": "$handle", "offset": 0, "whence": 0}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": 3}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": 100}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": 0}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": -1}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": 10**9}},
    {"execute": "guest-file-seek", "arguments": {"handle": "$handle", "offset": -100, "whence": "set"}},
    {"execute": "guest-file-seek", "arguments": {"handle": "$handle", "offset": 100, "whence": "end"}},
    {"execute": "guest-file-seek", "arguments": {"handle": "$handle", "offset": 1, "whence": "cur"}},
    {"execute": "guest-file-seek", "arguments": {"handle": "$handle", "offset": 1, "whence": 7}},
    {"execute": "guest-file-flush", "arguments": {"handle": "$handle"}},
    {"execute": "guest-file-close", "arguments": {"handle": "$handle"}},
    {"execute": "guest-file-close", "arguments": {"handle": "$handle"}},
    {"execute": "guest-file-open", "arguments": {"path": "$folder/file"}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle", "count": 1000}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8="}},
    {"execute": "guest-file-open", "arguments": {"path": "$folder/file", "mode": "a"}},
    {"execute": "guest-file-write", "arguments": {"handle": "$handle", "buf-b64": "aGVsbG8="}},
    {"execute": "guest-file-read", "arguments": {"handle": "$handle"}},
    {"execute": "guest-file-close", "arguments": {"handle": "$handle"}},
    *(
        {"execute": "guest-file-open", "arguments": {"path": "$folder/file", "mode": m}}
        for m in ("rb", "r+b", "ab+", "wx")
    ),
]

PROGRAMS: list[dict[str, Any]] = [
    {"path": SHELL, "arg": ["-c", "echo out; echo err >&2; exit 3"], "capture-output": True},
    {"path": SHELL, "arg": ["-c", "echo out; echo err >&2; exit 3"], "capture-output": False},
    {"path": SHELL, "arg": ["-c", "echo out; echo err >&2"]},
    {"path": "sh", "arg": ["-c", "kill -9 $$"], "capture-output": True},
    {
        "path": SHELL,
        "arg": ["-c", "read line; echo $line $A"],
        "input-data": "aGVsbG8K",
        "env": ["A=1"],
        "capture-output": True,
    },
    {"path": SHELL, "arg": ["-c", "exit 0"], "capture-output": True, "input-data": ""},
]


class Agent:
    """An agent that listens on a socket, and what it answered that later requests refer to."""

    def __init__(self, command: list[str], path: Path, **environment: str) -> None:
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        deadline = time.monotonic() + START_SECONDS
        while self.socket.connect_ex(str(path)) and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.02)
        self.stream = self.socket.makefile("rb")
        self.known: dict[str, Any] = {}

    def ask(self, request: Any) -> dict[str, Any]:
        """Return the answer; the sentinel is under "delimited"."""
        self.socket.sendall(json.dumps(self._filled(request)).encode() + b"\n")
        line = self.stream.readline()
        assert line, f"no answer to {request}"
        answer = dict(json.loads(line.lstrip(b"\xff")))
        name = request.get("execute") if isinstance(request, dict) else None
        if name == "guest-file-open" and "return" in answer:
            self.known["$handle"] = answer["return"]
        return {**answer, "delimited": line.startswith(b"\xff")}

    def told(self, command: str, **arguments: Any) -> Any:
        answer = self.ask({"execute": command, "arguments": arguments})
        assert "return" in answer, answer
        return answer["return"]

    def run(self, arguments: dict[str, Any]) -> dict[str, Any]:
        pid = self.told("guest-exec", **arguments)["pid"]
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            status = dict(self.told("guest-exec-status", pid=pid))
            if status["exited"]:
                return status
            assert status == {"exited": False}
            time.sleep(0.02)
        raise AssertionError(f"{arguments} still runs")

    def close(self) -> None:
        self.stream.close()
        self.socket.close()
        self.process.terminate()
        assert self.process.stderr is not None
        self.process.stderr.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # qemu-ga that still writes to whoever has gone
            self.process.kill()
            self.process.wait()

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(member) for name, member in value.items()}
        if isinstance(value, str) and value.startswith("$"):
            word, slash, rest = value.partition("/")
            known = self.known[word]
            return f"{known}/{rest}" if slash else known
        return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dialect")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Iterator[Agent]:
    if not shutil.which(PROGRAM):
        pytest.skip("no qemu-ga: install the package qemu-guest-agent (make packages)")
    path = folder / "theirs.socket"
    agent = Agent([PROGRAM, "-m", "unix-listen", "-p", str(path), "-t", str(folder), "-f", str(folder / "pid")], path)
    agent.known["$folder"] = str(folder)
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[Agent]:
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot")
    root = folder / "root"
    (root / str(folder)[1:]).mkdir(parents=True)
    needed = subprocess.run(["ldd", SHELL], capture_output=True, text=True, check=True).stdout
    for file in [SHELL, "/etc/os-release", "/etc/passwd", *re.findall(r"/\S+", needed)]:
        copy = root / file[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    (root / "etc/localtime").write_bytes(Path("/etc/localtime").read_bytes())
    path = folder / "ours.socket"
    command = [sys.executable, "-m", "singularity", "daemon", "start", "--nodaemonize", "--root", str(root)]
    agent = Agent([*command, "--channel", f"unix:{path}"], path, PYTHONPATH=str(PACKAGE))
    agent.known["$folder"] = str(folder)
    yield agent
    agent.close()


@pytest.mark.parametrize("request_", SAME_REQUESTS, ids=lambda request: json.dumps(request)[:80])
def test_both_answer_the_same(theirs: Agent, ours: Agent, request_: Any) -> None:
    assert ours.ask(request_) == theirs.ask(request_)


@pytest.mark.parametrize("request_", SAME_CLASS_REQUESTS, ids=lambda request: json.dumps(request)[:80])
def test_both_refuse(theirs: Agent, ours: Agent, request_: Any) -> None:
    our, their = ours.ask(request_)["error"], theirs.ask(request_)["error"]
    assert set(our) == set(their) == {"class", "desc"}
    assert our["class"] == their["class"] or request_["execute"] == "guest-shutdown"
    assert ("No such file" in our["desc"]) == ("No such file" in their["desc"])


def test_both_hold_files_open_alike(theirs: Agent, ours: Agent) -> None:
    for request in CONVERSATION_OF_FILES:
        assert ours.ask(request) == theirs.ask(request), request
    file = Path(str(theirs.known["$folder"])) / "file"
    assert file.read_bytes() == (Path(f"{file.parent}/root{file}")).read_bytes()


@pytest.mark.parametrize("arguments", PROGRAMS, ids=lambda arguments: json.dumps(arguments)[:80])
def test_both_tell_the_same_of_a_program(theirs: Agent, ours: Agent, arguments: dict[str, Any]) -> None:
    assert ours.run(arguments) == theirs.run(arguments)


def test_both_tell_of_the_same_interfaces(theirs: Agent, ours: Agent) -> None:
    def known(agent: Agent) -> dict[str, Any]:
        return {
            told["name"]: (
                told.get("hardware-address"),
                sorted(json.dumps(address, sort_keys=True) for address in told.get("ip-addresses", [])),
            )
            for told in agent.told("guest-network-get-interfaces")
        }

    def loopback(agent: Agent) -> dict[str, Any]:
        interfaces = agent.told("guest-network-get-interfaces")
        return dict(next(told for told in interfaces if told["name"] == "lo"))

    assert known(ours) == known(theirs)
    our, their = loopback(ours), loopback(theirs)
    assert set(our) == set(their)
    assert set(our["statistics"]) == set(their["statistics"])
    assert abs(our["statistics"]["rx-bytes"] - their["statistics"]["rx-bytes"]) < 10**9


def test_both_tell_of_the_same_processors_disks_and_file_systems(theirs: Agent, ours: Agent) -> None:
    def of(agent: Agent, command: str, names: tuple[str, ...]) -> list[str]:
        return sorted(json.dumps([told[name] for name in names]) for told in agent.told(command))

    for command, names in {
        "guest-get-vcpus": ("logical-id", "online", "can-offline"),
        "guest-get-disks": ("name", "partition", "dependencies"),
        "guest-get-fsinfo": ("mountpoint", "name", "type", "total-bytes"),
    }.items():
        assert of(ours, command, names) == of(theirs, command, names), command


def test_both_tell_the_time(theirs: Agent, ours: Agent) -> None:
    assert abs(ours.told("guest-get-time") - theirs.told("guest-get-time")) < 10**10


def test_both_describe_their_commands_in_one_form(theirs: Agent, ours: Agent) -> None:
    our, their = (
        {told["name"]: told for told in agent.told("guest-info")["supported_commands"]} for agent in (ours, theirs)
    )
    common = set(our) & set(their)
    assert set(our) - common == {
        f"commissaire-{name}" for name in ("features", "reset-network", "agent-update", "inject-file")
    }
    for name in common - {"guest-shutdown"}:
        assert our[name] == their[name]
    assert our["guest-shutdown"] == {**their["guest-shutdown"], "enabled": False}
