"""A hypervisor of libvirt's test driver, which is a file and the memory of whoever opened it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from commissaire.machines.machine import NAMESPACE

_DOMAIN = """<domain type='test'>
  <name>{name}</name>
  <metadata><commissaire:owner xmlns:commissaire={namespace}>{owner}</commissaire:owner></metadata>
  <memory>65536</memory>
  <vcpu>2</vcpu>
  <os><type>hvm</type></os>
  <devices>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <interface type='network'><source network='default'/><target dev='tap0'/></interface>
    <graphics type='vnc' passwd='s3cret'/>
  </devices>
</domain>
"""


def node(path: Path, owners: Mapping[str, str]) -> str:
    """Write a hypervisor with running machines, the owner of each by its name; return its URI."""
    domains = [
        _DOMAIN.format(name=escape(name), namespace=quoteattr(NAMESPACE), owner=escape(owner))
        for name, owner in owners.items()
    ]
    path.write_text(f"<node>{''.join(domains)}</node>")
    return f"test://{path}"
