"""What is heard of virtual machines, as real DNS records and without a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from zeroconf import DNSService, DNSText, ServiceStateChange, Zeroconf
from zeroconf._cache import DNSCache

from commissaire.machines import announcements
from commissaire.machines.announcements import SERVICE, Announcement, Announcements, allowed_by, read_announcement

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
URI = "qemu+ssh://h1/system"
GOOD = {"uuid": UUID, "uri": URI, "owner": "ann"}


def record(**pairs: str | bytes) -> bytes:
    """Return a TXT record."""
    values = {key: value.encode() if isinstance(value, str) else value for key, value in pairs.items()}
    strings = [key.encode() + b"=" + value for key, value in values.items()]
    return b"".join(bytes([len(string)]) + string for string in strings)


class Network:
    """What an Announcements hears: records in zeroconf's own cache."""

    def __init__(self, heard: Announcements) -> None:
        self.heard = heard
        self.asked: list[Any] = []
        self.zeroconf = cast(Zeroconf, SimpleNamespace(cache=DNSCache(), send=self.asked.append))
        heard._zeroconf = self.zeroconf

    def tell(self, change: ServiceStateChange, instance: str) -> None:
        self.heard._hear(self.zeroconf, SERVICE, f"{instance}.{SERVICE}", change)

    def know(self, instance: str, text: bytes, server: str = "h1.local.") -> None:
        name = f"{instance}.{SERVICE}"
        records = [DNSText(name, 16, 1, 4500, text), DNSService(name, 33, 1, 120, 0, 0, 16509, server)]
        self.zeroconf.cache.async_add_records(records)

    def add(self, instance: str, **pairs: str | bytes) -> None:
        self.know(instance, record(**pairs))
        self.tell(ServiceStateChange.Added, instance)


@pytest.fixture
def network() -> Network:
    return Network(Announcements(allowed_by([URI])))


def test_machines_come_change_and_go(network: Network) -> None:
    network.add("web", **GOOD)
    assert network.heard.machines() == [Announcement("web", UUID, URI, "ann", "h1.local")]
    network.know("web", record(**{**GOOD, "owner": "eve"}))
    network.tell(ServiceStateChange.Updated, "web")
    assert [machine.owner for machine in network.heard.machines()] == ["eve"]
    network.tell(ServiceStateChange.Removed, "web")
    assert network.heard.machines() == []


def test_a_machine_that_is_announced_twice_is_there_once(network: Network) -> None:
    network.add("web", **GOOD)
    network.add("web #2", **GOOD, name="web")
    assert [machine.name for machine in network.heard.machines()] == ["web"]


def test_what_is_not_allowed_is_counted_and_logged_once(network: Network) -> None:
    with capture_logs() as logs:
        for number in range(3):
            network.add(f"evil{number}", **{**GOOD, "uri": "qemu+ssh://evil/system"})
    assert (network.heard.machines(), network.heard.ignored) == ([], 3)
    assert [(entry["event"], entry["uri"]) for entry in logs] == [("announcement_ignored", "qemu+ssh://evil/system")]
    network.know("evil0", record(**GOOD))
    network.tell(ServiceStateChange.Updated, "evil0")
    assert (len(network.heard.machines()), network.heard.ignored) == (1, 2)


def test_there_is_an_end_to_what_is_kept_and_logged(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MAX_ANNOUNCEMENTS", 3)
    monkeypatch.setattr(announcements, "MAX_LOGGED", 2)
    with capture_logs() as logs:
        for number in range(10):
            network.add(f"m{number}", **{**GOOD, "uri": f"qemu+ssh://other{number}/system"})
    assert (network.heard.ignored, len(logs)) == (3, 2)
    network.tell(ServiceStateChange.Removed, "m0")
    network.add("web", **GOOD)
    assert "web" in [machine.name for machine in network.heard.machines()]


def test_what_was_not_heard_is_asked_for_a_few_times(network: Network) -> None:
    network.tell(ServiceStateChange.Added, "web")
    network.tell(ServiceStateChange.Added, "ns.example.com")
    pauses = [network.heard.turn() for _ in range(5)]
    assert pauses == [1.0, 1.0, 1.0, 30.0, 30.0]
    questions = [[(question.name, question.type) for question in one.questions] for one in network.asked]
    own = [(f"web.{SERVICE}", 33), (f"web.{SERVICE}", 16)]
    assert questions == [own, [(SERVICE, 12)]] * 3 + [[(SERVICE, 12)]] * 2
    network.know("web", record(**GOOD))
    network.tell(ServiceStateChange.Updated, "web")
    assert [machine.name for machine in network.heard.machines()] == ["web"]


def test_a_machine_whose_host_answers_no_more_is_forgotten_until_it_does(network: Network) -> None:
    network.add("web", **GOOD)
    assert (network.heard.turn(), network.asked) == (10.0, [])
    network.zeroconf.cache.async_remove_records(network.zeroconf.cache.get_all_by_details(f"web.{SERVICE}", 33, 1))
    for _ in range(3):
        assert len(network.heard.machines()) == 1
        network.heard.turn()
    assert (len(network.asked), network.heard.turn(), network.heard.machines()) == (3, 30.0, [])
    network.know("web", record(**GOOD))
    network.tell(ServiceStateChange.Updated, "web")
    assert len(network.heard.machines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x00",
        b"\xff",
        b"\x05uuid",
        record(uuid=UUID),
        record(uri=URI),
        record(uuid="none", uri=URI),
        record(uuid=UUID, uri=b"\xff"),
        record(uuid=UUID, uri="qemu+ssh://h1/ system"),
        record(uuid=UUID, uri="qemu+ssh://h1/\x1b[2J"),
        record(uuid=UUID, uri=URI, owner="ann\n"),
        record(uuid=UUID, uri=URI, owner="\u202enna"),
        record(uuid=UUID, uri=URI, owner="a" * 240, owner2="a" * 16),
        record(uuid=UUID, uri=URI, name=b"\xc3"),
        record(uuid=UUID, uri=URI, **{f"name{number}".removesuffix("1"): "a" * 240 for number in range(1, 10)}),
        record(uuid=UUID, uri=URI) * 200,
    ],
)
def test_a_record_that_is_no_good_is_no_announcement(network: Network, text: bytes) -> None:
    assert read_announcement("web", "h1.local.", text) is None
    network.know("web", text)
    network.tell(ServiceStateChange.Added, "web")
    assert (network.heard.machines(), network.heard.ignored) == ([], 1)


def test_what_can_not_be_shown_of_a_name_is_replaced() -> None:
    found = read_announcement("tab\there\x1b", "h1.local.", record(**GOOD))
    assert found is not None
    assert found.name == "tab\ufffdhere\ufffd"


def test_of_a_key_that_comes_twice_the_first_counts() -> None:
    found = read_announcement("web", "h1.local.", record(**GOOD) + record(owner="eve") + record(UUID="other"))
    assert found == Announcement("web", UUID, URI, "ann", "h1.local")


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.text(), st.text(), st.binary(max_size=600))
def test_no_record_breaks_the_reader(instance: str, host: str, text: bytes) -> None:
    for noise in (text, record(**GOOD) + text, text + record(**GOOD)):
        found = read_announcement(instance, host, noise)
        assert found is None or found.uri.isprintable()


@pytest.mark.parametrize(
    ("pattern", "uri", "allowed"),
    [
        ("qemu+ssh://*.example.org/system", "qemu+ssh://h1.example.org/system", True),
        ("qemu+ssh://*.example.org/system", "qemu+ssh://evil.com/x.example.org/system", False),
        ("qemu+ssh://*.example.org/*", "qemu+ssh://h1.example.org/system?command=/bin/evil", False),
        ("qemu+ssh://h1/system", "qemu+ssh://h1/system\n", False),
        ("*", "qemu+ext:///system?command=/bin/evil", False),
    ],
)
def test_a_pattern_leads_to_the_hypervisors_it_names_and_nowhere_else(pattern: str, uri: str, allowed: bool) -> None:
    assert allowed_by(["other", pattern])(uri) is allowed
    assert allowed_by([])(uri) is False
