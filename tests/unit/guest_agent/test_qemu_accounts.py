"""Passwords and ssh keys of the guest's users, set in QEMU's dialect."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.guest_agent.qemu_guest import PASSWD, Asker, encoded

ONE, TWO = "ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD.format(uid=os.getuid(), gid=os.getgid()))
    (tmp_path / "etc/shadow").write_text("root:*:19000:0:99999:7:::\nann:!:19000:0:99999:7:::\n")
    (tmp_path / "home/ann").mkdir(parents=True)
    asker = Asker(tmp_path)
    yield asker
    asker.close()


def keys(asker: Asker) -> list[str]:
    return list(asker.ask("guest-ssh-get-authorized-keys", username="ann")["keys"])


def test_keys_are_added_once_and_removed(asker: Asker, tmp_path: Path) -> None:
    file = tmp_path / "home/ann/.ssh/authorized_keys"
    assert asker.ask("guest-ssh-add-authorized-keys", username="ann", keys=[ONE]) == {}
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    asker.ask("guest-ssh-add-authorized-keys", username="ann", keys=[ONE, TWO])
    assert keys(asker) == [ONE, TWO]
    asker.ask("guest-ssh-remove-authorized-keys", username="ann", keys=[ONE, "ssh-rsa absent"])
    assert keys(asker) == [TWO]
    asker.ask("guest-ssh-add-authorized-keys", username="ann", keys=[ONE], reset=True)
    assert file.read_text() == f"{ONE}\n"


def test_comments_stay_and_are_no_keys(asker: Asker, tmp_path: Path) -> None:
    file = tmp_path / "home/ann/.ssh/authorized_keys"
    file.parent.mkdir(mode=0o700)
    file.write_bytes(b"# of Ann \xff\n\n" + ONE.encode())
    asker.ask("guest-ssh-add-authorized-keys", username="ann", keys=[TWO])
    assert file.read_bytes() == b"# of Ann \xff\n\n" + f"{ONE}\n{TWO}\n".encode()
    assert keys(asker) == [ONE, TWO]


def test_what_is_no_key_and_who_is_no_user_is_named(asker: Asker) -> None:
    for key in ("#", "a\nb", "a\rb", "\0"):
        assert "invalid OpenSSH public key" in asker.error("guest-ssh-add-authorized-keys", username="ann", keys=[key])
    assert "bob" in asker.error("guest-ssh-add-authorized-keys", username="bob", keys=[ONE])
    said = asker.error("guest-ssh-get-authorized-keys", username="ann")
    assert said == "failed to read '/home/ann/.ssh/authorized_keys': No such file or directory"


def hashed(root: Path, user: str) -> str:
    lines = (root / "etc/shadow").read_text().splitlines()
    return next(line.split(":")[1] for line in lines if line.startswith(f"{user}:"))


def test_a_password_is_hashed_and_a_hash_taken_as_it_is(asker: Asker, tmp_path: Path) -> None:
    assert asker.ask("guest-set-user-password", username="ann", password=encoded("geheim"), crypted=False) == {}
    assert hashed(tmp_path, "ann").startswith("$")
    ready = "$6$salt$" + "x" * 86
    asker.ask("guest-set-user-password", username="ann", password=encoded(ready), crypted=True)
    assert hashed(tmp_path, "ann") == ready
    assert hashed(tmp_path, "root") == "*"


@pytest.mark.parametrize(("password", "crypted"), [("a\nb", False), ("a\0b", False), ("a:b", True), ("a\nb", True)])
def test_a_password_that_would_break_the_file_is_refused(
    asker: Asker, tmp_path: Path, password: str, crypted: bool
) -> None:
    said = asker.error("guest-set-user-password", username="ann", password=encoded(password), crypted=crypted)
    assert said == "forbidden characters in the password"
    assert hashed(tmp_path, "ann") == "!"


def test_a_password_that_can_not_be_set_is_not_repeated(asker: Asker, caplog: pytest.LogCaptureFixture) -> None:
    said = asker.error("guest-set-user-password", username="bob", password=encoded("geheim"), crypted=False)
    assert "bob" in said
    assert "geheim" not in said + caplog.text
    assert encoded("geheim") not in said + caplog.text
    said = asker.error("guest-set-user-password", username="ann", password="geheim!", crypted=False)
    assert said == "Base64 data contains invalid characters"
