"""The frame of a rolling play, on hosts that can't be reached: nothing listens where they are."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HOSTS = ("h1", "h2", "h3")


@pytest.fixture
def restart(tmp_path):
    """Return what runs the playbook restart; it returns its status and the state that each host reported last."""

    def run(**variables):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and doesn't listen
            where = {"ansible_host": "127.0.0.1", "ansible_port": closed.getsockname()[1]}
            (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": dict.fromkeys(HOSTS, where)}}))
            command = [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts.json", "-v"]
            environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
            done = subprocess.run(
                [*command, "commissaire.fleet.restart", "-e", json.dumps(variables)],
                cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
        results = [
            (found[1], json.JSONDecoder().raw_decode(done.stdout, found.end())[0])
            for found in re.finditer(r"\[(h\d)\](?:: FAILED!)? => (?=\{)", done.stdout)
        ]
        reports = {host: result["checkpoint"]["state"] for host, result in results if "checkpoint" in result}
        return done.returncode, reports, done.stdout

    return run


@pytest.mark.parametrize(
    ("given", "code", "states"),
    [
        ({"when_check_fails": "fail", "max_failures": 1}, 2, "failed failed not_started"),
        ({"when_check_fails": "skip", "canary": 1}, 0, "skipped skipped skipped"),
        ({"when_check_fails": "stop", "max_failures": 3}, 2, "failed not_started not_started"),
        ({"when_check_fails": "skip", "work_begun": True, "max_failures": 3}, 2, "failed not_started not_started"),
    ],
)
def test_a_host_that_cannot_be_reached_is_treated_as_one_that_is_not_fit(restart, given, code, states):
    ended, reported, output = restart(**given)
    assert (ended, reported) == (code, dict(zip(HOSTS, states.split(), strict=True))), output
    assert "h1 can't be reached" in output
