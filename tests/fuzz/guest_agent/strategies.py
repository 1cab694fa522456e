"""Inputs as Hypothesis makes them: messages that are right in form, nearly right, and not at all."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from hypothesis import strategies as st

from singularity.functions import FUNCTIONS
from singularity.qemu.commands import COMMANDS

from . import seeds

PATHS = (
    "/etc/a",
    "/etc/hostname",
    "/absolute",
    "/relative",
    "/home/bob/x",
    "/pipe",
    "/denied/file",
    "/denied",
    "/",
    "",
    "..",
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
SMALL = st.integers(-2, 1100) | st.integers(-(2**65), 2**65)
TEXTS = st.sampled_from(PATHS) | st.text() | st.text("/.a\0\n\udc80é", max_size=12)
ENCODED = st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()) | st.text(max_size=8)
OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "int": SMALL | st.sampled_from([1000, 1001]),
    "str": TEXTS,
    "bool": st.booleans(),
    "[str]": st.lists(TEXTS, max_size=4),
    "{str}": st.dictionaries(st.sampled_from(list(seeds.VM_DATA)) | TEXTS, TEXTS, max_size=3),
    "GuestFileWhence": st.sampled_from(["set", "cur", "end", 0, 1, 2, 3]),
    "GuestExecCaptureOutput": st.sampled_from(["none", "merged", True, False, "x"]),
}
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "buf-b64": ENCODED,
    "password": ENCODED,
    "input-data": ENCODED,
    "username": st.sampled_from(["ann", "bob", "root", "nobody"]) | TEXTS,
    "mode": st.sampled_from(["r", "w", "a", "r+", "w+", "a+", "rb", "0644", "x"]),
    "count": SMALL,
}


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return the strategy for a target's inputs."""
    nova, qemu = _nova(), _qemu()
    messages = nova | qemu | ANYTHING.map(_json) | st.binary(max_size=40)
    ends = st.sampled_from([b"\n", b"\n\n", b"", b"\xff", b"\r\n"])
    stream = st.lists(st.tuples(_torn(messages), ends).map(b"".join), max_size=6).map(b"".join)
    return {
        "nova": st.lists(_torn(nova | ANYTHING.map(_json)), min_size=1, max_size=4).map(b"\n\n".join),
        "qemu": st.lists(qemu | ANYTHING.map(_json), min_size=1, max_size=6).map(b"\n".join),
        "stream": st.tuples(st.binary(min_size=1, max_size=1), stream).map(b"".join),
        "xenstore": st.lists(_packets(nova) | st.binary(max_size=30), max_size=10).map(b"".join),
        "vm-data": _vm_data().map(_json),
    }[target]


def _nova() -> st.SearchStrategy[bytes]:
    def message(name: str) -> st.SearchStrategy[bytes]:
        forms = st.fixed_dictionaries({"b64_path": ENCODED, "b64_file": ENCODED})
        files = st.builds(_file, TEXTS, st.binary())
        values = st.just(seeds.VALUES.get(name, "")) | ANYTHING | ENCODED | SMALL | files | forms
        return values.map(lambda value: _json({"name": name, "value": value}))

    return st.sampled_from([*FUNCTIONS, "kmsactivate"]).flatmap(message)


def _file(path: str, content: bytes) -> str:
    return base64.b64encode(path.encode(errors="replace") + b"," + content).decode()


def _qemu() -> st.SearchStrategy[bytes]:
    def request(name: str) -> st.SearchStrategy[bytes]:
        declared = {word: _argument(word.lstrip("*"), kind) for word, kind in COMMANDS[name].parameters.items()}
        right = {word: values for word, values in declared.items() if word[0] != "*"}
        more = {word[1:]: values for word, values in declared.items() if word[0] == "*"}
        wrong = st.dictionaries(st.sampled_from([*right, *more, "x"]), ANYTHING, max_size=3)
        arguments = st.fixed_dictionaries(right, optional=more) | wrong
        members = {"execute": st.just(name), "arguments": arguments}
        return st.fixed_dictionaries(members, optional={"id": ANYTHING}).map(_json)

    return st.sampled_from(list(COMMANDS)).flatmap(request)


def _argument(name: str, kind: str) -> st.SearchStrategy[Any]:
    right = BY_NAME.get(name, OF_KIND[kind])
    return st.one_of(right, right, right, right, ANYTHING)


def _packets(nova: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    words = [b"a\0", b"data/host/a\0t\0", b"data/host\0t\0", b"OK\0", b"ENOENT\0", b"E2BIG\0", b"1\0a\0\0", b""]
    kinds = st.sampled_from([1, 2, 4, 11, 12, 13, 15, 16, 22]) | st.integers(0, 2**32 - 1)
    payloads = st.sampled_from(words) | nova | st.binary(max_size=40)

    def packet(kind: int, payload: bytes, size: int | None) -> bytes:
        return struct.pack("<IIII", kind, 1, 0, len(payload) if size is None else size) + payload

    return st.builds(packet, kinds, payloads, st.none() | st.none() | st.none() | st.integers(0, 2**32 - 1))


def _vm_data() -> st.SearchStrategy[Any]:
    ways = st.ip_addresses().map(str)
    masks = st.sampled_from(["255.255.255.0", "24", 64, "128.0.0.0", "255.0.255.0", 129]) | ANYTHING
    gates = ways | st.none() | ANYTHING
    enabled = st.sampled_from(["1", 1, True, 0, None]) | ANYTHING
    one = _object(ip=ways | TEXTS, address=ways, netmask=masks, enabled=enabled, gateway=gates)
    interface = _object(
        label=TEXTS,
        mac=st.just(seeds.NETWORK["mac"]) | TEXTS,
        broadcast=gates,
        gateway=gates,
        gateway_v6=gates,
        gateway6=gates,
        ips=_few(one),
        ip6s=_few(one),
        routes=_few(_object(route=ways | TEXTS, netmask=masks, gateway=gates)),
        dns=_few(ways | TEXTS),
    )
    text = interface.map(json.dumps) | ANYTHING.map(json.dumps) | TEXTS | ANYTHING
    paths = ["networking/BC764E000001", "networking/bc764e000001", "networking/000000000000", "networking/"]
    return st.builds(
        lambda networks, rest: {**networks, **rest},
        st.dictionaries(st.sampled_from(paths), text, max_size=2),
        st.fixed_dictionaries({}, optional={"hostname": TEXTS | ANYTHING, "more": ANYTHING}),
    )


def _object(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=members)


def _few(members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(members, max_size=3) | ANYTHING


def _torn(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return messages, now and then without a part, or with something in between."""

    def tear(message: bytes, at: int, cut: int, put: bytes) -> bytes:
        at %= len(message) + 1
        return message[:at] + put + message[at + cut :]

    torn = st.builds(tear, messages, st.integers(0, 1000), st.integers(0, 20), st.binary(max_size=5))
    return messages | torn


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
