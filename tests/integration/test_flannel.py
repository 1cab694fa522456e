"""What bootstrap makes of a cluster's network: real flanneld and etcd; Docker is a stand-in."""

from __future__ import annotations

import base64
import ipaddress
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab import Lab, LabHost
from lab.network import GATEWAY

from .controller import Controller
from .flanneld import flanneld
from .playbook import run_playbook

pytestmark = pytest.mark.integration

ETCD = f"http://{GATEWAY}:2379"
CONFIG = {"Network": "10.99.0.0/16", "Backend": {"Type": "host-gw"}}
DOCKER_UNIT = """
[Service]
ExecStart=/usr/bin/dockerd -H fd://
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def etcd(lab: Lab, tmp_path: Path) -> Iterator[str]:
    """An etcd in the lab, with flannel's configuration."""
    if shutil.which("etcd") is None:
        pytest.skip("there is no etcd: apt-get install etcd-server")
    urls = ["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD, "--listen-peer-urls", "http://127.0.0.1:0"]
    with (tmp_path / "etcd.log").open("w") as log:
        process = lab.popen(["etcd", "--data-dir", str(tmp_path / "etcd"), *urls], stdout=log, stderr=log)
    try:
        pair = {"key": "/coreos.com/network/config", "value": json.dumps(CONFIG)}
        body = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}
        transport = httpx.HTTPTransport(retries=5)  # 0, 0.5, 1, 2, 4 s: etcd needs about one

        def put() -> int:
            with httpx.Client(transport=transport) as client:
                return client.post(f"{ETCD}/v3/kv/put", json=body).status_code

        assert lab.inside(put) == 200, (tmp_path / "etcd.log").read_text()
        yield ETCD
    finally:
        process.terminate()
        process.wait(10)


def prepare(host: LabHost) -> None:
    """Put flanneld and a Docker that shows its arguments into a machine, as its image would have them."""
    shutil.copy(flanneld(), host.root / "usr/local/bin/flanneld")
    dockerd = host.root / "usr/bin/dockerd"
    dockerd.write_text('#!/bin/sh\necho "$@" >/run/dockerd\nexec sleep infinity\n')
    dockerd.chmod(0o755)
    (host.root / "etc/systemd/system/docker.service").write_text(DOCKER_UNIT)


def said(host: LabHost, *argv: str) -> str:
    return host.run(list(argv), capture_output=True, text=True, check=True).stdout.strip()


def test_hosts_on_a_flannel_network_reach_each_others_subnets_and_docker_takes_them(
    lab: Lab, etcd: str, tmp_path: Path
) -> None:
    first, second = lab.hosts[:2]
    for host in lab.hosts:
        prepare(host)
    with Controller(lab, tmp_path / "server") as controller:
        network = {"type": "flannel_etcd", "options": {"server_url": etcd}}
        assert controller.ask("PUT", "/api/v0/network/overlay", network).status_code == 201
        controller.add_hosts("web", network="overlay")
        shown = controller.ask("GET", "/api/v0/cluster/web").json()
        assert (shown["network"], shown["status"]) == ("overlay", "ok"), controller.ask("GET", "/api/v1/hosts").text
    subnets = {
        host: dict(line.split("=") for line in said(host, "cat", "/run/flannel/subnet.env").splitlines())
        for host in lab.hosts
    }
    found = {host: ipaddress.ip_interface(env["FLANNEL_SUBNET"]) for host, env in subnets.items()}
    assert len({subnet.network for subnet in found.values()}) == len(lab.hosts)
    for host, subnet in found.items():
        assert subnet.network.subnet_of(ipaddress.ip_network(CONFIG["Network"]))
        assert said(host, "systemctl", "is-enabled", "flanneld", "docker") == "enabled\nenabled"
        assert said(host, "cat", "/run/dockerd") == f"-H fd:// --bip={subnet} --mtu={subnets[host]['FLANNEL_MTU']}"
    assert f"{found[second].network} via {second.address}" in said(first, "ip", "route")
    assert f"{found[first].network} via {first.address}" in said(second, "ip", "route")
    again = run_playbook(lab, "bootstrap", bootstrap_cluster="web", bootstrap_network=network)
    assert (again.returncode, again.changed()) == (0, []), again.output


def test_a_host_without_flannel_and_without_a_way_to_get_it_fails_and_says_what_to_do(lab_of, tmp_path: Path) -> None:
    lab = lab_of(1)
    network = {"type": "flannel_server", "options": {"address": f"{GATEWAY}:8080", "docker": False}}
    outcome = run_playbook(lab, "bootstrap", bootstrap_network=network)
    assert outcome.returncode != 0
    failure = outcome.last("h1")
    assert (failure["phase"], failure["state"]) == ("network", "failed")
    assert "debian has no package of flannel: give flannel_url and flannel_checksum" in failure["message"]
