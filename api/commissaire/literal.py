"""Values that Ansible takes as they stand: no text of theirs is a template to it, nor a number.

In JSON an object with the one key `__ansible_unsafe` is a text that is never carried out. YAML has the tag `!unsafe`
for that, but ansible-core 2.19 reads what has it as if it had no quotation marks: `007` would be 7.
"""

from __future__ import annotations

from typing import Any

_TAGS = "__ansible_"


def literal(value: Any) -> Any:
    """Return *value* (JSON) as a file of variables or an inventory in JSON has it; see `holds_tag`."""
    if isinstance(value, str):
        return {f"{_TAGS}unsafe": value}
    if isinstance(value, dict):
        return {key: literal(part) for key, part in value.items()}
    return [literal(part) for part in value] if isinstance(value, list | tuple) else value


def holds_tag(value: Any) -> bool:
    """Return whether a key in *value* (JSON) would have Ansible read something else there."""
    if isinstance(value, dict):
        return any(key.startswith(_TAGS) or holds_tag(part) for key, part in value.items())
    return isinstance(value, list) and any(map(holds_tag, value))
