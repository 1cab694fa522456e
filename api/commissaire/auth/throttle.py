"""Refused sign-ins slow down: who guesses waits longer and longer for the answer, and can't guess on meanwhile.

Only refusals wait. Right credentials are answered at once, so that nobody can lock an account's owner out by guessing;
but from an address of which several refusals wait already, no further credentials are looked at before one was sent.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from starlette.exceptions import HTTPException

FREE = 5
"""Refusals in a row that nobody waits for: people mistype."""
WAITING_AT_MOST = 4
"""Refusals of one client that wait at the same time."""
_FIRST_SECONDS = 0.25
_FORGOTTEN_AFTER_SECONDS = 900
_SIZE = 20_000
_LONGEST_NAME = 100
"""Characters of a name that are remembered: headers may have tens of kilobytes."""
log = structlog.get_logger(__name__)


@dataclass
class _Guesses:
    count: int = 0
    last: float = 0.0
    waiting: int = 0


class Throttle:
    """Counts refusals by client and by user name; an answer waits *longest_seconds* at most, with 0 never."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._guesses: OrderedDict[tuple[str, str], _Guesses] = OrderedDict()

    def retry_after(self, client: str) -> float:
        """Return after how many seconds this client's credentials are looked at again; 0 is now."""
        guesses = self._guesses.get(("client", _network(client)))
        return self._delay(guesses.count) if guesses and guesses.waiting >= WAITING_AT_MOST else 0.0

    def check(self, client: str, event: str, what: str) -> None:
        """Refuse, and log as *event*, when this client's credentials, called *what*, are not to be looked at now.

        Raises:
            HTTPException: 429, with `Retry-After`.
        """
        seconds = self.retry_after(client)
        if seconds:
            log.warning(event, client=client, retry_after_seconds=seconds)
            raise HTTPException(
                429,
                f"too many wrong {what} come from {client}; try again in {seconds:.0f} seconds",
                {"Retry-After": str(math.ceil(seconds))},
            )

    @contextmanager
    def refusal(self, client: str, user: str) -> Iterator[float]:
        """Count a refusal; the answer is to wait inside for the seconds that this yields."""
        by_client = self._count("client", _network(client))
        by_user = self._count("user", user[:_LONGEST_NAME]) if user else by_client
        by_client.waiting += 1
        try:
            yield self._delay(max(by_client.count, by_user.count))
        finally:
            by_client.waiting -= 1

    def _count(self, kind: str, name: str) -> _Guesses:
        now = time.monotonic()
        guesses = self._guesses.setdefault((kind, name), _Guesses())
        self._guesses.move_to_end((kind, name))
        if len(self._guesses) > _SIZE:
            self._guesses.popitem(last=False)
        if now > guesses.last + _FORGOTTEN_AFTER_SECONDS:
            guesses.count = 0
        guesses.count += 1
        guesses.last = now
        return guesses

    def _delay(self, count: int) -> float:
        if count <= FREE:
            return 0.0
        return float(min(_FIRST_SECONDS * 2 ** min(count - FREE - 1, 32), self._longest_seconds))


def _network(client: str) -> str:
    """Return what one client can send from: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
