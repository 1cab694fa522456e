"""Every role's molecule scenario, on lab machines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Lab

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


@pytest.fixture(scope="module")
def pair(lab_possible):
    """A lab of two machines, enough to see that a scenario treats them alike."""
    with Lab.make(hosts=2) as made:
        yield made


def test_every_role_has_a_scenario():
    assert sorted(path.name for path in (ROOT / "roles").iterdir()) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes(pair, scenario, tmp_path):
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "COMMISSAIRE_INVENTORY": str(pair.inventory(tmp_path / "hosts.yml")),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
    }
    command = [programs / "molecule", "test", "-s", scenario]
    done = pair.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
