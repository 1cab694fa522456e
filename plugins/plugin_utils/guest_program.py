# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the guest agent's program: one file, the same bytes wherever it is built of the same sources."""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "roles" / "guest_agent" / "files"
PACKAGE = "singularity"
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = b"import sys\n\nfrom singularity.cli import main\n\nsys.exit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can tell (APPNOTE 4.4.6)."""


def build() -> bytes:
    """Return the program, a zip file that Python runs (PEP 441)."""
    package = SOURCES / PACKAGE
    files = {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in package.rglob("*.py")}
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:  # not compressed: what zlib makes differs by its version
        for name, content in sorted({**files, "__main__.py": MAIN}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, also where it is built elsewhere
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def version() -> str:
    """Return the version of the program that `build` returns. Raise ValueError when its sources tell none."""
    text = (SOURCES / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    for statement in ast.parse(text).body:
        names = [target.id for target in getattr(statement, "targets", ()) if isinstance(target, ast.Name)]
        if "__version__" in names:
            return str(ast.literal_eval(statement.value))  # type: ignore[attr-defined]
    raise ValueError(f"{SOURCES / PACKAGE / '__init__.py'} tells no __version__")
