"""Every role's molecule scenario, on lab machines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def test_every_role_has_a_scenario():
    assert sorted(path.name for path in (ROOT / "roles").iterdir()) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes(lab, scenario, tmp_path):
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "COMMISSAIRE_INVENTORY": str(lab.inventory(tmp_path / "hosts.yml")),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
    }
    command = [programs / "molecule", "test", "-s", scenario]
    done = lab.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
