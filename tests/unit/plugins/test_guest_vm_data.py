"""The form in which guests are told of their network."""

import json

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_vm_data import shown, vm_data

MAC = "52:54:00:ab:cd:ef"


def interface(**given):
    return {"mac": MAC, **given}


def test_vm_data_has_what_agents_read():
    given = interface(
        label="private",
        ips=[{"ip": "192.0.2.10", "netmask": "24", "gateway": None, "enabled": True}],
        ip6s=[{"ip": "2001:DB8::10", "netmask": "64", "enabled": False}],
        gateway="192.0.2.1",
        gateway_v6="2001:db8::1",
        routes=[{"route": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.2"}],
        dns=["192.0.2.53"],
    )
    data = vm_data("ns.example.com", [given])
    assert data["hostname"] == "ns.example.com"
    assert json.loads(data["networking/525400ABCDEF"]) == {
        "label": "private",
        "mac": "52:54:00:AB:CD:EF",
        "gateway": "192.0.2.1",
        "gateway_v6": "2001:db8::1",
        "broadcast": "192.0.2.255",
        "ips": [{"ip": "192.0.2.10", "netmask": "255.255.255.0", "enabled": "1"}],
        "ip6s": [{"ip": "2001:db8::10", "netmask": "64", "enabled": "0"}],
        "routes": [{"route": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.2"}],
        "dns": ["192.0.2.53"],
    }
    assert shown(data)["networking/525400ABCDEF"]["label"] == "private"


def test_the_same_network_is_the_same_text_however_it_is_written():
    one = vm_data(None, [interface(ips=[{"ip": "192.0.2.10", "netmask": "24"}])])
    other = vm_data(
        "", [interface(mac="5254.00ABCDEF".replace(".", ""), ips=[{"ip": "192.0.2.10", "netmask": "255.255.255.0"}])]
    )
    assert one == other


@pytest.mark.parametrize(
    ("hostname", "interfaces", "words"),
    [
        ("a b", [], "hostname a b is none"),
        ("-a", [], "hostname -a is none"),
        (None, [interface(mac="52:54")], "52:54 is no MAC address"),
        (None, [interface(), interface(mac=MAC.upper())], "is there twice"),
        (None, [interface(ips=[{"ip": "192.0.2.300", "netmask": "24"}])], "192.0.2.300/24"),
        (None, [interface(ips=[{"ip": "2001:db8::1", "netmask": "64"}])], "is no address of IPv4"),
        (None, [interface(gateway="2001:db8::1")], "gateway 2001:db8::1 is no address of IPv4"),
        (None, [interface(dns=["ns1"])], "ns1"),
        (None, [interface(routes=[{"route": "192.0.2.1", "netmask": "24", "gateway": "192.0.2.2"}])], "host bits set"),
        (
            None,
            [interface(gateway="192.0.2.1"), interface(mac="52:54:00:00:00:01", gateway="192.0.2.2")],
            "several interfaces have a gateway of IPv4; give it to one of them",
        ),
    ],
)
def test_what_no_guest_can_have_is_refused(hostname, interfaces, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        vm_data(hostname, interfaces)
