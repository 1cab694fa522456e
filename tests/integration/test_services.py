"""The service of docs/services.md as it stands there: real processes, a real Redis, a real commissaire-server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from commissaire.auth.httpbasicauth import hash_password
from commissaire.service import (
    BusClient,
    Cluster,
    ContainerManager,
    Host,
    Network,
    NoAnswer,
    NotFound,
    RemoteError,
    ServiceSettings,
    StorageClient,
    StorageError,
)
from integration.etcd import running_etcd
from integration.redis_server import PASSWORD, RedisServer
from ports import free_port

pytestmark = pytest.mark.integration
DOCUMENT = (Path(__file__).parents[2] / "docs/services.md").read_text()
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[RedisServer]:
    broker = RedisServer(folder).start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def endpoint(folder: Path, broker: RedisServer) -> Iterator[str]:
    """A commissaire-server that runs no playbooks: nothing but the loopback is talked to."""
    port = free_port()
    configuration = {
        "listen-port": port,
        "workers": 0,
        "data-dir": str(folder / "data"),
        "bus-uri": broker.uri,
        "authentication-plugins": {
            "name": "commissaire_http.authentication.httpbasicauth",
            "users": {"networks": {"hash": hash_password("secret", rounds=4)}},
        },
    }
    file = folder / "commissaire.conf"
    file.write_text(json.dumps(configuration))
    with started([str(BIN / "commissaire-server"), "-c", str(file)], folder / "server.log") as process:
        until(lambda: process.poll() is None and is_ready(port), 60, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    assert process.returncode == 0
    assert "CANARY" not in (folder / "server.log").read_text()


@pytest.fixture(scope="module")
def configuration(folder: Path, broker: RedisServer, endpoint: str) -> Path:
    """The example's configuration file, with the test's own broker and server."""
    (block,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    values = {**json.loads(block), "bus-uri": broker.uri, "endpoint": endpoint, "password": "secret"}
    file = folder / "networks.conf"
    file.write_text(json.dumps(values))
    return file


@pytest.fixture(scope="module")
def example(folder: Path) -> Path:
    block = next(iter(re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)))
    file = folder / "networks.py"
    file.write_text(block)
    return file


@pytest.fixture
def storage(endpoint: str) -> Iterator[StorageClient]:
    client = StorageClient(settings(endpoint))
    yield client
    client.close()


@pytest.fixture
def bus(broker: RedisServer) -> Iterator[BusClient]:
    with BusClient(broker.uri) as bus:
        yield bus


def settings(endpoint: str, **others: str) -> ServiceSettings:
    values = {"username": "networks", "password": "secret", **others}
    return ServiceSettings(bus_uri="memory://", endpoint=endpoint, **values)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.1)


@contextmanager
def started(command: list[str], log: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **environ})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


@contextmanager
def serving(
    example: Path, bus: BusClient, log: Path, *options: str, **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the example; it must end with 0 on SIGTERM."""
    with started([sys.executable, str(example), *options], log, **environ) as process:
        until(lambda: answers(bus), 60, log)
        yield process
    assert process.returncode == 0, log.read_text()[-4000:]


def answers(bus: BusClient) -> bool:
    try:
        return bool(bus.call("networks.ping", timeout_seconds=1) == "pong")
    except NoAnswer:
        return False


def test_the_example_hears_writes_and_answers(
    example: Path, configuration: Path, folder: Path, storage: StorageClient, bus: BusClient
) -> None:
    log = folder / "example.log"
    with serving(example, bus, log, "-c", str(configuration)):
        storage.save(Cluster("web"))
        until(lambda: storage.get(Cluster, "web").network == "web", 20, log)
        assert storage.get(Network, "web") == Network("web", "flannel_etcd", {})
        assert bus.call("networks.users", network="web") == ["web"]
        with pytest.raises(RemoteError, match="there is no network nowhere") as caught:
            bus.call("networks.users", network="nowhere")
        assert caught.value.data == {"exception": "NotFound"}
    assert "CANARY" not in log.read_text()


def test_what_happens_while_the_service_is_away_waits_for_it(
    example: Path, configuration: Path, folder: Path, storage: StorageClient, bus: BusClient
) -> None:
    log = folder / "away.log"
    with serving(example, bus, log, "-c", str(configuration)):
        pass
    storage.save(Cluster("later"))
    with serving(example, bus, log, "-c", str(configuration)):
        until(lambda: storage.get(Cluster, "later").network == "later", 20, log)


def test_several_processes_share_the_work_and_dead_ones_are_replaced(
    example: Path, configuration: Path, folder: Path, storage: StorageClient, bus: BusClient
) -> None:
    log = folder / "processes.log"

    def children(pid: int) -> list[int]:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [child for child in map(int, found) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]

    with serving(example, bus, log, "-c", str(configuration), "--processes", "2") as process:
        until(lambda: len(children(process.pid)) == 2, 20, log)
        first = children(process.pid)
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(set(children(process.pid)) - set(first)) == 1, 20, log)
        for number in range(4):
            storage.save(Cluster(f"shared{number}"))
        until(lambda: all(storage.get(Cluster, f"shared{n}").network != "default" for n in range(4)), 30, log)
        survivors = children(process.pid)
    assert not [pid for pid in survivors if Path(f"/proc/{pid}").exists()]


def test_the_service_and_the_server_survive_their_broker(
    example: Path, configuration: Path, folder: Path, storage: StorageClient, bus: BusClient, broker: RedisServer
) -> None:
    log = folder / "broker.log"
    with serving(example, bus, log, "-c", str(configuration)):
        broker.kill()
        with pytest.raises(NoAnswer, match=r"can't call networks.ping on redis://127.0.0.1:\d+: "):
            bus.call("networks.ping", timeout_seconds=5)
        storage.save(Cluster("meanwhile"))
        broker.start()
        until(lambda: answers(bus), 40, log)
        storage.save(Cluster("afterwards"))
        until(lambda: storage.get(Cluster, "afterwards").network == "afterwards", 40, log)


def test_a_services_configuration_can_be_in_etcd(
    example: Path, configuration: Path, folder: Path, bus: BusClient, tmp_path: Path
) -> None:
    with running_etcd(tmp_path) as etcd:
        etcd.put("/commissaire/config/networks", configuration.read_bytes())
        with serving(example, bus, folder / "etcd.log", ETCD_MACHINES=etcd.url):
            assert bus.call("networks.ping") == "pong"


def test_deleted_queues_fill_up_no_more(
    example: Path, configuration: Path, storage: StorageClient, broker: RedisServer, bus: BusClient
) -> None:
    port = int(broker.uri.rpartition(":")[2].strip("/"))
    with (
        redis.Redis(port=port, password=PASSWORD) as client,
        serving(example, bus, configuration.with_suffix(".log"), "-c", str(configuration)),
    ):
        assert client.exists("_kombu.binding.commissaire")
    command = [sys.executable, str(example), "-c", str(configuration), "--delete-queues"]
    subprocess.run(command, check=True, timeout=60)
    storage.save(Cluster("unheard"))
    time.sleep(1)
    with redis.Redis(port=port, password=PASSWORD) as client:
        assert not [key for key in client.scan_iter() if b"networks" in key]


def test_records_are_read_and_written_with_types(storage: StorageClient) -> None:
    with pytest.raises(NotFound, match=r"GET /api/v1/hosts/127.0.0.9: 404, there is no host 127.0.0.9") as caught:
        storage.get(Host, "127.0.0.9")
    assert caught.value.status == 404
    manager = storage.save(ContainerManager("trial", "trivial", {}))
    assert (manager.name, manager.type) == ("trial", "trivial")
    cluster = storage.save(Cluster("typed", container_manager="trial"))
    assert (cluster.status, cluster.hostset, cluster.container_manager) == ("ok", [], "trial")
    host = storage.save(Host("127.0.0.9", cluster="typed", ssh_priv_key="dGVzdAo="))
    assert (host.cluster, host.status, host.ssh_priv_key) == ("typed", "investigating", None)
    assert [each.address for each in storage.list(Host)] == ["127.0.0.9"]
    assert "typed" in [each.name for each in storage.list(Cluster)]
    host.cluster = None
    assert storage.save(host).cluster is None
    cluster = storage.get(Cluster, "typed")
    cluster.hostset = ["127.0.0.9"]
    with pytest.raises(StorageError, match=r"405, host 127.0.0.9 is investigating"):
        storage.save(cluster)
    for model, name in ((Host, "127.0.0.9"), (Cluster, "typed"), (ContainerManager, "trial")):
        storage.delete(model, name)
    assert storage.list(Host) == []


def test_a_refusal_and_a_server_that_is_away_are_told(endpoint: str) -> None:
    with closing(StorageClient(settings(endpoint, password="wrong"))) as client:
        with pytest.raises(StorageError, match="403") as caught:
            client.get(Cluster, "web")
        assert caught.value.status == 403
    nobody = f"http://127.0.0.1:{free_port()}"
    with closing(StorageClient(settings(nobody))) as client:
        with pytest.raises(StorageError, match=f"GET {nobody}/api/v0/cluster/web: .*refused") as caught:
            client.get(Cluster, "web")
        assert caught.value.status == 0
