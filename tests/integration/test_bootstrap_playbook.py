"""commissaire.fleet.bootstrap and commissaire.fleet.investigate on real machines, by ansible-playbook alone."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import Lab, LabHost

from .playbook import run_playbook

pytestmark = pytest.mark.integration

VERSION = yaml.safe_load((Path(__file__).parents[2] / "galaxy.yml").read_text())["version"]
MARKER = "etc/ansible/facts.d/commissaire.fact"


@pytest.fixture
def own_key(tmp_path):
    """Return a private key that opens nothing yet."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)
    return path


def can_log_in(lab: Lab, host: LabHost, user: str, key: os.PathLike[str], command: str) -> bool:
    argv = lab.ssh(host, user)
    argv[argv.index("-i") + 1] = os.fspath(key)
    return lab.run([*argv, command], stderr=subprocess.DEVNULL).returncode == 0


def test_a_bootstrapped_host_is_managed_by_the_new_user_and_a_second_run_changes_nothing(lab, own_key):
    host = lab.host("h1")
    wanted = {
        "bootstrap_user": "fleet",
        "bootstrap_user_sudo": True,
        "bootstrap_authorized_key": own_key.with_suffix(".pub").read_text(),
        "bootstrap_cluster": "web",
        "commissaire_targets": "h1",
    }
    dry = run_playbook(lab, "bootstrap", "--check", "--diff", **wanted)
    assert (dry.returncode, dry.changed()) == (0, ["h1"])
    assert not (host.root / MARKER).exists()
    first = run_playbook(lab, "bootstrap", user="operator", become=False, **wanted)
    assert first.returncode == 0, first.output
    phases = [point["phase"] for point in first.checkpoints("h1")]
    assert phases == ["python", "user", "facts", "marker", "done"]
    assert json.loads((host.root / MARKER).read_text()) == {"cluster": "web", "version": VERSION}
    assert can_log_in(lab, host, "fleet", own_key, "sudo -n true")
    again = run_playbook(lab, "bootstrap", **wanted)
    assert (again.returncode, again.changed()) == (0, [])


def test_python_is_installed_where_it_is_missing(lab):
    host = lab.host("h1")
    python, away = host.root / "usr/bin/python3", host.root / "usr/bin/python3.away"
    # what a package mirror would do: the lab has none
    stand_in = host.root / "usr/local/sbin/apt-get"
    stand_in.write_text('#!/bin/sh\n[ "$1" = update ] || mv /usr/bin/python3.away /usr/bin/python3\n')
    stand_in.chmod(0o755)
    python.rename(away)
    try:
        dry = run_playbook(lab, "bootstrap", "--check", "--limit", "h1")
        assert (dry.returncode, dry.last("h1")["data"]["facts"]["python"]) == (0, None)
        assert not python.is_symlink()
        outcome = run_playbook(lab, "bootstrap", "--limit", "h1")
    finally:
        stand_in.unlink()
        if not python.is_symlink():
            away.rename(python)
    assert outcome.returncode == 0, outcome.output
    assert outcome.last("h1")["data"]["facts"]["python"] == "/usr/bin/python3"


def test_facts_are_those_of_the_host(lab):
    outcome = run_playbook(lab, "investigate")
    assert outcome.returncode == 0, outcome.output
    assert outcome.changed() == []
    for host in lab.hosts:
        last = outcome.last(host.name)
        assert (last["phase"], last["state"]) == ("done", "finished")
        facts = last["data"]["facts"]
        assert facts["boot_id"] == host.boot_id()
        assert facts["hostname"] == host.name
        assert facts["machine_id"] == (host.root / "etc/machine-id").read_text().strip()
        assert (facts["os"], facts["os_version"], facts["package_manager"]) == ("debian", "12", "apt-get")
        assert (facts["cpus"], facts["privileged"], facts["login"]) == (os.cpu_count(), True, "root")


def test_an_unreachable_host_fails_with_the_words_of_ssh_and_delays_nobody(lab):
    lab.host("h2").cut()
    try:
        outcome = run_playbook(lab, "investigate")
    finally:
        lab.host("h2").mend()
    assert outcome.returncode == 2
    failed = outcome.last("h2")
    assert (failed["phase"], failed["state"]) == ("connecting", "failed")
    assert failed["message"].startswith("connecting: h2 can't be reached: ")
    assert "ssh: connect to host 10." in failed["message"]
    assert {outcome.last(name)["state"] for name in ("h1", "h3")} == {"finished"}
