"""Which folders lie in memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from commissaire.shared_memory import is_in_memory, is_our_own, shared_folder


def test_the_file_system_that_a_folder_lies_in_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"/": "ext4", str(tmp_path / "memory"): "tmpfs", str(tmp_path / "memory" / "disk"): "ext4"}
    parts = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in places.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)  # noqa: A006  psutil's name
    found = {below: is_in_memory(tmp_path / below) for below in ("", "memory", "memory/x/y", "memory/disk/z")}
    assert found == {"": False, "memory": True, "memory/x/y": True, "memory/disk/z": False}


def test_a_link_lies_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [SimpleNamespace(mountpoint=str(tmp_path / "memory"), fstype="tmpfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)  # noqa: A006  psutil's name
    (tmp_path / "link").symlink_to(tmp_path / "memory" / "x")
    assert is_in_memory(tmp_path / "link")


def test_a_folder_that_others_can_change_or_have_made_is_not_ours(tmp_path: Path) -> None:
    mine, open_to_all, link = tmp_path / "mine", tmp_path / "open", tmp_path / "link"
    mine.mkdir(mode=0o700)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link.symlink_to(mine)
    assert [is_our_own(path) for path in (mine, open_to_all, link)] == [True, False, False]
    if os.geteuid() == 0:
        os.chown(mine, 65534, 65534)
        assert not is_our_own(mine)


def test_servers_have_folders_of_their_own() -> None:
    assert shared_folder(Path("/run/commissaire-x1")) != shared_folder(Path("/run/commissaire-x2"))
