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
WISHES = {
    "nothing": ({}, []),
    "everything": (
        {"upgrade_only_packages": ["g++=4:12.2.0-3~deb12u1", "a-b.c_d"], "upgrade_hold": ["linux-*", "?"],
         "upgrade_snapshot": "20260101T000000Z"},
        [],
    ),
    "words": ({"upgrade_only_packages": "a, b=1,", "upgrade_hold": "c,d*", "upgrade_snapshot": 9.4}, []),
    "options": ({"upgrade_only_packages": "-a", "upgrade_hold": ["-b"], "upgrade_snapshot": "-c"}, ["-a", "-b", "-c"]),
    "shells": (
        {"upgrade_only_packages": ["a;b", "a b", "$(a)", "a=", "a=b=c", "a\n"], "upgrade_hold": ["a'", "[a]"],
         "upgrade_snapshot": "a/b"},
        ["a;b", "a b", "$(a)", "a=", "a=b=c", "a'", "[a]", "a/b"],
    ),
    "long": ({"upgrade_only_packages": ["a" * 129], "upgrade_snapshot": "9" * 65}, ["a" * 129, "9" * 65]),
}  # fmt: skip


def test_what_is_no_name_of_a_package_or_a_snapshot_is_refused(tmp_path):
    defaults = {"upgrade_only_packages": [], "upgrade_hold": [], "upgrade_snapshot": ""}
    hosts = {name: {**defaults, **wishes} for name, (wishes, _) in WISHES.items()}
    said = templated("upgrade_malformed", ROLES / "upgrade/vars/main.yml", hosts, tmp_path)
    assert said == {name: malformed for name, (_, malformed) in WISHES.items()}


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
    said = templated("bootstrap_has_network", ROLES / "bootstrap/vars/main.yml", hosts, tmp_path)
    assert said == {name: wanted for name, (_, wanted) in NETWORKS.items()}


@pytest.mark.parametrize(
    ("needrestart", "files", "code"),
    [
        ("", [], 2),
        ("", ["run/reboot-required"], 0),
        ("", ["etc/kernel/postinst.d/unattended-upgrades"], 1),
        ("NEEDRESTART-KSTA: 0", [], 2),
        ("NEEDRESTART-KSTA: 1", [], 1),
        ("NEEDRESTART-KSTA: 2", ["etc/kernel/postinst.d/update-notifier"], 0),
        ("NEEDRESTART-KSTA: 3", [], 0),
    ],
)
def test_a_debian_host_needs_a_reboot_or_not_or_does_not_know(tmp_path, needrestart, files, code):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "needrestart").write_text(f"#!/bin/sh\necho '{needrestart}'\n")
    (tmp_path / "needrestart").chmod(0o755)
    script = yaml.safe_load((ROLES / "upgrade/vars/apt.yml").read_text())["upgrade_reboot_test"]
    script = script.replace("/run/", f"{tmp_path}/run/").replace("/etc/", f"{tmp_path}/etc/")
    done = subprocess.run(["sh", "-c", script], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False)
    assert done.returncode == code


def templated(variable: str, file: Path, hosts: dict[str, dict[str, object]], folder: Path) -> dict[str, object]:
    """Return what a variable of a file says on each of the hosts, which have these variables."""
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    command = [Path(sys.executable).with_name("ansible"), "all", "--one-line", "-i", folder / "inventory.json"]
    command += ["-e", f"@{file}", "-m", "debug", "-a", f"var={variable}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"^(\w+) \| SUCCESS => (\{.*\})$", done.stdout, re.MULTILINE)
    return {name: json.loads(result)[variable] for name, result in said}
