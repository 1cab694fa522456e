"""Files that the host opens, reads and writes in the guest: guest-file-*, commissaire-inject-file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from singularity.qemu import open_files
from unit.guest_agent.qemu_guest import PASSWD, Asker, decoded, encoded


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    yield asker
    asker.close()


def write(asker: Asker, path: str, content: bytes, mode: str = "w") -> None:
    handle = asker.ask("guest-file-open", path=path, mode=mode)
    assert asker.ask("guest-file-write", handle=handle, buf_b64=encoded(content)) == {
        "count": len(content),
        "eof": False,
    }
    assert asker.ask("guest-file-close", handle=handle) == {}


def test_a_file_is_written_and_read_in_pieces(asker: Asker, tmp_path: Path) -> None:
    path = "/srv/ein längerer Name"
    handle = asker.ask("guest-file-open", path=path, mode="w")
    for piece in (b"one ", b"two ", b"three"):
        asker.ask("guest-file-write", handle=handle, buf_b64=encoded(piece))
    assert asker.ask("guest-file-flush", handle=handle) == {}
    assert asker.ask("guest-file-close", handle=handle) == {}
    assert (tmp_path / path[1:]).read_bytes() == b"one two three"
    handle = asker.ask("guest-file-open", path=path)
    assert asker.ask("guest-file-read", handle=handle, count=4) == {
        "count": 4,
        "buf-b64": encoded(b"one "),
        "eof": False,
    }
    assert asker.ask("guest-file-read", handle=handle)["eof"]
    assert asker.ask("guest-file-read", handle=handle) == {"count": 0, "buf-b64": "", "eof": True}
    asker.ask("guest-file-close", handle=handle)


def test_a_file_is_appended_to_and_changed_in_place(asker: Asker, tmp_path: Path) -> None:
    write(asker, "/a", b"one")
    write(asker, "/a", b"two", mode="a")
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    handle = asker.ask("guest-file-open", path="/a", mode="r+")
    assert asker.ask("guest-file-seek", handle=handle, offset=-3, whence="end") == {"position": 3, "eof": False}
    asker.ask("guest-file-write", handle=handle, buf_b64=encoded("TWO and more"), count=3)
    assert asker.ask("guest-file-seek", handle=handle, offset=0, whence=0)["position"] == 0
    assert decoded(asker.ask("guest-file-read", handle=handle)["buf-b64"]) == b"oneTWO"
    asker.ask("guest-file-close", handle=handle)


def test_what_a_handle_was_not_opened_for_is_refused(asker: Asker) -> None:
    write(asker, "/a", b"one")
    reading = asker.ask("guest-file-open", path="/a")
    assert asker.error("guest-file-write", handle=reading, buf_b64="") == "failed to write to file: Bad file descriptor"
    writing = asker.ask("guest-file-open", path="/a", mode="w")
    assert asker.error("guest-file-read", handle=writing) == "failed to read file: Bad file descriptor"
    assert asker.error("guest-file-open", path="/a", mode="x") == "invalid file open mode 'x'"
    assert (
        asker.error("guest-file-seek", handle=reading, offset=-1, whence="set")
        == "failed to seek file: Invalid argument"
    )
    assert asker.error("guest-file-seek", handle=reading, offset=2**62, whence=7) == "invalid whence code 7"
    assert asker.error("guest-file-read", handle=reading, count=-1) == "value '-1' is invalid for argument count"
    assert "count" in asker.error("guest-file-read", handle=reading, count=10**9)
    assert "count" in asker.error("guest-file-write", handle=writing, buf_b64=encoded("a"), count=2)
    assert "Base64" in asker.error("guest-file-write", handle=writing, buf_b64="a")


@pytest.mark.parametrize("command", ["close", "read", "flush"])
def test_a_handle_that_was_closed_is_none_any_more(asker: Asker, command: str) -> None:
    write(asker, "/a", b"")
    handle = asker.ask("guest-file-open", path="/a")
    asker.ask("guest-file-close", handle=handle)
    assert asker.error(f"guest-file-{command}", handle=handle) == f"handle '{handle}' has not been found"


def test_a_file_that_is_not_there_is_told_as_qemu_does(asker: Asker) -> None:
    said = "failed to open file '/a/b' (mode: 'r'): No such file or directory"
    assert asker.error("guest-file-open", path="/a/b") == said


def test_whoever_asks_for_much_gets_a_part_of_it_and_is_told_that_there_is_more(
    asker: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "PIECE_BYTES", 10)
    (tmp_path / "a").write_bytes(b"0123456789abcd")
    handle = asker.ask("guest-file-open", path="/a")
    first = asker.ask("guest-file-read", handle=handle, count=1000)
    assert (first["count"], first["eof"]) == (10, False)
    second = asker.ask("guest-file-read", handle=handle, count=1000)
    assert (second["count"], second["eof"]) == (4, True)


def test_a_denied_path_can_not_be_opened_by_any_way(tmp_path: Path) -> None:
    asker = Asker(tmp_path, deny_paths=("/etc",))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a").write_text("x")
    (tmp_path / "link").symlink_to("/etc/a")
    for path in ("/etc/a", "/link"):
        for mode in ("r", "w", "r+", "a"):
            assert "denied" in asker.error("guest-file-open", path=path, mode=mode)
        assert "denied" in asker.error("commissaire-inject-file", path=path, buf_b64="")
    assert (tmp_path / "etc/a").read_text() == "x"


@pytest.mark.parametrize("mode", ["r", "r+", "a"])
def test_what_would_make_the_agent_wait_is_no_file(asker: Asker, tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in asker.error("guest-file-open", path="/pipe", mode=mode)


def test_handles_are_bounded_and_an_abandoned_one_gives_way_without_leaving_half_a_file(
    asker: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "FILES_MOST", 2)
    (tmp_path / "a").write_text("old")
    first = asker.ask("guest-file-open", path="/a", mode="w")
    asker.ask("guest-file-write", handle=first, buf_b64=encoded("half of it"))
    second = asker.ask("guest-file-open", path="/a")
    assert "2 files are open" in asker.error("guest-file-open", path="/a")
    monkeypatch.setattr(open_files, "ABANDONED_SECONDS", 0.0)
    asker.ask("guest-file-read", handle=second)
    third = asker.ask("guest-file-open", path="/a")
    assert "has not been found" in asker.error("guest-file-flush", handle=first)
    assert (tmp_path / "a").read_text() == "old"
    for handle in (second, third):
        asker.ask("guest-file-close", handle=handle)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_is_told_and_leaves_the_agent_alive(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("wb")  # noqa: SIM115 (the agent closes it)
    monkeypatch.setattr(asker.qemu._session.guest.files, "open_for", lambda *_: full)
    handle = asker.ask("guest-file-open", path="/a", mode="w")
    assert "No space left" in asker.error("guest-file-write", handle=handle, buf_b64=encoded("x"))
    assert "No space left" in asker.error("guest-file-close", handle=handle)
    assert asker.ask("guest-ping") == {}
    assert "has not been found" in asker.error("guest-file-close", handle=handle)


def test_a_whole_file_is_put_in_place_with_mode_and_owner_and_left_when_it_is_so(asker: Asker, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD.format(uid=os.getuid(), gid=os.getgid()))
    (tmp_path / "etc/group").write_text(f"staff:x:{os.getgid()}:\n")
    file = {"path": "/ü", "buf_b64": encoded("secret"), "mode": "0640", "owner": "ann", "group": "staff"}
    assert asker.ask("commissaire-inject-file", **file) == {"changed": True}
    assert asker.ask("commissaire-inject-file", **file) == {"changed": False}
    assert (tmp_path / "ü").read_text() == "secret"
    assert (tmp_path / "ü").stat().st_mode & 0o7777 == 0o640
    assert "no such user: 'bob'" in asker.error("commissaire-inject-file", **{**file, "owner": "bob"})
    assert "no such group: 'bob'" in asker.error("commissaire-inject-file", **{**file, "group": "bob"})
    for mode in ("rwx", "8", "0o644", "123456", "64\N{SUPERSCRIPT FOUR}"):
        assert "octal" in asker.error("commissaire-inject-file", **{**file, "mode": mode})
