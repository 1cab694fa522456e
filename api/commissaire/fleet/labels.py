"""Labels of hosts: what they are called, and which hosts a selector means."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StrictStr

from commissaire.fleet.errors import Invalid
from commissaire.records import Host

KEY_PATTERN = r"^[A-Za-z]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
VALUE_PATTERN = r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"
MOST = 64

LabelKey = Annotated[StrictStr, Field(pattern=KEY_PATTERN)]
LabelValue = Annotated[StrictStr, Field(pattern=VALUE_PATTERN)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=MOST)]
LabelChanges = Annotated[dict[LabelKey, LabelValue | None], Field(max_length=MOST)]


def change_labels(host: Host, changes: dict[str, str | None]) -> None:
    """Set labels of *host*; None takes one away.

    Raises:
        Invalid: it would have too many.
    """
    labels = {key: value for key, value in {**host.labels, **changes}.items() if value is not None}
    if len(labels) > MOST:
        raise Invalid(f"host {host.address} would have {len(labels)} labels; take some away, it may have {MOST}")
    host.labels = dict(sorted(labels.items()))


def read_selector(selector: str) -> tuple[str, str | None]:
    """Split `key=value`, or `key` for any value (None).

    Raises:
        Invalid: it is neither.
    """
    key, equals, value = selector.partition("=")
    if not re.fullmatch(KEY_PATTERN[1:-1], key, re.ASCII) or not re.fullmatch(VALUE_PATTERN[1:-1], value, re.ASCII):
        raise Invalid(f"{selector!r} selects no label; give KEY=VALUE, or KEY for any value")
    return key, value if equals else None
