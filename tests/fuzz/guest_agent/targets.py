"""The targets: each is given bytes, whatever they are, and raises what the agent should not have done."""

from __future__ import annotations

import contextlib
import importlib
import json
import socket
import string
import threading
from pathlib import Path
from typing import Any, Protocol

from singularity.channels.xenstore import Xenstore
from singularity.configurators import OURS
from singularity.dialects import Dialects
from singularity.errors import Refused
from singularity.framing import Framer
from singularity.guest import Guest
from singularity.key_exchange import KeyExchange
from singularity.loop import Loop
from singularity.network import reset
from singularity.network.system import System
from singularity.network.vm_data import parse
from singularity.nova import Nova
from singularity.qemu import Qemu

from .machine import MAC, Finding, Machine

PRINTABLE = frozenset(string.printable) - frozenset('"\\' + string.whitespace) | {" "}
PING = b'{"execute": "guest-ping", "id": "alive"}'
ALIVE = {"return": {}, "id": "alive"}
VM_DATA = {"hostname": "fuzzed", "networking/BC764E000001": '{"label": "public", "ips": []}'}
LOST_SECONDS = 2.0


class Target(Protocol):
    """A part of the agent, on a machine of its own."""

    def __init__(self, folder: Path) -> None: ...

    def run(self, data: bytes) -> None:
        """Give it an input. Raise Finding, or whatever it let through."""


class Channel:
    """A channel that nova's functions can ask for what the host left."""

    name = "fuzz"

    def __init__(self) -> None:
        self.exchange = KeyExchange()

    def read_vm_data(self) -> dict[str, str]:
        return VM_DATA


class NovaMessages:
    """Messages of nova's dialect, with a blank line after each."""

    def __init__(self, folder: Path) -> None:
        self._machine = Machine(folder)

    def run(self, data: bytes) -> None:
        with self._machine.guest() as guest:
            nova, channel = Nova(guest), Channel()
            for message in data.split(b"\n\n"):
                check_nova(nova.answer(message, channel))


class QemuRequests:
    """Requests of QEMU's dialect, one a line."""

    def __init__(self, folder: Path) -> None:
        self._machine = Machine(folder)

    def run(self, data: bytes) -> None:
        with self._machine.guest() as guest, contextlib.closing(Qemu(guest, Loop())) as qemu:
            for line in data.split(b"\n"):
                try:
                    request = json.loads(line, strict=False)
                except (ValueError, RecursionError):
                    continue
                check_qemu(qemu.answer(request))
            if check_qemu(qemu.answer(json.loads(PING))) != ALIVE:
                raise Finding("it does not answer any more")


class StreamBytes:
    """A stream's bytes, in pieces as large as the first byte says, of both dialects."""

    def __init__(self, folder: Path) -> None:
        self._machine = Machine(folder)

    def run(self, data: bytes) -> None:
        framer, channel, usual = Framer(), Channel(), "qemu" if data[:1] > b"\x7f" else "nova"
        size = (data[0] & 0x7F) + 1 if data else 1
        with self._machine.guest() as guest:
            dialects = Dialects(guest, Loop())
            with contextlib.closing(dialects.qemu):
                for start in range(1, len(data), size):
                    framer.feed(data[start : start + size])
                    self._answer(framer, dialects, channel, usual)
                framer.feed(b"\n\xff\n" + PING + b"\n")
                answers = self._answer(framer, dialects, channel, usual)
        if not answers or json.loads(answers[-1]) != ALIVE:
            raise Finding("a byte 0xFF does not bring it back into step")

    @staticmethod
    def _answer(framer: Framer, dialects: Dialects, channel: Any, usual: str) -> list[bytes]:
        answers = []
        while True:
            frame = framer.next()
            if frame is None:
                return answers
            answer = dialects.answer(frame, channel, usual)
            if answer.endswith(b"\n\n"):
                check_nova(answer)
            else:
                check_qemu(answer)
            answers.append(answer)


class XenstoreBytes:
    """What a xenstored sends that was asked, or was not."""

    def __init__(self, folder: Path) -> None:
        sockets = folder / "sockets"
        machine = folder / "machine"
        for each in (sockets, machine):
            each.mkdir()
        self._machine = Machine(machine)
        self._path = sockets / "xenstored"

    def run(self, data: bytes) -> None:
        loop = Loop()
        with self._machine.guest() as guest, socket.socket(socket.AF_UNIX) as listener:
            channel = Xenstore("xenstore", str(self._path), loop, Dialects(guest, loop))
            listener.bind(str(self._path))
            listener.listen()
            server = threading.Thread(target=self._serve, args=(listener, data))
            server.start()
            try:
                with contextlib.suppress(OSError):
                    channel.open(lambda _: loop.stop())
                    loop.later(LOST_SECONDS, lambda: self._still_there(loop))
                    loop.run()
            finally:
                channel.close()
                server.join()
                self._path.unlink()

    @staticmethod
    def _serve(listener: socket.socket, data: bytes) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    @staticmethod
    def _still_there(loop: Loop) -> None:
        loop.stop()
        raise Finding("it does not see that xenstored has gone")


class VmData:
    """An object of vm-data's values by their paths, as JSON."""

    def __init__(self, folder: Path) -> None:
        self._machine = Machine(folder)
        self._configurators = [importlib.import_module(f"singularity.configurators.{name}") for name in OURS]

    def run(self, data: bytes) -> None:
        try:
            vm_data = json.loads(data, strict=False)
        except (ValueError, RecursionError):
            return
        if not isinstance(vm_data, dict):
            return
        with self._machine.guest() as guest:
            self._plan(guest, vm_data)
            with contextlib.suppress(Refused):
                reset(guest, vm_data)

    def _plan(self, guest: Guest, vm_data: dict[str, Any]) -> None:
        """Plan with each configurator, whether it fits or not: no input may be more than it can bear, or refuse."""
        system = System(guest.files)
        with contextlib.suppress(Refused):
            network = parse(vm_data, {MAC: "eth0"})
            for configurator in self._configurators:
                with contextlib.suppress(Refused):
                    for change in configurator.plan(network, system):
                        if change.content is not None and not isinstance(change.content, bytes):
                            raise Finding(f"{configurator.NAME} plans {change.path} of {type(change.content)}")


TARGETS: dict[str, type[Target]] = {
    "nova": NovaMessages,
    "qemu": QemuRequests,
    "stream": StreamBytes,
    "xenstore": XenstoreBytes,
    "vm-data": VmData,
}


def check_nova(answer: bytes) -> None:
    """Raise Finding for an answer that hosts can't read."""
    reply = json.loads(answer, parse_constant=_no_json)
    if set(reply) != {"returncode", "message"} or not all(isinstance(value, str) for value in reply.values()):
        raise Finding(f"no answer of nova's dialect: {answer!r}")
    if not set(reply["message"]) <= PRINTABLE:
        raise Finding(f"a message that hosts can't carry: {answer!r}")


def check_qemu(answer: bytes | None) -> Any:
    """Return an answer's object. Raise Finding for what is none of one line, with either a result or an error."""
    if not answer:
        return None
    if not answer.endswith(b"\n") or answer.count(b"\n") != 1:
        raise Finding(f"not one line: {answer!r}")
    reply = json.loads(answer.lstrip(b"\xff"), parse_constant=_no_json)
    if len({"return", "error"} & set(reply)) != 1 or not set(reply) <= {"return", "error", "id"}:
        raise Finding(f"no answer of QEMU's dialect: {answer!r}")
    return reply


def _no_json(word: str) -> None:
    raise Finding(f"{word} is no JSON")
