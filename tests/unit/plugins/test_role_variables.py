"""What the variables of roles say, with Ansible's own templating and the hosts' own shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROLES = Path(__file__).parents[3] / "roles"
LISTED = """\
S | Repository | Name | Current Version | Available Version | Arch
--+------------+------+-----------------+-------------------+-------
v | repo-oss   | bash | 5.2-1.1         | 5.2-1.2           | x86_64
"""


@pytest.mark.parametrize(
    ("printed", "code", "asked"),
    [
        (LISTED, 0, (0, "repo-oss   | bash | 5.2-1.1         | 5.2-1.2           | x86_64\n")),
        ("No updates found.\n", 0, (0, "")),
        ("", 7, (7, "")),
        (LISTED, 106, (106, "")),
    ],
)
def test_a_zypper_that_fails_does_not_count_as_one_that_has_nothing_to_upgrade(tmp_path, printed, code, asked):
    (tmp_path / "printed").write_text(printed)
    zypper = tmp_path / "zypper"
    zypper.write_text(f"#!/bin/sh\ncat {tmp_path}/printed\nexit {code}\n")
    zypper.chmod(0o755)
    ask = yaml.safe_load((ROLES / "upgrade/vars/zypper.yml").read_text())["upgrade_ask"]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", ask], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == asked


NETWORKS = {
    "none": ({}, False),
    "default": ({"type": "flannel_etcd", "options": {}}, False),
    "etcd": ({"type": "flannel_etcd", "options": {"server_url": "http://10.0.0.1:2379"}}, True),
    "etcds": ({"options": {"server_url": ["http://10.0.0.1:2379", "http://10.0.0.2:2379"]}}, True),
    "etcd_nowhere": ({"type": "flannel_etcd", "options": {"server_url": []}}, False),
    "etcd_with_an_address": ({"type": "flannel_etcd", "options": {"address": "10.0.0.1:8080"}}, False),
    "untyped_with_an_address": ({"options": {"address": "10.0.0.1:8080"}}, False),
    "server": ({"type": "flannel_server", "options": {"address": "10.0.0.1:8080"}}, True),
    "service": ({"type": "flanneld_service", "options": {"address": "10.0.0.1:8080"}}, True),
}


def test_only_a_network_that_says_where_its_type_learns_subnets_is_set_up(tmp_path):
    hosts = {name: {"bootstrap_network": network} for name, (network, _) in NETWORKS.items()}
    (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    command = [Path(sys.executable).with_name("ansible"), "all", "--one-line", "-i", tmp_path / "inventory.json"]
    command += ["-e", f"@{ROLES}/bootstrap/vars/main.yml", "-m", "debug", "-a", "var=bootstrap_has_network"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r'^(\w+) \| SUCCESS .*"bootstrap_has_network": (true|false)', done.stdout, re.MULTILINE)
    assert {name: value == "true" for name, value in said} == {name: wanted for name, (_, wanted) in NETWORKS.items()}
