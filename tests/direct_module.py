"""A module of the collection, run as Ansible runs it on a host, without Ansible's own second before it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

MODULES = "ansible_collections.commissaire.fleet.plugins.modules"


def run_directly(module: str, check: bool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result, with check mode or without."""
    done = subprocess.run(
        [sys.executable, "-m", f"{MODULES}.{module}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
