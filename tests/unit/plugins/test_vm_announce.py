"""What the program of the role vm_announce tells of machines, and what is read of it."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import announcement

from commissaire.machines import announcements

FILE = Path(__file__).parents[3] / "roles/vm_announce/files/vm_announce.py"
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
URI = "qemu+ssh://h1.example.org/system"


@pytest.fixture(scope="module")
def program():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("vm_announce", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_it_is_written_for_the_python_of_older_hypervisors():
    ast.parse(FILE.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("web", "web"),
        ("ns.example.com", "ns.example.com"),
        ("two words", "two words"),
        ("é" * 31, "é" * 31),
        ("a" * 63, "a" * 63),
        ("a" * 64, "a" * 54 + " 6695eb01"),
        ("é" * 300, "é" * 27 + " 6695eb01"),
        ("x" + "é" * 300, "x" + "é" * 26 + " 6695eb01"),
        ("tab\there", "tab here"),
        ("\t", UUID),
    ],
)
def test_an_instance_has_the_name_of_its_machine_as_far_as_a_label_holds_it(program, name, instance):
    found = program.label(program.Machine(UUID, name))
    assert found == instance
    assert len(found.encode()) <= 63


@pytest.mark.parametrize(
    "name", ["web", "ns.example.com", "a" * 300, "é" * 300, "x" + "🦆" * 299, "=", "n=v", "web #2"]
)
@pytest.mark.parametrize("owner", ["", "ann", "Ann & Bob", "ü" * 255])
@pytest.mark.parametrize("taken", [False, True])
def test_what_is_announced_is_what_both_readers_read(program, name, owner, taken):
    machine = program.Machine(UUID, name, owner)
    instance = "somebody's #2" if taken else program.label(machine)
    strings = program.text(machine, URI, instance)
    assert all(0 < len(string) <= 255 for string in strings)
    record = b"".join(bytes([len(string)]) + string for string in strings)
    for reader in (announcement, announcements):
        found = reader.read_announcement(instance, "h1.local.", record)
        assert found == reader.Announcement(name, UUID, URI, owner, "h1.local")


def test_a_name_is_told_only_where_the_instance_is_called_otherwise(program):
    machine = program.Machine(UUID, "web", "ann")
    alone = [f"uuid={UUID}".encode(), f"uri={URI}".encode(), b"owner=ann"]
    assert program.text(machine, URI, "web") == alone
    assert program.text(machine, URI, "web #2") == [*alone, b"name=web"]


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ("", ""),
        ('<c:owner xmlns:c="https://commissaire.example.org/xmlns/domain/1">ann</c:owner>', "ann"),
        ('<owner xmlns="https://commissaire.example.org/xmlns/domain/1">a &amp; b</owner>', "a & b"),
        ('<owner xmlns="https://example.org/other">eve</owner>', ""),
        ("<owner>eve</owner>", ""),
    ],
)
def test_a_machine_is_read_with_its_owner(program, metadata, owner):
    xml = f"<domain><name>web</name><uuid>{UUID}</uuid><metadata>{metadata}</metadata></domain>"
    assert program.read_machine(xml) == program.Machine(UUID, "web", owner)


def test_settings_are_read_with_their_defaults(program):
    assert program.read_settings('{"uri": "a"}') == program.Settings("a", "qemu:///system", 16509, ())
    given = {"uri": "a", "libvirt_uri": "b", "port": 1, "interfaces": ["br0"]}
    assert program.read_settings(json.dumps(given)) == program.Settings("a", "b", 1, ("br0",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the settings can't be read"),
        ("{}", "the settings can't be read"),
        ('{"uri": "a", "other": 1}', "other"),
        (json.dumps({"uri": "a" * 252}), "uri is longer than 251 bytes"),
        (None, "give a file as the role vm_announce writes it"),
    ],
)
def test_settings_that_are_none_end_it_with_the_reason(program, monkeypatch, tmp_path, capsys, text, message):
    monkeypatch.setattr(program, "MISSING", "")
    (tmp_path / "settings.json").write_text(text or "")
    assert program.main([str(tmp_path / "settings.json")] if text else []) == 1
    assert message in capsys.readouterr().err


def test_what_is_missing_of_python_is_named(program, monkeypatch, capsys):
    monkeypatch.setattr(program, "MISSING", "No module named 'dbus'")
    assert program.main([]) == 1
    assert capsys.readouterr().err == "No module named 'dbus': install python3-dbus and python3-libvirt\n"
