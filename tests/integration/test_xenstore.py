"""The xenstored of the lab: Debian's own, which knows domains though there is no Xen."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.libxenstore import Connection
from lab.xenstore import XenStore

pytestmark = pytest.mark.integration

GUEST = 5


@contextmanager
def refused(number: int) -> Iterator[None]:
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        yield
    assert caught.value.errno == number


def test_debians_programs_read_what_they_wrote_below_domain_0(xenstore: XenStore) -> None:
    xenstore.write("data/host/1", '{"name": "version"}')
    assert xenstore.read("/local/domain/0/data/host/1") == '{"name": "version"}'
    assert xenstore.run("ls", "data") == 'host = ""\n 1 = "{"name": "version"}"\n'
    xenstore.remove("data/host/1")
    assert xenstore.read("data/host/1") is None
    assert xenstore.children("data") == ["host"]


def test_the_programs_escape_what_they_read_and_un_escape_what_they_write(xenstore: XenStore) -> None:
    xenstore.write("data/host/1", r'a\nb "quoted" \\')
    with xenstore.connect() as connection:
        assert connection.read("data/host/1") == b'a\nb "quoted" \\'
    assert xenstore.read("data/host/1") == r'a\nb "quoted" \\'


def test_a_watch_of_debians_program_tells_each_change_and_one_before(xenstore: XenStore) -> None:
    xenstore.write("data/host/1", "")
    with xenstore.watch("data/host") as watching:
        assert watching.stdout
        assert watching.stdout.readline() == "data/host\n"
        xenstore.remove("data/host/1")
        assert watching.stdout.readline() == "data/host/1\n"
        watching.kill()


def test_a_guest_works_below_its_home_and_nowhere_else(xenstore: XenStore) -> None:
    domain = xenstore.introduce(GUEST, "web")
    with Connection(domain.path) as guest:
        assert guest.read("name") == b"web"
        guest.write("data/guest/1", b"\0\xff\n")
        for path in ("name", "vm-data/hostname", "/local/domain/0/name"):
            with refused(errno.EACCES):
                guest.write(path, b"no")
    assert xenstore.children("/local/domain/5/data/guest") == ["1"]


def test_a_guest_may_have_few_nodes_and_small_ones(xenstore: XenStore) -> None:
    domain = xenstore.introduce(GUEST)
    with Connection(domain.path) as guest:
        with refused(errno.ENOSPC):
            guest.write("data/guest/1", bytes(2048))
        with refused(errno.ENOSPC):
            for number in range(60):  # the names of its children count for the size of a node: 37 bytes each here
                guest.write(f"data/guest/{number:036}", b"")
        assert 50 < number < 60
        with refused(errno.ENOSPC):
            for number in range(1100):
                guest.write(f"data/{number // 100}/{number % 100}", b"")
        assert 900 < number < 1000


def test_a_guests_watches_end_with_its_program(xenstore: XenStore) -> None:
    domain = xenstore.introduce(GUEST)
    with Connection(domain.path) as guest:
        guest.watch("data/host")
        assert guest.wait(5) == "data/host"
    with Connection(domain.path) as guest:
        guest.watch("data/other")
        assert guest.wait(5) == "data/other"
        xenstore.write(f"/local/domain/{GUEST}/data/host/1", "")
        assert guest.wait(0.2) is None


def test_a_guest_may_have_a_device_instead_of_a_socket(xenstore: XenStore) -> None:
    domain = xenstore.introduce(GUEST, "web", device=True)
    assert domain.path.is_char_device()
    device = os.open(domain.path, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(device, struct.pack("=IIII", 2, 1, 0, 5) + b"name\0")
        answer = b""
        while len(answer) < 19:
            answer += os.read(device, 100)
    finally:
        os.close(device)
    assert answer == struct.pack("=IIII", 2, 1, 0, 3) + b"web"


def test_a_killed_daemon_forgets_all_but_the_domains(xenstore: XenStore) -> None:
    domain = xenstore.introduce(GUEST, "web")
    with Connection(domain.path) as guest:
        guest.write("data/guest/1", b"")
    xenstore.kill()
    xenstore.start()
    with Connection(domain.path) as guest:
        assert guest.read("name") == b"web"
        assert guest.read("data/guest/1") is None


def test_two_stores_know_nothing_of_each_other(xenstore: XenStore) -> None:
    xenstore.write("data/x", "one")
    with XenStore.make() as other:
        assert other.read("data/x") is None
        folder = other.directory
    assert not folder.exists()
