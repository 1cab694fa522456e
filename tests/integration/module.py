"""One module, run by Ansible on a machine of a lab."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lab import Lab, LabHost

ENVIRONMENT = {
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    "ANSIBLE_LOCALHOST_WARNING": "0",
}


def run_module(lab: Lab, host: LabHost, module: str, /, *options: str, **arguments: Any) -> dict[str, Any]:
    """Return the module's result; `options` are those of `ansible`, as --check."""
    inventory = lab.inventory(lab.directory / "modules.yml")
    command = [Path(sys.executable).parent / "ansible", host.name, "-i", inventory, *options]
    command += ["-m", f"commissaire.fleet.{module}", *(["-a", json.dumps(arguments)] if arguments else [])]
    done = lab.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True)
    assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
    assert "[WARNING]" not in done.stderr, done.stderr
    (play,) = json.loads(done.stdout)["plays"]
    result: dict[str, Any] = play["tasks"][-1]["hosts"][host.name]
    return result
