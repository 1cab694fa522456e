"""guest-file-*: files that the host holds open, by the same rules about paths as every other access.

What is opened by w or w+ replaces the old file when it is closed; until then the guest sees that one.
"""

from __future__ import annotations

import time
from typing import Any, BinaryIO

from ..errors import Refused
from .base64_text import decoded, encoded
from .session import Session

FILES_MOST = 64
ABANDONED_SECONDS = 300.0
"""After which a file that nobody used gives way to another, if all places are taken: hosts crash, too."""
FIRST_HANDLE = 1000
MODES = {
    "r": "rb", "rb": "rb", "r+": "rb+", "rb+": "rb+", "r+b": "rb+",
    "w": "wb", "wb": "wb", "w+": "wb+", "wb+": "wb+", "w+b": "wb+",
    "a": "ab", "ab": "ab", "a+": "ab+", "ab+": "ab+", "a+b": "ab+",
}  # fmt: skip
READ_BYTES = 4096
READ_BYTES_MOST = 48 << 20
PIECE_BYTES = 1 << 18
"""What one answer holds at most: whoever asks for more gets this much, and asks again, since it is not the end."""
WHENCE = {"set": 0, "cur": 1, "end": 2}


class OpenFile:
    """A file, the mode it was opened by, and when it was used last."""

    def __init__(self, file: BinaryIO, mode: str) -> None:
        self.file = file
        self.mode = mode
        self.used = time.monotonic()

    @property
    def can_be_read(self) -> bool:
        return self.mode.startswith("r") or "+" in self.mode

    @property
    def can_be_written(self) -> bool:
        return not self.mode.startswith("r") or "+" in self.mode

    def abandon(self) -> None:
        """Let go of it; what was written anew only in part is forgotten."""
        getattr(self.file, "abandon", self.file.close)()


class OpenFiles:
    """The open files of a session, by handle."""

    def __init__(self) -> None:
        self._files: dict[int, OpenFile] = {}
        self._next = FIRST_HANDLE

    def make_room(self) -> None:
        """Abandon what was not used for long, if there are as many as may be. Raise Refused when all are in use."""
        if len(self._files) < FILES_MOST:
            return
        handle, oldest = min(self._files.items(), key=lambda item: item[1].used)
        if time.monotonic() - oldest.used < ABANDONED_SECONDS:
            raise Refused(f"{FILES_MOST} files are open: close one of them first")
        self.take(handle).abandon()

    def add(self, file: BinaryIO, mode: str) -> int:
        handle, self._next = self._next, self._next + 1
        self._files[handle] = OpenFile(file, mode)
        return handle

    def get(self, handle: int) -> OpenFile:
        opened = self._files.get(handle)
        if opened is None:
            raise Refused(f"handle '{handle}' has not been found")
        opened.used = time.monotonic()
        return opened

    def take(self, handle: int) -> OpenFile:
        opened = self.get(handle)
        del self._files[handle]
        return opened

    def close(self) -> None:
        while self._files:
            self._files.popitem()[1].abandon()


def open_file(session: Session, path: str, mode: str = "r") -> int:
    if mode not in MODES:
        raise Refused(f"invalid file open mode '{mode}'")
    files = session.part(OpenFiles)
    files.make_room()
    what = f"failed to open file '{path}' (mode: '{mode}')"
    if mode.startswith("r") and not session.guest.files.own().exists(path):
        raise Refused(f"{what}: No such file or directory")
    try:
        return files.add(session.guest.files.open_for(path, MODES[mode]), mode)
    except Refused as error:
        raise Refused(f"{what}: {error.message}") from error
    except OSError as error:
        raise Refused(f"{what}: {_reason(error)}") from error


def close(session: Session, handle: int) -> dict[str, Any]:
    opened = session.part(OpenFiles).take(handle)
    try:
        opened.file.close()
    except OSError as error:
        raise Refused(f"failed to close file: {_reason(error)}") from error
    return {}


def read(session: Session, handle: int, count: int = READ_BYTES) -> dict[str, Any]:
    opened = session.part(OpenFiles).get(handle)
    if not 0 <= count <= READ_BYTES_MOST:
        raise Refused(f"value '{count}' is invalid for argument count")
    if not opened.can_be_read:
        raise Refused("failed to read file: Bad file descriptor")
    wanted = min(count, PIECE_BYTES)
    try:
        data = opened.file.read(wanted) or b""
    except OSError as error:
        raise Refused(f"failed to read file: {_reason(error)}") from error
    return {"count": len(data), "buf-b64": encoded(data), "eof": len(data) < wanted}


def write(session: Session, handle: int, buf_b64: str, count: int | None = None) -> dict[str, Any]:
    """Write, as far as the file system: a full disk is told here."""
    opened = session.part(OpenFiles).get(handle)
    data = decoded(buf_b64)
    if count is None:
        count = len(data)
    elif not 0 <= count <= len(data):
        raise Refused(f"value '{count}' is invalid for argument count")
    if not opened.can_be_written:
        raise Refused("failed to write to file: Bad file descriptor")
    try:
        opened.file.write(data[:count])
        opened.file.flush()
    except OSError as error:
        raise Refused(f"failed to write to file: {_reason(error)}") from error
    return {"count": count, "eof": False}


def seek(session: Session, handle: int, offset: int, whence: int | str) -> dict[str, Any]:
    opened = session.part(OpenFiles).get(handle)
    code = WHENCE[whence] if isinstance(whence, str) else whence
    if code not in WHENCE.values():
        raise Refused(f"invalid whence code {code}")
    try:
        position = opened.file.seek(offset, code)
    except (OSError, ValueError) as error:
        raise Refused(f"failed to seek file: {_reason(error)}") from error
    return {"position": position, "eof": False}


def flush(session: Session, handle: int) -> dict[str, Any]:
    try:
        session.part(OpenFiles).get(handle).file.flush()
    except OSError as error:
        raise Refused(f"failed to flush file: {_reason(error)}") from error
    return {}


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "Invalid argument"
