"""Text and JSON from requests, as every database and terminal takes them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Text = Annotated[str, Field(strict=True, max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line that every database and terminal takes: no control characters, and no lone surrogates (RFC 8259, 8.2)."""


_DEEPEST = 32


def _storable(value: Any, depth: int = 0) -> Any:
    """Return a JSON document when a database can keep it."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    if isinstance(value, str) and _NO_TEXT.search(value.replace("\n", "").replace("\t", "")):
        raise ValueError("it holds control characters or lone surrogates")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("it holds a number beyond 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that JSON does not have")
    for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        _storable(part, depth + 1)
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(lambda value: _storable(value))]
"""A JSON object that comes out of every database as it went in."""
