# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""By what a hypervisor runs guests: KVM, if a guest really runs on it."""

from __future__ import annotations

import contextlib
import time
import uuid
import xml.etree.ElementTree as ET
from typing import Any

from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import HypervisorError, active_pool, libvirt

PROBE_SECONDS = 10.0
"""QEMU alone takes a second for this guest; by a KVM that is there and hardly works, it never comes to its end."""

_POLL_SECONDS = 0.1
_TRANSIENT = 2  # VIR_DOMAIN_START_AUTODESTROY
# A guest of one boot sector: to long mode, count 200 million down, and switch off by PIIX4's ACPI port.
#   cli; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 0x7000
#   mov edi, 0x1000; mov cr3, edi; xor eax, eax; mov ecx, 3072; cld; rep stosd
#   mov dword [0x1000], 0x2003; mov dword [0x2000], 0x3003; mov dword [0x3000], 0x83
#   mov eax, cr4; or eax, 0x20; mov cr4, eax; mov ecx, 0xc0000080; rdmsr; or eax, 0x100; wrmsr
#   mov eax, cr0; or eax, 0x80000001; lgdt [gdtr]; mov cr0, eax; jmp 8:long
#   long: mov ecx, 200000000; 1: dec ecx; jnz 1b; mov dx, 0x604; mov ax, 0x2000; out dx, ax; 2: hlt; jmp 2b
#   gdt: dq 0, 0x00209a0000000000; gdtr: dw 15; dd gdt
_CODE = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007066bf001000000f22df6631c066b9000c0000fc66f3ab66c70600100320000066c706002003300000"
    "66c7060030830000000f20e06683c8200f22e066b9800000c00f32660d000100000f300f20c0660d010000800f0116987c0f22c0"
    "ea6d7c0800b900c2eb0bffc975fc66ba040666b8002066eff4ebfd0f1f440000000000000000000000000000009a20000f00887c0000"
)
_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"


def virt_type_of(connection: Any, wanted: str, pool: str) -> str:
    """Return by what a guest is run: what is wanted, or KVM where a guest that is started by it really runs.

    That guest's disk is a volume of `pool`, and gone afterwards.
    """
    if wanted != "auto":
        return wanted
    return "kvm" if offers_kvm(connection) and runs_guests(connection, "kvm", pool) else "qemu"


def offers_kvm(connection: Any) -> bool:
    """Return whether the hypervisor says that it has KVM, which may still not work."""
    root = ET.fromstring(connection.getCapabilities())  # noqa: S314  libvirt's own
    return "kvm" in {domain.get("type") for domain in root.findall("guest/arch/domain")}


def runs_guests(connection: Any, kind: str, pool_name: str) -> bool:
    """Return whether a guest that is started by `kind` comes to its end within PROBE_SECONDS."""
    name = f"commissaire-probe-{uuid.uuid4()}"
    pool = active_pool(connection, pool_name)
    capacity = f"<capacity>{len(_SECTOR)}</capacity><target><format type='raw'/></target>"
    volume = pool.createXML(f"<volume><name>{name}</name>{capacity}</volume>")
    try:
        stream = connection.newStream(0)
        volume.upload(stream, 0, len(_SECTOR))
        stream.send(_SECTOR)
        stream.finish()
        return _comes_to_its_end(connection, _guest_xml(name, kind, volume.path()))
    except libvirt.libvirtError as error:
        raise HypervisorError(f"no guest could be started to see whether {kind} works: {error}") from error
    finally:
        volume.delete()


def _comes_to_its_end(connection: Any, xml: str) -> bool:
    try:
        guest = connection.createXML(xml, _TRANSIENT)
    except libvirt.libvirtError:
        return False  # such as a QEMU that may not open /dev/kvm
    deadline = time.monotonic() + PROBE_SECONDS
    with contextlib.suppress(libvirt.libvirtError):  # it is gone once it has switched itself off
        while guest.isActive():
            if time.monotonic() > deadline:
                guest.destroy()
                return False
            time.sleep(_POLL_SECONDS)
    return True


def _guest_xml(name: str, kind: str, path: str) -> str:
    guest = ET.Element("domain", type=kind)
    ET.SubElement(guest, "name").text = name
    ET.SubElement(guest, "memory", unit="MiB").text = "32"
    system = ET.SubElement(guest, "os")
    ET.SubElement(system, "type", arch="x86_64", machine="pc").text = "hvm"
    ET.SubElement(ET.SubElement(guest, "features"), "acpi")
    ET.SubElement(guest, "on_crash").text = "preserve"  # which is no end
    disk = ET.SubElement(ET.SubElement(guest, "devices"), "disk", type="file", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="raw")
    ET.SubElement(disk, "source", file=path)
    ET.SubElement(disk, "target", dev="hda", bus="ide")
    return ET.tostring(guest, encoding="unicode")
