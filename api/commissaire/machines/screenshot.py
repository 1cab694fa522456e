"""What a machine's screen shows, as PNG."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

from commissaire.fleet.errors import Conflict
from commissaire.machines.errors import HypervisorFailed
from commissaire.machines.link import bindings

_MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_PPM = re.compile(rb"P6\s(?:#.*\n)*(\d{1,5})\s+(\d{1,5})\s+255\s", re.ASCII)
_MAGIC = b"\x89PNG\r\n\x1a\n"


def screenshot(connection: Any, domain: Any) -> bytes:
    """Return the first screen of a machine that is on.

    Raises:
        Conflict: it is off, or has no screen.
        HypervisorFailed: what libvirt gave is no picture that is known.
    """
    libvirt = bindings()
    if not domain.isActive():
        raise Conflict(f"machine {domain.name()} is off, so its screen shows nothing; start it")
    stream = connection.newStream(0)
    try:
        domain.screenshot(stream, 0, 0)
    except libvirt.libvirtError as error:
        stream.abort()
        if error.get_error_code() in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_OPERATION_UNSUPPORTED):
            raise Conflict(f"machine {domain.name()} has no screen: {error}") from error
        raise
    return as_png(_read(stream))


def as_png(picture: bytes) -> bytes:
    """Return a picture, PNG or binary PPM with a byte a colour (ppm(5)), as PNG (RFC 2083).

    Raises:
        HypervisorFailed: it is neither.
    """
    if picture.startswith(_MAGIC):
        return picture
    header = _PPM.match(picture)
    width, height = (int(header[1]), int(header[2])) if header else (0, 0)
    pixels = picture[header.end() :] if header else b""
    if not width or not height or len(pixels) < 3 * width * height:
        raise HypervisorFailed("the screenshot that libvirt gave is neither PNG nor a whole PPM")
    rows = b"".join(b"\0" + pixels[3 * width * row : 3 * width * (row + 1)] for row in range(height))
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _MAGIC + _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _read(stream: Any) -> bytes:
    parts, size = [], 0
    while part := stream.recv(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            stream.abort()
            raise HypervisorFailed(f"the screenshot that libvirt gives is larger than {_MOST_BYTES} bytes")
    stream.finish()
    return b"".join(parts)
