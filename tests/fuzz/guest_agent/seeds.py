"""Inputs to begin with: of each target's, one of every kind that is right."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from singularity.functions import FUNCTIONS
from singularity.qemu.commands import COMMANDS

NETWORK = {
    "label": "public",
    "mac": "BC:76:4E:00:00:01",
    "broadcast": "192.0.2.255",
    "gateway": "192.0.2.1",
    "gateway_v6": "2001:db8::1",
    "ips": [{"ip": "192.0.2.5", "netmask": "255.255.255.0", "enabled": "1", "gateway": "192.0.2.1"}],
    "ip6s": [{"ip": "2001:db8::5", "netmask": "64", "enabled": True, "gateway": "2001:db8::1"}],
    "routes": [{"route": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.254"}],
    "dns": ["192.0.2.53", "2001:db8::53"],
}
VM_DATA = {"hostname": "fuzzed.example.org", "networking/BC764E000001": json.dumps(NETWORK)}
VALUES: dict[str, Any] = {
    "keyinit": "126190143978468524724357084322869",
    "password": "YXazuqvtFdagFYrwKoYhWAbaJoW9eB7f+ju7GSwhBh4=",
    "injectfile": base64.b64encode(b"/etc/a,content").decode(),
    "file_inject": {"b64_path": base64.b64encode(b"/etc/b").decode(), "b64_file": "YQ=="},
    "agentupdate": "http://192.0.2.1/x,d41d8cd98f00b204e9800998ecf8427e",
    "hostname": "fuzzed",
    "hosts": {"192.0.2.5": ["fuzzed"]},
    "resolvers": ["192.0.2.53"],
}
ARGUMENTS: dict[str, Any] = {
    "int": 1000,
    "str": "/etc/hostname",
    "bool": True,
    "[str]": ["ssh-rsa A"],
    "{str}": VM_DATA,
    "GuestFileWhence": "set",
    "GuestExecCaptureOutput": "merged",
}
BY_NAME: dict[str, Any] = {
    "buf-b64": "aGVsbG8=",
    "password": "aGVsbG8=",
    "username": "ann",
    "input-data": "YQ==",
    "mode": "w+",
}


def seeds(target: str) -> list[bytes]:
    """Return a target's inputs to begin with."""
    nova = [json.dumps({"name": name, "value": VALUES.get(name, "")}).encode() for name in FUNCTIONS]
    qemu = [json.dumps({"execute": name, "arguments": _arguments(name)}).encode() for name in COMMANDS]
    answers = [(4, b"OK\0"), (15, b"data/host\0data/host\0"), (1, b"a\0b\0"), (15, b"data/host/a\0t\0"), (2, nova[0])]
    packets = [_packet(*each) for each in [*answers, (13, b"OK\0"), (11, b"OK\0"), (16, b"ENOENT\0")]]
    return {
        "nova": [*nova, b"\n\n".join(nova)],
        "qemu": [*qemu, b"\n".join(qemu)],
        "stream": [b"\x07" + b"\n\n".join(nova), b"\xff" + b"\n".join(qemu), b'\x00{"a": \xff\n' + qemu[0]],
        "xenstore": [b"".join(packets), packets[0] + packets[2] + packets[4], *packets],
        "vm-data": [json.dumps(VM_DATA).encode(), json.dumps({"hostname": "a"}).encode()],
    }[target]


def words(target: str) -> list[bytes]:
    """Return what an engine that changes bytes should put in now and then."""
    common = [b'{"', b'": ', b'"}', b"\\u0000", b"\\ud800", b"null", b"true", b"-1", b"9223372036854775807", b"[[[["]
    names: list[str] = {
        "nova": [*FUNCTIONS, "name", "value"],
        "qemu": [*COMMANDS, "execute", "arguments", "handle", "path", "/pipe", "/absolute", "/denied/file"],
        "stream": [*FUNCTIONS, *COMMANDS, "execute", "name"],
        "xenstore": ["data/host/", "ENOENT", "EAGAIN"],
        "vm-data": [*NETWORK, "hostname", "networking/BC764E000001", "netmask", "enabled"],
    }[target]
    return [*common, b"\xff"] + [name.encode() for name in names]


def _arguments(command: str) -> dict[str, Any]:
    declared = COMMANDS[command].parameters
    return {name.lstrip("*"): BY_NAME.get(name.lstrip("*"), ARGUMENTS[kind]) for name, kind in declared.items()}


def _packet(kind: int, payload: bytes) -> bytes:
    return struct.pack("<IIII", kind, 1, 0, len(payload)) + payload
