"""No path leads out of the root or round the lists, however its links lie and however fast they change."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singularity.errors import Refused
from singularity.files import Change, Files
from singularity.paths import Policy, normal, shown


@pytest.fixture
def world(tmp_path):
    """A root, and beside it what must not be touched."""
    for folder in ("root/etc", "root/home/bob", "root/var", "root/usr/lib", "root/run/resolve", "outside/etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside/etc/secret").write_text("secret")
    (tmp_path / "root/etc/shadow").write_text("hash")
    return tmp_path


def outside(world):
    return {str(path): path.read_bytes() for path in (world / "outside").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "target",
    [
        "{outside}/etc/secret",
        "../../../outside/etc/secret",
        "../../../../../../../../../..{outside}/etc/secret",
        "/proc/self/root{outside}/etc/secret",
        "/../../{outside}/etc/secret",
    ],
)
def test_a_link_that_leads_out_of_the_root_leads_nowhere(world, target):
    (world / "root/var/link").symlink_to(target.format(outside=world / "outside"))
    before = outside(world)
    files = Files(str(world / "root"))
    assert files.read("/var/link") is None
    with suppress(Refused):
        files.replace([Change("/var/link", b"taken")])
    assert outside(world) == before
    with pytest.raises(Refused):
        files.replace([Change("/var/link/x", b"taken")])


def test_links_within_the_root_work_as_on_any_system(world):
    root = world / "root"
    (root / "lib").symlink_to("usr/lib")
    (root / "etc/resolv.conf").symlink_to("../run/resolve/resolv.conf")
    (root / "etc/absolute").symlink_to("/run/resolve/deep")
    files = Files(str(root))
    files.replace([Change("/lib/a/b", b"1"), Change("/etc/resolv.conf", b"2"), Change("/etc/absolute/x", b"3")])
    assert (root / "usr/lib/a/b").read_bytes() == b"1"
    assert (root / "run/resolve/resolv.conf").read_bytes() == b"2"
    assert (root / "run/resolve/deep/x").read_bytes() == b"3"
    assert (root / "etc/resolv.conf").is_symlink()
    assert (root / "lib").is_symlink()


def test_a_link_leads_neither_round_the_denied_paths_nor_out_of_the_allowed(world):
    root = world / "root"
    (root / "home/bob/a").symlink_to("/etc/shadow")
    (root / "home/bob/b").symlink_to("/etc")
    (root / "home/bob/c").symlink_to("../bob/d")
    for files in (Files(str(root), allow=("/home",)), Files(str(root), deny=("/etc/sh*",))):
        for path in ("/home/bob/a", "/home/bob/b/shadow"):
            for attempt in (
                files.read,
                lambda p, f=files: f.replace([Change(p, b"")]),
                lambda p, f=files: f.open_for(p, "a"),
            ):
                with pytest.raises(Refused, match="list of"):
                    attempt(path)
    Files(str(root), allow=("/home",)).replace([Change("/home/bob/c", b"fine")])
    assert (root / "home/bob/d").read_bytes() == b"fine"
    assert (root / "etc/shadow").read_text() == "hash"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give links away")
def test_a_user_s_link_leads_only_to_what_is_that_user_s(world):
    root = world / "root"
    os.chown(root / "home/bob", 1000, 1000)
    for name, target in (("a", "/etc/shadow"), ("b", "/etc/new"), ("c", "real"), (".ssh", "/root/.ssh")):
        (root / "home/bob" / name).symlink_to(target)
        os.chown(root / "home/bob" / name, 1000, 1000, follow_symlinks=False)
    files = Files(str(root))
    for path in ("/home/bob/a", "/home/bob/b", "/home/bob/.ssh/authorized_keys"):
        for attempt in (files.read, lambda p: files.replace([Change(p, b"")]), lambda p: files.open_for(p, "w")):
            with pytest.raises(Refused, match="a link of user 1000"):
                attempt(path)
    files.replace([Change("/home/bob/c", b"mine")])
    assert (root / "home/bob/real").stat().st_uid == 1000
    os.link(root / "etc/shadow", root / "home/bob/hard")
    with pytest.raises(Refused, match="hard link"):
        files.open_for("/home/bob/hard", "a")


def test_links_in_a_circle_end(world):
    (world / "root/var/a").symlink_to("b")
    (world / "root/var/b").symlink_to("/var/a")
    files = Files(str(world / "root"))
    with pytest.raises(Refused, match="too many links"):
        files.read("/var/a")


def test_a_link_that_is_swapped_all_the_time_never_leads_out(world):
    """A user with a folder makes it a link to elsewhere between any two steps of the agent's."""
    root = world / "root"
    home = root / "home/bob"
    (home / "real").mkdir()
    (home / "evil").symlink_to(world / "outside/etc")
    (home / "up").symlink_to("../../../outside/etc")
    before = outside(world)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for name in ("real", "evil", "up"):
                try:
                    (home / name).rename(home / "dir")
                    (home / "dir").rename(home / name)
                except OSError:
                    continue

    swapper = threading.Thread(target=swap)
    swapper.start()
    files = Files(str(root), allow=("/home",), backup=False)
    written = 0
    try:
        for number in range(300):
            try:
                files.replace([Change("/home/bob/dir/secret", b"%d" % number), Change("/home/bob/dir/new", b"x")])
                written += 1
                assert files.read("/home/bob/dir/secret") != b"secret"
            except Refused:
                continue
    finally:
        stop.set()
        swapper.join()
    assert written
    assert outside(world) == before


@pytest.mark.parametrize(
    "path", ["", "etc/hosts", "/etc/../etc/shadow", "/a\0b", "/" + "a" * 256, "/a" * 2100, "/\ud800"]
)
def test_a_path_that_is_none_is_refused_by_a_message_that_can_be_sent(path):
    with pytest.raises(Refused) as refused:
        normal(path)
    assert refused.value.message.isascii()
    assert refused.value.message.isprintable()


@pytest.mark.parametrize(
    ("patterns", "path", "matched"),
    [
        (["/etc"], "/etc/hosts", True),
        (["/etc/"], "/etc", True),
        (["/etc"], "/etcetera", False),
        (["/etc/*.conf"], "/etc/resolv.conf", True),
        (["/etc/*.conf"], "/etc/deep/resolv.conf", False),
        (["/home/*/.ssh"], "/home/bob/.ssh/authorized_keys", True),
        (["/home/*/.ssh"], "/home/bob/x/.ssh/authorized_keys", False),
        (["/home/**/.ssh"], "/home/bob/x/.ssh/authorized_keys", True),
        (["/**/shadow"], "/etc/shadow", True),
        (["*.key"], "/root/x.key", True),
        (["*.key"], "/root/x.keys", False),
        (["/"], "/anything", True),
        (["/a", "/b?"], "/b1/c", True),
    ],
)
def test_patterns_match_names_and_all_that_is_below(patterns, path, matched):
    def allowed(policy):
        try:
            policy.check(path)
        except Refused:
            return False
        return True

    assert allowed(Policy(patterns, ())) is matched
    assert allowed(Policy((), patterns)) is not matched
    assert not allowed(Policy(patterns, patterns))


@pytest.mark.parametrize("path", ["/proc/sysrq-trigger", "/sys/power/state", "/dev/sda"])
def test_the_kernel_s_files_are_never_written(world, path):
    with pytest.raises(Refused, match="denied"):
        Files(str(world / "root")).own().replace([Change(path, b"1")])


@settings(deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_path_is_made_normal_or_refused(path):
    try:
        found = normal(path)
    except Refused:
        return
    assert found.startswith("/")
    assert "/../" not in found + "/"
    assert shown(found).isascii()


PARTS = st.sampled_from(["..", ".", "a", "b", "", "link", "up", "loop", "abs"])


@settings(deadline=None)
@given(st.lists(PARTS, max_size=8), st.lists(PARTS, max_size=6), st.lists(PARTS, max_size=6))
def test_whatever_links_say_nothing_is_found_outside(tmp_path_factory, path, first, second):
    base = tmp_path_factory.mktemp("links")
    (base / "root/a/b").mkdir(parents=True)
    (base / "a").mkdir()
    (base / "a/b").write_text("outside")
    (base / "b").write_text("outside")
    (base / "root/link").symlink_to("/".join(first) or ".")
    (base / "root/a/link").symlink_to("/" + "/".join(second))
    (base / "root/a/up").symlink_to("../../../a")
    (base / "root/up").symlink_to("../..")
    (base / "root/abs").symlink_to(base)
    files = Files(str(base / "root"), backup=False)
    name = "/" + "/".join(path)
    try:
        assert files.read(name) in (None, b"inside")
        files.replace([Change(name, b"inside")])
        assert files.read(name) == b"inside"
    except Refused:
        pass
    assert (base / "a/b").read_text() == (base / "b").read_text() == "outside"
    assert sorted(path.name for path in base.iterdir()) == ["a", "b", "root"]
