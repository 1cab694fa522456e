"""Which folders lie in memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from commissaire.shared_memory import is_in_memory, shared_folder


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


def test_servers_have_folders_of_their_own() -> None:
    assert shared_folder(Path("/run/commissaire-x1")) != shared_folder(Path("/run/commissaire-x2"))
