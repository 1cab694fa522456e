"""resetnetwork and `apply`: all of it or nothing, only what is managed, and again from the cache."""

from __future__ import annotations

import json
import os

import pytest

from singularity import apply, network
from singularity.cache import Cache
from singularity.errors import Refused
from singularity.functions import hostname, hosts, resetnetwork, resolvers
from unit.guest_agent.roots import PRIVATE, PUBLIC, guest, make, vm_data

FILES = {
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/hostname": "old\n",
    "etc/resolv.conf": "nameserver 1.1.1.1\n",
}
TOLD = vm_data(PUBLIC, PRIVATE, hostname="web1.example.org")
OWN = ("network", "hostname", "hosts", "resolvers")


class Channel:
    """A channel to a hypervisor that left this vm-data."""

    def __init__(self, told):
        self.told = told

    def read_vm_data(self):
        return self.told


@pytest.fixture
def root(tmp_path):
    return make(tmp_path, FILES)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def contents(root):
    return {name: (root / name).read_text() for name in FILES}


def test_a_reset_writes_all_that_is_told_and_reloads_nothing_elsewhere(root):
    assert resetnetwork.answer("", guest(root), Channel(TOLD)) == ""
    found = contents(root)
    assert "address 192.0.2.42\n" in found["etc/network/interfaces"]
    assert found["etc/hostname"] == "web1.example.org\n"
    assert "192.0.2.42\tweb1.example.org web1" in found["etc/hosts"]
    assert found["etc/resolv.conf"] == "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"
    assert list((root / "etc").glob("hostname.*.bak~"))


def test_a_reset_without_vm_data_changes_nothing(root):
    resetnetwork.answer("", guest(root), Channel({}))
    assert contents(root) == FILES
    assert not (root / "var").exists()


@pytest.mark.parametrize("item", OWN)
def test_only_what_is_managed_is_changed_and_kept(root, item):
    network.reset(guest(root, functions=(item,)), TOLD)
    paths = dict(zip(OWN, ("etc/network/interfaces", "etc/hostname", "etc/hosts", "etc/resolv.conf"), strict=True))
    assert [name for name, text in contents(root).items() if text != FILES[name]] == [paths[item]]
    assert names(root / "var/cache/singularity") == [f"{item}.json"]


@pytest.mark.parametrize(
    "told",
    [
        {**TOLD, "networking/BC764E0000FF": json.dumps({"mac": "BC:76:4E:00:00:FF"})},
        {**TOLD, "networking/BC764E000001": "{"},
        {**TOLD, "hostname": "not a name"},
        vm_data({**PUBLIC, "gateway": "192.0.2.1"}, {**PRIVATE, "gateway": "10.1.0.1"}),
    ],
)
def test_vm_data_that_can_not_be_used_changes_nothing(root, told):
    with pytest.raises(Refused):
        network.reset(guest(root), told)
    assert contents(root) == FILES
    assert not (root / "var").exists()


def test_one_file_that_can_not_be_written_leaves_all_as_they_were(root):
    (root / "etc/hosts").unlink()
    (root / "etc/hosts").mkdir()
    before = {name: (root / name).read_text() for name in FILES if name != "etc/hosts"}
    with pytest.raises(Refused):
        network.reset(guest(root), TOLD)
    assert {name: (root / name).read_text() for name in before} == before


def test_apply_puts_back_what_was_changed_since(root, capsys):
    network.reset(guest(root), TOLD)
    wanted = contents(root)
    for name, text in FILES.items():
        (root / name).write_text(text)
    assert apply.run(guest(root, noop=True), ["network"], None) == 0
    assert "+    address 192.0.2.42\n" in capsys.readouterr().out
    assert contents(root) == FILES
    assert apply.run(guest(root), ["hostname"], None) == 0
    assert contents(root) == {**FILES, "etc/hostname": wanted["etc/hostname"]}
    assert apply.run(guest(root), ["hosts", "resolvers", "network"], None) == 0
    assert contents(root) == wanted
    assert apply.run(guest(root, noop=True), list(OWN), None) == 0
    assert capsys.readouterr().out == ""


def test_apply_of_given_vm_data_needs_no_channel(root, capsys):
    assert apply.run(guest(root), ["network"], TOLD) == 0
    assert (root / "etc/hostname").read_text() == "web1.example.org\n"
    assert apply.run(guest(root), ["network"], {**TOLD, "hostname": "-"}) == 1
    assert "network: that is no host name" in capsys.readouterr().err


def test_apply_of_what_is_not_managed_fails_and_the_rest_is_done(root, capsys):
    network.reset(guest(root), TOLD)
    (root / "etc/hostname").write_text("other\n")
    assert apply.run(guest(root, functions=("hostname",)), ["resolvers", "hostname"], None) == 1
    assert "resolvers is not managed" in capsys.readouterr().err
    assert (root / "etc/hostname").read_text() == "web1.example.org\n"


def test_apply_without_anything_cached_changes_nothing(root):
    assert apply.run(guest(root), list(OWN), None) == 0
    assert contents(root) == FILES


def test_hostname_takes_a_name_or_that_of_vm_data(root):
    hostname.answer("web2", guest(root), Channel({}))
    assert (root / "etc/hostname").read_text() == "web2\n"
    hostname.answer("", guest(root), Channel(TOLD))
    assert (root / "etc/hostname").read_text() == "web1.example.org\n"
    for value, told in (("", {}), ("a b", {}), (5, {}), ({}, {})):
        with pytest.raises(Refused):
            hostname.answer(value, guest(root), Channel(told))


def test_hosts_takes_entries_or_those_of_vm_data(root):
    hosts.answer({"192.0.2.9": "db"}, guest(root), Channel({}))
    assert (root / "etc/hosts").read_text() == "127.0.0.1 localhost\n192.0.2.9\tdb\t# singularity\n"
    hosts.answer("", guest(root), Channel(vm_data(PRIVATE)))
    assert (root / "etc/hosts").read_text() == "127.0.0.1 localhost\n10.1.2.3\told\t# singularity\n"
    with pytest.raises(Refused):
        hosts.answer("", guest(root), Channel({}))


def test_resolvers_takes_servers_or_those_of_vm_data(root):
    resolvers.answer("192.0.2.9", guest(root), Channel({}))
    assert (root / "etc/resolv.conf").read_text() == "nameserver 192.0.2.9\n"
    resolvers.answer("", guest(root), Channel(TOLD))
    assert (root / "etc/resolv.conf").read_text() == "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"
    with pytest.raises(Refused):
        resolvers.answer("", guest(root), Channel({}))


def test_a_root_that_is_an_image_has_the_interfaces_of_the_machine_it_lies_on(tmp_path):
    make(tmp_path, FILES)
    for path in sorted((tmp_path / "sys").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / "sys").rmdir()
    with pytest.raises(Refused, match="this guest has no interface bc:76:4e:00:00:01"):
        network.reset(guest(tmp_path), TOLD)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100000, b"5", b"[]", b'{"a": 1}', b'"x y"', b"null"])
def test_a_cache_that_was_spoilt_is_as_good_as_none(root, content):
    folder = root / "var/cache/singularity"
    folder.mkdir(parents=True)
    for item in OWN:
        (folder / f"{item}.json").write_bytes(content)
    assert apply.run(guest(root), list(OWN), None) in (0, 1)
    assert contents(root) == FILES


def test_the_cache_is_closed_to_others_and_a_full_one_is_no_error(tmp_path, monkeypatch):
    cache = Cache(str(tmp_path / "cache"))
    cache.write("password", {"root": "hash"})
    cache.update("password", "bob", "other")
    assert cache.read("password") == {"root": "hash", "bob": "other"}
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "cache/password.json").stat().st_mode & 0o777 == 0o600

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        cache.write("password", {})
    assert cache.read("password") == {"root": "hash", "bob": "other"}
    assert names(tmp_path / "cache") == ["password.json"]
    cache.forget("password")
    assert cache.read("password", "none") == "none"
    with pytest.raises(Refused):
        cache.read("../password")
