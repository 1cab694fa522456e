"""What hosts leave in vm-data is understood in all its forms, and whatever else is there is refused."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from singularity.errors import Refused
from singularity.network.model import Address, Route
from singularity.network.vm_data import hostname_of, mac_of, parse, servers_of

ZERO = "0.0.0.0"  # noqa: S104  no socket is bound to it
MAC, OTHER = "bc:76:4e:00:00:01", "bc:76:4e:00:00:02"
NAMES = {MAC: "eth0", OTHER: "eth1"}
NOVA = {
    "label": "public",
    "mac": "BC:76:4E:00:00:01",
    "gateway": "192.0.2.1",
    "broadcast": "192.0.2.255",
    "ips": [{"ip": "192.0.2.42", "netmask": "255.255.255.0", "enabled": "1", "gateway": "192.0.2.1"}],
    "gateway_v6": "fe80::1",
    "ip6s": [{"ip": "2001:db8::42", "netmask": 64, "enabled": "1", "gateway": "fe80::1"}],
    "dns": ["192.0.2.53", "2001:db8::53"],
    "routes": [{"route": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "192.0.2.254"}],
}
ANY, ANY6 = Address(ZERO, 0), Address("::", 0)


def one(names=NAMES, **changes):
    """The interface that nova's data with `changes` (None: without that key) means."""
    data = {key: value for key, value in {**NOVA, **changes}.items() if value is not None}
    return parse({"networking/BC764E000001": json.dumps(data)}, names).interfaces[0]


def ip(address="192.0.2.42", netmask="255.255.255.0", **more):
    return {"ip": address, "netmask": netmask, "enabled": "1", **more}


def refused(**changes):
    with pytest.raises(Refused) as error:
        one(**changes)
    assert error.value.message.isascii()
    return error.value.message


def test_nova_s_data_is_understood():
    network = parse({"hostname": "web1\n", "networking/BC764E000001": json.dumps(NOVA)}, NAMES)
    interface = network.interfaces[0]
    assert network.hostname == "web1"
    assert (interface.name, interface.mac, interface.label) == ("eth0", MAC, "public")
    assert list(map(str, interface.addresses)) == ["192.0.2.42/24", "2001:db8::42/64"]
    assert interface.gateway == Route(ANY, "192.0.2.1")
    assert interface.gateway6 == Route(ANY6, "fe80::1")
    assert interface.routes == (Route(Address("10.0.0.0", 8), "192.0.2.254"),)
    assert interface.dns == network.dns == ("192.0.2.53", "2001:db8::53")
    assert list(network.main_addresses) == ["192.0.2.42", "2001:db8::42"]


@pytest.mark.parametrize(
    ("changes", "addresses"),
    [
        ({"ips": [ip(netmask="24")]}, ["192.0.2.42/24"]),
        ({"ips": [ip(netmask=24)]}, ["192.0.2.42/24"]),
        ({"ips": [ip("192.0.2.42/25", None)]}, ["192.0.2.42/25"]),
        ({"ips": [ip(netmask="255.255.255.255")]}, ["192.0.2.42/32"]),
        ({"ips": [{"address": "192.0.2.42", "netmask": "255.255.255.0", "enabled": True}]}, ["192.0.2.42/24"]),
        ({"ips": [ip(), ip(), ip("192.0.2.43")]}, ["192.0.2.42/24", "192.0.2.43/24"]),
        ({"ips": [ip(enabled="0"), ip("192.0.2.43", enabled=1)]}, ["192.0.2.43/24"]),
        ({"ips": [ip(enabled=False), ip(enabled=0), ip(enabled="false"), ip(enabled=None)]}, []),
        ({"ips": [{"ip": "192.0.2.42", "netmask": 24}]}, ["192.0.2.42/24"]),
        ({"ip6s": [ip("2001:DB8:0::42", "64")], "ips": None}, ["2001:db8::42/64"]),
        ({"ip6s": [{"address": "2001:db8::42", "netmask": "48", "enabled": 1}], "ips": []}, ["2001:db8::42/48"]),
    ],
)
def test_addresses_are_understood_in_all_their_forms(changes, addresses):
    interface = one(**{"ip6s": None, **changes}, gateway=None, routes=None)
    assert list(map(str, interface.addresses)) == addresses


@pytest.mark.parametrize(
    ("changes", "gateway"),
    [
        ({}, "192.0.2.1"),
        ({"gateway": ""}, "192.0.2.9"),
        ({"gateway": None}, "192.0.2.9"),
        ({"gateway": "192.0.2.2"}, "192.0.2.2"),
        ({"ips": [ip(enabled="0")]}, None),
        (
            {
                "gateway": None,
                "ips": [ip()],
                "routes": [{"route": ZERO, "netmask": ZERO, "gateway": "192.0.2.3"}],
            },
            "192.0.2.3",
        ),
        ({"routes": [{"route": ZERO, "netmask": ZERO, "gateway": "192.0.2.1"}]}, "192.0.2.1"),
    ],
)
def test_the_default_route_is_the_interface_s_own_else_its_addresses(changes, gateway):
    interface = one(**{"ips": [ip(gateway="192.0.2.9")], **changes})
    assert (interface.gateway and interface.gateway.gateway) == gateway


def test_an_explicit_null_is_no_gateway():
    assert one(ips=[ip(gateway=None)], gateway=None).gateway is None


def test_a_gateway_that_is_null_is_an_address_s_where_no_other_interface_has_one():
    address = ip("10.0.0.2", "255.0.0.0", gateway="10.0.0.1")
    null = json.dumps({"mac": OTHER, "gateway": None, "ips": [address]})
    (alone,) = parse({"networking/2": null}, NAMES).interfaces
    assert alone.gateway == Route(ANY, "10.0.0.1")
    first, second = parse({"networking/1": json.dumps(NOVA), "networking/2": null}, NAMES).interfaces
    assert (first.gateway, second.gateway) == (Route(ANY, "192.0.2.1"), None)
    stated = json.dumps({**json.loads(null), "routes": [{"route": ZERO, "netmask": ZERO, "gateway": "10.0.0.1"}]})
    with pytest.raises(Refused, match="several default routes for IPv4"):
        parse({"networking/1": json.dumps(NOVA), "networking/2": stated}, NAMES)


def test_what_hosts_write_for_no_name_server_and_no_gateway_is_left_out():
    assert servers_of([None, "192.0.2.53", ZERO, "", {"address": None}]) == ("192.0.2.53",)
    routes = [{"route": "10.1.0.0", "netmask": "255.255.0.0", "gateway": gateway} for gateway in (ZERO, None, "")]
    assert one(routes=routes).routes == ()
    none = one(gateway=ZERO, gateway_v6="::", ips=[ip(gateway=ZERO)], ip6s=[ip("2001:db8::1", 64, gateway="::")])
    assert (none.gateway, none.gateway6) == (None, None)


def test_a_mask_of_ipv6_is_one_too_and_a_route_without_a_gateway_is_none():
    mask = "ffff:ffff:ffff::"
    to = {"route": "2001:db8:1::", "netmask": mask, "gateway": "2001:db8::1"}
    nowhere = {"route": "10.9.0.0", "netmask": "255.255.0.0", "gateway": None}
    interface = one(ip6s=[ip("2001:db8::1", mask)], gateway_v6=None, routes=[to, nowhere])
    assert [(route.to.address, route.to.prefix) for route in interface.routes] == [("2001:db8:1::", 48)]
    with pytest.raises(Refused):
        one(routes=[{**to, "netmask": "ffff:0:ffff::"}])


@pytest.mark.parametrize("key", ["gateway_v6", "gateway6"])
def test_ipv6_s_gateway_has_two_names_and_may_have_a_scope(key):
    given = {"gateway_v6": None, "ip6s": [ip("2001:db8::1", 64)], key: "fe80::9%eth0"}
    assert one(**given).gateway6 == Route(ANY6, "fe80::9")


def test_a_gateway_that_no_address_reaches_is_marked():
    interface = one(ips=[ip(netmask=32)], gateway="198.51.100.1", gateway_v6="2001:db8:1::1")
    assert (interface.gateway.direct, interface.gateway6.direct) == (True, True)
    assert (one().gateway.direct, one().gateway6.direct) == (False, False)


@pytest.mark.parametrize("mac", ["bc764e000001", "BC-76-4E-00-00-01", "bc:76:4e:00:00:01", "bc76.4e00.0001"])
def test_a_mac_address_is_understood_however_it_is_written(mac):
    assert one(mac=mac).mac == mac_of(mac) == MAC


def test_the_key_names_the_interface_where_the_data_does_not():
    assert one(mac=None).name == "eth0"


def test_raw_line_breaks_and_odd_labels_do_no_harm():
    text = json.dumps({**NOVA, "label": "x"}).replace('"x"', '"pub\nlic\t#\x01 ü`$(reboot)"')
    interface = parse({"vm-data/networking/BC764E000001": text}, NAMES).interfaces[0]
    assert interface.label == "pub lic reboot"
    assert one(label=["list"]).label == ""


@pytest.mark.parametrize(
    "value",
    [
        ["192.0.2.53", "2001:DB8::53"],
        "192.0.2.53,2001:db8::53",
        "192.0.2.53 2001:db8::53",
        [{"address": "192.0.2.53"}, {"ip": "2001:db8::53"}, "192.0.2.53"],
    ],
)
def test_name_servers_are_a_list_or_a_text(value):
    assert servers_of(value) == ("192.0.2.53", "2001:db8::53")


def test_two_interfaces_come_in_the_order_of_their_names():
    private = {"mac": OTHER, "ips": [ip("10.0.0.2", "255.0.0.0")], "gateway": None}
    given = {"networking/0": json.dumps(private), "networking/1": json.dumps(NOVA), "something": "else"}
    network = parse(given, {MAC: "eth1", OTHER: "eth0"})
    assert [interface.name for interface in network.interfaces] == ["eth0", "eth1"]
    assert list(network.main_addresses) == ["192.0.2.42", "2001:db8::42"]


def test_where_there_is_no_ipv6_the_rest_is_set_up():
    interface = one().without_ipv6()
    assert list(map(str, interface.addresses)) == ["192.0.2.42/24"]
    assert (interface.gateway6, interface.dns, interface.gateway) == (None, ("192.0.2.53",), Route(ANY, "192.0.2.1"))


def test_no_vm_data_is_no_network():
    network = parse({}, NAMES)
    assert (network.interfaces, network.hostname) == ((), None)


@pytest.mark.parametrize("version", [4, 6])
def test_several_default_routes_of_one_version_are_refused(version):
    key, gateway, address = ("ips", "gateway", ip()) if version == 4 else ("ip6s", "gateway_v6", ip("2001:db8::9", 64))
    value = NOVA[gateway]
    second = {"mac": OTHER, key: [address], gateway: value}
    with pytest.raises(Refused, match=f"several default routes for IPv{version}"):
        parse({"networking/1": json.dumps(NOVA), "networking/2": json.dumps(second)}, NAMES)
    others = [{**address, "gateway": value}, {**address, "gateway": "fe80::2" if version == 6 else "192.0.2.2"}]
    with pytest.raises(Refused, match="several default routes"):
        one(**{gateway: None, key: others})


def test_a_default_route_among_the_routes_counts_too():
    assert "several default routes" in refused(routes=[{"route": ZERO, "netmask": 0, "gateway": "192.0.2.9"}])


@pytest.mark.parametrize(
    "changes",
    [
        {"mac": "bc:76:4e:00:00:99"},
        {"mac": "no mac"},
        {"mac": 5},
        {"ips": "192.0.2.1"},
        {"ips": ["192.0.2.1"]},
        {"ips": [{}]},
        {"ips": [ip(netmask=None)]},
        {"ips": [ip(netmask="255.0.255.0")]},
        {"ips": [ip(netmask="0.0.0.255")]},
        {"ips": [ip(netmask=33)]},
        {"ips": [ip(netmask=-1)]},
        {"ips": [ip(netmask=True)]},
        {"ips": [ip(netmask=24.0)]},
        {"ips": [ip(netmask="²")]},
        {"ips": [ip("2001:db8::1")]},
        {"ips": [ip(ZERO)]},
        {"ips": [ip("224.0.0.1")]},
        {"ips": [ip("192.0.2.1\n    up reboot")]},
        {"ips": [ip(enabled="perhaps")]},
        {"ips": [ip(enabled=[])]},
        {"ips": [ip()] * 65},
        {"ip6s": [ip("2001:db8::1", 129)]},
        {"ip6s": [ip("192.0.2.1", 24)]},
        {"gateway": "here"},
        {"gateway": ["192.0.2.1"]},
        {"gateway": "fe80::1"},
        {"routes": {}},
        {"routes": [5]},
        {"routes": [{"route": "10.0.0.0", "netmask": 8}]},
        {"routes": [{"route": "10.0.0.0", "netmask": 8, "gateway": "fe80::1"}]},
        {"dns": ["a.example.org"]},
        {"dns": 5},
    ],
)
def test_what_can_not_be_meant_is_refused(changes):
    assert refused(**changes)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "[" * 100000, '{"ips": ' * 5000, "9" * 5000])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(Refused):
        parse({"networking/BC764E000001": text}, NAMES)


def test_the_same_interface_twice_and_one_with_a_wild_name_are_refused():
    with pytest.raises(Refused, match="twice"):
        parse({"networking/1": json.dumps(NOVA), "networking/2": json.dumps(NOVA)}, NAMES)
    with pytest.raises(Refused, match="name"):
        one(names={MAC: "eth0;reboot"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web1", "web1"),
        (" web1.example.org.\n", "web1.example.org"),
        ("", None),
        ("a_b", "a_b"),
        ("x" * 63, "x" * 63),
    ],
)
def test_a_host_name_is_taken(text, name):
    assert hostname_of(text) == name


@pytest.mark.parametrize("text", ["-a", "a-", "a b", "a\nb", "ü", "a..b", "x" * 65, "$(reboot)", 5, None, "a/b"])
def test_a_host_name_that_is_none_is_refused(text):
    with pytest.raises(Refused):
        hostname_of(text)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [
            "1",
            "0",
            MAC,
            "192.0.2.1",
            "255.255.255.0",
            "::",
            "fe80::1%eth0",
            "2001:db8::1",
            "64",
            ZERO,
            "1.2.3.4/24",
            "x/y",
        ]
    )
)
KEYS = st.sampled_from([*NOVA, "ip", "address", "netmask", "enabled", "route", "gateway6", "mac"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30
)
ENTRIES = st.dictionaries(KEYS, VALUES, max_size=10)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["hostname", "networking/BC764E000001", "networking/x", "networking/BC764E000002", ""])
        | st.text(),
        st.text() | st.binary() | VALUES | ENTRIES.map(lambda data: json.dumps({"mac": MAC, **data})),
        max_size=4,
    )
)
@example({"networking/BC764E000001": json.dumps({**NOVA, "ips": [ip("::ffff:1.2.3.4")]})})
@example({5: "x"})
def test_whatever_is_there_is_understood_or_refused(vm_data):
    said = ""
    found = ()
    try:
        found = parse(vm_data, NAMES).interfaces
    except Refused as error:
        said = error.message
    assert said.isascii()
    for interface in found:
        assert interface.name in NAMES.values()
        for address in interface.addresses:
            assert ipaddress.ip_interface(str(address))
        for route in (*interface.ways(4), *interface.ways(6)):
            assert ipaddress.ip_network(str(route.to))
            assert ipaddress.ip_address(route.gateway)
