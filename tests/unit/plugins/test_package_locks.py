"""The look at the locks of package managers, by the real shell on the real /proc/locks."""

import fcntl
import os
import shlex
import subprocess

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import package_locks


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """A lock file in the place of dpkg's, and a way to look who holds it."""
    path = tmp_path / "lock-frontend"
    path.touch()

    def look():
        script = package_locks.FIND.replace(package_locks.LOCKS[0], shlex.quote(str(path)))
        return subprocess.check_output(["sh", "-c", f'{script}\nprintf %s "$packager"'], text=True)

    return path, look


def test_who_holds_the_lock_for_writing_is_told(lock):
    path, look = lock
    assert look() == ""
    with path.open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert look().endswith(f"(process {os.getpid()})")
        fcntl.lockf(held, fcntl.LOCK_UN)
        assert look() == ""


def test_one_who_only_reads_changes_no_packages(lock):
    path, look = lock
    with path.open("r+") as held:
        fcntl.lockf(held, fcntl.LOCK_SH)
        assert look() == ""
