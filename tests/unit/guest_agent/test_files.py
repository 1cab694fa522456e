"""Files are replaced all or none, keep what they had, and are left alone when nothing changes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from singularity import backups, handle, programs, selinux
from singularity.errors import Refused
from singularity.files import Change, Files

ODD = "/etc/ünïcode/\udcff\udcfe"


@pytest.fixture
def root(tmp_path):
    for folder in ("etc/ünïcode", "home/bob", "usr/lib", "srv"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/hosts").write_bytes(b"old\n")
    return tmp_path


@pytest.fixture
def files(root):
    return Files(str(root))


def everything(root):
    """All paths below root with what tells whether they were touched."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, content)
    return found


def backup_names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".bak~"))


def test_files_are_made_and_replaced_together_and_named_in_the_answer(root, files):
    assert files.replace([Change("/etc/hosts", b"new\n"), Change(ODD, b"\0\xff")]) == ["/etc/hosts", ODD]
    assert (root / "etc/hosts").read_bytes() == b"new\n"
    assert files.read(ODD) == b"\0\xff"
    assert os.fsencode(root / ODD[1:]).endswith("/etc/ünïcode/".encode() + b"\xff\xfe")
    assert stat.S_IMODE((root / ODD[1:]).stat().st_mode) == 0o644


def test_identical_files_are_left_alone(root, files):
    before = everything(root)
    assert files.replace([Change("/etc/hosts", b"old\n"), Change("/etc/absent", None)]) == []
    assert everything(root) == before


def test_a_mode_that_is_wanted_is_a_change_of_its_own(root, files):
    assert files.replace([Change("/etc/hosts", b"old\n", 0o600)]) == ["/etc/hosts"]
    assert files.replace([Change("/etc/hosts", b"old\n", 0o600)]) == []
    assert stat.S_IMODE((root / "etc/hosts").stat().st_mode) == 0o600


def test_a_replaced_file_keeps_its_mode_and_its_attributes(root, files):
    (root / "etc/hosts").chmod(0o4751)
    files.replace([Change("/etc/hosts", b"new\n")])
    assert stat.S_IMODE((root / "etc/hosts").stat().st_mode) == 0o4751


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_owners_are_kept_set_or_taken_from_the_folder(root, files):
    os.chown(root / "etc/hosts", 1234, 2345)
    os.chown(root / "home/bob", 1000, 1001)
    changes = [Change("/etc/hosts", b"1"), Change("/etc/set", b"2", uid=7, gid=8)]
    files.replace([*changes, Change("/home/bob/.ssh/authorized_keys", b"3")])
    owners = {name: ((root / name).stat().st_uid, (root / name).stat().st_gid) for name in ("etc/hosts", "etc/set")}
    assert owners == {"etc/hosts": (1234, 2345), "etc/set": (7, 8)}
    key = root / "home/bob/.ssh/authorized_keys"
    assert (key.stat().st_uid, key.parent.stat().st_uid, key.parent.stat().st_gid) == (1000, 1000, 1001)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to set a label of SELinux")
def test_the_label_of_selinux_goes_over_to_the_new_file(root, files):
    label = b"system_u:object_r:net_conf_t:s0\0"
    try:
        os.setxattr(root / "etc/hosts", "security.selinux", label)
    except OSError as error:
        pytest.skip(f"this file system has no labels: {error.strerror}")
    files.replace([Change("/etc/hosts", b"new\n")])
    assert os.getxattr(root / "etc/hosts", "security.selinux") == label


def test_what_is_new_on_a_running_system_is_labelled_by_its_own_tool(root, files, monkeypatch, tmp_path_factory):
    programs_folder = tmp_path_factory.mktemp("bin")
    told = programs_folder / "told"
    (programs_folder / "restorecon").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{told}\n')
    (programs_folder / "restorecon").chmod(0o755)
    monkeypatch.setattr(programs, "FOLDERS", (str(programs_folder),))
    monkeypatch.setattr(selinux, "_ENFORCE", str(programs_folder))
    monkeypatch.setattr(Files, "live", True)
    files.replace([Change("/root/.ssh/key", b"1"), Change("/etc/hosts", b"2"), Change("/etc/absent", None)])
    assert told.read_text().split() == ["--", "/root/.ssh/key", "/root/.ssh", "/root"]


def test_missing_folders_are_made_and_one_for_ssh_is_closed_to_others(root, files):
    files.replace([Change("/root/.ssh/authorized_keys", b"key\n"), Change("/root/.ssh/other", b"key\n")])
    assert stat.S_IMODE((root / "root/.ssh").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "root").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "root/.ssh/authorized_keys").stat().st_mode) == 0o600


def test_a_file_is_removed_and_a_link_to_it_only_itself(root, files):
    (root / "etc/link").symlink_to("hosts")
    assert files.replace([Change("/etc/link", None)]) == ["/etc/link"]
    assert (root / "etc/hosts").read_bytes() == b"old\n"
    assert files.replace([Change("/etc/hosts", None)]) == ["/etc/hosts"]
    assert not (root / "etc/hosts").exists()


def test_a_replaced_file_leaves_a_backup_named_after_the_time_and_only_the_newest_stay(root, files):
    for number in range(backups.KEPT + 3):
        files.replace([Change("/etc/hosts", b"%d\n" % number)])
    names = backup_names(root / "etc")
    assert [(root / "etc" / name).read_bytes() for name in names] == [b"%d\n" % number for number in range(2, 7)]
    assert all(name.startswith("hosts.2") for name in names)


def test_a_backup_hides_in_a_folder_that_programs_read_whole(root, files):
    files.replace([Change("/etc/cron.d/job", b"1")])
    files.replace([Change("/etc/cron.d/job", b"2")])
    assert [name.startswith(".job.2") for name in backup_names(root / "etc/cron.d")] == [True]


def test_no_backup_is_left_without_backup_and_of_the_longest_names_one_is(root):
    Files(str(root), backup=False).replace([Change("/etc/hosts", b"new\n")])
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["hosts", "ünïcode"]
    name = "n" * 255
    for content in (b"1", b"2"):
        Files(str(root)).replace([Change(f"/srv/{name}", content)])
    assert len(list((root / "srv").iterdir())) == 2


@pytest.mark.parametrize("failing", ["write", "fsync", "link", "rename", "mkdir", "unlink"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_disk_that_is_full_leaves_everything_as_it_was(root, files, monkeypatch, failing, at):
    (root / "etc/gone").write_bytes(b"there")
    before = everything(root)
    real = getattr(os, failing)
    calls = []

    def full(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **keywords)

    changes = [Change("/etc/hosts", b"new"), Change("/srv/a/b/c", b"x"), Change("/etc/gone", None), Change("/n", b"y")]
    said = None
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        try:
            files.replace(changes)
        except Refused as error:
            said = error.message
    if said is None:  # so often it is not called, or does without
        assert (root / "etc/hosts").read_bytes() == b"new"
    else:
        assert "No space left on device" in said
        assert everything(root) == before
        assert len(calls) >= at


def test_one_refused_path_leaves_the_others_as_they_were(root):
    before = everything(root)
    files = Files(str(root), deny=("/srv",))
    with pytest.raises(Refused, match="/srv/x is on the list of denied paths"):
        files.replace([Change("/etc/hosts", b"new"), Change("/etc/more/a", b""), Change("/srv/x", b"")])
    assert everything(root) == before


def test_changes_can_be_taken_back_after_they_were_made(root, files):
    before = everything(root)
    transaction = files.prepare([Change("/etc/hosts", b"new"), Change("/srv/a/b", b"x")])
    transaction.commit()
    assert (root / "etc/hosts").read_bytes() == b"new"
    transaction.undo()
    assert everything(root) == before


def test_a_file_is_not_changed_twice_at_once_whatever_it_is_called(root, files):
    (root / "etc/link").symlink_to("/etc/hosts")
    before = everything(root)
    with pytest.raises(Refused, match="twice"):
        files.replace([Change("/etc/hosts", b"1"), Change("/etc/link", b"2")])
    assert everything(root) == before


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("fifo")])
def test_what_is_no_regular_file_is_neither_read_nor_replaced(root, files, make):
    os.mkfifo(root / "etc/fifo")
    make(root / "etc/thing")
    for attempt in (
        files.read,
        lambda path: files.replace([Change(path, b"")]),
        lambda path: files.open_for(path, "w"),
    ):
        with pytest.raises(Refused, match=r"no regular file|is a folder"):
            attempt("/etc/thing")


def test_a_file_that_is_too_large_is_not_read_and_an_absent_one_is_none(files):
    assert files.read("/etc/hosts", most=4) == b"old\n"
    assert files.read("/etc/absent") is None
    with pytest.raises(Refused, match="more than 3 bytes"):
        files.read("/etc/hosts", most=3)


def test_nothing_is_written_when_it_is_only_to_be_shown(root):
    before = everything(root)
    files = Files(str(root), noop=True)
    assert files.replace([Change("/etc/hosts", b"new\n"), Change("/srv/a", b"\0")]) == []
    assert "".join(files.diffs) == (
        "--- /etc/hosts\n+++ /etc/hosts\n@@ -1 +1 @@\n-old\n+new\n--- /dev/null\n+++ /srv/a\nBinary files differ\n"
    )
    with pytest.raises(Refused):
        files.open_for("/etc/hosts", "a")
    assert everything(root) == before


def test_a_diff_never_shows_the_hashes_of_passwords(root, files):
    (root / "etc/shadow").write_text("root:$6$secret:1::::::\n")
    (root / "etc/link").symlink_to("shadow")
    assert "secret" not in files.diff([Change("/etc/shadow", b"root:$6$secret2:1::::::\n"), Change("/etc/link", None)])


def test_an_open_file_appears_when_it_is_closed_and_not_when_it_is_abandoned(root, files):
    opened = files.open_for("/etc/hosts", "w")
    opened.write(b"new" * 100000)
    opened.flush()
    assert files.read("/etc/hosts") == b"old\n"
    opened.close()
    assert files.read("/etc/hosts") == b"new" * 100000
    before = everything(root)
    for name in ("/etc/hosts", "/srv/deep/file"):
        opened = files.open_for(name, "wb+")
        opened.write(b"x")
        opened.abandon()
    files.open_for("/etc/hosts", "w").write(b"dropped")
    assert everything(root) == before


@pytest.mark.parametrize(("mode", "content"), [("a", b"old\nmore"), ("ab+", b"old\nmore"), ("r+", b"more")])
def test_an_open_file_is_written_in_place_as_its_mode_says(files, mode, content):
    with files.open_for("/etc/hosts", mode) as opened:
        opened.write(b"more")
    assert files.read("/etc/hosts") == content


def test_an_absent_file_is_made_by_a_and_not_by_r(files):
    with files.open_for("/srv/log", "a") as opened:
        opened.write(b"line")
    with files.open_for("/srv/log", "r") as opened:
        assert opened.read() == b"line"
    for mode in ("r", "r+"):
        with pytest.raises(Refused, match="does not exist"):
            files.open_for("/srv/none", mode)


@pytest.mark.parametrize("mode", ["", "x", "rw", "b", "wb++", "r\0"])
def test_any_other_mode_is_refused(mode):
    with pytest.raises(Refused):
        handle.flags_of(mode)


def test_no_file_stays_open(root, files):
    def held():
        return sorted(path.name for path in Path("/proc/self/fd").iterdir())

    (root / "etc/link").symlink_to("../../..")
    before = held()
    for path in (
        "/etc/hosts",
        "/etc/link/etc/x",
        "/etc",
        "/etc/hosts/x",
        "/srv/a/b",
        "/proc/x",
        "relative",
        "/" + "x" * 300,
    ):
        for attempt in (
            files.read,
            files.exists,
            files.names,
            files.link,
            lambda path: files.replace([Change(path, b"1")]),
            lambda path: files.open_for(path, "w").close(),
            lambda path: files.diff([Change(path, None)]),
        ):
            try:
                attempt(path)
            except Refused:
                continue
    assert held() == before
