"""injectfile: write a file, whose path and content come as one value in base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from singularity import base64_text
from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "injectfile"
ITEM = "file"


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Write the file that *value* is `path,content` of. Raises Refused."""
    path, comma, content = base64_text.decode(value).partition(b",")
    if not comma:
        raise Refused("There is no comma between a path and a content")
    inject(guest, path, content)
    return ""


def inject(guest: Guest, path: bytes, content: bytes) -> None:
    """Write a file at an absolute path, and keep it for `apply`. Raises Refused."""
    from singularity.files import Change

    name = path.decode("utf-8", "surrogateescape")
    if not name.startswith("/") or "\0" in name:
        raise Refused("The path of the file is not absolute")
    guest.files.replace([Change(name, content)])
    guest.cache.update(ITEM, name, base64.b64encode(content).decode())


def apply(guest: Guest) -> None:
    """Write all files anew that were injected, all or none. Raises Refused."""
    from singularity.files import Change

    kept = guest.cache.read(ITEM, {})
    files = kept.items() if isinstance(kept, dict) else ()
    guest.files.replace([Change(path, base64_text.decode(content, "The cache is spoilt")) for path, content in files])
