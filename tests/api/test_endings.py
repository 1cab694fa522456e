"""What an operation comes to when its playbook ends, and at the same moment something else is wished of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.conftest import Fleet, checkpoint
from api.hypervisors import node, record
from commissaire.launcher.job import Job
from commissaire.launcher.launcher import Launcher
from commissaire.launcher.supervisors import Supervisors

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


class Played(Supervisors):
    """Stands for the supervisors: tells *entries* and what then happens, and lets the playbook end by *rc*."""

    def __init__(
        self, entries: list[dict[str, Any]], then: Callable[[], Any] = lambda: None, rc: int | None = 0
    ) -> None:
        super().__init__()
        self.entries = entries
        self.then = then
        self.rc = rc

    def run(
        self,
        job: Job,
        write: Callable[[list[dict[str, Any]]], None],
        begin: Callable[[], float | None] = lambda: None,
    ) -> dict[str, Any]:
        assert begin() is not None
        write(self.entries)
        self.then()
        return {"rc": self.rc, "message": ""}


@pytest.fixture
def web(fleet: Fleet) -> Fleet:
    """A fleet with a cluster of hosts with keys that ssh could use."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    fleet.cluster("web")
    for address in HOSTS:
        fleet.host(address, cluster="web", ssh_priv_key=base64.b64encode(pem).decode())
    fleet.end(1)
    return fleet


def launcher(fleet: Fleet, supervisors: Supervisors, folder: Path) -> Launcher:
    services = fleet.services
    return Launcher(services.database, services.secrets, services.notices, supervisors, folder, folder)


def carry_out(fleet: Fleet, supervisors: Supervisors, folder: Path, kind: str = "restart") -> None:
    """Carry out what is queued, as a worker does."""
    claim = fleet.services.dispatcher.claim((kind,), 0)
    assert claim is not None
    launcher(fleet, supervisors, folder).run(claim)


def post(fleet: Fleet, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = fleet.client.post(f"/api/v1/operations{path}", json=body)
    assert answer.status_code in (201, 202), answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def shown(fleet: Fleet, operation: int) -> dict[str, Any]:
    body: dict[str, Any] = fleet.client.get(f"/api/v1/operations/{operation}").json()
    return body


HELD_BACK = [
    checkpoint(HOSTS[0], "done", "finished"),
    *(checkpoint(host, "waiting", "pending", "paused by admin") for host in HOSTS[1:]),
]


def test_a_cancel_while_the_last_host_of_a_paused_operation_finishes_is_not_lost(web: Fleet, tmp_path: Path) -> None:
    operation = web.restart()

    def then() -> None:
        post(web, f"/{operation}/pause")
        post(web, f"/{operation}/cancel")

    carry_out(web, Played(HELD_BACK, then), tmp_path)
    body = shown(web, operation)
    assert (body["state"], body["hosts"]["finished"], body["hosts"]["not_started"]) == ("cancelled", 1, 2)
    assert body["message"] == "cancelled by admin: 1 restarted, 2 not started"


@pytest.mark.parametrize("body", [None, {"after_current_hosts": True}])
def test_a_cancel_in_the_moment_in_which_an_operation_is_put_aside_is_not_lost(
    web: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any] | None
) -> None:
    operation = web.restart()
    hold = Launcher._hold

    def cancelled_just_before(*arguments: Any) -> bool:
        post(web, f"/{operation}/cancel", body)
        return hold(*arguments)

    monkeypatch.setattr(Launcher, "_hold", cancelled_just_before)
    carry_out(web, Played(HELD_BACK, lambda: post(web, f"/{operation}/pause")), tmp_path)
    assert shown(web, operation)["state"] == "cancelled"


def test_a_resume_in_the_moment_in_which_an_operation_is_put_aside_queues_it(
    web: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = web.restart()
    hold = Launcher._hold

    def resumed_just_before(*arguments: Any) -> bool:
        post(web, f"/{operation}/resume")
        return hold(*arguments)

    monkeypatch.setattr(Launcher, "_hold", resumed_just_before)
    carry_out(web, Played(HELD_BACK, lambda: post(web, f"/{operation}/pause")), tmp_path)
    assert shown(web, operation)["state"] == "queued"


@pytest.mark.parametrize(
    ("last", "state", "message"),
    [
        (("done", "finished"), "finished", "3 restarted"),
        (("waiting", "not_started"), "cancelled", "cancelled by admin: 2 restarted, 1 not started"),
        (("verifying", "failed"), "failed", f"{HOSTS[2]}: verifying: no answer (2 restarted, 1 failed)"),
    ],
)
def test_an_operation_is_cancelled_after_its_current_hosts_only_if_some_are_left(
    web: Fleet, tmp_path: Path, last: tuple[str, str], state: str, message: str
) -> None:
    operation = web.restart()
    entries = [*(checkpoint(host, "done", "finished") for host in HOSTS[:2]), checkpoint(HOSTS[2], *last, "no answer")]
    carry_out(web, Played(entries, lambda: post(web, f"/{operation}/cancel", {"after_current_hosts": True})), tmp_path)
    assert (shown(web, operation)["state"], shown(web, operation)["message"]) == (state, message)


def test_a_dry_run_that_failed_leaves_the_hosts_records_alone(web: Fleet, tmp_path: Path) -> None:
    asked = {"kind": "restart", "cluster": "web", "dry_run": True}
    entries = [checkpoint(host, "checking", "failed", "would not fit") for host in HOSTS]
    operation = post(web, "", asked)["id"]
    carry_out(web, Played(entries), tmp_path)
    assert (shown(web, operation)["state"], shown(web, operation)["hosts"]["failed"]) == ("failed", 3)
    assert {host["status"] for host in web.client.get("/api/v0/hosts").json()} == {"active"}
    operation = post(web, "", {**asked, "dry_run": False})["id"]
    carry_out(web, Played(entries), tmp_path)
    assert {host["status"] for host in web.client.get("/api/v0/hosts").json()} == {"failed"}


def test_a_disk_without_room_keeps_nobody_from_being_told(
    web: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.cluster("db", "10.0.1.1")
    operations = {name: web.restart(name) for name in ("web", "db")}
    works = launcher(web, Supervisors(), tmp_path)
    for name in operations:
        web.claim()
        post(web, f"/{operations[name]}/pause", {"reason": name})
    control = tmp_path / "operations" / str(operations["db"]) / "control"
    control.parent.mkdir(parents=True)
    (tmp_path / "operations" / str(operations["web"])).write_text("where the folder of the first one should be")
    works.obey(set(operations.values()))
    assert control.read_text() == "pause paused by admin: db\n"
    first = control.stat()
    works.obey(set(operations.values()))
    assert (control.stat().st_ino, control.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns), "written once"


@pytest.mark.parametrize(("stops", "rc"), [(True, 1), (True, None), (False, None)])
@pytest.mark.parametrize(("below", "state"), [("command", "failed"), ("info", "queued")])
def test_a_command_in_a_machine_that_was_interrupted_is_not_repeated_and_a_look_is(
    fleet: Fleet, tmp_path: Path, stops: bool, rc: int | None, below: str, state: str
) -> None:
    pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
    record(fleet.client, "west", node(tmp_path, "web"))
    body = {"json": {"argv": ["reboot"]}} if below == "command" else {}
    asked = fleet.client.request(
        "POST" if body else "GET", f"/api/v1/guests/web/{below}", params={"wait_seconds": 0}, **body
    )
    played = Played([checkpoint("web", "running", "running")], rc=rc)
    played.then = played.stop_all if stops else lambda: None
    carry_out(fleet, played, tmp_path, f"guest_{below}")
    told = shown(fleet, asked.json()["id"])
    assert told["state"] == state
    assert ("may have run" in told["message"]) == (state == "failed"), told["message"]


def test_a_command_that_ended_when_the_server_did_keeps_its_answer(fleet: Fleet, tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
    record(fleet.client, "west", node(tmp_path, "web"))
    asked = fleet.client.post("/api/v1/guests/web/command?wait_seconds=0", json={"argv": ["false"]}).json()
    told = [
        checkpoint("web", "running", "failed", "the command ended with 3"),
        {"type": "answer", "data": {"rc": 3, "stdout": "said", "stderr": ""}},
    ]
    played = Played(told, rc=2)
    played.then = played.stop_all
    carry_out(fleet, played, tmp_path, "guest_command")
    answer = fleet.client.get(f"/api/v1/guests/web/answers/{asked['id']}")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["rc"], answer.json()["stdout"]) == (3, "said")
