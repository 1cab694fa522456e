"""file_inject: write a file, whose path and content come as two values in base64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singularity import base64_text
from singularity.errors import Refused
from singularity.functions.injectfile import inject

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "file_inject"
ITEM = "file"
CONTENTS = ("b64_file", "b64_contents")


def answer(value: Any, guest: Guest, channel: Channel) -> str:
    """Write the file. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused("file_inject needs an object with b64_path and b64_file")
    path = base64_text.decode(value.get("b64_path"), "Couldn't decode b64_path")
    name = next((name for name in CONTENTS if name in value), CONTENTS[0])
    inject(guest, path, base64_text.decode(value.get(name), f"Couldn't decode {name}"))
    return ""
