"""Text that is no template. Ansible reads strings that it is given as templates, and those are code on the server."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, StrictStr

_TEMPLATE = re.compile(r"\{[{%#]|\A#jinja2:")


def _plain(control: str, first: str = "") -> str:
    """Return a pattern: none of *control*, no `{{`, `{%` or `{#`, and at the beginning neither `#` nor *first*."""
    return rf"^(?:(?:[^{{#{first}{control}]|\{{[^{{%#{control}])(?:[^{{{control}]|\{{[^{{%#{control}])*)?\{{?$"


PlainText = Annotated[StrictStr, Field(max_length=4096, pattern=_plain(r"\x00-\x08\x0b-\x1f\x7f"))]
"""Without control characters but tabs and newlines, without `{{`, `{%` and `{#`, and without a `#` at its beginning."""

PlainLine = Annotated[StrictStr, Field(max_length=200, pattern=_plain(r"\x00-\x1f\x7f", first=" "))]
"""The same in one line, which does not begin with a blank either."""


def without_templates(text: str) -> str:
    """Return *text*, which may come from anywhere, as Ansible reads no template in it."""
    return re.sub(r"[{}]|\A#", "_", text)


def holds_template(value: Any) -> bool:
    """Return whether Ansible would read a template in any string of *value* (JSON)."""
    if isinstance(value, str):
        return _TEMPLATE.search(value) is not None
    if isinstance(value, dict):
        return any(holds_template(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(holds_template, value))
