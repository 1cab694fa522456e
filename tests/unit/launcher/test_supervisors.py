"""The server's side of its supervisor processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from commissaire.launcher.job import Job
from commissaire.launcher.supervisors import Supervisors

FAILS = "- hosts: all\n  gather_facts: false\n  connection: local\n  tasks: [ansible.builtin.fail: {msg: no}]\n"


def test_what_fails_while_news_are_written_is_no_failure_of_the_supervisor(tmp_path: Path) -> None:
    def write(_entries: list[dict[str, Any]]) -> None:
        raise ValueError("these news can't be recorded")

    play = tmp_path / "play.yml"
    play.write_text(FAILS)
    job = Job(
        operation_id=1,
        playbook=str(play),
        directory=str(tmp_path),
        runtime_directory=str(tmp_path / "runtime"),
        inventory={"all": {"hosts": {"localhost": {}}}},
        extra_vars={},
        known_hosts="",
        keys=[],
        forks=1,
    )
    supervisors = Supervisors()
    try:
        with pytest.raises(ValueError, match="these news can't be recorded"):
            supervisors.run(job, write)
    finally:
        supervisors.stop_all()
