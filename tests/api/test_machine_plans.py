"""What an operation on a machine tells its playbook, at its first attempt and after an interruption."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from api.conftest import Fleet, checkpoint, private_key
from api.machine_worker import URI
from commissaire.fleet.hypervisors import record_local
from commissaire.records import Secret

WANTED = {"disks_gb": [1], "location": "http://127.0.0.1/tree"}


@pytest.fixture
def hypervisor(fleet: Fleet) -> Fleet:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed; install libvirt-dev, then make setup")
    with fleet.services.database.write() as session:
        record_local(session, fleet.services.secrets, URI)
    return fleet


def variables(fleet: Fleet, operation_id: int, folder: Path) -> dict[str, Any]:
    plan = fleet.plan(operation_id, folder)
    assert plan.job is not None, plan
    found: dict[str, Any] = plan.job.inventory["all"]["hosts"]["new"]
    return found


def asked(fleet: Fleet, **more: Any) -> int:
    answer = fleet.client.post("/api/v1/machines/local/new", json={**WANTED, **more})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def owners_of_secrets(fleet: Fleet) -> list[str]:
    with fleet.services.database.read() as session:
        return list(session.exec(select(Secret.owner)))


def test_a_new_machine_is_made_on_its_hypervisor_and_nobody_elses_is_taken(hypervisor: Fleet, tmp_path: Path) -> None:
    told = variables(hypervisor, asked(hypervisor), tmp_path)
    assert told["vm_create_uri"] == URI
    assert (told["vm_create_existing"], told["vm_create_until"]) == ("fail", "reachable")
    assert "vm_create_interrupted" not in told


def test_an_installation_that_was_under_way_is_waited_for(hypervisor: Fleet, tmp_path: Path) -> None:
    operation = asked(hypervisor)
    hypervisor.claim("vm_create").write([checkpoint("new", "installing", created=True)])
    told = variables(hypervisor, operation, tmp_path)
    assert (told["vm_create_existing"], told["vm_create_interrupted"]) == ("adopt", True)


def test_what_was_half_made_is_removed_and_made_again(hypervisor: Fleet, tmp_path: Path) -> None:
    operation = asked(hypervisor)
    hypervisor.claim("vm_create").write([checkpoint("new", "creating"), checkpoint("new", "creating", making=["sda"])])
    told = variables(hypervisor, operation, tmp_path)
    assert (told["vm_create_existing"], told["vm_create_unfinished"]) == ("fail", ["sda"])
    assert "vm_create_interrupted" not in told


def test_nothing_is_removed_of_one_that_was_interrupted_before_anything_was_made(
    hypervisor: Fleet, tmp_path: Path
) -> None:
    operation = asked(hypervisor)
    hypervisor.claim("vm_create").write([checkpoint("new", "creating")])
    told = variables(hypervisor, operation, tmp_path)
    assert (told["vm_create_existing"], told["vm_create_unfinished"]) == ("fail", [])


def test_a_machine_that_becomes_a_host_is_reached_by_a_key_that_is_on_no_record(
    hypervisor: Fleet, tmp_path: Path
) -> None:
    key = private_key()
    operation = asked(hypervisor, host={"ssh_priv_key": key, "remote_user": "ann"})
    told = variables(hypervisor, operation, tmp_path)
    assert (told["ansible_user"], told["ansible_become"]) == ("ann", True)
    assert key not in hypervisor.client.get(f"/api/v1/operations/{operation}").text
    (public,) = told["vm_create_authorized_keys"]
    assert public.startswith("ssh-ed25519 ")
    assert owners_of_secrets(hypervisor) == [f"operation/{operation}"]
    assert hypervisor.client.post(f"/api/v1/operations/{operation}/cancel").status_code == 202
    assert owners_of_secrets(hypervisor) == [], "it has ended before its turn"


def test_what_cloud_init_is_told_is_no_template_of_ansibles(hypervisor: Fleet, tmp_path: Path) -> None:
    data = {"runcmd": ["docker ps --format '{{.Names}}'", ["echo", "007", "no"]], "a": {"b": None, "c": 1, "d": ""}}
    told = variables(hypervisor, asked(hypervisor, user_data=data), tmp_path)
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"new": told}}}))
    command = [str(Path(sys.executable).with_name("ansible")), "new", "-i", str(tmp_path / "hosts.json"), "-c", "local"]
    command += ["-m", "copy", "-a", f"content={{{{ vm_create_user_data | to_json }}}} dest={tmp_path}/told"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "told").read_text()) == data
    for key in ("__ansible_vault", "__ansible_unsafe"):
        body = {**WANTED, "user_data": {"a": [{key: "x"}]}}
        answer = hypervisor.client.post("/api/v1/machines/local/new", json=body)
        assert (answer.status_code, "begins with __ansible_" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize("name", ["all", "localhost", "127.0.0.1", "ungrouped"])
def test_a_name_that_means_something_else_to_ansible_is_refused(hypervisor: Fleet, name: str) -> None:
    answer = hypervisor.client.post(f"/api/v1/machines/local/{name}", json=WANTED)
    assert (answer.status_code, "means something else to Ansible" in answer.text) == (400, True), answer.text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"host": {}}, "host.ssh_priv_key is missing"),
        ({"host": {"ssh_priv_key": "!"}}, "ssh_priv_key is not base64"),
        ({"host": {"ssh_priv_key": "aGFsbG8="}}, "no private key"),
        ({"host": {}, "until": "created"}, "a machine becomes a host when it is reachable"),
    ],
)
def test_a_host_that_can_not_be_reached_is_refused(hypervisor: Fleet, body: dict[str, Any], words: str) -> None:
    answer = hypervisor.client.post("/api/v1/machines/local/new", json={**WANTED, **body})
    assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_a_cluster_that_is_not_there_is_not_found(hypervisor: Fleet) -> None:
    body = {**WANTED, "host": {"ssh_priv_key": private_key(), "cluster": "none"}}
    assert hypervisor.client.post("/api/v1/machines/local/new", json=body).status_code == 404
