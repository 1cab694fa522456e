"""Passwords go where the system looks for them, as hashes it can check, and under the lock it knows."""

from __future__ import annotations

import ctypes
import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from singularity import accounts, hashing, programs
from singularity.accounts import account, set_password
from singularity.errors import Refused
from singularity.files import Files

PASSWD = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1001:Bob,,,:/home/bob:/bin/sh\nodd:x:12\n+::::::\n"
SHADOW = "root:*:19000:0:99999:7:::\nbob:!:19000:1:2:3:4:5:\nodd:$6$old:1:::::\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/shadow").write_text(SHADOW)
    (tmp_path / "etc/shadow").chmod(0o640)
    return tmp_path


def held():
    """Return this process's open files."""
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def children():
    """Return this process's children, also those that nobody waited for: tests before this one may have left some."""
    return sorted(Path("/proc/thread-self/children").read_text().split())


def matches(password, made):
    """Ask the system's own crypt(3)."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password, made.encode()) == made.encode()


def test_an_account_is_as_passwd_has_it(root):
    files = Files(str(root))
    assert account(files, "bob") == accounts.Account("bob", 1000, 1001, "/home/bob", "/bin/sh")
    for user in ("nobody", "", "odd", "+", "bob:x", "bo", "b\udcffb", "root\n"):
        with pytest.raises(Refused, match="there is no user"):
            account(files, user)


@pytest.mark.parametrize(
    ("login_defs", "prefix"),
    [
        (None, "$6$"),
        ("ENCRYPT_METHOD SHA512\n", "$6$"),
        ("# ENCRYPT_METHOD YESCRYPT\nENCRYPT_METHOD\tMD5 # weak\n", "$6$"),
        ("ENCRYPT_METHOD SHA512\nENCRYPT_METHOD yescrypt\n", "$y$"),
    ],
)
def test_a_password_is_hashed_as_login_defs_says_and_no_weaker(root, login_defs, prefix):
    if login_defs:
        (root / "etc/login.defs").write_text(login_defs)
    made = set_password(Files(str(root)), "bob", "pässword".encode())
    assert made.startswith(prefix)
    assert matches("pässword".encode(), made)
    assert not matches(b"other", made)
    day = int(time.time()) // 86400
    assert (root / "etc/shadow").read_text() == SHADOW.replace("bob:!:19000", f"bob:{made}:{day}")
    assert (root / "etc/passwd").read_text() == PASSWD
    assert (root / "etc/shadow").stat().st_mode & 0o777 == 0o640
    assert (root / "etc/.pwd.lock").stat().st_mode & 0o777 == 0o600


def test_without_libcrypt_openssl_makes_the_hash(monkeypatch):
    monkeypatch.setattr(hashing, "_LIBRARIES", ())
    made = hashing.hashed(b"secret", "YESCRYPT")
    assert made.startswith("$6$")
    assert matches(b"secret", made)
    monkeypatch.setattr(programs, "FOLDERS", ())
    with pytest.raises(Refused, match="install libcrypt"):
        hashing.hashed(b"secret")


def test_two_hashes_of_one_password_differ():
    assert hashing.hashed(b"secret") != hashing.hashed(b"secret")


@pytest.mark.parametrize("password", [b"", b"a\0b", b"a\nb", b"x" * 512])
def test_a_password_that_no_system_can_have_is_refused(root, password):
    with pytest.raises(Refused):
        set_password(Files(str(root)), "bob", password)
    assert (root / "etc/shadow").read_text() == SHADOW


@pytest.mark.parametrize(
    ("hashed", "taken"),
    [
        (b"$6$salt$" + b"a" * 86, True),
        (b"$y$j9T$salt$" + b"a" * 43, True),
        (b"!", True),
        (b"*", True),
        (b"plain text", False),
        (b"$6$salt$a:0:0:root", False),
        (b"$6$salt$" + b"a" * 20 + b"\nroot::1", False),
        (b"\xff" * 30, False),
        (b"", False),
    ],
)
def test_a_hash_that_is_given_is_taken_as_it_is_and_anything_else_refused(root, hashed, taken):
    files = Files(str(root))
    if not taken:
        with pytest.raises(Refused, match="no hash"):
            set_password(files, "bob", hashed, crypted=True)
        assert (root / "etc/shadow").read_text() == SHADOW
        return
    assert set_password(files, "bob", hashed, crypted=True) == hashed.decode()
    assert f"bob:{hashed.decode()}:" in (root / "etc/shadow").read_text()
    before = (root / "etc/shadow").stat()
    set_password(files, "bob", hashed, crypted=True)
    assert (root / "etc/shadow").stat().st_ino == before.st_ino


def test_a_user_without_a_line_in_shadow_gets_one_and_passwd_points_there(root):
    (root / "etc/passwd").write_text(PASSWD.replace("bob:x:", "bob::"))
    (root / "etc/shadow").write_text("root:*:19000:0:99999:7:::")
    made = set_password(Files(str(root)), "bob", b"secret")
    lines = (root / "etc/shadow").read_text().splitlines()
    assert lines[0] == "root:*:19000:0:99999:7:::"
    assert lines[1].startswith(f"bob:{made}:")
    assert (root / "etc/passwd").read_text() == PASSWD


def test_a_system_without_shadow_has_the_hash_in_passwd(root):
    (root / "etc/shadow").unlink()
    made = set_password(Files(str(root)), "bob", b"secret")
    assert (root / "etc/passwd").read_text() == PASSWD.replace("bob:x:", f"bob:{made}:")
    assert not (root / "etc/shadow").exists()


def test_shadow_is_written_even_where_a_list_denies_files_there(root):
    set_password(Files(str(root), allow=("/home",), deny=("/etc",)), "bob", b"secret")
    assert (root / "etc/shadow").read_text() != SHADOW


def test_another_program_s_lock_is_waited_for_and_then_respected(root, monkeypatch):
    holder = (
        "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.lockf(f,fcntl.LOCK_EX); print(flush=True); time.sleep(9)"
    )
    lock = root / "etc/.pwd.lock"
    with subprocess.Popen([sys.executable, "-c", holder, str(lock)], stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            monkeypatch.setattr(accounts, "LOCK_SECONDS", 0.2)
            with pytest.raises(Refused, match=r"\.pwd\.lock is held"):
                set_password(Files(str(root)), "bob", b"secret")
            assert (root / "etc/shadow").read_text() == SHADOW
        finally:
            other.kill()
    set_password(Files(str(root)), "bob", b"secret")
    with lock.open("w") as free:
        fcntl.lockf(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_lock_is_not_looked_for_outside_of_the_root(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (root / "etc/.pwd.lock").symlink_to(outside / "lock")
    with pytest.raises(Refused):
        set_password(Files(str(root)), "bob", b"secret")
    assert list(outside.iterdir()) == []


def test_nothing_is_hashed_into_files_that_are_only_shown(root):
    files = Files(str(root), noop=True)
    made = set_password(files, "bob", b"secret")
    assert (root / "etc/shadow").read_text() == SHADOW
    assert "/etc/shadow" in files.diffs[0]
    assert made not in files.diffs[0]
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["passwd", "shadow"]


def test_no_child_and_no_file_is_left_by_hashing():
    before = held(), children()
    hashing.hashed(b"secret", "YESCRYPT")
    assert (held(), children()) == before
