"""Hosts that register themselves, with the real cloud-init (Debian's package, NoCloud seed) and a real server."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab, LabHost

from .controller import Controller

pytestmark = pytest.mark.integration

SEED = "var/lib/cloud/seed/nocloud"
PASSWORD = "only for hösts: no more"
SETTINGS = "var/lib/commissaire/register.json"
JOURNAL = ["journalctl", "--no-pager", "-o", "cat", "-u", "commissaire-register.service"]


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """One machine that has cloud-init, and no seed yet."""
    with Lab.make(hosts=1, packages=["cloud-init"]) as made:
        yield made


@pytest.fixture
def controller(lab: Lab, tmp_path: Path) -> Iterator[Controller]:
    """A server that the machine reaches, with an empty cluster `web`, and a user `boot` who may only register hosts."""
    with Controller(lab, tmp_path, "--listen-interface", lab.gateway, base=f"http://{lab.gateway}:8000") as controller:
        assert controller.ask("PUT", "/api/v0/cluster/web", {}).status_code == 201
        users = controller.data_dir / "users.json"
        hashed = controller.commctl("passhash", "-p", PASSWORD, "-r", "4").stdout.strip()
        boot = {"boot": {"hash": hashed, "role": "registrar"}}
        users.write_text(json.dumps({**json.loads(users.read_text()), **boot}))
        yield controller


@pytest.fixture
def boot(lab: Lab, controller: Controller) -> Callable[..., LabHost]:
    """Boot the machine as a new instance, with user-data that `commctl user-data` made with these options."""

    def boot(*options: str, password: str = PASSWORD) -> LabHost:
        host = lab.hosts[0]
        words = ["user-data", "-e", controller.base, "-u", "boot", "-p", "-c", "web", *options]
        made = controller.commctl(*words, input=f"{password}\n")
        assert made.returncode == 0, made.stderr
        host.power_off()
        (host.root / SETTINGS).unlink(missing_ok=True)
        (host.root / "etc/cloud/cloud.cfg.d/lab.cfg").write_text("network: {config: disabled}\nlocale: 'false'\n")
        seed = host.root / SEED
        seed.mkdir(parents=True, exist_ok=True)
        (seed / "user-data").write_text(made.stdout)
        (seed / "meta-data").write_text(f"instance-id: i-{time.monotonic_ns()}\nlocal-hostname: {host.name}\n")
        host.power_on()
        return host

    return boot


def journal(host: LabHost) -> str:
    return str(host.run(JOURNAL, capture_output=True, text=True).stdout)


def wait_for_journal(controller: Controller, host: LabHost, words: str) -> None:
    controller.until(lambda: host.boot_id() is not None and words in journal(host), 60, f"{words!r} on {host.name}")


def record(controller: Controller, host: LabHost) -> dict[str, object]:
    answer = controller.ask("GET", f"/api/v1/hosts/{host.address}")
    return dict(answer.json()) if answer.status_code == 200 else {}


def wait_until_active(controller: Controller, host: LabHost) -> dict[str, object]:
    controller.until(
        lambda: record(controller, host).get("status") in ("active", "failed"), 90, "the host to be active"
    )
    shown = record(controller, host)
    assert shown["status"] == "active", (shown, journal(host))
    return shown


def test_a_machine_that_boots_is_active_in_its_cluster_and_registers_once(
    controller: Controller, boot: Callable[..., LabHost]
) -> None:
    host = boot()
    shown = wait_until_active(controller, host)
    assert (shown["cluster"], shown["remote_user"]) == ("web", "root")
    host_key = (host.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    assert shown["host_key"] == " ".join(host_key.split()[:2]), "pinned as the machine told it"
    assert str(shown["host_key"]) not in controller.lab.known_hosts.read_text(), "cloud-init has made it anew"
    host.wait_until_running()
    status = host.run(["cloud-init", "status", "--long"], capture_output=True, text=True, check=False).stdout
    assert "status: done" in status, status
    warnings = [line for line in (host.root / "var/log/cloud-init.log").read_text().splitlines() if "WARNING" in line]
    assert not [line for line in warnings if "handler" in line.lower() or "commissaire" in line.lower()], warnings

    assert not (host.root / SETTINGS).exists(), "it held the password"
    for path, mode in (("root/.ssh/id_commissaire", 0o600), ("root/.ssh", 0o700), ("var/lib/commissaire", 0o700)):
        assert (host.root / path).stat().st_mode & 0o777 == mode, path
    assert journal(host).count("registered as") == 1

    boots = host.boots()
    assert len({*boots}) == len(boots), "nothing of the boot was done twice"
    host.run(["systemctl", "reboot"])
    controller.until(lambda: len(host.boots()) > len(boots), 60, "the second boot")
    host.wait_for_ssh()
    host.wait_until_running()
    assert journal(host).count("registered as") == 1
    authorized = (host.root / "root/.ssh/authorized_keys").read_text()
    assert authorized.count("commissaire") == 1
    operation = controller.restart("web")
    shown = controller.ended(operation)
    rows = controller.hosts_of(operation).values()
    assert shown["state"] == "finished", [row["message"] for row in rows]


def test_a_server_that_is_away_at_the_first_boot_is_waited_for_over_reboots(
    controller: Controller, boot: Callable[..., LabHost]
) -> None:
    host = boot("--remote-user", "fleet")
    controller.stop()
    wait_for_journal(controller, host, "again in 2 s")
    assert (host.root / SETTINGS).stat().st_mode & 0o777 == 0o600
    boots = len(host.boots())
    host.run(["systemctl", "reboot"])
    controller.until(lambda: len(host.boots()) > boots, 60, "the second boot")
    controller.start()
    shown = wait_until_active(controller, host)
    assert (shown["cluster"], shown["remote_user"]) == ("web", "fleet")
    assert host.run(["stat", "-c", "%U %a", "/home/fleet/.ssh/id_commissaire"], capture_output=True).stdout == (
        b"fleet 600\n"
    )
    host.run(["visudo", "--check", "--quiet"])


def test_a_wrong_password_is_told_and_can_be_mended_on_the_machine(
    controller: Controller, boot: Callable[..., LabHost]
) -> None:
    host = boot("-s", "/etc/commissaire/own key", "-a", "/root/.ssh/authorized_keys", password="CANARY")
    wait_for_journal(controller, host, "systemctl restart commissaire-register.service")
    assert "refused: 403" in journal(host)
    assert record(controller, host) == {}
    settings = host.root / SETTINGS
    values = json.loads(settings.read_text())
    assert values["password"] == "CANARY"
    for told in ("CANARY", base64.b64encode(b"boot:CANARY").decode()):
        assert told not in journal(host)
    settings.write_text(json.dumps({**values, "password": PASSWORD}))
    host.run(["systemctl", "restart", "commissaire-register.service"])
    wait_until_active(controller, host)
    assert (host.root / "etc/commissaire/own key").stat().st_mode & 0o777 == 0o600
