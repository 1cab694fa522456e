"""/virt: machines of owners on libvirt's test driver, in each mode, by whoever comes, with whatever they send."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from lxml import etree
from starlette.testclient import TestClient

from api.conftest import PASSWORD, USERS, Fleet, settings_in
from api.node import node
from api.test_documents import REST
from commissaire.app import create_app
from commissaire.auth.virt_mode import VirtMode
from commissaire.configuration import SettingsError
from commissaire.fleet.errors import Invalid
from commissaire.machines import device
from commissaire.machines.command import COMMANDS
from commissaire.machines.device import read_device
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.link import Link
from commissaire.routes.virt_answer import document, prefers_json
from commissaire.settings import load_settings

HASH = next(iter(USERS.values()))["hash"]
ROLES = {"ann": "operator", "bob": "operator", "vera": "viewer", "root": "administrator"}
ROWS = re.findall(r"^\| `(virDomain\w+)` \| (GET|POST) \| ([\d |]+) \|$", REST, re.MULTILINE)
CALLERS = [
    ("insecure", ""), ("read-only", ""), ("owner-sees", "ann"), ("owner-sees", "bob"), ("owner-modifies", "ann"),
    ("owner-modifies", "bob"),
]  # fmt: skip
TABLE = [
    (command, verb, mode, who, int(code))
    for command, verb, codes in ROWS
    for (mode, who), code in zip(CALLERS, codes.split(" | "), strict=True)
]
PORT = "<interface type='network'><source network='default'/></interface>"
DISK = "<disk type='volume'><source pool='default' volume='db-data'/><target dev='sdb'/></disk>"
HOSTILE = """a<b>&"'\u2028]]>"""
UNSUPPORTED = ("virDomainAttachDevice", "virDomainDetachDevice")
"""By libvirt's test driver; tests/integration has them on QEMU."""


@dataclass
class Server:
    """An application in one mode, and its hypervisors' folder."""

    client: TestClient
    fleet: Fleet
    folder: Path

    def ask(self, who: str, method: str, path: str, **options: Any) -> Any:
        """Send a request as *who*, "" for nobody."""
        return self.client.request(method, path, auth=(who, PASSWORD) if who else None, **options)

    def hypervisor(self, name: str, owners: dict[str, str]) -> None:
        self.fleet.hypervisor(name, node(self.folder / f"{name}.xml", owners))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[dict[str, Server]]:
    """A server a mode, each with a machine of ann's for every command."""
    found = {}
    users = {name: {"hash": HASH, "role": role} for name, role in ROLES.items()}
    clients = []
    for mode in VirtMode:
        folder = tmp_path_factory.mktemp(mode)
        plugin = {"name": "httpbasicauth", "users": users}
        settings = settings_in(
            folder, empty_database, authentication_plugins=[plugin], local_hypervisor="", virt_mode=mode,
            virt_stylesheet="/virt.xsl",
        )  # fmt: skip
        app = create_app(settings)
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        found[str(mode)] = Server(client, Fleet(client, app.state.services), folder)
        machines = dict.fromkeys(COMMANDS, "ann") | {"db": "ann", "of-bob": "bob", "nobodys": "", HOSTILE: HOSTILE}
        found[str(mode)].hypervisor("lab", machines)
    yield found
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def server(servers: dict[str, Server]) -> Server:
    """The one in the default mode."""
    return servers["owner-modifies"]


def parameters_of(command: str) -> dict[str, str]:
    return {"virDomainInterfaceStats": {"path": "tap0"}}.get(command, {"xml": PORT} if command in UNSUPPORTED else {})


def parsed(reply: Any) -> Any:
    return etree.fromstring(reply.content)


def values(reply: Any) -> dict[str, str]:
    return {child.tag: child.text or "" for child in parsed(reply)}


def test_the_table_has_every_command() -> None:
    assert [command for command, _, _ in ROWS] == list(COMMANDS)
    assert len(TABLE) == 96


@pytest.mark.parametrize(("command", "verb", "mode", "who", "code"), TABLE)
def test_each_command_answers_each_caller_in_each_mode_as_documented(
    servers: dict[str, Server], command: str, verb: str, mode: str, who: str, code: int
) -> None:
    given = parameters_of(command)
    sent = {"data": given} if verb == "POST" else {"params": given}
    reply = servers[mode].ask(who, verb, f"/virt/ann/{command}/{command}", **sent)
    assert reply.status_code == (501 if command in UNSUPPORTED and code == 200 else code), reply.text
    other = "GET" if verb == "POST" else "POST"
    refused = servers[mode].ask(who, other, f"/virt/ann/{command}/{command}")
    assert (refused.status_code, refused.headers["Allow"]) == (405, verb)


@pytest.mark.parametrize("mode", ["owner-sees", "owner-modifies"])
@pytest.mark.parametrize("path", ["/virt", "/virt/ann", "/virt/ann/db", "/virt/ann/db/virDomainGetID", "/virt/-/x"])
def test_in_the_modes_of_owners_nobody_gets_in_without_signing_in(
    servers: dict[str, Server], mode: str, path: str
) -> None:
    assert servers[mode].ask("", "GET", path).status_code == 401


@pytest.mark.parametrize("mode", ["insecure", "read-only"])
def test_in_the_open_modes_everybody_sees_everything_and_only_there(servers: dict[str, Server], mode: str) -> None:
    names = {one["name"] for one in listed(servers[mode], "", "/virt")["domain"]}
    assert {"db", "of-bob", "nobodys", HOSTILE} <= names
    assert servers[mode].ask("", "GET", "/virt/-/nobodys/domainGetName").status_code == 200
    for path in ("/virtual", "/virt.xml", "/api/v1/operations", "/api/v1/audit"):
        assert servers[mode].ask("", "GET", path).status_code == 401
    described = servers[mode].client.get("/openapi.json").json()["paths"]["/virt"]["get"]
    assert described["security"] == []
    assert "x-role" not in described


def listed(server: Server, who: str, path: str) -> dict[str, Any]:
    reply = server.ask(who, "GET", path, headers={"Accept": "application/json"})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_a_list_has_what_the_caller_may_see(server: Server) -> None:
    assert {one["owner"] for one in listed(server, "ann", "/virt")["domain"]} == {"ann"}
    assert [one["name"] for one in listed(server, "bob", "/virt/bob")["domain"]] == ["of-bob"]
    assert {one["owner"] for one in listed(server, "root", "/virt")["domain"]} == {"", "ann", "bob", HOSTILE}
    assert [one["name"] for one in listed(server, "root", "/virt/-")["domain"]] == ["nobodys"]
    assert listed(server, "vera", "/virt")["domain"] == []
    for path in ("/virt/ann", "/virt/nobody", "/virt/-"):
        assert server.ask("bob", "GET", path).status_code == 404


def test_an_administrator_may_all_and_a_viewer_reads(servers: dict[str, Server], server: Server) -> None:
    server.hypervisor("more", {"of-vera": "vera"})
    assert server.ask("root", "POST", "/virt/ann/db/domainReboot").status_code == 200
    assert server.ask("root", "GET", "/virt/-/nobodys").status_code == 200
    assert server.ask("vera", "GET", "/virt/vera/of-vera").status_code == 200
    assert server.ask("vera", "POST", "/virt/vera/of-vera/domainReboot").status_code == 403
    refused = servers["owner-sees"].ask("root", "POST", "/virt/ann/db/domainReboot")
    assert refused.status_code == 403
    assert "root may not in virt_mode owner-sees" in refused.json()["detail"]


def test_a_machine_is_found_below_its_owner_only(server: Server) -> None:
    for path in (
        "/virt/bob/db",
        "/virt/ann/of-bob",
        "/virt/ann/nothing",
        "/virt/-/db",
        "/virt/ann/DB",
        "/virt/ann/db%00",
    ):
        assert server.ask("root", "GET", path).status_code == 404
        assert server.ask("ann", "GET", path).status_code == 404


def test_the_driver_is_told_as_in_libvirts_structures(server: Server) -> None:
    server.fleet.hypervisor("default", "test:///default")
    uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"
    expected: dict[str, dict[str, Any]] = {
        "virDomainGetID": {"id": 1}, "virDomainGetName": {"name": "test"}, "virDomainGetMaxMemory": {"memory": 8388608},
        "domainGetMaxVcpus": {"vcpu": 2}, "domainGetOSType": {"type": "linux"}, "domainGetUUIDString": {"uuid": uuid},
        "domainGetUUID": {"uuid": uuid.replace("-", "")}, "domainGetSchedulerType": {"type": "fair", "nparams": 1},
        "domainGetSchedulerParameters": {"param": [{"field": "weight", "value": 50}]},
    }  # fmt: skip
    for command, content in expected.items():
        path = f"/virt/-/test/{command}"
        assert server.ask("root", "GET", path, headers={"Accept": "application/json"}).json() == content
        xml = server.ask("root", "GET", path)
        assert xml.headers["Content-Type"] == "application/xml"
        assert parsed(xml).tag == f"virD{command.removeprefix('vir')[1:]}"
    assert values(server.ask("root", "GET", "/virt/-/test/domainGetSchedulerType"))["type"] == "fair"
    cpus = server.ask("root", "GET", "/virt/-/test/domainGetVcpus", headers={"Accept": "application/json"}).json()
    assert [cpu["number"] for cpu in cpus["vcpu"]] == [0, 1]
    assert cpus["vcpu"][0]["cpumap"] == "yyyyyyyy"
    stats = server.ask("root", "GET", "/virt/-/test/domainInterfaceStats?device=testnet0")
    assert list(values(stats))[:2] == ["rx_bytes", "rx_packets"]
    shown = server.ask("root", "GET", "/virt/-/test")
    assert parsed(shown).findtext("uuid") == uuid
    assert '<?xml-stylesheet type="text/xsl" href="/virt.xsl"?>\n<domain ' in shown.text


@pytest.mark.parametrize(
    ("method", "path", "sent", "words"),
    [
        ("GET", "virDomainGetID?x=1", {}, "virDomainGetID has no parameter 'x'; it takes none"),
        ("GET", "virDomainInterfaceStats", {}, "needs path (or device)"),
        ("GET", "virDomainInterfaceStats?path=a&device=b", {}, "are the same parameter; give one"),
        ("GET", "virDomainInterfaceStats?path=nothing", {}, "'nothing' is not a known interface"),
        ("GET", "virDomainGetXMLDesc?flags=x", {}, "does not have the form"),
        ("GET", "virDomainGetXMLDesc?flags=2&flags=2", {}, "a parameter is given twice"),
        ("POST", "virDomainReboot", {"data": {"flags": "-1"}}, "flags is a number from 0 to 2147483647"),
        ("POST", "virDomainReboot", {"data": {"flags": "9" * 5000}}, "flags is a number"),
        ("POST", "virDomainReboot?flags=0", {"data": {"flags": "0"}}, "a parameter is given twice"),
        ("POST", "virDomainReboot", {"json": {"flags": 0}}, "send the parameters as application/x-www-form-urlencoded"),
        ("POST", "virDomainReboot", {"data": {f"f{n}": "1" for n in range(17)}}, "the form has more than 16 fields"),
        ("GET", "virDomainInterfaceStats?path=a%00", {}, "does not have the form"),
        ("POST", "virDomainReboot", {"content": b"\xff"}, "the body is no UTF-8"),
        ("POST", "virDomainReboot", {"content": PORT}, "virDomainReboot has no parameter 'xml'"),
        ("POST", "virDomainAttachDevice", {}, "needs the device's XML"),
        ("POST", "virDomainAttachDevice", {"content": "<disk"}, "the device is no XML"),
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused_by_name(
    server: Server, method: str, path: str, sent: dict[str, Any], words: str
) -> None:
    reply = server.ask("ann", method, f"/virt/ann/db/{path}", **sent)
    assert (reply.status_code, words in reply.json()["detail"]) == (400, True), reply.text


def test_what_is_no_command_is_not_there_and_the_commands_are_named(server: Server) -> None:
    for name in ("virDomainDestroy", "GetID", "DomainGetID", "virdomaingetid", "dDomainGetID"):
        reply = server.ask("ann", "GET", f"/virt/ann/db/{name}")
        assert reply.status_code == 404
        assert "there are virDomainAttachDevice, " in reply.json()["detail"]


def test_a_device_comes_as_the_body_or_in_a_form(server: Server) -> None:
    path = "/virt/ann/db/virDomainAttachDevice"
    for sent in (
        {"content": PORT, "headers": {"Content-Type": "application/xml"}},
        {"content": PORT, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": f"<?xml version='1.0' encoding='utf-7'?>{PORT}", "headers": {"Content-Type": "text/xml"}},
        {"data": {"xml": PORT, "flags": "2"}},
    ):
        reply = server.ask("ann", "POST", path, **sent)
        assert (reply.status_code, "virDomainAttachDevice" in reply.json()["detail"]) == (501, True), reply.text


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><disk>&a;</disk>", "has a document type"),
        ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><disk/>", "has a document type"),
        ("<disk>&a;</disk>", "the device is no XML: undefined entity"),
        ("<hostdev mode='subsystem'/>", "a device 'hostdev' is not allowed; there are interface and disk"),
        ("<filesystem/>", "a device 'filesystem'"),
        ("<interface type='bridge'><source bridge='br0'/></interface>", "interface: type can't be 'bridge'"),
        ("<interface type='network'/>", "interface has no source, and needs one"),
        ("<interface type='network'><source network='a'/><script path='/x'/></interface>", "'script' in interface"),
        ("<interface type='network'><source network='a' portgroup='b'/></interface>", "source with 'portgroup'"),
        ("<interface type='network'><source network='a'/><source network='b'/></interface>", "has source twice"),
        ("<interface type='network'><source network='a'>b</source></interface>", "source has a text"),
        ("<interface type='network'><source network='a'/>b</interface>", "a text between its elements"),
        ("<interface type='network'><source network='a'/><mac address='1'/></interface>", "address can't be '1'"),
        ("<disk type='file'><source file='/etc/shadow'/><target dev='sdb'/></disk>", "disk: type can't be 'file'"),
        ("<disk type='volume'><source pool='a' volume='b' file='/x'/><target dev='sdb'/></disk>", "with 'file'"),
        ("<disk type='volume'><source pool='a' volume='../b'/><target dev='sdb'/></disk>", "can't be '../b'"),
        ("<disk type='volume'><source pool='a' volume='b'/><target dev='sdb'/><backingStore/></disk>", "backingStore"),
        ("<q:disk xmlns:q='http://x'/>", "a device 'q:disk' is not allowed"),
        (f"<disk type='volume' x='{'y' * device.MAX_BYTES}'/>", "larger than 16384 bytes"),
        (f"<disk type='volume'>{'<a>' * 4000}", "the device is no XML"),
        (f"<disk type='volume'>{'<a>' * 2000}{'</a>' * 2000}</disk>", "'a' in disk is not allowed"),
    ],
)  # fmt: skip
def test_a_device_that_is_not_on_the_list_is_refused_by_what_is_wrong(xml: str, words: str) -> None:
    with pytest.raises(Invalid, match=re.escape(words)):
        read_device(xml)


def test_a_device_is_made_anew_of_what_was_looked_at() -> None:
    read = read_device(f"<?xml version='1.0'?><!-- c --><?php x?>{DISK.replace('/></disk>', '/><readonly/></disk>')}")
    assert read.xml == (
        '<disk type="volume"><source pool="default" volume="db-data" /><target dev="sdb" /><readonly /></disk>'
    )
    assert (str(read), str(read_device(PORT))) == ("volume db-data of pool default", "a port on network default")


@pytest.mark.parametrize(
    ("who", "xml", "code", "words"),
    [
        ("ann", DISK, 501, ""),
        ("ann", DISK.replace("db-data", "of-bob-sda"), 400, "volume of-bob-sda is none of machine db's"),
        ("ann", DISK.replace("db-data", "db-2-sda"), 400, "volume db-2-sda is none of machine db's"),
        ("ann", DISK.replace("db-data", "db"), 400, "called db-WORD"),
        ("ann", PORT, 501, ""),
        ("ann", PORT.replace("default", "blue"), 400, "no machine of ann is on network blue; choose one of default"),
        ("root", PORT.replace("default", "blue"), 501, ""),
        ("root", DISK.replace("db-data", "of-bob-sda"), 501, ""),
    ],
)  # fmt: skip
def test_owners_plug_in_what_is_theirs(server: Server, who: str, xml: str, code: int, words: str) -> None:
    reply = server.ask(who, "POST", "/virt/ann/db/virDomainAttachDevice", content=xml)
    assert (reply.status_code, words in reply.json()["detail"]) == (code, True), reply.text
    assert server.ask(who, "POST", "/virt/ann/db/virDomainDetachDevice", content=xml).status_code == 501


def test_passwords_are_for_those_who_may_change_the_machine(servers: dict[str, Server], server: Server) -> None:
    path = "/virt/ann/db?flags=1"
    assert "s3cret" in server.ask("ann", "GET", path).text
    assert "s3cret" not in server.ask("ann", "GET", "/virt/ann/db").text
    assert server.ask("bob", "GET", path).status_code == 404
    assert servers["owner-sees"].ask("ann", "GET", path).status_code == 403
    assert servers["read-only"].ask("", "GET", path).status_code == 403
    assert servers["insecure"].ask("", "GET", path).status_code == 200


def test_a_name_on_two_hypervisors_is_told_and_chosen(server: Server) -> None:
    server.hypervisor("one", {"twin": "ann"})
    server.hypervisor("two", {"twin": "ann"})
    server.hypervisor("three", {"twin": "bob"})
    reply = server.ask("ann", "GET", "/virt/ann/twin/domainGetUUIDString")
    assert reply.status_code == 409
    assert "is on hypervisors one and two; say which with ?hypervisor=NAME" in reply.json()["detail"]
    uuids = {
        server.ask("ann", "GET", f"/virt/ann/twin/domainGetUUIDString?hypervisor={name}").text
        for name in ("one", "two")
    }
    assert len(uuids) == 2
    assert server.ask("ann", "POST", "/virt/ann/twin/domainReboot?hypervisor=two").status_code == 200
    for name in ("three", "nowhere"):
        assert server.ask("ann", "GET", f"/virt/ann/twin?hypervisor={name}").status_code == 404
    assert server.ask("bob", "GET", "/virt/bob/twin").status_code == 200
    assert [one["name"] for one in listed(server, "ann", "/virt?hypervisor=two")["domain"]] == ["twin"]
    assert server.ask("ann", "GET", "/virt?hypervisor=nowhere").status_code == 404


def test_a_machine_that_is_off_conflicts_and_a_reboot_of_it_too(server: Server) -> None:
    server.hypervisor("off", {"idle": "ann"})
    assert server.ask("ann", "POST", "/virt/ann/idle/domainShutdown").text.endswith(
        "<virDomainShutdown><result>0</result></virDomainShutdown>"
    )
    assert values(server.ask("ann", "GET", "/virt/ann/idle/domainGetID")) == {"id": "-1"}
    reply = server.ask("ann", "GET", "/virt/ann/idle/domainGetVcpus")
    assert (reply.status_code, "inactive domain" in reply.json()["detail"]) == (409, True)
    (shown,) = [one for one in listed(server, "ann", "/virt/ann")["domain"] if one["name"] == "idle"]
    assert (shown["state"], shown["id"]) == ("shut off", -1)


def test_hypervisors_that_are_away_or_not_allowed(
    tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commissaire.machines.owned.LOOK_SECONDS", 0.5)
    app = create_app(settings_in(tmp_path, empty_database, local_hypervisor="", virt_mode="insecure"))
    with TestClient(app) as client, socket.create_server(("127.0.0.1", 0)) as hung:
        server = Server(client, Fleet(client, app.state.services), tmp_path)
        assert listed(server, "", "/virt") == {"domain": [], "silent": []}
        server.fleet.hypervisor("gone", "qemu+unix:///system?socket=/nowhere")
        reply = client.get("/virt")
        assert (reply.status_code, "hypervisor gone: " in reply.json()["detail"]) == (502, True)
        server.fleet.hypervisor("hung", f"qemu+tcp://127.0.0.1:{hung.getsockname()[1]}/system")
        server.hypervisor("lab", {"db": "ann"})
        server.fleet.hypervisor("other", node(tmp_path / "other.xml", {"secret": "ann"}), allowed=False)
        found = listed(server, "", "/virt")
        assert [one["name"] for one in found["domain"]] == ["db"]
        assert [one["hypervisor"] for one in found["silent"]] == ["gone", "hung"]
        assert "hung did not answer within 0.5 s" in found["silent"][1]["reason"]
        silent = parsed(client.get("/virt")).findall("silent")
        assert [one.findtext("hypervisor") for one in silent] == ["gone", "hung"]
        assert client.get("/virt/ann/db").status_code == 200
        reply = client.get("/virt/ann/nothing")
        assert (reply.status_code, "no hypervisor that answers has machine nothing" in reply.text) == (502, True)
        assert client.get("/virt/ann/nothing?hypervisor=lab").status_code == 404
        assert client.get("/virt/ann/db?hypervisor=hung").status_code == 502
        assert client.get("/virt/ann/secret?hypervisor=other").status_code == 404


def test_what_a_guest_holds_up_keeps_nobody_else_from_its_hypervisor() -> None:
    link = Link("h1", "test:///default")

    def hold_up(*, rests: bool) -> None:
        with pytest.raises(HypervisorFailed, match="h1 did not answer within"):
            link.call(lambda _: time.sleep(0.5), seconds=0.05, rests=rests)

    link.call(lambda connection: connection.getHostname())
    hold_up(rests=False)
    assert link.call(lambda connection: connection.getHostname())
    hold_up(rests=True)
    with pytest.raises(HypervisorFailed, match="did not answer in time just now"):
        link.call(lambda connection: connection.getHostname())
    link.close()


def test_hostile_names_are_in_well_formed_xml(server: Server) -> None:
    (shown,) = [one for one in listed(server, "root", "/virt")["domain"] if one["name"] == HOSTILE]
    domains = parsed(server.ask("root", "GET", "/virt")).iter("domain")
    assert HOSTILE in {one.findtext("owner") for one in domains}
    reply = server.ask("root", "GET", f"{shown['href']}/domainGetName")
    assert values(reply) == {"name": HOSTILE}
    written = document('/x?a=1&b="', "r", {"a": "\x00\x1b\ud800\uffff<"})
    assert etree.fromstring(written.encode()).findtext("a") == "\ufffd\ufffd\ufffd\ufffd<"
    assert "href='/x?a=1&amp;b=\"'" in written


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False), ("*/*", False), ("application/json", True), ("application/json, */*;q=0.5", True),
        ("application/xml, application/json;q=0.9", False), ("application/json;q=0", False), ("text/plain", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False), ("application/json;q=x", False),
        ("text/xml, application/json", False), ("application/*;q=0.1, APPLICATION/JSON", True),
    ],
)  # fmt: skip
def test_json_is_for_those_who_want_it_more_than_xml(accept: str, json: bool) -> None:
    assert prefers_json(accept) is json


def test_what_changes_something_is_audited_also_when_nobody_signed_in(servers: dict[str, Server]) -> None:
    insecure = servers["insecure"]
    with structlog.testing.capture_logs() as logs:
        insecure.ask("", "POST", "/virt/ann/db/domainAttachDevice", content=PORT)
        insecure.ask("", "POST", "/virt/ann/db/domainReboot")
        insecure.ask("", "POST", "/virt/ann/nothing/domainReboot")
    told = [(one["what"], one["who"], one["status"]) for one in logs if one["event"] == "request"]
    assert ("POST /virt/ann/db/domainReboot", "(anyone)", 200) in told
    assert ("POST /virt/ann/nothing/domainReboot", "", 404) in told
    items = insecure.ask("root", "GET", "/api/v1/audit?what=/virt/ann/").json()["items"]
    assert [(one["who"], one["role"], one["what"].rpartition("/")[2], one["outcome"]) for one in items[:2]] == [
        ("(anyone)", "", "domainReboot", 200),
        ("(anyone)", "", "domainAttachDevice", 501),
    ]
    assert items[1]["detail"] == "hypervisor lab: a port on network default"
    servers["owner-modifies"].ask("bob", "POST", "/virt/ann/db/domainReboot")
    (newest, *_) = servers["owner-modifies"].ask("root", "GET", "/api/v1/audit?what=/virt/").json()["items"]
    assert (newest["who"], newest["outcome"]) == ("bob", 404)


def test_the_server_warns_of_the_insecure_mode(tmp_path: Path, empty_database: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        create_app(settings_in(tmp_path, empty_database, virt_mode="insecure"))
    assert [one["log_level"] for one in logs if one["event"] == "virt_is_insecure"] == ["warning"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_a_page_of_another_site_changes_nothing(server: Server, headers: dict[str, str]) -> None:
    reply = server.ask("ann", "POST", "/virt/ann/db/domainReboot", headers=headers)
    assert (reply.status_code, "another site" in reply.json()["detail"]) == (403, True)
    for own in ({"Origin": "http://testserver"}, {"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"}):
        assert server.ask("ann", "POST", "/virt/ann/db/domainReboot", headers=own).status_code == 200


@pytest.mark.parametrize("mode", ["read-only", "owner-sees"])
def test_in_the_modes_without_changes_libvirt_itself_refuses_them(servers: dict[str, Server], mode: str) -> None:
    servers[mode].ask("ann", "GET", "/virt/ann/db")
    links = servers[mode].fleet.services.hypervisors._links
    (link,) = [link for key, link in links.items() if key[0] == "lab"]
    with pytest.raises(HypervisorFailed, match="read only access prevents virDomainReboot"):
        link.call(lambda connection: connection.lookupByName("db").reboot(0))


def test_the_stylesheet_shows_every_answer(server: Server) -> None:
    open_to_all = server.ask("", "GET", "/virt.xsl")
    assert (open_to_all.status_code, open_to_all.headers["Content-Type"]) == (200, "application/xslt+xml")
    transform = etree.XSLT(parsed(open_to_all))

    def page(path: str) -> str:
        return str(transform(parsed(server.ask("root", "GET", path))))

    everything = page("/virt")
    assert '<a href="/virt/ann/db?hypervisor=lab">db</a>' in everything
    assert '<form method="post" action="/virt/ann/db/virDomainReboot?hypervisor=lab">' in everything
    assert "a&lt;b&gt;&amp;" in everything
    assert "<b>" not in everything
    assert "64 MiB" in everything
    silent = document("", "domains", {"domain": [], "silent": [{"hypervisor": "h", "reason": "<hung>"}]})
    assert "<strong>h</strong>: &lt;hung&gt;" in str(transform(etree.fromstring(silent.encode())))
    one = page("/virt/ann/db")
    assert re.search(r"<th>Owner</th>\s*<td>ann</td>", one)
    assert re.search(r"<th>Interface tap0</th>\s*<td>\S+ default</td>", one)
    assert re.search(r"<th>cpumap</th>\s*<td>y+", page("/virt/ann/db/domainGetVcpus"))
    assert "<title>virDomainGetName</title>" in page("/virt/ann/db/domainGetName")


@pytest.mark.parametrize("stylesheet", ["javascript:x", "x.xsl", '/x"?><x', "/x y", "https://h/x?>"])
def test_what_can_be_no_stylesheets_place_is_refused(stylesheet: str) -> None:
    with pytest.raises(SettingsError, match="virt_stylesheet"):
        load_settings(None, {"virt_stylesheet": stylesheet}, environ={})


def test_xml_names_no_stylesheet_unless_one_is_configured(tmp_path: Path, empty_database: Path) -> None:
    app = create_app(settings_in(tmp_path, empty_database, local_hypervisor="", virt_mode="read-only"))
    with TestClient(app) as client:
        assert client.get("/virt").text == '<?xml version="1.0" encoding="UTF-8"?>\n<domains />'
