# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of Commissaire's guest agent, made of the sources that the role guest_agent has."""

from __future__ import annotations

import io
import re
import zipfile
from functools import lru_cache
from pathlib import Path

from ansible.errors import AnsibleError

PACKAGE = Path(__file__).parents[2] / "roles" / "guest_agent" / "files" / "singularity"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom singularity.cli import main\n\nsys.exit(main())\n"
_VERSION = re.compile(r'^__version__ = "([0-9.]+)"$', re.MULTILINE)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that such an archive can tell


def version() -> str:
    """Return the agent's version. Raise AnsibleError where its sources are missing."""
    found = _VERSION.search(_text(PACKAGE / "__init__.py"))
    if not found:
        raise AnsibleError(f"{PACKAGE}/__init__.py says no version; install the collection anew")
    return found[1]


@lru_cache(maxsize=1)
def build() -> bytes:
    """Return the program, one file that Python runs. The same sources make the same bytes, wherever that is done."""
    version()
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:  # another zlib would make other bytes
        _add(archive, "__main__.py", MAIN.encode())
        for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: path.relative_to(PACKAGE).as_posix()):
            _add(archive, f"singularity/{path.relative_to(PACKAGE).as_posix()}", path.read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system = 3  # Unix, also where it is made on another system
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise AnsibleError(f"the guest agent's sources can't be read: {error}; install the collection anew") from error
