"""What is told of the guest's system in QEMU's dialect."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from singularity.qemu import file_systems, users
from singularity.qemu.system import release_of
from unit.guest_agent.qemu_guest import Asker

RELEASE = """# of a distribution
NAME="Fine \\"Linux\\""
ID=fine
VERSION_ID='7'

PRETTY_NAME="Fine Linux 7 (Crème)"
BROKEN
"""


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    (tmp_path / "etc").mkdir()
    asker = Asker(tmp_path)
    yield asker
    asker.close()


def test_the_distribution_is_that_of_the_root_and_the_kernel_the_running_one(asker: Asker, tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(RELEASE)
    (tmp_path / "etc/os-release").symlink_to("/usr/lib/os-release")
    answer = asker.ask("guest-get-osinfo")
    assert answer["id"] == "fine"
    assert answer["name"] == 'Fine "Linux"'
    assert answer["version-id"] == "7"
    assert answer["pretty-name"] == "Fine Linux 7 (Crème)"
    assert "variant" not in answer
    assert answer["kernel-release"] == os.uname().release


def test_a_release_file_is_read_whatever_stands_in_it() -> None:
    assert release_of('=\nA=\nB=\'\nC=""\n#D=1') == {"": "", "A": "", "B": "'", "C": ""}


def test_the_lists_of_paths_do_not_hide_the_distribution(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("ID=fine\n")
    assert Asker(tmp_path, allow_paths=("/srv",)).ask("guest-get-osinfo")["id"] == "fine"


def test_the_host_name_is_that_of_the_root(asker: Asker, tmp_path: Path) -> None:
    assert asker.ask("guest-get-host-name") == {"host-name": os.uname().nodename}
    (tmp_path / "etc/hostname").write_text("fine\n")
    assert asker.ask("guest-get-host-name") == {"host-name": "fine"}


def test_time_is_told_in_nanoseconds(asker: Asker) -> None:
    assert abs(asker.ask("guest-get-time") - time.time_ns()) < 10**10


def test_the_zone_is_that_of_the_root(asker: Asker, tmp_path: Path) -> None:
    assert asker.ask("guest-get-timezone") == {"zone": "UTC", "offset": 0}
    zone = Path("/usr/share/zoneinfo/Asia/Kolkata")
    if not zone.exists():
        pytest.skip("install tzdata")
    before = time.localtime().tm_zone
    (tmp_path / "etc/localtime").write_bytes(zone.read_bytes())
    assert asker.ask("guest-get-timezone") == {"zone": "IST", "offset": 19800}
    for broken in (b"no zone", b"TZif2 and no more"):
        (tmp_path / "etc/localtime").write_bytes(broken)
        assert asker.ask("guest-get-timezone")["offset"] == 0
    assert time.localtime().tm_zone == before


def test_processors_are_those_of_the_machine(asker: Asker) -> None:
    processors = asker.ask("guest-get-vcpus")
    online = [processor["logical-id"] for processor in processors if processor["online"]]
    assert len(online) == len(os.sched_getaffinity(0)) or len(online) == os.cpu_count()
    assert online == sorted(online)


def login(kind: int, user: str, seconds: int, layout: struct.Struct) -> bytes:
    return layout.pack(kind, 1, b"tty1", b"1", user.encode(), b"", 0, 0, 1, seconds, 500000, 0, 0, 0, 0)


@pytest.mark.parametrize(("layout", "size"), [(users.NARROW, 384), (users.WIDE, 400)])
def test_logins_are_read_from_both_forms_of_utmp(layout: struct.Struct, size: int) -> None:
    assert layout.size == size
    content = login(7, "ann", 100, layout) + login(8, "gone", 50, layout) + login(7, "a" * 32, 70, layout)
    assert list(users.logins(content + b"torn", layout)) == [("ann", 100.5), ("a" * 32, 70.5)]


def test_a_user_who_logged_in_twice_is_told_of_once_with_the_first_time(asker: Asker, tmp_path: Path) -> None:
    assert asker.ask("guest-get-users") == []
    layout = users.WIDE if os.uname().machine == "aarch64" else users.NARROW
    (tmp_path / "run").mkdir()
    (tmp_path / "run/utmp").write_bytes(login(7, "ann", 200, layout) + login(7, "ann", 100, layout))
    assert asker.ask("guest-get-users") == [{"user": "ann", "login-time": 100.5}]


def test_interfaces_have_the_addresses_and_counters_that_the_kernel_tells(asker: Asker) -> None:
    interfaces = {interface["name"]: interface for interface in asker.ask("guest-network-get-interfaces")}
    assert set(interfaces) == {name for _, name in socket.if_nameindex()}
    loopback = interfaces["lo"]
    assert loopback["hardware-address"] == "00:00:00:00:00:00"
    assert {"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8} in loopback["ip-addresses"]
    counters = {path.name: int(path.read_text()) for path in Path("/sys/class/net/lo/statistics").iterdir()}
    assert loopback["statistics"]["rx-bytes"] <= counters["rx_bytes"]
    assert set(loopback["statistics"]) == {
        f"{way}-{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errs", "dropped")
    }


def test_mounts_of_devices_are_told_and_others_left_out() -> None:
    text = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 8:2 / /with\040blank\134 rw - xfs /dev/sda2 rw
25 22 0:40 / /srv rw - nfs host:/srv rw
26 22 0:41 /@ /home rw master:2 propagate_from:1 - btrfs /dev/sda3 rw
broken
"""
    points = [(mount.point, mount.kind) for mount in file_systems.mounts(text)]
    assert points == [("/", "ext4"), ("/with blank\\", "xfs"), ("/home", "btrfs")]


def test_file_systems_say_how_full_they_are(asker: Asker) -> None:
    for told in asker.ask("guest-get-fsinfo"):
        assert 0 <= told["used-bytes"] <= told["total-bytes"] <= told["total-bytes-privileged"]
        assert told["disk"] == []


def test_disks_name_what_they_lie_on(asker: Asker) -> None:
    disks = asker.ask("guest-get-disks")
    names = {disk["name"] for disk in disks}
    for disk in disks:
        assert disk["name"].startswith("/dev/")
        assert not disk["partition"] or set(disk["dependencies"]) <= names
