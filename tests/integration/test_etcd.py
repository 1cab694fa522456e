"""The configuration in a real etcd, by the environment variables of Commissaire 0.0.6."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from commissaire import configuration
from commissaire.configuration import SettingsError
from commissaire.server import settings_from
from commissaire.settings import Settings
from integration.etcd import Authority, Etcd, running_etcd
from ports import free_port

pytestmark = pytest.mark.integration
KEY = "/commissaire/config/commissaire"
CONFIGURATION = json.dumps({"listen-port": 1, "workers": 1, "bus-exchange": "of etcd", "debug": True}).encode()


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with running_etcd(tmp_path_factory.mktemp("etcd")) as etcd:
        etcd.put(KEY, CONFIGURATION)
        yield etcd


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[dict[str, str]]:
    """The environment in which an etcd with TLS, client certificates and passwords can be read."""
    with running_etcd(tmp_path_factory.mktemp("guarded"), authority) as etcd:
        etcd.put(KEY, CONFIGURATION)
        etcd.require_password("commissaire", "CANARY")
        certificate, key = authority.issue("commissaire")
        yield {
            "ETCD_MACHINES": etcd.url, "ETCD_TLSPEM": str(certificate), "ETCD_TLSKEY": str(key),
            "ETCD_CACERT": str(authority.certificate), "ETCD_USERNAME": "commissaire", "ETCD_PASSWORD": "CANARY",
        }  # fmt: skip


def read(environ: dict[str, str], *arguments: str) -> Settings:
    return settings_from(["--no-config-file", *arguments], environ)


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        read(environ)
    assert "CANARY" not in str(caught.value)
    return str(caught.value)


def test_etcd_gives_way_to_the_file_the_environment_and_the_command_line(etcd: Etcd, tmp_path: Path) -> None:
    file = tmp_path / "commissaire.conf"
    file.write_text('{"listen_port": 2, "workers": 2, "bus_exchange": "of the file"}')
    environ = {"ETCD_MACHINES": etcd.url, "COMMISSAIRE_LISTEN_PORT": "3", "COMMISSAIRE_WORKERS": "3"}
    settings = settings_from(["-c", str(file), "-p", "4"], environ)
    assert (settings.debug, settings.bus_exchange) == (True, "of the file")
    assert (settings.workers, settings.listen_port) == (3, 4)
    assert read({"ETCD_MACHINES": etcd.url}).bus_exchange == "of etcd"


def test_machines_are_tried_in_their_order(etcd: Etcd) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    assert read({"ETCD_MACHINES": f"{dead}, {etcd.url}"}).listen_port == 1


def test_the_server_does_not_start_when_no_machine_answers(tmp_path: Path) -> None:
    dead = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ETCD_MACHINES": ",".join(dead)}
    server = [str(Path(sys.executable).parent / "commissaire-server"), "--no-config-file", "--data-dir", str(tmp_path)]
    done = subprocess.run(server, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    for machine in dead:
        assert f"{machine}: [Errno 111] Connection refused" in done.stderr
    assert "check ETCD_MACHINES" in done.stderr


def test_a_key_that_is_not_there_is_an_error_unless_there_is_a_file(etcd: Etcd, tmp_path: Path) -> None:
    environ = {"ETCD_MACHINES": etcd.url}
    with pytest.raises(SettingsError, match=r"etcd has no key /commissaire/config/other, .*etcdctl put"):
        configuration.read("other", None, environ)
    file = tmp_path / "other.conf"
    file.write_text('{"bus-uri": "memory://"}')
    assert configuration.read("other", file, environ) == {"bus_uri": "memory://"}


@pytest.mark.parametrize(
    ("value", "message"),
    [(b"{", "is not valid JSON"), (b"[]", "must hold a JSON object"), (b"\xff", "is not UTF-8")],
)
def test_a_mistake_in_etcd_is_told_with_its_key(etcd: Etcd, value: bytes, message: str) -> None:
    etcd.put("/commissaire/config/broken", value)
    with pytest.raises(SettingsError, match=f"etcd's /commissaire/config/broken {message}"):
        configuration.read("broken", None, {"ETCD_MACHINES": etcd.url})


def test_a_setting_nobody_knows_is_told_from_etcd_too(etcd: Etcd) -> None:
    etcd.put(KEY, b'{"listen-prot": 1}')
    try:
        assert "unknown setting 'listen_prot'" in refusal({"ETCD_MACHINES": etcd.url})
    finally:
        etcd.put(KEY, CONFIGURATION)


def test_tls_with_a_client_certificate_and_a_password(guarded: dict[str, str]) -> None:
    assert read(guarded).bus_exchange == "of etcd"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ETCD_CACERT": ""}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ETCD_TLSPEM": "", "ETCD_TLSKEY": ""}, "(?i)certificate required|bad certificate|disconnected|reset|broken"),
        ({"ETCD_PASSWORD": "wrong"}, "authentication failed, invalid user ID or password"),
        ({"ETCD_USERNAME": "stranger", "ETCD_PASSWORD": "stranger"}, "permission denied"),
        ({"ETCD_USERNAME": ""}, "user name is empty"),
        ({"ETCD_CACERT": "/nowhere.pem"}, "ETCD_CACERT: can't read the authorities in /nowhere.pem"),
        ({"ETCD_TLSPEM": "/nowhere.pem"}, "ETCD_TLSPEM, ETCD_TLSKEY: .* /nowhere.pem and "),
        ({"ETCD_TLSPEM": ""}, "ETCD_TLSKEY is of no use without ETCD_TLSPEM"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(guarded: dict[str, str], changes: dict[str, str], message: str) -> None:
    assert re.search(message, refusal({**guarded, **changes}))


def test_something_that_is_no_etcd_is_told() -> None:
    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.handle_request).start()
        said = refusal({"ETCD_MACHINES": f"http://127.0.0.1:{server.server_port}"})
    assert "HTTP 501, and no answer of etcd v3's JSON gateway" in said


@pytest.mark.parametrize(
    ("machines", "message"),
    [
        (" , ", "names no machine"),
        ("127.0.0.1:2379", "'127.0.0.1:2379' is no URL such as https://etcd1:2379"),
        ("http://root:CANARY@127.0.0.1:2379", "'127.0.0.1:2379' is no URL .*belong in ETCD_USERNAME"),
    ],
)
def test_a_list_of_machines_that_is_none_is_told(machines: str, message: str) -> None:
    assert re.search(message, refusal({"ETCD_MACHINES": machines}))
