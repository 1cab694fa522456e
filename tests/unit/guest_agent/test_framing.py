"""Messages in a stream, however it is cut into pieces."""

from __future__ import annotations

import random
import time

import pytest

from singularity.framing import Frame, Framer

VERSION = b'{"name":"version","value":"agent"}'
PING = b'{"execute":"guest-ping"}'
INCOMPLETE = "it ends before its last brace"


def frames(stream: bytes, size: int = 0, most: int = 1000) -> list[Frame]:
    framer, found = Framer(most), []
    for start in range(0, len(stream), size or len(stream) or 1):
        framer.feed(stream[start : start + (size or len(stream))])
        while frame := framer.next():
            found.append(frame)
    return found


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (VERSION, [(VERSION, "")]),
        (VERSION + b"\n\n", [(VERSION, "")]),
        (VERSION + b"\r\n\r\n" + PING + b"\n", [(VERSION, ""), (PING, "")]),
        (VERSION + VERSION, [(VERSION, ""), (VERSION, "")]),
        (b'{"name": "a\nb"}\n\n', [(b'{"name": "a\nb"}', "")]),
        (
            b'{\n  "name": "x",\n  "value": {"a": "}{\\"\\\\"}\n}\n',
            [(b'{\n  "name": "x",\n  "value": {"a": "}{\\"\\\\"}\n}', "")],
        ),
        (b"garbage\n" + VERSION + b"\n", [(b"garbage", "it is no JSON object"), (VERSION, "")]),
        (b"[1, 2]\n\n", [(b"[1, 2]", "it is no JSON object")]),
        (b'{"name":"version"\n\n' + VERSION, [(b'{"name":"version"\n', INCOMPLETE), (VERSION, "")]),
        (b'{"name":"ver\n' + VERSION + b"\n", [(b'{"name":"ver\n', INCOMPLETE), (VERSION, "")]),
        (b"{{{{\n" + PING + b"\n" + PING + b"\n", [(b"{{{{\n", INCOMPLETE), (PING, ""), (PING, "")]),
        (b'{"execute":"guest\xff' + PING + b"\n", [(PING, "")]),
        (b"garbage\xff\xff" + PING, [(PING, "")]),
        (b"\xff\xff\n\n" + PING, [(PING, "")]),
        (b"\0\0 \n" + VERSION, [(VERSION, "")]),
        (b"} ]\n" + VERSION, [(b"} ]", "it is no JSON object"), (VERSION, "")]),
        (b'{"a": "\\\xff' + PING, [(PING, "")]),
        (b"\n\n\n", []),
        (b"{", []),
        (b"", []),
    ],
)
def test_a_stream_is_cut_into_messages(stream: bytes, messages: list[tuple[bytes, str]], size: int) -> None:
    assert [tuple(frame) for frame in frames(stream, size)] == messages


@pytest.mark.parametrize("size", [1, 300])
@pytest.mark.parametrize(
    "long", [b'{"name": "' + b"x" * 3000, b"y" * 3000, b'{"a":"' + b"zz\n" * 1000], ids=["object", "line", "lines"]
)
def test_what_is_too_long_is_told_once_and_skipped(long: bytes, size: int) -> None:
    found = frames(long + b"\n" + VERSION + b"\n\n" + PING, size)
    assert [frame.flaw for frame in found] == ["it is longer than 1000 bytes", "", ""]
    assert found[0].data == long[: len(found[0].data)]
    assert [frame.data for frame in found[1:]] == [VERSION, PING]


def test_a_message_of_megabytes_is_cut_out_at_once() -> None:
    message = b'{"name":"injectfile","value":"' + b"QUJD" * 500000 + b'"}'
    start = time.process_time()
    assert frames(message + b"\n\n", 65536, 4 * 2**20) == [(message, "")]
    assert time.process_time() - start < 1


def test_many_small_messages_are_cut_out_at_once() -> None:
    start = time.process_time()
    assert len(frames((VERSION + b"\n\n") * 2000, 65536)) == 2000
    assert time.process_time() - start < 2


def test_resynchronizing_a_thousand_times_is_no_recursion() -> None:
    assert frames(b"{\xff" * 20000 + PING) == [(PING, "")]


def test_whatever_comes_a_request_after_a_resynchronization_is_heard() -> None:
    alphabet = [b"{", b"}", b'"', b"\\", b"\n", b"\xff", b"a", b" ", b'"name"', b":", PING, VERSION]
    for seed in range(300):
        chance = random.Random(seed)  # noqa: S311
        noise = b"".join(chance.choice(alphabet) for _ in range(chance.randrange(60)))
        found = frames(noise + b"\xff" + PING + b"\n", chance.choice([0, 1, 5]))
        assert found[-1] == (PING, ""), noise


def test_reset_forgets_what_was_begun() -> None:
    framer = Framer()
    framer.feed(b'{"name": "half')
    assert framer.next() is None
    framer.reset()
    framer.feed(VERSION)
    assert framer.next() == (VERSION, "")
