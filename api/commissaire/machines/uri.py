"""Connection URIs of libvirt (https://libvirt.org/uri.html), those of them that run nothing on this machine."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from commissaire.fleet.errors import Invalid

_DRIVERS = ("qemu", "test", "xen", "lxc", "ch", "bhyve", "vz")
_TRANSPORTS = ("", "unix", "tcp", "tls", "ssh")
_PARAMETERS = ("no_tty", "mode", "socket", "tls_priority", "sshauth")
"""None of `command`, `netcat`, `keyfile`, `pkipath` and their like: they name programs and files of this machine. And
not `no_verify`, with which anybody could be the hypervisor."""


def check_uri(uri: str) -> str:
    """Return *uri*.

    Raises:
        Invalid: it is none that a hypervisor can be recorded with.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"{uri!r} is no connection URI of libvirt: {error}") from error
    driver, _, transport = parts.scheme.partition("+")
    if driver not in _DRIVERS or transport not in _TRANSPORTS or port == 0 or parts.fragment:
        raise Invalid(
            f"{uri!r} is no connection URI that is taken, such as qemu:///system or qemu+tls://HOST/system; "
            f"drivers are {', '.join(_DRIVERS)}, transports {', '.join(filter(None, _TRANSPORTS))}"
        )
    if transport in ("tcp", "tls", "ssh") and not parts.hostname:
        raise Invalid(f"{uri!r} names no host to connect to over {transport}")
    if parts.password is not None:
        raise Invalid(f"{uri!r} has a password in it, which everybody sees who may read; give it among its credentials")
    if (parts.username or "").startswith("-") or (parts.hostname or "").startswith("-"):
        raise Invalid(f"{uri!r} has a user or host that begins with -, which ssh would take for an option")
    other = sorted(set(parse_qs(parts.query, keep_blank_values=True)) - set(_PARAMETERS))
    if other:
        raise Invalid(f"{uri!r} has the parameter {other[0]}; only {', '.join(_PARAMETERS)} are taken")
    return uri


def transport_of(uri: str) -> str:
    """Return how a URI's libvirt is reached, as `ssh`; "" on this machine."""
    transport = urlsplit(uri).scheme.partition("+")[2]
    return transport or ("tls" if urlsplit(uri).hostname else "")  # libvirt's own default


def host_of(uri: str) -> str:
    """Return the host that a URI leads to; `localhost` for this one."""
    return urlsplit(uri).hostname or "localhost"
