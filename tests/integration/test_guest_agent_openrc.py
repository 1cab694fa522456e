"""The role guest_agent on a machine that OpenRC runs, and the agent under its supervise-daemon."""

from __future__ import annotations

from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import Any

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program

from lab import Lab, LabHost

from .test_guest_agent_role import eventually, installed, nova

pytestmark = pytest.mark.integration

INIT = """#!/bin/sh
# The first process: what sysvinit and OpenRC's first runlevels do on a real machine, as far as a container needs it.
mkdir -p /run/lock /run/sshd
ip link set lo up
ip address add {address}/24 dev host0
ip link set host0 up
/usr/sbin/sshd
openrc sysinit
openrc boot
openrc default
while :; do sleep 1; done
"""


@pytest.fixture(scope="module")
def host(lab_possible: None) -> Iterator[LabHost]:
    """A machine that was booted by OpenRC, and has the agent."""
    with Lab.make(hosts=1, packages=["openrc"]) as lab:
        (host,) = lab.hosts
        host.power_off()
        for name in ("usr/lib/systemd/systemd", "usr/sbin/init"):
            (host.root / name).unlink(missing_ok=True)
        init = host.root / "usr/sbin/init"
        init.write_text(INIT.format(address=host.address))
        init.chmod(0o755)
        host.power_on()
        host.wait_for_ssh()
        first = installed(lab)
        assert first.changed() == ["h1"]
        again = installed(lab)
        assert again.changed() == [], again.output
        yield host
        installed(lab, guest_agent_state="absent")
        assert not (host.root / "etc/init.d/singularity").exists()


def run(host: LabHost, *argv: str) -> CompletedProcess[Any]:
    return host.run(argv, capture_output=True, text=True, check=False)


def pid(host: LabHost) -> str:
    """Return the daemon's process id, if it runs."""
    said = run(host, "singularity", "daemon", "status").stdout.split()
    return said[-1] if said[1] == "runs" else ""


def test_it_is_supervised_and_answers(host: LabHost) -> None:
    assert nova(host, "version", "agent") == guest_program.version()
    assert "started" in run(host, "rc-service", "singularity", "status").stdout
    assert "singularity" in run(host, "rc-update", "show", "default").stdout


def test_it_comes_back_when_it_was_killed(host: LabHost) -> None:
    before = pid(host)
    host.run(["kill", "-KILL", before])
    eventually(lambda: pid(host) not in (before, ""))
    assert nova(host, "version", "agent") == guest_program.version()


def test_it_reads_its_configuration_anew(host: LabHost) -> None:
    before = pid(host)
    assert run(host, "rc-service", "singularity", "reload").returncode == 0
    assert nova(host, "version", "agent") == guest_program.version()
    assert pid(host) == before


def test_it_stays_stopped_when_its_own_command_stops_it_and_restarts_by_that(host: LabHost) -> None:
    before = pid(host)
    restarted = run(host, "singularity", "daemon", "restart")
    assert (restarted.returncode, restarted.stdout) == (
        0,
        f"singularity: process {before} is supervised; this is for: rc-service singularity restart\n",
    )
    eventually(lambda: pid(host) not in (before, ""))
    assert run(host, "singularity", "daemon", "stop").returncode == 0
    assert "stopped" in run(host, "rc-service", "singularity", "status").stdout
    assert pid(host) == ""
    host.run(["rc-service", "singularity", "start"], capture_output=True)
    eventually(lambda: pid(host))
