"""What makes a machine of a lab a hypervisor: libvirt with QEMU, and Open vSwitch in user space."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import LabHost

PACKAGES = (
    "dnsmasq-base",
    "libvirt-clients",
    "libvirt-daemon-system",
    "openvswitch-switch",
    "ovmf",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
)
ANNOUNCING = (*PACKAGES, "avahi-daemon", "avahi-utils", "python3-dbus")
"""With what announces its machines by mDNS, and what hears that."""
SWITCH = "br0"
POOL = "/var/lib/libvirt/images"


def prepare(host: LabHost) -> None:
    """Let libvirt run guests as root, without a security driver; give it a pool, and a switch that needs no kernel."""
    settings = 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\nremember_owner = 0\n'
    (host.root / "etc/libvirt/qemu.conf").write_text(settings)
    for command in (
        ["systemctl", "restart", "libvirtd"],
        ["virsh", "pool-define-as", "default", "dir", "--target", POOL],
        ["virsh", "pool-start", "default"],
        ["virsh", "pool-autostart", "default"],
        ["ovs-vsctl", "--timeout=20", "add-br", SWITCH, "--", "set", "bridge", SWITCH, "datapath_type=netdev"],
    ):
        host.run(command, capture_output=True)
