"""REST v1's guests: rights, forms, and where what is secret goes. The machines' insides are played."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USERS, Fleet, settings_in
from api.guest_worker import Guests, answering
from api.hypervisors import mute, node, record
from commissaire.app import create_app
from commissaire.clock import now
from commissaire.fleet.guests import ANSWER_KEPT, forget_old_answers, has_old_answers
from commissaire.launcher.guest_plan import INSTALLATION_SECONDS
from commissaire.machines.guest import GuestPort, port_in
from commissaire.records import AuditEntry, Event, Operation, OperationHost, Secret
from commissaire.routes import guest_access

pytest.importorskip("libvirt", reason="no libvirt-python: install libvirt-dev, then run make setup")
HASH = next(iter(USERS.values()))["hash"]
SECRET = "{{ lookup('pipe', 'id') }} s3cret wörd"
WEB = "/api/v1/guests/web"
ROLE = Path(__file__).parents[2] / "roles/guest_agent"
MAC = "52:54:00:00:00:01"
ONE = {"ips": [{"ip": "10.0.0.7", "netmask": "255.255.255.0"}]}
DEFAULT = {"gateway": "10.0.0.1"}
IMPOSSIBLE = (
    {"ips": [{"ip": "10.0.0.7", "netmask": "255.0.255.0"}]},
    {"ips": [{"ip": "10.0.0.7", "netmask": "0.0.0.255"}]},
    {"ips": [{"ip": "224.0.0.7", "netmask": "255.0.0.0"}]},
    {"ips": [{"ip": "0.0.0.0", "netmask": "255.0.0.0"}]},  # noqa: S104
    {"dns": ["ff02::1"]},
    {**ONE, **DEFAULT, "routes": [{"route": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.2"}]},  # noqa: S104
    {"ip6s": [{"ip": f"fd00::{at}", "netmask": 64, "gateway": f"fd00::{at}{at}"} for at in (1, 2)]},
    {"routes": [{"route": "10.1.0.0", "netmask": "255.255.0.255", "gateway": "10.0.0.2"}]},
)


@pytest.fixture
def guests(fleet: Fleet, tmp_path: Path) -> Iterator[Guests]:
    """Two hypervisors: `west` has ann's web and nobody's db, `east` a db as well."""
    record(fleet.client, "west", node(tmp_path, "web:ann", "db"))
    record(fleet.client, "east", node(tmp_path, "db"))
    with answering(fleet, tmp_path) as guests:
        yield guests


def everything(fleet: Fleet) -> str:
    """Return all that stands in records in clear."""
    with fleet.services.database.read() as session:
        tables = (Operation, OperationHost, Event, AuditEntry)
        return "\n".join(str(row.model_dump()) for table in tables for row in session.exec(select(table)))


def audited(fleet: Fleet) -> list[tuple[str, str, int]]:
    with fleet.services.database.read() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.id).desc()))
        return [(each.what, each.detail, each.outcome) for each in entries]


def test_a_machine_tells_of_itself(fleet: Fleet, guests: Guests) -> None:
    answer = fleet.client.get(f"{WEB}/info")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["name"], told["hypervisor"], told["hostname"]) == ("web", "west", "web")
    assert told["agent"]["version"] == "7.2.22"
    assert answer.headers["Cache-Control"] == "no-store"
    (job,) = guests.jobs
    assert job.private is not None
    assert job.playbook == "commissaire.fleet.guest_info"
    assert job.private.variables["guest_name"] == "web"
    assert job.private.variables["guest_uri"].startswith("test:///")
    assert job.inventory["all"]["hosts"]["web"]["ansible_connection"] == "local"


def test_a_file_goes_in_and_comes_out_as_it_is(fleet: Fleet, guests: Guests) -> None:
    content = bytes(range(256)) * 4000
    where = {"path": "/srv/smørrebrød.bin"}
    made = fleet.client.put(f"{WEB}/files", params={**where, "mode": "0640", "owner": "ann"}, content=content)
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    assert (made.status_code, made.headers["ETag"], made.content) == (201, tag, b""), made.text
    assert fleet.client.put(f"{WEB}/files", params=where, content=content).status_code == 204
    found = fleet.client.get(f"{WEB}/files", params=where)
    assert (found.status_code, found.headers["ETag"], found.headers["Content-Type"]) == (
        200, tag, "application/octet-stream",
    )  # fmt: skip
    assert found.content == content
    assert fleet.client.get(f"{WEB}/files", params=where, headers={"If-None-Match": tag}).status_code == 304
    first = guests.jobs[0].private
    assert first is not None
    assert (first.variables["guest_mode"], first.variables["guest_owner"], first.content_as) == (
        "0640", "ann", "guest_src",
    )  # fmt: skip
    last = guests.jobs[-1].private
    assert last is not None
    assert (last.fetched_as, last.most_bytes) == ("guest_dest", 16 * 1024 * 1024)


def test_an_empty_file_is_one(fleet: Fleet, guests: Guests) -> None:
    assert fleet.client.put(f"{WEB}/files?path=/etc/empty", content=b"").status_code == 201
    assert fleet.client.get(f"{WEB}/files?path=/etc/empty").content == b""
    assert guests.files == {"/etc/empty": b""}


def test_a_command_answers_with_its_exit_code_and_what_it_printed(fleet: Fleet, guests: Guests) -> None:
    body = {"argv": ["echo", "a b", "{{ c }}"], "stdin": "\nin", "environment": {"LANG": "C"}, "timeout_seconds": 7}
    answer = fleet.client.post(f"{WEB}/command", json=body)
    assert (answer.status_code, answer.json()) == (
        200,
        {"rc": 0, "stdout": "a b {{ c }}\nin", "stderr": "", "truncated": False, "replaced": False},
    )
    private = guests.jobs[0].private
    assert private is not None
    assert (private.variables["guest_timeout"], private.variables["guest_environment"]) == (7, {"LANG": "C"})
    failed = fleet.client.post(f"{WEB}/command", json={"argv": ["false", "no"]})
    assert (failed.status_code, failed.json()["rc"], failed.json()["stdout"]) == (200, 3, "no")


def test_what_is_secret_is_in_no_record_and_in_the_store_no_longer_than_it_must(fleet: Fleet, guests: Guests) -> None:
    client = fleet.client
    assert client.put(f"{WEB}/password", json={"user": "ann", "password": SECRET}).status_code == 204
    assert guests.passwords == {"ann": SECRET}
    assert client.post(f"{WEB}/command", json={"argv": ["echo", SECRET], "stdin": SECRET}).status_code == 200
    assert client.put(f"{WEB}/files?path=/root/key", content=SECRET.encode()).status_code == 201
    assert client.get(f"{WEB}/files?path=/root/key").text == SECRET
    records = everything(fleet)
    assert "s3cret" not in records
    assert base64.b64encode(SECRET.encode()).decode() not in records
    assert all("s3cret" not in repr(job) for job in guests.jobs)
    with fleet.services.database.read() as session:
        kept = session.exec(select(Secret)).all()
        assert {secret.field for secret in kept} == {"answer"}
        assert all(b"s3cret" not in secret.sealed for secret in kept)
        assert not has_old_answers(session)
    with fleet.services.database.write() as session:
        for operation in session.exec(select(Operation)):
            operation.finished_at = now() - ANSWER_KEPT - timedelta(seconds=1)
            session.add(operation)
    with fleet.services.database.write() as session:
        assert has_old_answers(session)
        forget_old_answers(session, fleet.services.secrets)
    with fleet.services.database.read() as session:
        assert session.exec(select(Secret)).all() == []
    shown = client.get("/api/v1/operations?kind=guest_command").json()["items"][0]["parameters"]
    assert shown == {"hypervisor": "west", "name": "web", "program": "echo", "timeout": 60}


def test_everything_is_audited_readers_of_files_as_well(fleet: Fleet, guests: Guests) -> None:
    fleet.client.put(f"{WEB}/files?path=/etc/motd", content=b"hi")
    fleet.client.get(f"{WEB}/files?path=/etc/motd")
    fleet.client.post(f"{WEB}/command", json={"argv": ["/bin/ls", "-l"]})
    (ran, read, wrote, *_) = audited(fleet)
    assert ran[:2] == ("POST /api/v1/guests/web/command", "command /bin/ls of machine web on west, operation 3")
    assert read == ("GET /api/v1/guests/web/files", "file /etc/motd of machine web on west, operation 2", 200)
    assert wrote[1] == "file /etc/motd, 2 bytes, of machine web on west, operation 1"


def test_networks_and_agents_are_asked_for_in_the_modules_words(fleet: Fleet, guests: Guests) -> None:
    interface = {
        "mac": "52:54:00:00:00:01", "label": "public", "gateway": "10.0.0.1",
        "ips": [{"ip": "10.0.0.7", "netmask": "255.255.255.0"}], "ip6s": [{"ip": "fd00::7", "netmask": 64}],
        "dns": ["10.0.0.53"],
    }  # fmt: skip
    answer = fleet.client.post(f"{WEB}/network", json={"hostname": "web.example.com", "interfaces": [interface]})
    assert (answer.status_code, answer.json()) == (200, {"changed": True}), answer.text
    update = {"url": "http://10.0.0.1/singularity", "md5": "0" * 32, "version": "1.1.0"}
    answer = fleet.client.post(f"{WEB}/agent", json=update)
    assert answer.json() == {"changed": True, "version": "1.1.0"}
    assert (
        fleet.client.post(f"{WEB}/agent", json={"action": "install", "replace_qemu": True}).json()["version"] == "1.0.0"
    )
    network, updated, installed = (job.private.variables for job in guests.jobs if job.private)
    assert network["guest_hostname"] == "web.example.com"
    assert network["guest_interfaces"] == [{**interface, "routes": []}]
    assert {updated[f"guest_{name}"] for name in update} == set(update.values())
    assert installed["guest_agent_replace_qemu"] is True
    assert installed["guest_agent_through"] == "qemu"
    assert guests.jobs[2].playbook == "commissaire.fleet.guest_agent"
    assert "ansible_connection" not in guests.jobs[2].inventory["all"]["hosts"]["web"], "never on the server itself"


def test_a_long_answer_is_come_back_for(fleet: Fleet, guests: Guests) -> None:
    guests.held.clear()
    later = fleet.client.post(f"{WEB}/command?wait_seconds=0.1", json={"argv": ["echo", "late"]})
    assert (later.status_code, later.json()["kind"]) == (202, "guest_command")
    place = later.headers["Location"]
    assert place == f"{WEB}/answers/{later.json()['id']}"
    assert fleet.client.get(place).status_code == 202
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fleet.client.get, f"{place}?wait_seconds=30")
        guests.held.set()
        assert waiting.result().json()["stdout"] == "late"
    assert fleet.client.get(place).json()["stdout"] == "late", "it may be read again"
    assert fleet.client.get(place.replace("web", "db")).status_code == 404
    assert fleet.client.get(f"{WEB}/answers/999").status_code == 404
    with fleet.services.database.write() as session:
        operation = session.get_one(Operation, later.json()["id"])
        operation.finished_at = now() - ANSWER_KEPT - timedelta(seconds=1)
        session.add(operation)
    assert "is not kept any more" in fleet.client.get(place).json()["detail"]


def test_a_cancelled_operation_leaves_nothing_of_what_it_was_given(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web"))
    later = fleet.client.put(f"{WEB}/password?wait_seconds=0", json={"password": SECRET})
    assert later.status_code == 202
    again = fleet.client.put(f"{WEB}/password?wait_seconds=0", json={"password": SECRET})
    assert (again.status_code, "(guest_password) works in machine web" in again.text) == (409, True), again.text
    assert fleet.client.post(f"/api/v1/operations/{later.json()['id']}/cancel").status_code == 202
    with fleet.services.database.read() as session:
        assert session.exec(select(Secret)).all() == []
    assert fleet.client.get(later.headers["Location"]).status_code == 409
    retried = fleet.client.post(f"/api/v1/operations/{later.json()['id']}/retry")
    assert (retried.status_code, "ask for another one" in retried.text) == (409, True)


def test_a_command_that_may_have_run_is_not_run_again(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web"))
    later = fleet.client.post(f"{WEB}/command?wait_seconds=0", json={"argv": ["reboot"]})
    number = later.json()["id"]
    with fleet.services.database.write() as session:
        session.get_one(Operation, number).attempt = 2
    plan = fleet.plan(number, tmp_path)
    assert plan.job is None
    assert "may have run" in plan.unusable["web"]


def test_a_task_in_a_machine_does_not_last_for_ever(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web"))
    asked = [
        fleet.client.post(f"{WEB}/command?wait_seconds=0", json={"argv": ["sleep"], "timeout_seconds": 3600}),
        fleet.client.get(f"{WEB}/info?wait_seconds=0"),
        fleet.client.post(f"{WEB}/agent?wait_seconds=0", json={"action": "install"}),
    ]
    jobs = [fleet.plan(answer.json()["id"], tmp_path).job for answer in asked]
    assert [job.private.most_seconds for job in jobs if job and job.private] == [4500, 900, 2700]
    tasks = "".join(path.read_text() for path in ROLE.glob("tasks/*.yml"))
    assert max(map(int, re.findall(r"timeout: (\d+)$", tasks, re.MULTILINE))) == INSTALLATION_SECONDS


def test_its_hypervisor_is_reached_with_the_credentials_that_are_recorded(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web"))
    number = fleet.client.get(f"{WEB}/info?wait_seconds=0").json()["id"]
    login = {"username": "ann", "password": SECRET}
    record(fleet.client, "west", "qemu+tcp://west/system", credentials=login)
    job = fleet.plan(number, tmp_path).job
    assert job is not None
    assert job.private is not None
    told = job.private.variables
    assert (told["guest_uri"], told["guest_uri_username"]) == ("qemu+tcp://west/system", "ann")
    assert told["guest_uri_password"] == SECRET
    assert SECRET not in f"{job.inventory}{job.extra_vars}{job.files}"
    assert len(told["guest_uuid"]) == 36, "another machine may have its name by now"


def test_one_machine_does_not_take_all_workers(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web", "db"))
    asked = [fleet.client.get(f"{WEB}/info?wait_seconds=0") for _ in range(5)]
    assert [answer.status_code for answer in asked] == [202] * 4 + [409]
    assert "wait for one" in asked[4].text
    assert fleet.client.get("/api/v1/guests/db/info?wait_seconds=0").status_code == 202


def test_a_file_that_is_too_large_is_not_fetched(fleet: Fleet, guests: Guests) -> None:
    guests.failure = "its file /x can't be put to /run/y: [Errno 27] File too large"
    answer = fleet.client.get(f"{WEB}/files?path=/x")
    assert (answer.status_code, "file /x is larger than guest_file_limit_mb" in answer.text) == (409, True)
    assert "/run/y" not in answer.text


@pytest.mark.parametrize(
    ("words", "method", "below", "code"),
    [
        ("machine web: file /x: No such file or directory", "GET", "files?path=/x", 404),
        ("machine web: file /x/y: No such file or directory", "PUT", "files?path=/x/y", 409),
        ("4000 bytes are too many for a file: of 3900 bytes it would fit", "PUT", "files?path=/x", 413),
        ("its guest agent does not answer: Guest agent is not responding", "GET", "info", 504),
        ("its guest agent does not know guest-exec; allow it", "GET", "info", 502),
        ("there is no such machine; vm_info tells which there are", "GET", "info", 404),
    ],
)
def test_a_failure_says_whose_fault_it_is(
    fleet: Fleet, guests: Guests, words: str, method: str, below: str, code: int
) -> None:
    guests.failure = f"asking: {words}"
    answer = fleet.client.request(method, f"{WEB}/{below}")
    assert (answer.status_code, answer.json()["detail"]) == (code, f"{words} (operation 1)")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("port", "code", "words"),
    [
        (GuestPort("", "shut off", "none"), 409, "machine web is shut off; start it first"),
        (GuestPort("", "paused", "connected"), 409, "resume it first"),
        (GuestPort("", "running", "none"), 502, "has no channel for a guest agent"),
        (GuestPort("", "running", "disconnected"), 502, "no guest agent is connected"),
    ],
)
def test_a_machine_that_can_not_answer_is_not_asked(
    fleet: Fleet, guests: Guests, monkeypatch: pytest.MonkeyPatch, port: GuestPort, code: int, words: str
) -> None:
    monkeypatch.setattr(guest_access, "read_port", lambda _: port)
    for answer in (fleet.client.get(f"{WEB}/info"), fleet.client.post(f"{WEB}/command", json={"argv": ["ls"]})):
        assert (answer.status_code, words in answer.json()["detail"]) == (code, True), answer.text
    assert guests.jobs == []


def test_the_port_of_an_agent_is_found_in_a_domain() -> None:
    channel = "<channel type='unix'><target type='virtio' name='{}' state='{}'/></channel>"
    xml = "<domain><devices>{}</devices></domain>".format
    assert port_in(xml("")) == "none"
    assert port_in(xml(channel.format("com.redhat.spice.0", "connected"))) == "none"
    assert port_in(xml(channel.format("org.qemu.guest_agent.0", "disconnected"))) == "disconnected"
    assert port_in(xml(channel.format("org.qemu.guest_agent.0", "").replace(" state=''", ""))) == "unknown"


def test_machines_of_one_name_are_told_apart_by_their_hypervisors(fleet: Fleet, guests: Guests) -> None:
    several = fleet.client.get("/api/v1/guests/db/info")
    assert (several.status_code, several.json()["detail"]) == (
        409, "machine db is on hypervisors east and west; say which with ?hypervisor=NAME",
    )  # fmt: skip
    assert fleet.client.get("/api/v1/guests/db/info?hypervisor=east").json()["hypervisor"] == "east"
    assert fleet.client.get("/api/v1/guests/db/info?hypervisor=north").status_code == 404
    assert fleet.client.get("/api/v1/guests/nobody/info").status_code == 404
    with mute() as uri:
        record(fleet.client, "hung", uri)
        silent = fleet.client.get("/api/v1/guests/nobody/info")
        assert (silent.status_code, "no hypervisor that answers has machine nobody" in silent.text) == (502, True)
        fleet.client.delete("/api/v1/hypervisors/hung")
    assert len(guests.jobs) == 1


@pytest.mark.parametrize(
    "path",
    ["", "etc/motd", "/", "/etc/", "/etc//motd", "/etc/../shadow", "/./x", "/a\nb", "/a\0b", "/" + "x" * 4095, "%ff"],
)
def test_a_path_that_is_none_of_a_file_is_refused(fleet: Fleet, guests: Guests, path: str) -> None:
    query = {"path": path} if path != "%ff" else None
    where = f"{WEB}/files" if query else f"{WEB}/files?path=/etc/%ff"
    assert fleet.client.get(where, params=query).status_code == 400
    assert fleet.client.put(where, params=query, content=b"x").status_code == 400
    assert guests.jobs == []


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("PUT", "password", {"password": ""}),
        ("PUT", "password", {"password": "a\nb"}),
        ("PUT", "password", {"password": "x", "user": "a:b"}),
        ("PUT", "password", {"password": "x", "user": "-x"}),
        ("PUT", "password", {"user": "root"}),
        ("POST", "command", {"argv": []}),
        ("POST", "command", {"argv": [" "]}),
        ("POST", "command", {"argv": ["a\0b"]}),
        ("POST", "command", {"argv": "ls -l"}),
        ("POST", "command", {"argv": ["ls"], "timeout_seconds": 3601}),
        ("POST", "command", {"argv": ["ls"], "environment": {"A=B": "c"}}),
        ("POST", "command", {"argv": ["ls"], "environment": {"__ansible_unsafe": "c"}}),
        ("POST", "network", {}),
        ("POST", "network", {"interfaces": [{"mac": "52:54"}]}),
        ("POST", "network", {"interfaces": [{"mac": "52:54:00:00:00:01"}, {"mac": "52:54:00:00:00:01"}]}),
        ("POST", "network", {"interfaces": [{"mac": "52:54:00:00:00:01", "gateway": "fd00::1"}]}),
        *[("POST", "network", {"hostname": name}) for name in ("-x", "a..b", "a_b", ".a", "a.", "a" * 64, "a.b" * 22)],
        *[("POST", "network", {"interfaces": [{"mac": MAC, **given}]}) for given in IMPOSSIBLE],
        ("POST", "network", {"interfaces": [{"mac": f"{MAC[:-1]}{at}", **ONE, **DEFAULT} for at in (1, 2)]}),
        ("PUT", "password", {"password": "$6$x:y", "crypted": True}),
        ("POST", "agent", {"url": "file:///etc/passwd", "md5": "0" * 32}),
        ("POST", "agent", {"url": "http://10.0.0.1/x"}),
        ("POST", "agent", {"md5": "0" * 32}),
        ("POST", "agent", {"url": "http://10.0.0.1/x", "md5": "0" * 32, "functions": ["exec"]}),
        ("POST", "agent", {"action": "install", "url": "http://10.0.0.1/x", "sha256": "0" * 64}),
        ("POST", "agent", {"replace_qemu": True}),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    fleet: Fleet, guests: Guests, method: str, below: str, body: dict[str, Any]
) -> None:
    answer = fleet.client.request(method, f"{WEB}/{below}", json=body)
    assert answer.status_code == 400, answer.text
    assert guests.jobs == []


def test_a_file_is_sent_as_it_is_and_up_to_the_limit(fleet: Fleet, guests: Guests) -> None:
    form = fleet.client.put(f"{WEB}/files?path=/x", files={"file": b"x"})
    assert (form.status_code, "as it is" in form.text) == (400, True)
    large = b"x" * (5 * 1024 * 1024)
    assert fleet.client.put(f"{WEB}/files?path=/x", content=large).status_code == 201, "larger than other bodies may be"
    refused = fleet.client.put(f"{WEB}/files?path=/x", content=large * 4)
    assert (refused.status_code, refused.json()["detail"]) == (413, "the body is larger than 16777216 bytes")
    assert fleet.client.post(f"{WEB}/command", content=large).status_code == 413
    assert len(guests.jobs) == 1


def test_guests_of_a_xen_host_are_named_by_their_domain(fleet: Fleet, guests: Guests) -> None:
    told = fleet.client.get("/api/v1/guests/dom/info?transport=xenstore&domid=7")
    assert (told.status_code, told.json()["hypervisor"]) == (200, None), told.text
    private = guests.jobs[0].private
    assert private is not None
    assert private.variables == {"guest_name": "dom", "guest_transport": "xenstore", "guest_domid": 7}
    for query in ("domid=7", "transport=xenstore&hypervisor=west", "transport=socket"):
        assert fleet.client.get(f"{WEB}/info?{query}").status_code == 400, query
    for method, below, body in (
        ("POST", "agent?", {}),
        ("POST", "agent?", {"action": "install"}),
        ("POST", "command?", {"argv": ["ls"]}),
        ("PUT", "password?", {"password": "x", "user": "ann"}),
        ("PUT", "password?", {"password": "$6$x", "crypted": True}),
        ("PUT", "files?path=/x&mode=0600&", None),
        ("PUT", "files?path=/x&owner=ann&", None),
        ("GET", "files?path=/x&", None),
    ):
        refused = fleet.client.request(method, f"/api/v1/guests/dom/{below}transport=xenstore", json=body)
        assert (refused.status_code, "by xenstore" in refused.text or below == "agent?") == (400, True), refused.text


def test_a_hypervisor_is_not_forgotten_while_somebody_works_in_its_machines(fleet: Fleet, tmp_path: Path) -> None:
    record(fleet.client, "west", node(tmp_path, "web"))
    fleet.client.get("/api/v1/guests/dom/info?transport=xenstore&wait_seconds=0")
    fleet.client.get(f"{WEB}/info?wait_seconds=0")
    answer = fleet.client.delete("/api/v1/hypervisors/west")
    assert (answer.status_code, "(guest_info) works on hypervisor west" in answer.text) == (409, True)


@pytest.fixture(scope="module", params=["owner-modifies", "owner-sees", "read-only", "insecure"])
def signed_in(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> Iterator[tuple[str, dict[str, TestClient]]]:
    """A client a user: ann and bob are operators, viewer is a viewer who owns a machine as well."""
    folder = tmp_path_factory.mktemp("owners")
    roles = {"admin": "administrator", "ann": "operator", "bob": "operator", "viewer": "viewer"}
    plugin = {"name": "httpbasicauth", "users": {name: {"hash": HASH, "role": role} for name, role in roles.items()}}
    app = create_app(settings_in(folder, empty_database, authentication_plugins=[plugin], virt_mode=request.param))
    with TestClient(app) as client:
        clients = {name: TestClient(app, raise_server_exceptions=False) for name in roles}
        for name, each in clients.items():
            each.auth = (name, PASSWORD)
        record(clients["admin"], "west", node(folder, "web:ann", "seen:viewer", "db"))
        with answering(Fleet(client, client.app.state.services), folder):  # type: ignore[attr-defined]
            yield request.param, clients


CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "files?path=/etc/motd", {}),
    ("PUT", "files?path=/etc/motd", {"content": b"hi"}),
    ("PUT", "password", {"json": {"password": "x"}}),
    ("POST", "network", {"json": {"hostname": "x"}}),
    ("POST", "command", {"json": {"argv": ["ls"]}}),
    ("POST", "agent", {"json": {}}),
)


def codes(client: TestClient, machine: str) -> set[int]:
    return {client.request(how, f"/api/v1/guests/{machine}/{what}", **body).status_code for how, what, body in CHANGES}


def test_owners_and_administrators_reach_in_and_nobody_else(signed_in: tuple[str, dict[str, TestClient]]) -> None:
    mode, by = signed_in
    owners_change = mode in ("owner-modifies", "insecure")
    by["admin"].put("/api/v1/guests/web/files?path=/etc/motd", content=b"hi")
    assert max(codes(by["admin"], "web")) < 300
    assert max(codes(by["admin"], "db")) < 300
    assert by["ann"].get(f"{WEB}/info").status_code == 200
    assert (max(codes(by["ann"], "web")) < 300) is owners_change
    assert owners_change or codes(by["ann"], "web") == {403}
    for who, machine in (("bob", "web"), ("ann", "db"), ("viewer", "web")):
        assert by[who].get(f"/api/v1/guests/{machine}/info").status_code == 403
        assert codes(by[who], machine) == {403}
    assert by["viewer"].get("/api/v1/guests/seen/info").status_code == 200
    assert codes(by["viewer"], "seen") == {403}, "who only reads changes nothing, and reads no files"


def test_an_answer_is_for_who_asked(signed_in: tuple[str, dict[str, TestClient]]) -> None:
    mode, by = signed_in
    place = by["ann"].get(f"{WEB}/info?wait_seconds=0")
    where = place.headers.get("Location") or f"{WEB}/answers/{newest(by['admin'])}"
    assert by["ann"].get(f"{where}?wait_seconds=30").status_code == 200, mode
    assert by["admin"].get(where).status_code == 200
    assert by["bob"].get(where).status_code == 403


def newest(client: TestClient) -> int:
    return int(json.loads(client.get("/api/v1/operations?limit=1").text)["items"][0]["id"])


def test_other_transports_are_for_administrators(signed_in: tuple[str, dict[str, TestClient]]) -> None:
    _, by = signed_in
    assert by["admin"].get("/api/v1/guests/dom/info?transport=xenstore").status_code == 200
    refused = by["ann"].get("/api/v1/guests/web/info?transport=xenstore")
    assert (refused.status_code, "transport=xenstore needs administrator" in refused.text) == (403, True)
