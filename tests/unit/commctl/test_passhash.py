"""commctl passhash: hashes that the server takes, without a server or a configuration."""

from __future__ import annotations

import io
import os
import pty
import sys
from typing import TYPE_CHECKING

import bcrypt
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from unit.commctl.conftest import Run


def opens(hashed: str, password: str) -> bool:
    """Tell whether the server's basic authentication would let in who has *password*."""
    return bcrypt.checkpw(password.encode(), hashed.removesuffix("\n").encode())


def test_a_given_password(commctl: Run, configuration: Path) -> None:
    configuration.unlink()
    result = commctl("passhash", "--password", "pa:ss wörd", "-r", "4")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("$2b$04$")
    assert opens(result.out, "pa:ss wörd")


def test_twelve_rounds_unless_told_otherwise(commctl: Run) -> None:
    assert commctl("passhash", "-p", "x").out.startswith("$2b$12$")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_without_the_newline_at_its_end(commctl: Run, tmp_path: Path, ending: str) -> None:
    (tmp_path / "password").write_bytes(f"two\nlines {ending}".encode())
    assert opens(commctl("passhash", "--file", str(tmp_path / "password"), "--rounds", "4").out, "two\nlines ")


def test_standard_input_is_the_file_minus(commctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\n")))
    assert opens(commctl("passhash", "-f", "-", "-r", "4").out, "piped")


def test_a_pipe_answers_the_question(commctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("piped\nnot this\n"))
    assert opens(commctl("passhash", "-r", "4").out, "piped")


def test_on_a_terminal_it_is_asked_for_once_and_not_shown(start: Callable[..., subprocess.Popen[str]]) -> None:
    ours, theirs = pty.openpty()
    process = start("passhash", "-r", "4", stdin=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"Password: " not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, b"typed\n")
    out, _ = process.communicate(timeout=20)
    os.close(ours)
    assert b"typed" not in shown
    assert opens(out, "typed")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("-p x -r 3", "greater than or equal to 4"),
        ("-p x -r 32", "less than or equal to 31"),
        ("-p x -f y", "leave one of them out"),
        ("-f /nowhere", "the password file /nowhere can't be read: No such file or directory"),
        ("-f /dev/null", "the password is empty"),
        ("-f -", "the password is empty"),
        ("", "no password: run this on a terminal"),
        (f"-p {'ü' * 37}", "the password has 74 bytes; bcrypt takes 72 at most"),
    ],
)
def test_what_can_not_be_hashed_is_told(
    commctl: Run, monkeypatch: pytest.MonkeyPatch, arguments: str, complaint: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    result = commctl("passhash", *arguments.split())
    assert (result.code, result.out) == (2, "")
    assert complaint in " ".join(result.err.split())


def test_72_bytes_are_all_looked_at(commctl: Run) -> None:
    hashed = commctl("passhash", "-r", "4", "-p", "x" * 72).out
    assert opens(hashed, "x" * 72)
    assert not opens(hashed, "x" * 71)


def test_a_zero_byte_is_refused(commctl: Run, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"a\0b")
    assert "can't hold a zero byte" in commctl("passhash", "-f", str(tmp_path / "password")).err
