"""Addresses, names, users and host keys, as requests may have them."""

from __future__ import annotations

import base64
import ipaddress
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commissaire.fleet.addresses import check_address, check_host_key, check_name, check_user
from commissaire.fleet.errors import Invalid, NotFound

BOUNDED = settings(max_examples=150, deadline=None, database=None, derandomize=True)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMvNhLzLJ4vO4x4pvIbYtIbQ2iVXQh1mVY3uG7Q0pZkq"


@pytest.mark.parametrize(
    ("given_address", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::", "::"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::FFFF:10.0.0.1", "10.0.0.1"),
        ("fe80::1%br-0.100", "fe80::1%br-0.100"),
        ("web", "web"),
        ("WEB-1.example.com", "web-1.example.com"),
        ("_srv.x", "_srv.x"),
        ("1web", "1web"),
        ("10.0.0.1.example", "10.0.0.1.example"),
        ("a" * 63, "a" * 63),
    ],
)
def test_an_address_has_one_form(given_address: str, canonical: str) -> None:
    assert check_address(given_address) == canonical
    assert check_address(canonical) == canonical


@pytest.mark.parametrize(
    "address",
    ["", " ", ".", "..", "a..b", ".a", "a.", "-a", "a-", "a.-b", "a b", "a\n", "a\x00", "a/b", "a:b", "a@b", "ä",
     "\u212a",
     "a" * 64, "a." * 127 + "aa", "10.0.0.256", "10.0.0.01", "10.0.0", "127.1", "1", "0x7f.1", "0x7f000001", "a.1",
     "[::1]", "::1%", "::1%a b", "::1%a\nb", "::1%\"", "::1%" + "x" * 16, "::1%-oProxyCommand=x", ":::1", "10.0.0.1 ",
     "10.0.0.1:22", "ssh://a", "$(id)", "`id`", "{{ x }}", "a;b", "a,b", "*", "a*", "!a", "|1|a", "@cert-authority"],
)  # fmt: skip
def test_what_is_no_address_names_no_host(address: str) -> None:
    with pytest.raises(NotFound, match="is neither an IP address nor a host name"):
        check_address(address)


@BOUNDED
@given(st.ip_addresses())
def test_every_ip_address_is_its_own_canonical_form(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    canonical = str(getattr(ip, "ipv4_mapped", None) or ip)
    assert check_address(ip.exploded) == check_address(ip.compressed.upper()) == canonical


@BOUNDED
@given(st.text(max_size=40) | st.text("0aF:.%-_[] \n", max_size=20))
def test_an_accepted_address_is_harmless_and_stable(text: str) -> None:
    try:
        address = check_address(text)
    except NotFound:
        return
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]*|::[A-Za-z0-9_.:%-]*", address)
    assert check_address(address) == address


@BOUNDED
@given(st.text(max_size=70))
def test_an_accepted_name_is_what_it_says(text: str) -> None:
    try:
        assert check_name(text) == text
    except NotFound:
        assert not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text, re.ASCII)
    else:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text, re.ASCII)


@pytest.mark.parametrize("user", ["root", "operator", "_svc", "a.b-c_1", "x" * 32])
def test_unix_accounts_are_users(user: str) -> None:
    assert check_user(user) == user


@pytest.mark.parametrize(
    "user", ["", "-l", "1a", "a b", "a\n", "a@b", "a:b", "a/b", "ä", "x" * 33, None, 5, ["root"], "$x"]
)
def test_other_things_are_no_users(user: object) -> None:
    with pytest.raises(Invalid, match="remote_user"):
        check_user(user)


@pytest.mark.parametrize("text", [KEY, f"{KEY} root@host", f"  {KEY}\n", f"{KEY} a comment with blanks"])
def test_a_host_key_is_kept_without_its_comment(text: str) -> None:
    assert check_host_key(text) == KEY


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-ed25519 ????", KEY.replace("ssh-ed25519", "ssh-rsa"),
     f"{KEY}\n{KEY}", f"* {KEY}", f"10.0.0.1 {KEY}", f"@revoked * {KEY}", f"{KEY} a\nb", None, 5, [KEY], "\ud800",
     "ssh-ed25519 " + base64.b64encode(b"\x00\x00\x00\x0bssh-ed2551").decode()],
)  # fmt: skip
def test_what_is_no_host_key_is_refused(text: object) -> None:
    with pytest.raises(Invalid, match="ssh_host_key"):
        check_host_key(text)


@BOUNDED
@given(st.text(max_size=80) | st.builds(lambda tail: KEY + tail, st.text(max_size=20)))
def test_an_accepted_host_key_is_one_line_of_two_words(text: str) -> None:
    try:
        key = check_host_key(text)
    except Invalid:
        return
    assert re.fullmatch(r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+", key)
