"""keyinit: agree on the key that the next password is encrypted with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "keyinit"
ITEM = "password"
MOST_DIGITS = 64


def answer(value: Any, guest: Guest, channel: Channel) -> Tuple[str, str]:
    """Take the host's public key, a number or its digits, and return the agent's. Raises Refused."""
    digits = "" if isinstance(value, bool) or not isinstance(value, (int, str)) else str(value).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise Refused("Invalid public key")
    return "D0", str(channel.exchange.begin(int(digits)))
