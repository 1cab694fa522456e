"""What makes a machine of a lab a hypervisor: libvirt with QEMU, and Open vSwitch in user space."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .host import LabHost
    from .laboratory import Lab

PACKAGES = (
    "dnsmasq-base",
    "libsasl2-modules",
    "libvirt-clients",
    "libvirt-daemon-system",
    "openvswitch-switch",
    "ovmf",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
    "sasl2-bin",
    "virtinst",
    "xorriso",
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


def connect_vlan(lab: Lab, host: LabHost, vlan: int) -> str:
    """Connect a VLAN of the switch with the lab's network, with DHCP for the machines on it; return its prefix."""
    port, prefix = f"gw{vlan}", f"10.78.{vlan}."
    leases = ["--dhcp-authoritative", f"--dhcp-range={prefix}10,{prefix}99,1h", "--dhcp-leasefile=/run/dhcp.leases"]
    internal = ["set", "interface", port, "type=internal"]
    for command in (
        ["ovs-vsctl", "--timeout=20", "add-port", SWITCH, port, f"tag={vlan}", "--", *internal],
        ["ip", "address", "add", f"{prefix}1/24", "dev", port],
        ["ip", "link", "set", port, "up"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        ["dnsmasq", "--conf-file=/dev/null", "--port=0", f"--interface={port}", "--bind-interfaces", *leases],
    ):
        host.run(command, capture_output=True)
    lab.run(["ip", "route", "add", f"{prefix}0/24", "via", host.address], check=True)
    return prefix


def listen(host: LabHost) -> str:
    """Let libvirt be reached over TCP by everybody, which is nobody but the lab; return the URI."""
    (host.root / "etc/libvirt/libvirtd.conf").write_text('auth_tcp = "none"\n')
    for command in (["stop", "libvirtd"], ["start", "libvirtd-tcp.socket"], ["start", "libvirtd"]):
        host.run(["systemctl", *command], capture_output=True)
    return f"qemu+tcp://{host.address}/system"


def listen_to_the_known(host: LabHost, certificates: Mapping[str, str], user: str, password: str) -> None:
    """Let libvirt be reached over TLS by clients with certificates, and over TCP by SASL.

    `certificates` are the PEM of `ca`, `certificate` and `key`.
    """
    places = {"ca": "CA/cacert.pem", "certificate": "libvirt/servercert.pem", "key": "libvirt/private/serverkey.pem"}
    for name, place in places.items():
        path = host.root / "etc/pki" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(certificates[name])
    (host.root / "etc/libvirt/libvirtd.conf").write_text('auth_tcp = "sasl"\nauth_tls = "none"\n')
    users = "/etc/libvirt/passwd.db"
    (host.root / "etc/sasl2").mkdir(exist_ok=True)
    (host.root / "etc/sasl2/libvirt.conf").write_text(f"mech_list: digest-md5\nsasldb_path: {users}\n")
    host.run(["saslpasswd2", "-p", "-f", users, "-a", "libvirt", user], input=password.encode(), capture_output=True)
    for command in (
        ["stop", "libvirtd"],
        ["start", "libvirtd-tcp.socket", "libvirtd-tls.socket"],
        ["start", "libvirtd"],
    ):
        host.run(["systemctl", *command], capture_output=True)
