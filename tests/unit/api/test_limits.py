"""How many hosts may be away, and how many may fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commissaire.fleet.errors import Invalid
from commissaire.fleet.limits import check_limit, resolve


@pytest.mark.parametrize(
    ("value", "least", "checked"),
    [(1, 1, 1), (0, 0, 0), ("3", 1, 3), ("25%", 1, "25%"), ("100%", 1, "100%"), ("0%", 0, "0%"), (999999, 1, 999999)],
)
def test_numbers_and_percentages_are_limits(value: object, least: int, checked: object) -> None:
    assert check_limit("max_unavailable", value, least=least) == checked


@pytest.mark.parametrize(
    "value",
    [0, -1, "-1", "0", "0%", "101%", "1.5", 1.5, "", "%", " 1", "1 ", "1\n", "1%%", "x", True, False, None, [1], {},
     1_000_000, 10**30, "\u0661", "\ud800"],
)  # fmt: skip
def test_other_things_are_none(value: object) -> None:
    with pytest.raises(Invalid, match=r"^max_unavailable must be"):
        check_limit("max_unavailable", value, least=1)


@pytest.mark.parametrize(
    ("limit", "hosts", "least", "number"),
    [
        (1, 10, 1, 1), (5, 3, 1, 5), (0, 10, 0, 0), ("25%", 8, 1, 2), ("25%", 7, 1, 1), ("25%", 3, 1, 1),
        ("100%", 3, 1, 3), ("10%", 9, 0, 0), ("10%", 19, 0, 1), ("33%", 100, 1, 33), ("50%", 0, 1, 1), ("0%", 5, 0, 0),
    ],
)  # fmt: skip
def test_a_percentage_is_rounded_down_and_never_below_the_least(
    limit: int | str, hosts: int, least: int, number: int
) -> None:
    assert resolve(limit, hosts, least=least) == number


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(percent=st.integers(1, 100), hosts=st.integers(1, 5000))
def test_a_percentage_never_gives_more_than_it_says(percent: int, hosts: int) -> None:
    number = resolve(f"{percent}%", hosts, least=1)
    assert 1 <= number <= hosts
    assert number == 1 or number * 100 <= percent * hosts
