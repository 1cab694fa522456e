"""Which of the addresses that libvirt tells are a machine's, and whom it is asked for them."""

import threading
import time

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils import addresses
from ansible_collections.commissaire.fleet.plugins.module_utils.addresses import (
    Address,
    addresses_of,
    agent_connected,
    in_order,
    ports_of,
    read_addresses,
)

FIRST, SECOND, INNER = "52:54:00:00:00:01", "52:54:00:00:00:02", "02:42:00:00:00:01"
XML = f"""<domain><devices>
  <interface type='network'><mac address='{FIRST.upper()}'/><source network='lab' bridge='virbr0'/></interface>
  <interface type='bridge'><mac address='{SECOND}'/><source bridge='br0'/></interface>
  <interface type='user'/>
  <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
</devices></domain>"""
PORTS = {FIRST: "lab", SECOND: None}


def answer(*given, mac=FIRST):
    return {"eth0": {"hwaddr": mac, "addrs": [{"addr": address, "prefix": 24, "type": 0} for address in given]}}


def known(found):
    return [(one.address, one.source) for one in found]


class Guest:
    """A domain of libvirt's, which answers each source with what it is given, after a while."""

    def __init__(self, seconds=0.0, **answers):
        self.seconds = seconds
        self.answers = {0: answers.get("lease"), 1: answers.get("agent"), 2: answers.get("arp")}
        self.timeouts = []
        self.asked = []

    def agentSetResponseTimeout(self, seconds):  # noqa: N802  libvirt's name
        self.timeouts.append(seconds)
        return 0

    def interfaceAddresses(self, source):  # noqa: N802
        self.asked.append(source)
        if source == 1:
            time.sleep(self.seconds)
        return self.answers[source]


def test_ports_are_known_by_their_address_whatever_they_are_on():
    assert ports_of(XML) == PORTS


@pytest.mark.parametrize(("was", "becomes", "connected"), [
    ("", "", True),
    ("'connected'", "'disconnected'", False),
    ("org.qemu.guest_agent.0", "com.redhat.spice.0", False),
])  # fmt: skip
def test_an_agent_is_asked_only_when_it_has_opened_its_channel(was, becomes, connected):
    assert agent_connected(XML.replace(was, becomes) if was else XML) is connected


@pytest.mark.parametrize(("given", "address"), [
    ("192.0.2.1", "192.0.2.1"),
    ("2001:DB8::0:1", "2001:db8::1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    *((useless, None) for useless in (
        "127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "fe80::1%eth0", "0.0.0.0",  # noqa: S104
        "::", "224.0.0.1", "ff02::1", "255.255.255.255", "", "localhost", "{{ 1 }}", "192.0.2.1; reboot", "192.0.2",
    )),
])  # fmt: skip
def test_what_leads_nowhere_or_back_home_is_no_address(given, address):
    found = read_addresses(answer(given), "agent", PORTS)
    assert [one.address for one in found] == ([address] if address else [])


def test_an_address_has_the_network_of_its_port():
    (found,) = read_addresses(answer("192.0.2.1", mac=FIRST.upper()), "lease", PORTS)
    assert found.facts() == {
        "mac": FIRST, "network": "lab", "address": "192.0.2.1", "prefix": 24, "source": "lease",
    }  # fmt: skip
    (bridged,) = read_addresses(answer("192.0.2.1", mac=SECOND), "arp", PORTS)
    assert (bridged.network, bridged.prefix, bridged.on_port) == (None, None, True)
    (inner,) = read_addresses(answer("172.17.0.1", mac=INNER), "agent", PORTS)
    assert (inner.network, inner.on_port) == (None, False)


@pytest.mark.parametrize("said", [
    None, {}, {"wg0": {"addrs": None, "hwaddr": None}}, {"eth0": {"addrs": [], "hwaddr": "<img src=x>"}},
])  # fmt: skip
def test_an_answer_may_say_nothing(said):
    assert read_addresses(said, "agent", PORTS) == []


def test_a_guest_does_not_make_up_a_mac_address():
    (found,) = read_addresses(answer("192.0.2.1", mac="{{ 1 }}"), "agent", PORTS)
    assert (found.mac, found.on_port) == ("", False)


def test_addresses_come_once_in_the_order_of_the_ports_and_not_without_end():
    def one(address, mac, source="agent"):
        return Address(mac, None, address, 24, source)

    given = [one("172.17.0.1", INNER), one("192.0.2.2", SECOND), one("192.0.2.1", FIRST, "lease")]
    found = in_order([*given, one("192.0.2.1", FIRST, "arp")], PORTS)
    assert known(found) == [("192.0.2.1", "lease"), ("192.0.2.2", "agent"), ("172.17.0.1", "agent")]
    many = [one(f"10.{number // 256}.{number % 256}.1", INNER) for number in range(10_000)]
    assert len(in_order([*many, *given], PORTS)) == addresses.MOST
    assert in_order([*many, *given], PORTS)[0].address == "192.0.2.1"


def test_what_an_agent_says_counts_and_nobody_else_is_asked():
    guest = Guest(agent=answer("192.0.2.1"), lease=answer("192.0.2.99"))
    assert known(addresses_of({"web": (guest, XML)})["web"]) == [("192.0.2.1", "agent")]
    assert guest.asked == [1]
    assert guest.timeouts == [addresses.AGENT_SECONDS, -2], "libvirt keeps the timeout for others, so it is put back"


def test_leases_and_then_arp_know_where_an_agent_says_nothing_of_use():
    guest = Guest(
        agent=answer("172.17.0.1", mac=INNER),
        lease=answer("192.0.2.1"),
        arp={**answer("192.0.2.1"), "vnet1": {"hwaddr": SECOND, "addrs": [{"addr": "192.0.2.2", "prefix": 0}]}},
    )
    found = addresses_of({"web": (guest, XML)})["web"]
    assert known(found) == [("192.0.2.1", "lease"), ("192.0.2.2", "arp"), ("172.17.0.1", "agent")]


def test_only_the_sources_asked_for_are_asked():
    guest = Guest(agent=answer("192.0.2.1"), lease=answer("192.0.2.2"), arp=answer("192.0.2.3"))
    assert known(addresses_of({"web": (guest, XML)}, ["arp"])["web"]) == [("192.0.2.3", "arp")]
    assert (guest.asked, guest.timeouts) == ([2], [])
    assert addresses_of({"web": (guest, "<domain/>")}) == {"web": []}
    assert guest.asked == [2], "a machine without ports has no addresses"


def test_silent_agents_take_no_longer_than_they_may_and_their_leases_count():
    said = {"agent": answer("192.0.2.1"), "lease": answer("192.0.2.2")}
    guests = {f"m{number}": (Guest(0.4, **said), XML) for number in range(100)}
    started = time.monotonic()
    found = addresses_of(guests, seconds=1.2)
    assert time.monotonic() - started < 4, "all of them would take 8 s"
    sources = [one.source for name in guests for one in found[name]]
    assert len(sources) == 100
    assert 0 < sources.count("agent") <= 2 * addresses.AGENTS_AT_ONCE


def test_an_agent_that_hangs_is_left_to_itself():
    hung = threading.Event()
    guest = Guest(lease=answer("192.0.2.2"))
    said = guest.interfaceAddresses
    guest.interfaceAddresses = lambda source: hung.wait(10) and None if source == 1 else said(source)
    try:
        found = addresses_of({"web": (guest, XML)}, seconds=0.2)
        assert known(found["web"]) == [("192.0.2.2", "lease")]
    finally:
        hung.set()
