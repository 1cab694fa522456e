"""Which virtual machines are announced by mDNS: one instance of _domu._tcp each (RFC 6762, 6763)."""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import ifaddr
import structlog
from zeroconf import (
    DNSOutgoing,
    DNSQuestion,
    DNSService,
    DNSText,
    InterfaceChoice,
    ServiceBrowser,
    ServiceStateChange,
    Zeroconf,
)

from commissaire.background import Background

log = structlog.get_logger(__name__)
SERVICE = "_domu._tcp.local."
MAX_ANNOUNCEMENTS = 10_000
MAX_TEXT_BYTES = 8_900
"""As much as a multicast DNS message holds (RFC 6762, 17)."""
MAX_NAME = 2_000
MAX_URI = 250
MAX_OWNER = 255
MAX_LOGGED = 1_000
_PTR, _TXT, _SRV, _IN = 12, 16, 33, 1  # RFC 1035, 3.2; RFC 2782
_PIECES = 9
_ASKED_AT_ONCE = 100
_ASKED_TIMES = 3
_ASK_SECONDS = 1.0
_LOOK_SECONDS = 10.0
_FORGOTTEN_SECONDS = 30.0


class AnnouncementsError(Exception):
    """The network can't be listened to; the message says where and why."""


@dataclass(frozen=True)
class Announcement:
    """What is told of a virtual machine, by whoever is on the network; `host` is who told it, `uri` its hypervisor."""

    name: str
    uuid: str
    uri: str
    owner: str
    host: str


class _Instance:
    """What came of an instance so far."""

    def __init__(self) -> None:
        self.announcement: Announcement | None = None
        self.ignored = False
        self.asked = 0


class Announcements(Background):
    """Listens from start() to stop(), and knows the machines of those hypervisors whose URIs are `allowed`.

    `interfaces` are names or addresses of network interfaces; without any all that have an IPv4 address.
    """

    def __init__(self, allowed: Callable[[str], bool], interfaces: Sequence[str] = ()) -> None:
        super().__init__("announcements", _LOOK_SECONDS)
        self._allowed = allowed
        self._interfaces = interfaces
        self._zeroconf: Zeroconf | None = None
        self._lock = threading.Lock()
        self._instances: dict[str, _Instance] = {}
        self._logged: set[str] = set()

    def start(self) -> None:
        """Begin to listen. Raise AnnouncementsError when that can't be."""
        addresses = addresses_of(self._interfaces)
        try:
            self._zeroconf = Zeroconf(interfaces=addresses or InterfaceChoice.All)
        except (OSError, RuntimeError) as error:
            where = ", ".join(self._interfaces) or "any interface"
            raise AnnouncementsError(f"mDNS can't be heard on {where}: {error}; name others in interfaces") from error
        ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._hear])
        super().start()

    def stop(self) -> None:
        """Hear nothing more."""
        super().stop()
        if self._zeroconf is not None:
            self._zeroconf.close()
        self.join(_ASK_SECONDS)

    def machines(self) -> list[Announcement]:
        """Return what is announced now, by name; a machine that is announced twice by one hypervisor once."""
        with self._lock:
            found = [one.announcement for one in self._instances.values() if one.announcement is not None]
        unique = {(announcement.uuid, announcement.uri): announcement for announcement in found}
        return sorted(unique.values(), key=lambda announcement: (announcement.name, announcement.uuid))

    @property
    def ignored(self) -> int:
        """How many announcements there are now that are no good, or of hypervisors that are not allowed."""
        with self._lock:
            return sum(instance.ignored for instance in self._instances.values())

    def turn(self) -> float:
        """Ask for what is missing of instances, or has grown old; forget what nobody answers for, until somebody does.

        Where a machine runs lives for 120 s, its name for 75 minutes: nobody is believed that long.
        """
        with self._lock:
            missing = {name: one for name, one in self._instances.items() if None in self._records(name)}
            waiting = [name for name, one in missing.items() if one.asked < _ASKED_TIMES][:_ASKED_AT_ONCE]
            for instance in missing.values():
                if instance.asked == _ASKED_TIMES:
                    instance.announcement, instance.ignored = None, False
            for name in waiting:
                missing[name].asked += 1
        for name in waiting:
            self._ask(name)
        if missing and not waiting:
            self._ask(SERVICE)
            return _FORGOTTEN_SECONDS
        return _ASK_SECONDS if waiting else _LOOK_SECONDS

    def _ask(self, name: str) -> None:
        """Ask for one instance, or for all, as for one with a dot: zeroconf would send each part of it as a label."""
        question = DNSOutgoing(flags=0)
        if "." in name.removesuffix(f".{SERVICE}"):
            question.add_question(DNSQuestion(SERVICE, _PTR, _IN))
        else:
            for kind in (_SRV, _TXT):
                question.add_question(DNSQuestion(name, kind, _IN))
        if self._zeroconf is not None and not self._stopping:
            self._zeroconf.send(question)

    def _hear(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Take what zeroconf's thread for us tells: only there instances come and go."""
        if state_change is ServiceStateChange.Removed:
            with self._lock:
                self._instances.pop(name, None)
            return
        if state_change is ServiceStateChange.Added and name not in self._instances:
            if len(self._instances) >= MAX_ANNOUNCEMENTS:
                self._log_once("announcements_full", most=MAX_ANNOUNCEMENTS)
                return
            with self._lock:
                self._instances[name] = _Instance()
        instance = self._instances.get(name)
        if instance is None:
            return
        host, text = self._records(name)
        if host is None or text is None:
            self.wake()
            return
        self._take(instance, read_announcement(name.removesuffix(f".{SERVICE}"), host, text), host)

    def _take(self, instance: _Instance, announcement: Announcement | None, host: str) -> None:
        allowed = announcement is not None and self._allowed(announcement.uri)
        with self._lock:
            instance.announcement = announcement if allowed else None
            instance.ignored = not allowed
            instance.asked = 0
        if announcement is None:
            self._log_once("announcement_malformed", host=host[:MAX_URI])
        elif not allowed:
            self._log_once("announcement_ignored", uri=announcement.uri, host=host[:MAX_URI])

    def _records(self, name: str) -> tuple[str | None, bytes | None]:
        """Return the host and the text of an instance, as far as they are known; of several the last."""
        if self._zeroconf is None:
            return None, None
        services, texts = (self._zeroconf.cache.get_all_by_details(name, kind, _IN) for kind in (_SRV, _TXT))
        service = max(services, key=lambda record: record.created, default=None)
        text = max(texts, key=lambda record: record.created, default=None)
        return (
            service.server if isinstance(service, DNSService) else None,
            text.text if isinstance(text, DNSText) else None,
        )

    def _log_once(self, event: str, **what: str | int) -> None:
        key = f"{event} {what}"
        if key not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(key)
            log.warning(event, **what)


def allowed_by(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether one of the patterns has a URI. `*` stands for letters, digits, `.`, `_` and `-` only.

    What else there may be in a URI leads elsewhere: its parameters can name a command for libvirt to run.
    """
    parts = ["[A-Za-z0-9._-]*".join(map(re.escape, pattern.split("*"))) for pattern in patterns]
    expressions = [re.compile(part) for part in parts]
    return lambda uri: any(expression.fullmatch(uri) for expression in expressions)


def read_announcement(instance: str, host: str, text: bytes) -> Announcement | None:
    """Return what the TXT record of an instance says; None when it is not as `vm_announce.py` makes them.

    What can't be shown of a name is replaced by U+FFFD; an owner or a URI with such characters is refused.
    """
    if len(text) > MAX_TEXT_BYTES:
        return None
    pairs = _pairs(text)
    try:
        uuid = str(UUID(pairs.get("uuid", b"").decode()))
        uri, owner = pairs.get("uri", b"").decode(), _joined(pairs, "owner").decode()
        name = _joined(pairs, "name").decode() or instance
    except ValueError:
        return None
    if not uri or not (uri + owner).isprintable() or " " in uri:
        return None
    if len(uri) > MAX_URI or len(owner) > MAX_OWNER or len(name) > MAX_NAME:
        return None
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name)
    return Announcement(shown, uuid, uri, owner, host.rstrip("."))


def addresses_of(interfaces: Sequence[str]) -> list[str]:
    """Return the addresses that interfaces have, which are given by their names or addresses.

    Raise AnnouncementsError for one that is not there, or has none.
    """
    found = []
    adapters = {adapter.name: adapter for adapter in ifaddr.get_adapters()}
    for interface in interfaces:
        if _is_address(interface):
            found.append(interface)
            continue
        addresses = adapters[interface].ips if interface in adapters else []
        if not addresses:
            known = ", ".join(adapters)
            raise AnnouncementsError(f"interface {interface} is not there, or has no address; there are: {known}")
        found += [address.ip if isinstance(address.ip, str) else address.ip[0] for address in addresses]
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pairs(text: bytes) -> dict[str, bytes]:
    """Return the keys and values of a TXT record; of a key that comes twice the first counts (RFC 6763, 6.4)."""
    pairs: dict[str, bytes] = {}
    while text:
        string, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        key, _, value = string.partition(b"=")
        pairs.setdefault(key.decode("ascii", "replace").lower(), value)
    return pairs


def _joined(pairs: dict[str, bytes], key: str) -> bytes:
    """Return a value that may go on in `key2`, `key3` and so on."""
    value = pairs.get(key, b"")
    for number in range(2, _PIECES + 1):
        piece = pairs.get(f"{key}{number}")
        if piece is None:
            break
        value += piece
    return value
