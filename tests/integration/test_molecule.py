"""Every role's molecule scenario, on lab machines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from k8s import programs
from k8s.cluster import cluster, node_variables
from lab import Lab, hypervisor

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
WITH_CLUSTER = ("kubernetes_node", "kubelet_upgrade", "node_leave")
"""In the order of a node's life: they share one machine."""
WITH_LIBVIRT = ("vm_announce",)
WITH_MACHINES = ("vm_create", "vm_network", "vm_probe", "vm_remove")


@pytest.fixture(scope="module")
def pair(lab_possible):
    """A lab of two machines, enough to see that a scenario treats them alike."""
    with Lab.make(hosts=2) as made:
        yield made


def test_every_role_has_a_scenario():
    assert sorted(path.name for path in (ROOT / "roles").iterdir()) == SCENARIOS


@pytest.fixture(scope="module")
def cluster_of_one(lab_possible, tmp_path_factory):
    """A control plane, and a machine that is to be its node."""
    if why := programs.obstacle():
        pytest.skip(why)
    with cluster(tmp_path_factory.mktemp("cluster"), hosts=1) as made:
        yield made


@pytest.mark.parametrize("scenario", sorted({*SCENARIOS} - {*WITH_CLUSTER, *WITH_LIBVIRT, *WITH_MACHINES}))
def test_a_scenario_passes(pair, scenario, tmp_path):
    run(pair, scenario, tmp_path)


@pytest.fixture(scope="module")
def one_hypervisor(lab_possible):
    """A machine that runs virtual ones."""
    with Lab.make(hosts=1, containers=True, disk_mb=1024, packages=hypervisor.PACKAGES) as lab:
        hypervisor.prepare(lab.hosts[0])
        yield lab


@pytest.mark.parametrize("scenario", WITH_MACHINES)
def test_a_scenario_with_machines_passes(one_hypervisor, scenario, tmp_path):
    run(one_hypervisor, scenario, tmp_path)


@pytest.mark.parametrize("scenario", WITH_LIBVIRT)
def test_a_scenario_with_hypervisors_passes(lab_possible, scenario, tmp_path):
    with Lab.make(hosts=2, packages=hypervisor.ANNOUNCING) as lab:
        run(lab, scenario, tmp_path)


@pytest.mark.parametrize("scenario", WITH_CLUSTER)
def test_a_scenario_with_a_cluster_passes(cluster_of_one, scenario, tmp_path):
    variables = tmp_path / "variables.json"
    variables.write_text(
        json.dumps({**node_variables(cluster_of_one, "bootstrap"), "kubeconfig": str(cluster_of_one.admin_kubeconfig)})
    )
    run(cluster_of_one.lab, scenario, tmp_path, COMMISSAIRE_VARIABLES=str(variables))


def run(lab, scenario, folder, **variables):
    programs_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs_folder}:{os.environ['PATH']}",
        "COMMISSAIRE_INVENTORY": str(lab.inventory(folder / "hosts.yml")),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        **variables,
    }
    command = [programs_folder / "molecule", "test", "-s", scenario]
    done = lab.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
