"""The supervisor process, with a real ansible-playbook that needs no host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from commissaire.launcher.job import LET_GO, Job, until_line

WAIT = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.pause: {seconds: 60}
      delegate_to: localhost
"""
RENEW = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.raw: |
        setsid sh -c 'printf cmsr-lease >/proc/$$/comm
          trap "sleep 1; touch \\"$0/given back\\"; exit" TERM
          touch "$0/taken"
          while :; do sleep 0.1; done' {{ folder }} </dev/null >/dev/null 2>&1 &
    - ansible.builtin.pause: {seconds: 60}
      delegate_to: localhost
"""
LONG = """
- hosts: all
  gather_facts: false
  connection: local
  vars: {from_play: a variable of the play}
  tasks:
    - ansible.builtin.assert:
        that: [min_healthy_of | length == 3000, from_play == 'an extra variable']
"""
KUBECONFIG = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.assert:
        that:
          - kubeconfig is match('/proc/[0-9]+/fd/[0-9]+$')
          - (lookup('ansible.builtin.file', kubeconfig) | from_json).token == 'a' ~ '-canary'
"""
SECRET_FILE = """
- hosts: all
  gather_facts: false
  connection: local
  vars: {password: "{{ lookup('ansible.builtin.file', 'FILE', rstrip=false) }}"}
  tasks:
    - ansible.builtin.assert:
        that: password == 'a' ~ '-canary '
    - ansible.builtin.assert:
        that: lookup('ansible.builtin.pipe', 'stat --dereference --format=%a FILE') == '600'
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
    below = _playbook_below(supervisor)

    supervisor.stdin.close()

    assert supervisor.wait(10) == 0
    assert _alive(below) == []
    assert not (tmp_path / "run").exists(), "its sockets are gone, too"


def test_a_playbook_whose_server_gives_no_sign_of_life_any_more_is_gone_in_time(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "wait.yml").write_text(WAIT)
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    supervisor.stdin.write(_job(tmp_path, "wait.yml").to_line() + until_line(time.monotonic() + 60))
    supervisor.stdin.flush()
    below = _playbook_below(supervisor)
    until = time.monotonic() + 2
    supervisor.stdin.write(until_line(until - 1) + until_line(until))
    supervisor.stdin.flush()

    time.sleep(1.5)
    assert _alive(below) == below
    assert supervisor.wait(10) == 0  # its standard input is still open
    assert until < time.monotonic() < until + 3
    assert _alive(below) == []
    end = orjson.loads(supervisor.stdout.read().splitlines()[-1])
    assert (end["type"], end["rc"], "its playbook was stopped" in end["message"]) == ("end", None, True)


def test_leases_are_given_back_also_when_two_threads_of_the_server_asked_for_it(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "renew.yml").write_text(RENEW)
    job = _job(tmp_path, "renew.yml", folder=str(tmp_path))
    assert supervisor.stdin is not None
    supervisor.stdin.write(job.to_line())
    supervisor.stdin.flush()
    deadline = time.monotonic() + 30
    while not (tmp_path / "taken").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    supervisor.stdin.write((LET_GO + b"\n") * 2)
    supervisor.stdin.close()
    assert supervisor.wait(10) == 0
    assert (tmp_path / "given back").exists()


def test_variables_are_as_long_as_they_need_be_and_in_no_argument(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "long.yml").write_text(LONG)
    names = [f"host-{number:04}.rack-17.dc-2.example.internal.net" for number in range(3000)]
    job = _job(tmp_path, "long.yml", min_healthy_of=names, from_play="an extra variable")
    entries = _run(supervisor, job)
    assert entries[-1] == {"type": "end", "rc": 0, "message": ""}, entries
    assert (tmp_path / "extra_vars.json").stat().st_mode & 0o777 == 0o600


def test_a_playbook_finds_a_kubeconfig_that_is_on_no_disk(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "kubeconfig.yml").write_text(KUBECONFIG)
    job = replace(_job(tmp_path, "kubeconfig.yml"), kubeconfigs={"lab": '{"token": "a-canary"}'})
    job.inventory["all"]["hosts"]["here"]["kubeconfig"] = "lab"
    assert "a-canary" not in repr(job)
    entries = _run(supervisor, job)
    assert entries[-1] == {"type": "end", "rc": 0, "message": ""}, entries
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"a-canary" in path.read_bytes()]


def test_a_playbook_finds_secret_files_that_are_on_no_disk(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "secret.yml").write_text(SECRET_FILE.replace("FILE", str(tmp_path / "run/hypervisor/password")))
    job = replace(_job(tmp_path, "secret.yml"), secret_files={"hypervisor/password": "a-canary "}, files={"told": "x"})
    assert "a-canary" not in repr(job)
    entries = _run(supervisor, job)
    assert entries[-1] == {"type": "end", "rc": 0, "message": ""}, entries
    assert (tmp_path / "told").read_text() == "x"
    assert not (tmp_path / "run").exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"a-canary" in path.read_bytes()]


def test_a_supervisor_without_a_job_ends_with_its_server(supervisor: subprocess.Popen[bytes]) -> None:
    out, _ = supervisor.communicate(timeout=10)
    assert (out, supervisor.returncode) == (b"", 0)


def _playbook_below(supervisor: subprocess.Popen[bytes]) -> list[psutil.Process]:
    process = psutil.Process(supervisor.pid)
    deadline = time.monotonic() + 30
    while not any("ansible-playbook" in " ".join(child.cmdline()) for child in process.children(recursive=True)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process.children(recursive=True)


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def _job(directory: Path, playbook: str, **extra_vars: Any) -> Job:
    return Job(
        operation_id=1,
        playbook=playbook,
        directory=str(directory),
        runtime_directory=str(directory / "run"),
        inventory={"all": {"hosts": {"here": {"ansible_connection": "local"}}}},
        extra_vars=extra_vars,
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
