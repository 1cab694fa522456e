"""The xenstore channel, against a small xenstored that speaks the real wire."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from singularity.channels import keeper, replies
from singularity.channels.keeper import Keeper
from singularity.channels.xenstore import Xenstore
from singularity.dialects import Dialects
from singularity.nova import Nova
from unit.guest_agent.agent_doubles import memory_guest
from unit.guest_agent.running_loop import RunningLoop
from unit.guest_agent.small_xenstored import ERROR, READ, RM, WRITE, SmallXenstored
from unit.waiting import until

VERSION = '{"name": "version", "value": "agent"}'
STEPS = (("remove", "host"), ("write", "guest"))
ANSWER = {"message": "1.0.0", "returncode": "0"}


@pytest.fixture
def store() -> Iterator[SmallXenstored]:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket is short: not tmp_path
        made = SmallXenstored(Path(folder, "socket"))
        yield made
        made.close()


@contextmanager
def agent(store: SmallXenstored, **settings: Any) -> Iterator[Xenstore]:
    guest = memory_guest(**settings)
    with RunningLoop() as running:
        channel = Xenstore("xenstore", str(store.path), running.loop, Dialects(guest, running.loop))
        kept = Keeper(channel, running.loop)
        running.do(kept.open)
        yield channel
        running.do(kept.close)


def ask(store: SmallXenstored, request: str, name: str = "1") -> dict[str, str]:
    store.put(f"data/host/{name}", request)
    return answer(store, name)


def answer(store: SmallXenstored, name: str) -> dict[str, str]:
    until(lambda: f"data/guest/{name}" in store.nodes)
    read: dict[str, str] = json.loads(store.nodes[f"data/guest/{name}"])
    return read


def test_a_request_is_answered_under_its_name(store: SmallXenstored) -> None:
    with agent(store):
        assert ask(store, VERSION, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6") == ANSWER
        assert ask(store, VERSION, "any@name_1") == ANSWER


def test_the_request_is_removed_before_the_reply_is_written(store: SmallXenstored) -> None:
    with agent(store):
        ask(store, VERSION)
    assert store.log == [("remove", "data/host/1"), ("write", "data/guest/1")]


def test_a_request_is_removed_before_it_is_obeyed(store: SmallXenstored, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(
        "singularity.functions.version.answer", lambda *_: seen.append(store.children("data/host")) or ""
    )
    with agent(store):
        ask(store, VERSION)
    assert seen == [[]]


def test_requests_that_came_before_the_agent_are_answered(store: SmallXenstored) -> None:
    store.put("data/host/early", VERSION)
    with agent(store):
        assert answer(store, "early") == ANSWER


def test_very_many_requests_that_came_before_are_answered(store: SmallXenstored) -> None:
    names = [f"f81d4fae-7dec-11d0-a765-{number:012}" for number in range(200)]
    for name in names:
        store.put(f"data/host/{name}", VERSION)
    with agent(store):
        until(lambda: set(store.children("data/guest")) == set(names))
    assert store.children("data/host") == []


@pytest.mark.parametrize("gone", ["data/host", "data"])
def test_the_node_of_requests_may_be_absent_and_vanish(store: SmallXenstored, gone: str) -> None:
    with agent(store):
        until(lambda: "data/host" in store.nodes)
        store.take(gone)
        until(lambda: "data/host" in store.nodes)
        assert ask(store, VERSION) == ANSWER


def test_each_request_is_answered_once(store: SmallXenstored) -> None:
    with agent(store):
        ask(store, VERSION, "1")
        ask(store, VERSION, "2")
    assert [path for what, path in store.log if what == "write"] == ["data/guest/1", "data/guest/2"]


def test_a_name_may_be_used_again(store: SmallXenstored) -> None:
    with agent(store):
        ask(store, VERSION, "1")
        store.take("data/guest/1")
        assert ask(store, '{"name": "nothing"}', "1")["returncode"] == "404"


def test_a_request_that_can_not_be_removed_is_answered_once(store: SmallXenstored) -> None:
    store.put("data/host/2", VERSION)
    remove = store._answer

    def refuse(client: Any, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        return (16, b"EACCES\0") if kind == 13 and path == "data/host/2" else remove(client, kind, path, rest)

    store._answer = refuse  # type: ignore[method-assign]
    with agent(store):
        assert answer(store, "2") == ANSWER
        for _ in range(3):
            store._fire("data/host")
            store._fire("data/host/2")
        ask(store, VERSION, "3")
    assert [path for what, path in store.log if what == "write"].count("data/guest/2") == 1


def test_garbage_is_answered_and_the_next_request_too(store: SmallXenstored) -> None:
    with agent(store):
        for number, garbage in enumerate(["x", "{", "[]", "\0\0", '{"name": []}', '{"name":"' + "x" * 4000]):
            assert ask(store, garbage, f"g{number}")["returncode"] in ("500", "404")
        store.put("data/host/empty", "")
        assert ask(store, VERSION) == ANSWER


def test_the_whole_exchange_of_a_host(store: SmallXenstored) -> None:
    with agent(store) as channel:
        assert ask(store, VERSION, "a") == ANSWER
        assert "file_inject" in ask(store, '{"name": "features", "value": ""}', "b")["message"].split(",")
        encoded = base64.b64encode(b"/root/.ssh/authorized_keys,ssh-ed25519 AAAA\n").decode()
        assert ask(store, f'{{"name": "injectfile", "value": "{encoded}"}}', "c")["returncode"] == "0"
        assert (
            ask(store, '{"name": "keyinit", "value": "126190143978468524724357084322869"}', "d")["returncode"] == "D0"
        )
        assert channel.exchange._shared


def vm_data(store: SmallXenstored) -> dict[str, str]:
    """Return what a channel reads of it, in its own loop."""
    read: list[dict[str, str]] = []
    with RunningLoop() as running:
        channel = Xenstore("xenstore", str(store.path), running.loop, Dialects(memory_guest(), running.loop))
        running.do(lambda: channel.open(lambda _: None))
        running.do(lambda: read.append(channel.read_vm_data()))
        running.do(channel.close)
    return read[0]


def test_vm_data_is_what_the_host_wrote(store: SmallXenstored) -> None:
    store.put("vm-data/hostname", "guest.example.org")
    store.put("vm-data/networking/BC764E000001", '{"label": "public"}')
    store.put("vm-data/user-metadata/x", "y")
    assert vm_data(store) == {"hostname": "guest.example.org", "networking/BC764E000001": '{"label": "public"}'}


def test_vm_data_may_lack_either_part_or_all(store: SmallXenstored) -> None:
    assert vm_data(store) == {}
    store.put("vm-data/hostname", "guest")
    assert vm_data(store) == {"hostname": "guest"}
    store.take("vm-data")
    store.put("vm-data/networking/A", "{}")
    assert vm_data(store) == {"networking/A": "{}"}


def test_a_connection_that_is_lost_is_made_again(store: SmallXenstored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    with agent(store):
        for number in range(3):
            ask(store, VERSION, str(number))
            store.cut()


def test_a_reply_that_a_lost_connection_kept_back_is_written_over_the_next(
    store: SmallXenstored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    honest = store._answer

    def cut(client: Any, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        if kind == WRITE:
            monkeypatch.setattr(store, "_answer", honest)
            store.cut()
            return ERROR, b"EIO\0"
        return honest(client, kind, path, rest)

    monkeypatch.setattr(store, "_answer", cut)
    with agent(store):
        assert ask(store, VERSION, "1") == ANSWER
        assert ask(store, VERSION, "2") == ANSWER
    assert store.log == [(what, f"data/{who}/{name}") for name in "12" for what, who in STEPS]


def test_a_request_that_was_removed_when_the_connection_was_lost_is_obeyed_over_the_next(
    store: SmallXenstored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    honest = store._answer

    def cut(client: Any, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        done = honest(client, kind, path, rest)
        if kind == RM:
            monkeypatch.setattr(store, "_answer", honest)
            store.cut()
        return done

    monkeypatch.setattr(store, "_answer", cut)
    with agent(store):
        assert ask(store, VERSION, "1") == ANSWER
    assert store.log == [("remove", "data/host/1"), ("write", "data/guest/1")]


def test_requests_of_now_go_before_those_that_were_there(
    store: SmallXenstored, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = [f"early-{number}" for number in range(50)]
    for name in early:
        store.put(f"data/host/{name}", VERSION)
    answer_to = Nova.answer

    def answering(nova: Nova, request: bytes, channel: Any) -> bytes:
        if len(store.children("data/host")) == len(early) - 5:
            monkeypatch.setattr(Nova, "answer", answer_to)
            store.put("data/host/now", VERSION)
        return answer_to(nova, request, channel)

    monkeypatch.setattr(Nova, "answer", answering)
    with agent(store):
        until(lambda: len(store.children("data/guest")) == len(early) + 1)
    written = [path.rpartition("/")[2] for what, path in store.log if what == "write"]
    assert written.index("now") < 8


def test_a_request_that_can_not_be_removed_is_not_obeyed_again_by_the_next_run(store: SmallXenstored) -> None:
    store.put("data/host/2", VERSION)
    store.put("data/guest/2", '{"message":"", "returncode":"0"}')
    store.forbidden.add("data/host/2")
    readable = store._answer

    def answer_reads(client: Any, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        return (kind, store.nodes[path]) if kind == READ and path in store.nodes else readable(client, kind, path, rest)

    store._answer = answer_reads  # type: ignore[method-assign]
    with agent(store):
        ask(store, VERSION, "3")
        assert [path for what, path in store.log if what == "write"] == ["data/guest/3"]
        store.put("data/host/2", '{"name": "nothing"}')
        until(lambda: b"404" in store.nodes["data/guest/2"])


def test_an_absent_xenstore_is_looked_for_again(store: SmallXenstored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    path = store.path
    store.path = Path(f"{path}.not-yet")
    with agent(store):
        Path(f"{path}.not-yet").symlink_to(path)
        assert ask(store, VERSION) == ANSWER


def test_old_replies_are_removed_and_others_nodes_are_not(
    store: SmallXenstored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "KEEP_SECONDS", 0.3)
    store.put("data/guest/earlier", '{"message":"", "returncode":"0"}')
    store.put("data/guest/foreign", "something else")
    with agent(store):
        ask(store, VERSION)
        until(lambda: store.children("data/guest") == ["foreign"])


def test_where_there_is_no_room_replies_wait_until_hosts_have_read_older_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replies, "READ_SECONDS", 0.3)
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        store = SmallXenstored(Path(folder, "socket"), most_children=20)
        names = {f"n{number}" for number in range(20)}
        more = {f"m{number}" for number in range(20)}
        with agent(store):
            for name in names:
                store.put(f"data/host/{name}", VERSION)
            until(lambda: set(store.children("data/guest")) == names)
            store.nodes.update({f"data/host/{name}": VERSION.encode() for name in more})  # dom0 has no quota
            store._fire("data/host")
            assert len(store.children("data/guest")) <= 20
            until(lambda: seen.update(store.children("data/guest")) or seen >= names | more)
        store.close()


def test_a_reply_that_does_not_fit_is_an_error_that_says_so(store: SmallXenstored) -> None:
    with agent(store):
        name = "n" * 3200
        store.put(f"data/host/{name}", '{"name": "features"}')
        until(lambda: f"data/guest/{name}" in store.nodes)
        monkeyed = json.loads(store.nodes[f"data/guest/{name}"])
        assert monkeyed["returncode"] == "0"
        name = "n" * 3950
        store.put(f"data/host/{name}", '{"name": "features"}')
        assert answer(store, name)["message"].startswith("The answer is longer than the 134 bytes")


def test_a_flood_leaves_other_channels_their_turn(store: SmallXenstored) -> None:
    for number in range(300):
        store.put(f"data/host/{number}", VERSION)
    turns: list[int] = []
    guest = memory_guest()
    with RunningLoop() as running:
        channel = Xenstore("xenstore", str(store.path), running.loop, Dialects(guest, running.loop))
        done = threading.Event()

        def turn() -> None:
            turns.append(len(store.children("data/host")))
            if turns[-1]:
                running.loop.later(0, turn)
            else:
                done.set()

        running.do(lambda: (channel.open(lambda _: None), running.loop.later(0, turn)))
        assert done.wait(20)
        running.do(channel.close)
    assert len(turns) > 100


def test_xenstore_that_answers_nonsense_is_connected_to_again(
    store: SmallXenstored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FIRST_SECONDS", 0.02)
    asked: list[int] = []
    honest = store._answer

    def lie(client: Any, kind: int, path: str, rest: bytes) -> tuple[int, bytes]:
        asked.append(kind)
        return (99, b"x" * 5) if len(asked) < 4 else honest(client, kind, path, rest)

    store._answer = lie  # type: ignore[method-assign]
    with agent(store):
        assert ask(store, VERSION) == ANSWER
