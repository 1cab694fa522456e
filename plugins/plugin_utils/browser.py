# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look for a while what is announced by mDNS (RFC 6762, 6763)."""

from __future__ import annotations

import ipaddress
import time
import traceback
from typing import Any

IMPORT_ERROR = None
try:
    import ifaddr
    import zeroconf
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

SERVICE = "_domu._tcp.local."
MAX_INSTANCES = 10000
TXT, SRV, IN = 16, 33, 1  # RFC 1035, 3.2; RFC 2782


class BrowserError(Exception):
    """The network can't be listened to; the message says where and why."""


def browse(interfaces: list[str], seconds: float) -> list[tuple[str, str, bytes]]:
    """Return name, host and TXT record of the instances that are heard of within `seconds`.

    `interfaces` are names or addresses; without any all that have an IPv4 address. Raise BrowserError.
    """
    names: set[str] = set()

    def hear(name: str, state_change: Any, **_: Any) -> None:
        if state_change is zeroconf.ServiceStateChange.Removed:
            names.discard(name)
        elif len(names) < MAX_INSTANCES:
            names.add(name)

    addresses = _addresses(interfaces)
    try:
        connection = zeroconf.Zeroconf(interfaces=addresses or zeroconf.InterfaceChoice.All)
    except (OSError, RuntimeError) as error:
        where = ", ".join(interfaces) or "any interface"
        raise BrowserError(f"mDNS can't be heard on {where}: {error}; name others in interfaces") from error
    try:
        zeroconf.ServiceBrowser(connection, SERVICE, handlers=[hear])
        time.sleep(seconds / 2)
        for name in sorted(names):
            _ask(connection, name)
        time.sleep(seconds / 2)
        heard = [(name[: -len(SERVICE) - 1], *_records(connection, name)) for name in sorted(names)]
    finally:
        connection.close()
    return [(name, host, text) for name, host, text in heard if host is not None and text is not None]


def _ask(connection: Any, name: str) -> None:
    """Ask for what is missing of an instance. One with a dot can't be asked for: zeroconf sends its parts as labels."""
    if None in _records(connection, name) and "." not in name[: -len(SERVICE) - 1]:
        question = zeroconf.DNSOutgoing(flags=0)
        for kind in (SRV, TXT):
            question.add_question(zeroconf.DNSQuestion(name, kind, IN))
        connection.send(question)


def _records(connection: Any, name: str) -> tuple[str | None, bytes | None]:
    """Return the host and the text of an instance, as far as they were heard; of several the last."""
    services, texts = (connection.cache.get_all_by_details(name, kind, IN) for kind in (SRV, TXT))
    service = max(services, key=lambda record: record.created, default=None)
    text = max(texts, key=lambda record: record.created, default=None)
    return service and service.server, text and text.text


def _addresses(interfaces: list[str]) -> list[str]:
    found: list[str] = []
    adapters = {adapter.name: adapter.ips for adapter in ifaddr.get_adapters()}
    for interface in interfaces:
        try:
            found.append(str(ipaddress.ip_address(interface)))
        except ValueError:
            addresses = adapters.get(interface)
            if not addresses:
                known = ", ".join(adapters)
                message = f"interface {interface} is not there, or has no address; there are: {known}"
                raise BrowserError(message) from None
            found += [address.ip if address.is_IPv4 else address.ip[0] for address in addresses]
    return found
