"""A guest for a hypervisor of a lab: a kernel whose initrd gets an address by DHCP and runs QEMU's guest agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import LabHost

PACKAGES = ("busybox", "linux-image-cloud-amd64", "qemu-guest-agent")
HOOK = """#!/bin/sh
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules virtio_pci virtio_net virtio_console
copy_exec /usr/sbin/qemu-ga
"""
SCRIPT = """#!/bin/sh
[ "$1" != prereqs ] || exit 0
modprobe virtio_net
modprobe virtio_console
udevadm settle
ipconfig -c dhcp eth0
ip address add 172.17.0.1/16 dev lo
mkdir -p /var/run
case " $(cat /proc/cmdline) " in
  *" agent "*) qemu-ga --method virtio-serial --path /dev/virtio-ports/org.qemu.guest_agent.0 ;;
esac
exec sleep 86400
"""
DOMAIN = """<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <metadata><c:owner xmlns:c='https://commissaire.example.org/xmlns/domain/1'>ann</c:owner></metadata>
  <os><type machine='q35'>hvm</type><kernel>/boot/vmlinuz</kernel><initrd>/boot/guest.img</initrd>
    <cmdline>console=ttyS0 net.ifnames=0 {words}</cmdline></os>
  <features><acpi/></features>
  <devices>
    <interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='/var/log/{name}.log'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""


def prepare(host: LabHost) -> None:
    """Make the guests' kernel and initrd on a hypervisor."""
    folder = host.root / "etc/initramfs-tools"
    for path, text in ((folder / "hooks/guest", HOOK), (folder / "scripts/init-premount/guest", SCRIPT)):
        path.write_text(text)
        path.chmod(0o755)
    (kernel,) = (host.root / "boot").glob("vmlinuz-*")
    release = kernel.name.partition("-")[2]
    host.run(["ln", "-sf", kernel.name, "/boot/vmlinuz"])
    host.run(["mkinitramfs", "-o", "/boot/guest.img", release], capture_output=True)


def start(host: LabHost, name: str, network: str, mac: str, *, agent: bool) -> None:
    """Start a guest on a libvirt network of the hypervisor; with `agent` it says where it is."""
    xml = DOMAIN.format(name=name, network=network, mac=mac, words="agent" if agent else "")
    (host.root / f"root/{name}.xml").write_text(xml)
    host.run(["virsh", "create", f"/root/{name}.xml"], capture_output=True)
