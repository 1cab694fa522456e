"""What hypervisors are reached with: recorded, kept secret, given to playbooks and to libvirt, and forgotten."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from api.conftest import ANOTHER_HOST_KEY, HOST_KEY, PASSWORD, USER, Fleet, checkpoint, private_key, settings_in
from commissaire.app import create_app
from commissaire.fleet.hypervisor_credentials import kept_credentials, ways_of
from commissaire.machines.credentials import Credentials
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.way import meaning, way
from commissaire.records import Hypervisor, Secret
from commissaire.secrets.cli import rotate_file
from commissaire.secrets.embedded import EmbeddedBackend
from commissaire.services import Services
from commissaire.shared_memory import shared_folder
from unit.commctl.certificates import Authority

PATH = "/api/v1/hypervisors"
SSH, TLS, TCP = "qemu+ssh://root@west:2222/system", "qemu+tls://west/system", "qemu+tcp://west/system"
LOGIN = {"username": "ann", "password": "s#cret canary"}


@pytest.fixture(scope="module")
def ssh() -> dict[str, Any]:
    return {"ssh_priv_key": private_key(), "ssh_host_keys": [HOST_KEY, f"{ANOTHER_HOST_KEY} a comment"]}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    authority = Authority(tmp_path_factory.mktemp("pki"))
    pair = authority.sign("commissaire")
    files = {"tls_ca": authority.path, "tls_certificate": pair.certificate, "tls_key": pair.key}
    return {name: path.read_text() for name, path in files.items()}


@pytest.fixture
def given(request: pytest.FixtureRequest, ssh: dict[str, Any], tls: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The URI and the credentials of one kind."""
    return {"ssh": (SSH, ssh), "tls": (TLS, tls | LOGIN), "sasl": (TCP, LOGIN)}[request.param]


ALL_KINDS = pytest.mark.parametrize("given", ["ssh", "tls", "sasl"], indirect=True)


def put(client: TestClient, uri: str, **body: Any) -> dict[str, Any]:
    answer = client.put(f"{PATH}/west", json={"uri": uri, "allowed": False, **body})
    assert answer.status_code in (200, 201), answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def owners(fleet: Fleet) -> set[str]:
    with fleet.services.database.read() as session:
        return set(session.exec(select(Secret.owner)))


def kept(fleet: Fleet, name: str = "west") -> Credentials:
    with fleet.services.database.read() as session:
        return kept_credentials(session, fleet.services.secrets, name)


@ALL_KINDS
def test_credentials_are_kept_and_no_answer_shows_them(fleet: Fleet, given: tuple[str, dict[str, Any]]) -> None:
    uri, credentials = given
    shown = put(fleet.client, uri, credentials=credentials)
    assert sorted(shown["credentials"]) == sorted(credentials)
    told = [fleet.client.get(path).text for path in (PATH, f"{PATH}/west", "/api/v1/audit")]
    said = json.dumps(shown) + "".join(told)
    for value in credentials.values():
        for text in value if isinstance(value, list) else [value]:
            assert json.dumps(text)[1:-1] not in said
    assert f"credentials given: {', '.join(shown['credentials'])}" in told[-1], "which ones, the audit tells"
    assert {name: getattr(kept(fleet), name) for name in credentials} == credentials | (
        {"ssh_host_keys": "\n".join(credentials["ssh_host_keys"])} if "ssh_host_keys" in credentials else {}
    )


def test_they_stay_with_their_uri_and_go_with_it_or_with_the_hypervisor(fleet: Fleet) -> None:
    put(fleet.client, TCP, credentials=LOGIN)
    assert put(fleet.client, TCP, pool="fast")["credentials"] == ["username", "password"]
    assert put(fleet.client, "qemu+tcp://east/system")["credentials"] == []
    assert owners(fleet) == set(), "what is for one host is for no other"
    put(fleet.client, TCP, credentials=LOGIN)
    assert put(fleet.client, TCP, credentials={})["credentials"] == []
    assert owners(fleet) == set()
    put(fleet.client, TCP, credentials=LOGIN)
    assert owners(fleet) == {"hypervisor/west"}
    assert fleet.client.delete(f"{PATH}/west").status_code == 204
    assert owners(fleet) == set()


def test_new_ones_take_the_place_of_all_those_before(fleet: Fleet, tls: dict[str, str]) -> None:
    put(fleet.client, TLS, credentials=tls | LOGIN)
    assert put(fleet.client, TLS, credentials={"tls_ca": tls["tls_ca"]})["credentials"] == ["tls_ca"]
    assert kept(fleet) == Credentials(tls_ca=tls["tls_ca"])


NO_KEY = base64.b64encode(b"nothing canary").decode()


@pytest.mark.parametrize(
    ("uri", "change", "words"),
    [
        (SSH, {"ssh_host_keys": None}, "ssh_priv_key needs ssh_host_keys, too"),
        (SSH, {"ssh_priv_key": None}, "ssh_host_keys needs ssh_priv_key, too"),
        (SSH, {"ssh_priv_key": NO_KEY}, "ssh_priv_key is no private key that ssh can read"),
        (SSH, {"ssh_priv_key": "canary!"}, "ssh_priv_key is not base64"),
        (SSH, {"ssh_host_keys": ["canary"]}, "must be a public key"),
        (SSH, {"ssh_host_keys": []}, "ssh_host_keys"),
        (SSH, LOGIN, "username is no credential for qemu+ssh://"),
        ("qemu:///system", {}, "ssh_priv_key is no credential for qemu:///system"),
        (TLS, {}, "ssh_priv_key is no credential for qemu+tls"),
        (TLS, {"only": {"tls_ca": "canary"}}, "tls_ca holds no certificates in PEM"),
        (TLS, {"only": {"tls_certificate": "canary", "tls_key": "canary"}}, "tls_certificate needs tls_ca, too"),
        (TCP, {"only": {"username": "ann"}}, "username needs password, too"),
        (TCP, {"only": {"username": "ann", "password": " canary"}}, "password begins with a blank"),
        (TCP, {"only": {"username": "ann", "password": "canary\\"}}, "password begins with a blank"),
        (TCP, {"only": {"username": "ann", "password": "canary\nauthname=bob"}}, "password"),
        (TCP, {"only": {"username": "ann", "password": ""}}, "password"),
        (TCP, {"only": {"token": "canary"}}, "token"),
    ],
)
def test_what_can_not_be_used_is_refused_and_the_answer_does_not_have_it(
    fleet: Fleet, ssh: dict[str, Any], uri: str, change: dict[str, Any], words: str
) -> None:
    changed = change.get("only", ssh | change)
    body = {"uri": uri, "credentials": {name: value for name, value in changed.items() if value is not None}}
    answer = fleet.client.put(f"{PATH}/west", json=body)
    assert (answer.status_code, words in answer.text) == (400, True), answer.text
    assert "canary" not in answer.text
    assert ssh["ssh_priv_key"] not in answer.text
    assert (fleet.client.get(PATH).json()["items"], owners(fleet)) == ([], set())


def test_a_key_that_is_not_the_certificates_is_refused(client: TestClient, tls: dict[str, str], tmp_path: Path) -> None:
    other = Authority(tmp_path).sign("other").key.read_text()
    answer = client.put(f"{PATH}/west", json={"uri": TLS, "credentials": tls | {"tls_key": other}})
    assert answer.json()["detail"] == "tls_key does not belong to tls_certificate"


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://root:s3cret@west/system",
        "qemu+ssh://west/system?keyfile=/root/.ssh/id_rsa",
        "qemu+ssh://west/system?known_hosts=/dev/null",
        "qemu+ssh://west/system?no_verify=1",
        "qemu+ssh://west/system?netcat=/bin/sh",
        "qemu+ssh://west/system?mode=direct&Command=/bin/sh",
        "qemu+ssh://-oProxyCommand=id/system",
        "qemu+tls://west/system?pkipath=/root",
        "qemu+tcp://west/system?authfile=/root/auth.conf",
        "qemu+ext://west/system?command=/bin/sh",
        "qemu+libssh2://west/system",
    ],
)
def test_a_uri_has_no_credentials_of_its_own_and_trusts_nobody(client: TestClient, uri: str) -> None:
    answer = client.put(f"{PATH}/west", json={"uri": uri})
    assert answer.status_code == 400, answer.text


@ALL_KINDS
def test_a_playbook_gets_them_by_files_that_are_in_memory(
    fleet: Fleet, given: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    uri, credentials = given
    put(fleet.client, uri, credentials=credentials, allowed=True)
    operation = fleet.client.post(f"{PATH}/west/probe").json()["id"]
    job = fleet.plan(operation, tmp_path).job
    assert job is not None
    on_disk = json.dumps([job.inventory, job.extra_vars, job.files, job.known_hosts])
    for name in ("ssh_priv_key", "tls_ca", "tls_certificate", "tls_key", "username", "password"):
        value = json.dumps(credentials.get(name, "nothing of that kind"))[1:-1]
        assert value not in on_disk.replace("hypervisor/username", "")
        assert value not in repr(job)
    (variables,) = job.inventory["all"]["hosts"].values()
    assert (variables["vm_probe_uri"], variables["vm_probe_pool"]) == (uri, "default")
    if "ssh_priv_key" in credentials:
        (key,) = job.keys
        assert variables["vm_probe_private_key_file"] == str(tmp_path / f"{key.name}.pub")
        assert variables["vm_probe_known_hosts_file"] == str(tmp_path / "hypervisor_known_hosts")
        assert job.files == {
            "hypervisor_known_hosts": f"[west]:2222 {HOST_KEY}\n[west]:2222 {ANOTHER_HOST_KEY} a comment\n"
        }
    if "tls_ca" in credentials:
        assert variables["vm_probe_pki_path"] == str(tmp_path / "hypervisor")
        assert job.secret_files["hypervisor/clientkey.pem"] == credentials["tls_key"]
    if "username" in credentials:
        assert job.secret_files["hypervisor/password"] == credentials["password"]
        assert str(tmp_path / "hypervisor/password") in variables["vm_probe_password"]


def test_ssh_is_a_script_with_the_key_and_the_hosts_keys_that_is_gone_afterwards(
    ssh: dict[str, Any], tmp_path: Path
) -> None:
    credentials = Credentials(ssh_priv_key=ssh["ssh_priv_key"], ssh_host_keys=HOST_KEY)
    with way(SSH, credentials, [tmp_path]) as told:
        (folder,) = tmp_path.iterdir()
        assert told.uri == f"{SSH}?no_tty=1&command={folder}/ssh"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
        assert modes == {folder.name: 0o700, "ssh": 0o700, "key": 0o600, "known_hosts": 0o600}
        assert (folder / "known_hosts").read_text() == f"[west]:2222 {HOST_KEY}\n"
        script = (folder / "ssh").read_text()
    assert "StrictHostKeyChecking=yes" in script
    assert "IdentitiesOnly=yes" in script
    assert list(tmp_path.iterdir()) == []


def test_the_key_lies_in_memory_and_the_script_where_programs_may(
    ssh: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, memory, other = places = [tmp_path / name for name in ("disk", "memory", "other")]
    for place in places:
        place.mkdir()
    monkeypatch.setattr("commissaire.machines.way.is_in_memory", lambda place: place == memory)
    monkeypatch.setattr("commissaire.machines.way._runs_programs", lambda place: other in (place, place.parent))
    credentials = Credentials(ssh_priv_key=ssh["ssh_priv_key"], ssh_host_keys=HOST_KEY)
    with way(SSH, credentials, places) as told:
        files = sorted((path.parts[-3], path.name) for path in tmp_path.rglob("*") if path.is_file())
        assert files == [("memory", "key"), ("memory", "known_hosts"), ("other", "ssh")]
        (script,) = other.rglob("ssh")
        assert told.uri.endswith(f"command={script}")
        assert str(memory) in script.read_text()
    assert [list(place.iterdir()) for place in places] == [[], [], []]


def test_certificates_are_a_folder_and_a_login_is_no_part_of_the_uri(tls: dict[str, str], tmp_path: Path) -> None:
    with way(TLS, Credentials(**tls, **LOGIN), [tmp_path]) as told:
        (folder,) = tmp_path.iterdir()
        assert told.uri == f"{TLS}?pkipath={folder}"
        assert (told.username, told.password) == (LOGIN["username"], LOGIN["password"])
        assert "canary" not in repr(told)
        assert (folder / "clientkey.pem").read_text() == tls["tls_key"]
        assert stat.S_IMODE((folder / "clientkey.pem").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == []


def test_credentials_are_for_the_hypervisor_that_is_recorded_and_not_for_one_that_is_called_so(
    fleet: Fleet, tmp_path: Path
) -> None:
    put(fleet.client, TCP, credentials=LOGIN)
    ways = ways_of(fleet.services.database, fleet.services.secrets, [tmp_path])
    with ways("west", TCP) as told:
        assert told.username == "ann"
    with ways("west", "qemu+tcp://east/system") as told:
        assert told.username == ""


def test_credentials_that_do_not_open_are_told_as_the_hypervisors_failure(fleet: Fleet, tmp_path: Path) -> None:
    put(fleet.client, TCP, credentials=LOGIN)
    with fleet.services.database.write() as session:
        secret = session.get_one(Secret, ("hypervisor/west", "password"))
        secret.sealed = secret.sealed[:-1] + b"x"
        session.add(secret)
    ways = ways_of(fleet.services.database, fleet.services.secrets, [tmp_path])
    with (
        pytest.raises(HypervisorFailed, match="hypervisor west: password of hypervisor/west does not open"),
        ways("west", TCP),
    ):
        pass


def test_another_master_key_seals_them_too(fleet: Fleet) -> None:
    put(fleet.client, TCP, credentials=LOGIN)
    services = fleet.services
    backend = services.secrets.backends["embedded"]
    assert isinstance(backend, EmbeddedBackend)
    old = backend.master_key
    assert old.file is not None
    before = old.file.read_bytes()
    new, number = rotate_file(services.database, old, old.file)
    try:
        assert number == 2
        with services.database.read() as session:
            secrets = session.exec(select(Secret)).all()
        assert {secret.key_id for secret in secrets} == {new.id}
        assert sorted(map(str, EmbeddedBackend(new).open(secrets))) == sorted(LOGIN.values())
    finally:
        old.file.write_bytes(before)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Cannot recv data: @@@\nHost key verification failed.: Connection reset by peer", "(ssh_host_keys)"),
        ("Cannot recv data: root@h1: Permission denied (publickey).: Connection reset by peer", "(ssh_priv_key)"),
        ("authentication failed: authentication failed", "username and password"),
        ("Unable to read TLS confirmation: Input/output error", "(tls_certificate)"),
        ("no route to host", "no route to host"),
    ],
)
def test_a_refusal_is_told_in_words_that_help(said: str, words: str) -> None:
    assert words in meaning(said)


def test_a_probe_is_an_operation_whose_result_is_kept(fleet: Fleet, tmp_path: Path) -> None:
    put(fleet.client, TCP, virt_type="kvm")
    assert fleet.client.post(f"{PATH}/west/probe").status_code == 409, "it is not allowed"
    put(fleet.client, TCP, virt_type="kvm", allowed=True)
    answer = fleet.client.post(f"{PATH}/west/probe")
    assert (answer.status_code, answer.json()["kind"]) == (201, "vm_probe")
    assert answer.headers["Location"] == f"/api/v1/operations/{answer.json()['id']}"
    again = fleet.client.post(f"{PATH}/west/probe")
    assert (again.status_code, "works on hypervisor west" in again.text) == (409, True)
    assert fleet.client.delete(f"{PATH}/west").status_code == 409
    fleet.claim("vm_probe").write([checkpoint("west", "done", state="finished", uri=TCP, virt_type="qemu")])
    fleet.end(answer.json()["id"])
    (shown,) = fleet.client.get(PATH).json()["items"]
    assert (shown["virt_type"], shown["probed_virt_type"]) == ("kvm", "qemu")
    assert put(fleet.client, "qemu+tcp://east/system")["probed_virt_type"] == ""
    assert fleet.client.post(f"{PATH}/east/probe").status_code == 404


def test_what_a_killed_server_left_in_its_folder_of_sockets_is_removed(tmp_path: Path, empty_database: Path) -> None:
    settings = settings_in(tmp_path, empty_database)
    left = tmp_path / f"commissaire-{tmp_path.name}"
    (left / "hypervisor-x").mkdir(parents=True)
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "runtime").symlink_to(left)
    (settings.data_dir / "hypervisor-x").mkdir()
    shared = shared_folder(left)
    (shared / "private-1-x").mkdir(parents=True)
    with TestClient(create_app(settings)) as client:
        client.auth = (USER, PASSWORD)
        services: Services = client.app.state.services  # type: ignore[attr-defined]
        with services.database.read() as session:
            assert session.exec(select(Hypervisor)).all() == []
        assert not left.exists()
        assert not shared.exists()
        assert list(settings.data_dir.glob("hypervisor-*")) == []
        assert (settings.data_dir / "runtime").is_dir()
