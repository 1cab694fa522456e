"""Many values in statements that take few."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(values: Collection[T]) -> Iterator[list[T]]:
    """Yield *values* as lists short enough for one `IN (…)`: databases have a limit, SQLite's oldest is 999."""
    left = iter(values)
    while batch := list(islice(left, 500)):
        yield batch
