"""injectfile and file_inject: from what a host sends to the file that is written."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from singularity.errors import Refused
from singularity.functions import file_inject, injectfile
from singularity.guest import Guest
from singularity.nova import Nova
from unit.guest_agent.agent_doubles import StillChannel, memory_guest


@pytest.fixture
def guest() -> Guest:
    return memory_guest()


def b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def ask(guest: Guest, name: str, value: Any) -> dict[str, str]:
    answer: dict[str, str] = json.loads(Nova(guest).answer(json.dumps({"name": name, "value": value}), StillChannel()))
    return answer


def written(guest: Guest) -> dict[str, bytes]:
    return guest.files.written  # type: ignore[attr-defined,no-any-return]


def test_the_value_is_split_at_the_first_comma(guest: Guest) -> None:
    assert ask(guest, "injectfile", b64("/etc/motd,one, two\n"))["returncode"] == "0"
    assert written(guest) == {"/etc/motd": b"one, two\n"}


@pytest.mark.parametrize("name", ["b64_file", "b64_contents"])
def test_path_and_content_come_apart(guest: Guest, name: str) -> None:
    assert ask(guest, "file_inject", {"b64_path": b64("/a,b"), name: b64("c,d")})["returncode"] == "0"
    assert written(guest) == {"/a,b": b"c,d"}


def test_paths_and_contents_may_be_any_bytes(guest: Guest) -> None:
    content = bytes(range(256))
    ask(guest, "file_inject", {"b64_path": b64("/ü/日本".encode()), "b64_file": b64(content)})
    ask(guest, "injectfile", b64(b"/latin-\xfc," + content))
    assert written(guest) == {"/ü/日本": content, "/latin-\udcfc": content}


def test_an_empty_content_is_one(guest: Guest) -> None:
    assert ask(guest, "injectfile", b64("/empty,"))["returncode"] == "0"
    assert ask(guest, "file_inject", {"b64_path": b64("/void"), "b64_file": ""})["returncode"] == "0"
    assert written(guest) == {"/empty": b"", "/void": b""}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("injectfile", b64("/etc/motd"), "There is no comma between a path and a content"),
        ("injectfile", b64("etc/motd,x"), "The path of the file is not absolute"),
        ("injectfile", b64("/etc/mo\0td,x"), "The path of the file is not absolute"),
        ("injectfile", b64(",x"), "The path of the file is not absolute"),
        ("injectfile", "%%%", "Couldn't decode base64 data"),
        ("injectfile", {"b64_path": ""}, "Couldn't decode base64 data"),
        ("injectfile", None, "Couldn't decode base64 data"),
        ("file_inject", b64("/a,b"), "file_inject needs an object with b64_path and b64_file"),
        ("file_inject", {}, "Couldn't decode b64_path"),
        ("file_inject", {"b64_path": b64("/a")}, "Couldn't decode b64_file"),
        ("file_inject", {"b64_path": b64("/a"), "b64_contents": 5}, "Couldn't decode b64_contents"),
        ("file_inject", {"b64_path": 5, "b64_file": ""}, "Couldn't decode b64_path"),
    ],
)
def test_what_can_not_be_a_file_is_refused(guest: Guest, name: str, value: Any, said: str) -> None:
    assert ask(guest, name, value) == {"returncode": "500", "message": said}
    assert written(guest) == {}


def test_a_refused_path_is_not_kept_for_apply(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> list[str]:
        raise Refused("/etc/motd is on the list of denied paths")

    monkeypatch.setattr(guest.files, "replace", refuse)
    assert ask(guest, "injectfile", b64("/etc/motd,x"))["returncode"] == "500"
    assert guest.cache.read("file") is None


def test_apply_writes_all_files_anew(guest: Guest) -> None:
    ask(guest, "injectfile", b64("/a,1"))
    ask(guest, "file_inject", {"b64_path": b64("/b"), "b64_file": b64(b"\xff")})
    ask(guest, "injectfile", b64("/a,2"))
    written(guest).clear()
    injectfile.apply(guest)
    assert written(guest) == {"/a": b"2", "/b": b"\xff"}
    assert not hasattr(file_inject, "apply")
