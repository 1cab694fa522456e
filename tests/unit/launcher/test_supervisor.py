"""The supervisor process, with a real ansible-playbook that needs no host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import pytest

from commissaire.launcher.job import Job

WAIT = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.pause: {seconds: 60}
      delegate_to: localhost
"""


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that waits for its job."""
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    command = [sys.executable, "-m", "commissaire.launcher.supervisor"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        yield process
        process.kill()


def test_a_playbook_that_is_none_ends_with_the_words_of_ansible(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    entries = _run(supervisor, _job(tmp_path, "commissaire.fleet.no_such_playbook"))
    assert entries[-1]["type"] == "end"
    assert entries[-1]["rc"] not in (0, None)
    assert any("no_such_playbook" in entry["message"] for entry in entries[:-1])


def test_a_playbook_that_does_not_parse_ends_with_the_words_of_ansible(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "broken.yml").write_text("- hosts: all\n  tasks: [\n")
    entries = _run(supervisor, _job(tmp_path, "broken.yml"))
    assert entries[-1]["rc"] not in (0, None)
    assert any("broken.yml" in entry["message"] for entry in entries[:-1])


def test_closing_standard_input_kills_everything_below(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "wait.yml").write_text(WAIT)
    assert supervisor.stdin is not None
    supervisor.stdin.write(_job(tmp_path, "wait.yml").to_line())
    supervisor.stdin.flush()
    process = psutil.Process(supervisor.pid)
    deadline = time.monotonic() + 30
    while not any("ansible-playbook" in " ".join(child.cmdline()) for child in process.children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    below = process.children(recursive=True)

    supervisor.stdin.close()

    assert supervisor.wait(10) == 0
    assert [child for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert not (tmp_path / "run").exists(), "its sockets are gone, too"


def test_a_supervisor_without_a_job_ends_with_its_server(supervisor: subprocess.Popen[bytes]) -> None:
    out, _ = supervisor.communicate(timeout=10)
    assert (out, supervisor.returncode) == (b"", 0)


def _job(folder: Path, playbook: str) -> Job:
    return Job(
        operation_id=1,
        playbook=playbook,
        directory=str(folder),
        runtime_directory=str(folder / "run"),
        inventory={"all": {"hosts": {"here": {"ansible_connection": "local"}}}},
        extra_vars={},
        known_hosts="",
        keys=[],
        forks=1,
    )


def _run(supervisor: subprocess.Popen[bytes], job: Job) -> list[dict[str, object]]:
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    supervisor.stdin.write(job.to_line())
    supervisor.stdin.flush()
    entries = [orjson.loads(line) for line in supervisor.stdout]
    supervisor.stdin.close()
    supervisor.wait(10)
    return entries
