"""The private side of a playbook: what Ansible really gets of it, what is answered, and that nothing is left of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commissaire.launcher import private as private_module
from commissaire.launcher.job import Job, Private
from commissaire.launcher.private import PrivateRun
from commissaire.launcher.supervisors import _batches

MODULE = "commissaire.fleet.guest_command"
NASTY = "{{ lookup('pipe', 'id') }} \"q\" \\ \t\n\x00\x1b\x7f\x85\u2028 ä 😀 #jinja2: {% x %}"
NO_TEXT = [
    "",
    "007",
    "1_000",
    "1e3",
    "1.50",
    "0x1F",
    "52:54:00:12:34:56",
    "no",
    "true",
    "null",
    "~",
    "=",
    "<<",
    "2026-11-28",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder that counts as memory."""
    monkeypatch.setattr(private_module, "is_in_memory", lambda path: True)
    return tmp_path


def run_of(folder: Path, **more: Any) -> PrivateRun:
    return PrivateRun(Private(MODULE, {"guest_argv": ["x"]}, **more), folder)


def event(kind: str, action: str, result: dict[str, Any]) -> dict[str, Any]:
    data = {"host": "web", "task": "t", "resolved_action": action, "res": result}
    return {"event": kind, "created": "2026-11-21T09:00:00+00:00", "event_data": data}


def test_ansible_takes_nothing_for_a_template_or_a_number(folder: Path, tmp_path: Path) -> None:
    value = {"a": [NASTY, {"b": NASTY}], "n": 3, "t": True, "z": None, "texts": NO_TEXT}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [
        {"ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": str(tmp_path / "out")}},
    ]}]  # fmt: skip
    (tmp_path / "play.yml").write_text(json.dumps(play))
    with PrivateRun(Private(MODULE, {"told": value}), folder) as private:
        words = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "web,", "-c", "local"]
        words += [
            *private.options.split(),
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            str(tmp_path / "play.yml"),
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "out").read_text()) == value


def test_nothing_is_left_and_nobody_else_may_read(folder: Path) -> None:
    content = base64.b64encode(b"s3cret").decode()
    with run_of(folder, content=content, content_as="guest_src") as private:
        (own,) = folder.iterdir()
        assert own.stat().st_mode & 0o777 == 0o700
        assert {path.name: path.stat().st_mode & 0o777 for path in own.iterdir()} == {
            "content": 0o600, "variables": 0o600,
        }  # fmt: skip
        assert (own / "content").read_bytes() == b"s3cret"
        told = json.loads((own / "variables").read_text())
        assert told["guest_src"] == {"__ansible_unsafe": f"{own}/content"}
        assert private.artifacts.startswith(str(own))
        assert all(value.startswith(str(own)) for name, value in private.environment.items() if "TEMP" in name)
        assert private.environment["ANSIBLE_TASK_TIMEOUT"] == "0"
    assert list(folder.iterdir()) == []


def test_secrets_are_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "shm"
    monkeypatch.setattr(private_module, "shared_folder", lambda runtime: memory / runtime.name)
    monkeypatch.setattr(private_module, "is_in_memory", lambda path: False)
    with pytest.raises(OSError, match="secrets touch no disk"):
        run_of(tmp_path)
    monkeypatch.setattr(private_module, "is_in_memory", lambda path: path.is_relative_to(memory))
    (memory / "server").mkdir(parents=True)
    (memory / "server").chmod(0o777)
    with pytest.raises(OSError, match="secrets touch no disk"):
        run_of(tmp_path / "server" / "16")
    (memory / "server").chmod(0o700)
    runtime = tmp_path / "server" / "17"
    with run_of(runtime):
        assert len(list((memory / "server").iterdir())) == 1
    assert list((memory / "server").iterdir()) == []


def test_what_a_killed_supervisor_left_is_forgotten_and_nothing_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "shm"
    monkeypatch.setattr(private_module, "shared_folder", lambda runtime: memory / runtime.name)
    monkeypatch.setattr(private_module, "is_in_memory", lambda path: path.is_relative_to(memory))
    killed, other = (run_of(tmp_path / "server" / number) for number in ("1", "17"))
    private_module.forget_private(tmp_path / "server" / "1")
    assert [path.name[:11] for path in (memory / "server").iterdir()] == ["private-17-"]
    assert [path.name for path in (tmp_path / "server").iterdir()] == ["17"]
    for run in (killed, other):
        run.__exit__()
    assert list((memory / "server").iterdir()) == []


def test_the_answer_is_in_no_entry(folder: Path) -> None:
    result = {"changed": True, "rc": 0, "stdout": "s3cret", "diff": {"before": "", "after": "s3cret"}, "_ansible_x": 1}
    with run_of(folder) as private:
        entry = private.entry_of(event("runner_on_ok", MODULE, {**result, "invocation": {"module_args": "s3cret"}}))
        assert entry is not None
        assert "s3cret" not in str(entry)
        assert private.answer() == {"changed": True, "rc": 0, "stdout": "s3cret", "created": True}
        point = {"phase": "done", "state": "finished", "message": "it ended", "data": {"version": "1"}}
        told = private.entry_of(event("runner_on_ok", "commissaire.fleet.checkpoint", {"checkpoint": point}))
        assert told is not None
        assert (told["message"], told["data"]) == ("it ended", {})
        assert private.answer()["version"] == "1"
        assert private.entry_of(event("runner_on_ok", "ansible.builtin.debug", {"rc": 5})) is None
        assert private.answer()["rc"] == 0, "somebody else's result"


def test_what_a_command_that_failed_has_said_is_no_reason(folder: Path) -> None:
    result = {"rc": 3, "stderr": "s3cret", "stdout": "", "msg": "ls has ended with 3: s3cret"}
    with run_of(folder) as private:
        before = private.entry_of({"event": "warning", "stdout": "[WARNING]: early", "event_data": {}})
        assert before is not None
        failed = private.entry_of(event("runner_on_failed", MODULE, result))
        assert failed is not None
        assert failed["message"] == "the command ended with 3"
        point = {"phase": "running", "state": "failed", "message": "ls has ended with 3: s3cret", "data": {}}
        told = private.entry_of(event("runner_on_ok", "commissaire.fleet.checkpoint", {"checkpoint": point}))
        assert told is not None
        assert told["message"] == "the command ended with 3"
        assert private.entry_of({"event": "error", "stdout": "[ERROR]: s3cret", "event_data": {}}) is None
        assert private.answer()["stderr"] == "s3cret"


def test_why_something_else_failed_is_told_without_what_it_printed(folder: Path) -> None:
    with run_of(folder) as private:
        result = {"msg": "machine web: no agent", "stderr": "s3cret", "exception": "s3cret"}
        entry = private.entry_of(event("runner_on_failed", MODULE, result))
        assert entry is not None
        assert entry["message"] == "machine web: no agent"


def test_a_job_crosses_the_pipe_and_hides_what_is_private() -> None:
    private = Private(MODULE, {"guest_password": "s3cret"}, content="s3cret", content_as="guest_src")
    job = Job(1, "p", "d", "r", {"all": {"hosts": {}}}, {}, "", [], 1, private=private)
    assert Job.from_line(job.to_line()) == job
    assert "s3cret" not in repr(job)
    assert Job.from_line(Job(1, "p", "d", "r", {}, {}, "", [], 1).to_line()).private is None


def test_a_line_that_comes_in_pieces_is_one(tmp_path: Path) -> None:
    lines = [{"a": "x" * 3_000_000}, {"b": 1}, {"c": 2}]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    (tmp_path / "news").write_bytes(text)
    with (tmp_path / "news").open("rb") as stream:
        assert [line for batch in _batches(stream) for line in batch] == lines
