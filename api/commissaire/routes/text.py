"""Text from requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Text = Annotated[str, Field(strict=True, max_length=253, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line that every database and terminal takes: no control characters, and no lone surrogates (RFC 8259, 8.2)."""
