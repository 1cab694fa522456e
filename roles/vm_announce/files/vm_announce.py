#!/usr/bin/python3
# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Announce a hypervisor's virtual machines by mDNS, as one instance of _domu._tcp each: `vm_announce.py SETTINGS`.

Avahi does it, over one connection to D-Bus: it is part of Debian and Red Hat, follows interfaces that come and go, and
takes everything back when this program ends, however it does. (python-zeroconf does not, shares a port with an Avahi
that is there, and takes a dot in a name for the end of a label. A process of avahi-publish-service for each machine
ends at the 256 connections that D-Bus gives to one user.)
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import dbus
    import libvirt
except ImportError as error:
    MISSING = str(error)
else:
    MISSING = ""

SERVICE = "_domu._tcp"
OWNER = "metadata/{https://commissaire.example.org/xmlns/domain/1}owner"
LABEL_BYTES = 63
"""Of a label of DNS (RFC 1035, 2.3.4)."""
STRING_BYTES = 255
"""Of a string of a TXT record (RFC 1035, 3.3)."""
STRINGS = 9
"""Of one value; what is longer is cut."""
PAUSE_SECONDS = 5.0
UNSETTLED_PAUSE_SECONDS = 0.5
QUIET_SECONDS = 9.0
"""How old what is taken back must be: a goodbye within half a second of an announcement Avahi takes for a duplicate and
does not send, and it announces four times, up to 8 s after the beginning. Listeners would believe it for 75 minutes."""
LOST_SECONDS = 60.0
"""After which the machines of a libvirt that can't be reached are not announced any more."""

INACTIVE = 2  # VIR_DOMAIN_XML_INACTIVE
AVAHI = "org.freedesktop.Avahi"
ANY, RUNNING, ESTABLISHED, COLLISION, FAILURE = -1, 2, 2, 3, 4  # avahi-common/address.h and defs.h


@dataclass(frozen=True)
class Settings:
    """What the settings file says: `uri` is how others reach the hypervisor, `libvirt_uri` how this program does."""

    uri: str
    libvirt_uri: str = "qemu:///system"
    port: int = 16509
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What is told of a virtual machine."""

    uuid: str
    name: str
    owner: str = ""


def main(arguments: list[str]) -> int:
    """Announce until killed; return 1 when that can't begin."""
    if MISSING:
        return _fail(f"{MISSING}: install python3-dbus and python3-libvirt")
    try:
        settings = read_settings(Path(arguments[0]).read_text())
    except (IndexError, OSError, TypeError, ValueError) as error:
        return _fail(f"the settings can't be read: {error}; give a file as the role vm_announce writes it")
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each error
    libvirt.virEventRegisterDefaultImpl()
    alarm = libvirt.virEventAddTimeout(0, lambda *_: None, None)
    hypervisor, announcer, journal = Hypervisor(settings.libvirt_uri), Announcer(settings), Journal()
    while True:
        problems = [*hypervisor.look(), *announcer.announce(hypervisor.machines)]
        journal.tell(len(announcer.entries), problems)
        settled = announcer.settled and hypervisor.connection is not None
        libvirt.virEventUpdateTimeout(alarm, int(1000 * (PAUSE_SECONDS if settled else UNSETTLED_PAUSE_SECONDS)))
        libvirt.virEventRunDefaultImpl()  # until libvirt tells something, or the alarm goes off


def read_settings(text: str) -> Settings:
    """Return what a settings file says. Raise ValueError or TypeError when it is none."""
    settings = Settings(**json.loads(text))
    if len(f"uri={settings.uri}".encode()) > STRING_BYTES:
        raise ValueError(f"uri is longer than {STRING_BYTES - len('uri=')} bytes")
    return Settings(settings.uri, settings.libvirt_uri, settings.port, tuple(settings.interfaces))


def label(machine: Machine) -> str:
    """Return the name of a machine's instance: its own; where a label can't hold that, its beginning and its UUID's."""
    shown = "".join(character if character.isprintable() else " " for character in machine.name).strip()
    if len(shown.encode()) <= LABEL_BYTES:
        return shown or machine.uuid
    return f"{_cut(shown, LABEL_BYTES - 9).strip()} {machine.uuid[:8]}"


def text(machine: Machine, uri: str, instance: str) -> list[bytes]:
    """Return the strings of the TXT record of a machine that is announced as `instance` (RFC 6763, 6).

    What is longer than a string goes on in the keys `name2`, `name3` and so on.
    """
    pairs = [("uuid", machine.uuid), ("uri", uri), *_pieces("owner", machine.owner)]
    if instance != machine.name:
        pairs += _pieces("name", machine.name)
    return [f"{key}={value}".encode() for key, value in pairs]


def read_machine(xml: str) -> Machine:
    """Return what the XML of a domain says of it."""
    root = ET.fromstring(xml)  # noqa: S314  libvirt's own, which has no entities and names nothing to fetch
    return Machine(root.findtext("uuid") or "", root.findtext("name") or "", root.findtext(OWNER) or "")


class Hypervisor:
    """The machines of a libvirt, by UUID, kept as it tells of them. `connection` is None while it can't be reached."""

    def __init__(self, uri: str) -> None:
        self.machines: dict[str, Machine] = {}
        self.connection: Any = None
        self._uri = uri
        self._changed: set[str] = set()
        self._seen = time.monotonic()

    def look(self) -> list[str]:
        """Bring `machines` up to date; return what hinders that."""
        try:
            if self.connection is not None and not self.connection.isAlive():
                self._close()
            if self.connection is None:
                self._open()
            while self._changed:
                self._read(self._changed.pop())
            self._seen = time.monotonic()
        except libvirt.libvirtError as error:
            self._close()
            if time.monotonic() - self._seen > LOST_SECONDS:
                self.machines = {}
            return [f"hypervisor {self._uri} can't be reached, and is asked again: {error}"]
        return []

    def _open(self) -> None:
        connection = libvirt.openReadOnly(self._uri)
        for event in (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE):
            connection.domainEventRegisterAny(None, event, self._note, None)
        self._changed = {domain.UUIDString() for domain in connection.listAllDomains()} | set(self.machines)
        self.connection = connection

    def _note(self, _connection: Any, domain: Any, *_: Any) -> None:
        self._changed.add(domain.UUIDString())

    def _read(self, uuid: str) -> None:
        try:
            self.machines[uuid] = read_machine(self.connection.lookupByUUIDString(uuid).XMLDesc(INACTIVE))
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            self.machines.pop(uuid, None)

    def _close(self) -> None:
        connection, self.connection = self.connection, None
        try:
            if connection is not None:
                connection.close()
        except libvirt.libvirtError:
            pass  # it is gone already


@dataclass
class Entry:
    """A machine that Avahi announces as `instance`, by one of its groups, since a time; `label` was wanted."""

    machine: Machine
    label: str
    instance: str
    group: Any
    since: float


class Announcer:
    """What Avahi announces, by the machines' UUIDs. It is `settled` when Avahi has nothing left to do."""

    def __init__(self, settings: Settings) -> None:
        self.entries: dict[str, Entry] = {}
        self.settled = False
        self._settings = settings
        self._bus: Any = None
        self._server: Any = None
        self._host = ""
        self._interfaces: list[int] = []

    def announce(self, machines: dict[str, Machine]) -> list[str]:
        """Let these machines be announced, and no others; return what hinders that."""
        self.settled = False
        try:
            if not self._meet():
                return []
            return self._find_interfaces() + self._bring_about(machines if self._interfaces else {})
        except dbus.DBusException as error:
            self._leave()
            return [f"Avahi can't be reached, and is asked again: {error.get_dbus_message()}; start avahi-daemon"]

    def _meet(self) -> bool:
        """Connect to Avahi, and begin anew when its host has another name; return False while it is finding one."""
        if self._bus is None:
            self._bus = dbus.bus.BusConnection(dbus.bus.BusConnection.TYPE_SYSTEM)
            self._server = self._at("/", "Server")
        if self._server.GetState() != RUNNING:
            return False
        host = self._server.GetHostNameFqdn()
        if host != self._host:
            self._withdraw(*self.entries)
            self._host = host
        return True

    def _find_interfaces(self) -> list[str]:
        """Look by which numbers the interfaces go, and begin anew when others do; return which are not there."""
        found, problems = [], []
        for name in self._settings.interfaces:
            try:
                found.append(int(self._server.GetNetworkInterfaceIndexByName(name)))
            except dbus.DBusException as error:
                problems.append(f"nothing is announced on interface {name}: {error.get_dbus_message()}")
        if not self._settings.interfaces:
            found = [ANY]
        if found != self._interfaces:
            self._withdraw(*self.entries)
            self._interfaces = found
        return problems

    def _bring_about(self, machines: dict[str, Machine]) -> list[str]:
        over = {
            uuid: entry
            for uuid, entry in self.entries.items()
            if uuid not in machines or label(machines[uuid]) != entry.label
        }
        self._withdraw(*(uuid for uuid, entry in over.items() if time.monotonic() - entry.since > QUIET_SECONDS))
        problems = []
        for uuid, machine in machines.items():
            if uuid in self.entries:
                problems += self._renew(machine)
            else:
                problems += self._add(machine, label(machine))
        states = {uuid: entry.group.GetState() for uuid, entry in self.entries.items()}
        for uuid, state in states.items():
            if state in (COLLISION, FAILURE):
                problems += self._add_again(self.entries[uuid], state)
        self.settled = all(state == ESTABLISHED for state in states.values()) and not over
        return problems

    def _leave(self) -> None:
        """Give up the connection; Avahi takes back what it announced for it."""
        if self._bus is not None:
            self._bus.close()
        self._bus = None
        self.entries = {}

    def _add(self, machine: Machine, instance: str) -> list[str]:
        group = self._at(self._server.EntryGroupNew(), "EntryGroup")
        try:
            while not self._fill(group, machine, instance):  # another one of ours has this name
                instance = str(self._server.GetAlternativeServiceName(instance))
            group.Commit()
        except dbus.DBusException as error:
            group.Free()
            return [f"machine {machine.name} is not announced: Avahi says: {error.get_dbus_message()}"]
        self.entries[machine.uuid] = Entry(machine, label(machine), instance, group, time.monotonic())
        return []

    def _fill(self, group: Any, machine: Machine, instance: str) -> bool:
        """Describe a machine to one of Avahi's groups; return False when something on this host has the name."""
        described, port = self._text(machine, instance), dbus.UInt16(self._settings.port)
        try:
            for interface in self._interfaces:
                group.AddService(*self._instance(interface, instance), "", port, described)
        except dbus.DBusException as error:
            if error.get_dbus_name() != f"{AVAHI}.CollisionError":
                raise
            group.Reset()
            return False
        return True

    def _add_again(self, entry: Entry, state: int) -> list[str]:
        """Give a machine another name when somebody else on the network has its own; else try the same again."""
        self._withdraw(entry.machine.uuid)
        other = str(self._server.GetAlternativeServiceName(entry.instance))
        return self._add(entry.machine, other if state == COLLISION else entry.instance)

    def _renew(self, machine: Machine) -> list[str]:
        """Tell another owner or name of a machine that is announced already."""
        entry = self.entries[machine.uuid]
        if machine == entry.machine:
            return []
        described = self._text(machine, entry.instance)
        try:
            for interface in self._interfaces:
                entry.group.UpdateServiceTxt(*self._instance(interface, entry.instance), described)
        except dbus.DBusException:  # it may still take the whole of it
            self._withdraw(machine.uuid)
            return self._add(machine, entry.instance)
        entry.machine = machine
        return []

    def _withdraw(self, *uuids: str) -> None:
        for uuid in uuids:
            self.entries.pop(uuid).group.Free()

    def _at(self, path: str, interface: str) -> Any:
        return dbus.Interface(self._bus.get_object(AVAHI, path, introspect=False), f"{AVAHI}.{interface}")

    def _instance(self, interface: int, name: str) -> tuple[Any, ...]:
        return dbus.Int32(interface), dbus.Int32(ANY), dbus.UInt32(0), name, SERVICE, ""

    def _text(self, machine: Machine, instance: str) -> Any:
        strings = text(machine, self._settings.uri, str(instance))
        return dbus.Array([dbus.ByteArray(string) for string in strings], signature="ay")


class Journal:
    """What this program says: problems once, and to systemd how many machines are announced."""

    def __init__(self) -> None:
        self._problems: list[str] = []
        self._status = ""

    def tell(self, machines: int, problems: list[str]) -> None:
        """Say what is new."""
        for problem in problems:
            if problem not in self._problems:
                sys.stderr.write(f"{problem}\n")
        self._problems = problems
        status = f"announces {machines} machines" + "".join(f"; {problem}" for problem in problems[:1])
        if status != self._status:
            _notify(f"READY=1\nSTATUS={status}")
            self._status = status


def _notify(message: str) -> None:
    """Tell systemd how it goes (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(message.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def _pieces(key: str, value: str) -> list[tuple[str, str]]:
    """Return a value as pairs that fit into strings of a TXT record; none when it is empty."""
    pairs: list[tuple[str, str]] = []
    while value and len(pairs) < STRINGS:
        own = f"{key}{len(pairs) + 1}" if pairs else key
        piece = _cut(value, STRING_BYTES - len(own) - 1)
        pairs.append((own, piece))
        value = value[len(piece) :]
    return pairs


def _cut(value: str, size: int) -> str:
    """Return as much of the beginning as fits into `size` bytes of UTF-8, without half a character."""
    return value.encode()[:size].decode(errors="ignore")


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
