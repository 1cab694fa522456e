"""A guest that is none: files and a cache in memory, a channel that carries nothing."""

from __future__ import annotations

import zipapp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from singularity.guest import Guest
from singularity.key_exchange import KeyExchange
from singularity.settings import Settings

PACKAGE = Path(__file__).parents[3] / "roles/guest_agent/files/singularity"
MAIN = "import sys\nfrom singularity.cli import main\nsys.exit(main())\n"


class MemoryFiles:
    """Remembers what it was to write."""

    def __init__(self) -> None:
        self.written: dict[str, bytes | None] = {}
        self.diffs: list[str] = []

    def replace(self, changes: Sequence[Any]) -> list[str]:
        self.written.update({change.path: change.content for change in changes})
        return [change.path for change in changes]


class MemoryCache:
    """Remembers what it was to keep."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def read(self, name: str, default: Any = None) -> Any:
        return self.kept.get(name, default)

    def write(self, name: str, value: Any) -> None:
        self.kept[name] = value

    def update(self, name: str, key: str, value: Any) -> None:
        self.kept.setdefault(name, {})[key] = value


class StillChannel:
    """A channel that nobody is at the other end of."""

    name = "still"

    def __init__(self, vm_data: Mapping[str, str] | None = None) -> None:
        self.exchange = KeyExchange()
        self._vm_data = dict(vm_data or {})

    def open(self, lost: Any) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def read_vm_data(self) -> dict[str, str]:
        return self._vm_data


def memory_guest(**settings: Any) -> Guest:
    files: Any = MemoryFiles()
    cache: Any = MemoryCache()
    return Guest(Settings(**settings), files, cache)


def build_program(path: Path, version: str = "1.0.0", *, beginning: str = "") -> Path:
    """Build the agent as the one file that it is installed as; *version* is what it says that it is.

    *beginning* is what it does first of all.
    """
    source = path.with_suffix(".source")
    package = source / "singularity"
    for file in PACKAGE.rglob("*.py"):
        copy = package / file.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    (package / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (source / "__main__.py").write_text(beginning + MAIN)
    zipapp.create_archive(source, path, "/usr/bin/env python3")
    return path
