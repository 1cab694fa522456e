"""injectfile: write a file, whose path and content come as one value in base64."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from singularity import base64_text
from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "injectfile"
ITEM = "file"
ATTRIBUTES = {"mode", "uid", "gid"}
SPOILT = "The cache is spoilt"


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Write the file that *value* is `path,content` of. Raises Refused."""
    path, comma, content = base64_text.decode(value).partition(b",")
    if not comma:
        raise Refused("There is no comma between a path and a content")
    inject(guest, path.decode("utf-8", "surrogateescape"), content)
    return ""


def inject(guest: Guest, path: str, content: bytes, **attributes: Optional[int]) -> List[str]:
    """Write a file at an absolute path, and keep it for `apply`; return the path if that changed it. Raises Refused.

    *attributes*: mode, uid and gid, where the file has not to keep its own.
    """
    from singularity.files import Change

    if not path.startswith("/") or "\0" in path:
        raise Refused("The path of the file is not absolute")
    changed = guest.files.replace([Change(path, content, **attributes)])
    kept: Dict[str, Any] = {"b64_file": base64.b64encode(content).decode()}
    kept.update((name, value) for name, value in attributes.items() if value is not None)
    guest.cache.update(ITEM, path, kept)
    return changed


def apply(guest: Guest) -> None:
    """Write all files anew that were injected, all or none. Raises Refused."""
    from singularity.files import Change

    kept = guest.cache.read(ITEM, {})
    changes = []
    for path, file in kept.items() if isinstance(kept, dict) else ():
        attributes = dict(file) if isinstance(file, dict) else {}
        content = base64_text.decode(attributes.pop("b64_file", None), SPOILT)
        if not set(attributes) <= ATTRIBUTES or not all(isinstance(value, int) for value in attributes.values()):
            raise Refused(SPOILT)
        changes.append(Change(path, content, **attributes))
    guest.files.replace(changes)
