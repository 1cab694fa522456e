"""Addresses and names, as the REST interface accepts them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re

from commissaire.fleet.errors import Invalid, NotFound

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}", re.ASCII)
_NUMBERS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}", re.ASCII)
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_HOST_KEY = re.compile(r"(ssh-[a-z0-9-]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})( .*)?", re.ASCII)


_TOLD = 20


def tell_few(addresses: list[str]) -> str:
    """Return *addresses* for a message; many are only counted."""
    more = f" and {len(addresses) - _TOLD} more" if len(addresses) > _TOLD else ""
    return f"{', '.join(addresses[:_TOLD])}{more}"


def check_name(name: str) -> str:
    """Return *name* when a record can be called that.

    Raises:
        NotFound: it can't, so nothing is called that.
    """
    if not _NAME.fullmatch(name):
        raise NotFound(f"{name!r} is no name: up to 64 letters, digits, - and _")
    return name


def check_address(address: str) -> str:
    """Return an IP address in its canonical form, or a host name in lower case: one host has one address.

    `::ffff:10.0.0.1` is 10.0.0.1: so an IPv4 client of a socket that takes both is called.

    A name that ends in a number is none: resolvers take `1.2.3` and `2130706433` for IPv4 addresses.

    Raises:
        NotFound: it is neither, so no host has it.
    """
    try:
        ip = ipaddress.ip_address(address)
        zone = getattr(ip, "scope_id", None)
        if zone is None or _ZONE.fullmatch(zone):  # ipaddress takes anything for a zone, newlines too
            return str(getattr(ip, "ipv4_mapped", None) or ip)
    except ValueError:
        name = address.lower() if address.isascii() else ""
        if len(name) <= 253 and _HOST_NAME.fullmatch(name) and not _NUMBERS.fullmatch(name):
            return name
    raise NotFound(f"{address!r} is neither an IP address nor a host name")


def canonical_address(address: str) -> str:
    """Return *address* as `check_address` does, and unchanged when it is none: to compare it with those there are."""
    try:
        return check_address(address)
    except NotFound:
        return address


def check_user(user: object) -> str:
    """Return *user* when a Unix account can be called that.

    Raises:
        Invalid: it can't.
    """
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise Invalid(f"remote_user {user!r} is no name of a Unix account")
    return user


def check_host_key(key: object) -> str:
    """Return an ssh host key as `TYPE BASE64`, without a comment.

    Raises:
        Invalid: it is no public key in OpenSSH's form, or more than one line.
    """
    text = key.strip() if isinstance(key, str) else ""
    match = _HOST_KEY.fullmatch(text)
    if match:
        try:
            blob = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            blob = b""
        kind = match[1].encode()
        if blob.startswith(len(kind).to_bytes(4, "big") + kind):
            return f"{match[1]} {match[2]}"
    raise Invalid("ssh_host_key must be a public key as in known_hosts or /etc/ssh/*.pub: `ssh-ed25519 AAAA…`")
