"""Hypervisors for tests: libvirt's test driver with machines of a test's own, and one that never answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from starlette.testclient import TestClient

_DOMAIN = """
  <domain type='test'>
    <name>{name}</name><uuid>{uuid}</uuid><memory>524288</memory><vcpu>2</vcpu><os><type>hvm</type></os>
    <metadata><c:owner xmlns:c='https://commissaire.example.org/xmlns/domain/1'>{owner}</c:owner></metadata>
    <devices>
      <disk type='file' device='disk'><source file='/disks/{name}.img'/><target dev='sda' bus='scsi'/></disk>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
      <interface type='network'><mac address='52:54:00:00:00:01'/><source network='{network}'/></interface>
    </devices>
    <testdriver xmlns='http://libvirt.org/schemas/domain/test/1.0'><runstate>{runstate}</runstate></testdriver>
  </domain>"""
_NETWORK = """
  <network><name>{name}</name><forward mode='nat'/><bridge name='virbr7'/>
    <ip address='192.168.77.1' netmask='255.255.255.0'/></network>"""


def node(folder: Path, *machines: str, network: str = "net") -> str:
    """Return the URI of a hypervisor with machines that run, each `name` or `name:owner`."""
    domains = [_domain(*machine.partition(":")[::2], network) for machine in machines]
    path = folder / f"{uuid4().hex}.xml"
    path.write_text(f"<node>{''.join(domains)}{_NETWORK.format(name=network)}</node>")
    return f"test://{path}"


def record(client: TestClient, name: str, uri: str, **others: object) -> None:
    """Record a hypervisor."""
    answer = client.put(f"/api/v1/hypervisors/{name}", json={"uri": uri, **others})
    assert answer.status_code in (200, 201), answer.text


@contextmanager
def mute() -> Iterator[str]:
    """Listen on loopback, take connections, and never say a word; yield the URI."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


def _domain(name: str, owner: str, network: str) -> str:
    return _DOMAIN.format(name=name, uuid=uuid4(), owner=owner, network=network, runstate=1)
