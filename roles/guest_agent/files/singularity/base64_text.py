"""Base64, as hosts send it: on one line, or wrapped."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from singularity.errors import Refused


def decode(value: Any, refusal: str = "Couldn't decode base64 data") -> bytes:
    """Return the bytes that *value* means. Raises Refused with that message."""
    if not isinstance(value, str):
        raise Refused(refusal)
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(refusal) from None
