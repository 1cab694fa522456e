"""What the role guest_agent makes of its variables, with Ansible's own templating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from singularity.settings import load
from unit.plugins.test_role_variables import ROLES, templated

yaml = pytest.importorskip("yaml")
FILE = ROLES / "guest_agent/vars/main.yml"
DEFAULTS = yaml.safe_load((ROLES / "guest_agent/defaults/main.yml").read_text())
BESIDE = ["virtio:org.commissaire.guest_agent.0", "unix:/run/singularity/socket"]


def said(variable: str, folder: Path, hosts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what a variable says on hosts that have these, and on which files/look.sh printed `look`."""
    filled = {
        name: {**DEFAULTS, **given, "guest_agent_look": {"stdout": given.get("look", "init=systemd")}}
        for name, given in hosts.items()
    }
    return templated(variable, FILE, filled, folder)


OTHER = "init=systemd\nother=qemu-guest-agent.service\nuser=yes"
CHANNELS = {
    "alone": ({}, ["auto"]),
    "beside": ({"look": OTHER}, BESIDE),
    "beside_on_xen": ({"look": f"{OTHER}\nxen=yes"}, ["xenstore", *BESIDE]),
    "after_it_was_replaced": ({"look": "init=systemd\nreplaced=qemu-guest-agent.service"}, BESIDE),
    "instead": ({"look": OTHER, "guest_agent_replace_qemu": True}, ["auto"]),
    "beside_with_more": ({"look": OTHER, "guest_agent_channels": ["vsock:9", "auto"]}, ["vsock:9", *BESIDE]),
    "as_told": ({"look": OTHER, "guest_agent_channels": ["unix:/a"]}, ["unix:/a"]),
}


def test_it_listens_where_no_other_agent_does(tmp_path):
    found = said("guest_agent_listens", tmp_path, {name: given for name, (given, _) in CHANNELS.items()})
    assert found == {name: wanted for name, (_, wanted) in CHANNELS.items()}


OWN = "/usr/local/lib/singularity"
FOLDERS = {
    "everything": ({}, [OWN]),
    "no_update": ({"guest_agent_functions": ["file"]}, []),
    "allowed": (
        {"guest_agent_allow_paths": ["/etc", "/usr/local/etc/*.conf", "/usr/share/app/file", "/boot/grub/", "/usr/**"]},
        [OWN, "/usr/local/etc", "/usr/share/app", "/boot", "/usr"],
    ),
}


def test_the_unit_lets_it_write_below_usr_where_that_is_allowed_in_so_many_words(tmp_path):
    found = said("guest_agent_writable", tmp_path, {name: given for name, (given, _) in FOLDERS.items()})
    assert found == {name: wanted for name, (_, wanted) in FOLDERS.items()}


def test_the_unit_gives_it_no_more_than_its_functions_need(tmp_path):
    hosts = {"files": {"guest_agent_functions": ["file"]}, "user": {"guest_agent_user": "ann"}}
    found = said("guest_agent_capabilities", tmp_path, hosts)
    assert found["files"] == ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
    assert {"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SETUID"} <= set(found["user"])
    families = said("guest_agent_address_families", tmp_path, {**hosts, "vsock": {"guest_agent_channels": ["vsock:9"]}})
    assert families["files"] == ["AF_UNIX"]
    assert "AF_VSOCK" in families["vsock"]


def test_its_configuration_says_what_was_asked_for_as_the_agent_reads_it(tmp_path):
    paths = ["/srv/a,b", "/srv/c d", "/srv/'e\"\\f", "/srv/ä*"]
    hosts = {
        "lists": {"guest_agent_deny_paths": paths, "guest_agent_functions": ["file", "exec"]},
        "words": {
            "guest_agent_deny_paths": "/srv/a, /srv/b",
            "guest_agent_backup": "false",
            "guest_agent_replace_qemu": "false",
            "guest_agent_channels": "vsock:9,auto",
            "guest_agent_links": "singularity,qa",
            "look": OTHER,
        },
    }
    folder = tmp_path / "etc/singularity"
    folder.mkdir(parents=True)
    read = {}
    template = f"lookup('ansible.builtin.template','{ROLES}/guest_agent/templates/singularity.conf.j2')"
    for name, text in said(template, tmp_path, hosts).items():
        (folder / "singularity.conf").write_text(text)
        read[name] = load({"configuration": str(folder)}, "daemon")
    assert read["lists"].deny_paths == tuple(paths)
    assert read["lists"].functions == ("file", "exec")
    assert read["words"].deny_paths == ("/srv/a", "/srv/b")
    assert read["words"].channels == ("vsock:9", *BESIDE)
    assert read["words"].backup is False
    links = said("guest_agent_link_paths", tmp_path, hosts)["words"]
    assert links == ["/usr/local/bin/singularity", "/usr/local/bin/qa"]
