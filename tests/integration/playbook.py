"""Run a playbook of the collection against a lab as a user would, and read what came of each task."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Lab

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PLAYS = Path(__file__).with_name("plays")


@dataclass(frozen=True)
class Outcome:
    """What a run ended with, and every task's result as (host, result), in order."""

    returncode: int
    results: list[tuple[str, dict[str, Any]]]
    output: str

    def checkpoints(self, host: str) -> list[dict[str, Any]]:
        """Return the checkpoints of `host`, in order."""
        return [result["checkpoint"] for name, result in self.results if name == host and "checkpoint" in result]

    def last(self, host: str) -> dict[str, Any]:
        """Return the last checkpoint of `host`."""
        return self.checkpoints(host)[-1]

    def changed(self) -> list[str]:
        """Return the hosts on which something was changed."""
        return sorted({name for name, result in self.results if result.get("changed")})


def run_playbook(
    lab: Lab, name: str, *arguments: str, user: str = "root", become: bool = True, **variables: Any
) -> Outcome:
    """Run a playbook with Ansible's default configuration, from the root folder: ours, or a file of `PLAYS`.

    With `become=False` the inventory says nothing about sudo, and the roles must find out by themselves.
    """
    inventory = lab.inventory(lab.directory / f"hosts-{user}.yml", user=user)
    if not become:
        content = json.loads(inventory.read_text())
        del content["all"]["vars"]["ansible_become"]
        inventory.write_text(json.dumps(content))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl", "ANSIBLE_TIMEOUT": "4"}
    playbook = PLAYS / name if name.endswith(".yml") else f"commissaire.fleet.{name}"
    command = [ANSIBLE_PLAYBOOK, "-i", inventory, playbook, "-e", json.dumps(variables), *arguments]
    done = lab.run(command, cwd="/", env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    warnings = [line for line in done.stdout.splitlines() if line.startswith(("[WARNING]", "[DEPRECATION"))]
    # this callback stumbles over a skipped `meta` task
    assert all("Callback dispatch 'v2_runner_on_skipped' failed" in line for line in warnings), done.stdout
    results = []
    for line in done.stdout.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("_event", "").startswith("v2_runner_") and event["_event"] != "v2_runner_on_start":
            results += event["hosts"].items()
    return Outcome(done.returncode, results, done.stdout)
