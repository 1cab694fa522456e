"""Who guesses waits, and nobody else does."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from commissaire.auth import throttle
from commissaire.auth.throttle import FREE, WAITING_AT_MOST, Throttle


class Clock:
    """Stands still unless it is told."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "time", made)
    return made


def refuse(throttle: Throttle, client: str = "10.0.0.1", user: str = "admin") -> float:
    with throttle.refusal(client, user) as seconds:
        return seconds


def test_the_delay_doubles_up_to_the_longest_and_silence_ends_it(clock: Clock) -> None:
    made = Throttle(3)
    assert [refuse(made) for _ in range(FREE + 7)] == [0.0] * FREE + [0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    clock.now += 901
    assert refuse(made) == 0.0


def test_without_a_longest_delay_nothing_ever_waits() -> None:
    made = Throttle(0)
    assert {refuse(made) for _ in range(100)} == {0.0}
    assert made.retry_after("10.0.0.1") == 0.0


def test_one_client_with_many_names_waits_and_so_do_many_clients_with_one_name() -> None:
    spraying, spread = Throttle(5), Throttle(5)
    by_client = [refuse(spraying, user=f"user{number}") for number in range(20)]
    by_user = [refuse(spread, client=f"10.0.0.{number}") for number in range(20)]
    assert by_client == by_user
    assert by_user[-1] == 5.0
    assert refuse(spread, client="10.9.9.9", user="somebody else") == 0.0


def test_while_several_refusals_of_a_client_wait_no_more_is_looked_at_from_there() -> None:
    made = Throttle(5)
    for _ in range(FREE):
        refuse(made)
    with ExitStack() as waiting:
        for number in range(WAITING_AT_MOST):
            assert made.retry_after("10.0.0.1") == 0.0, number
            waiting.enter_context(made.refusal("10.0.0.1", ""))
        assert made.retry_after("10.0.0.1") == 2.0
        assert made.retry_after("10.0.0.2") == 0.0
    assert made.retry_after("10.0.0.1") == 0.0


def test_what_is_not_looked_at_is_told_with_the_time_to_wait_and_logged() -> None:
    made = Throttle(0.3)
    for _ in range(FREE + 1):
        refuse(made)
    with ExitStack() as waiting, capture_logs() as logs:
        made.check("10.0.0.1", "not_looked_at", "keys")
        for _ in range(WAITING_AT_MOST):
            waiting.enter_context(made.refusal("10.0.0.1", ""))
        with pytest.raises(
            HTTPException, match=r"too many wrong keys come from 10\.0\.0\.1; try again in 0 s"
        ) as caught:
            made.check("10.0.0.1", "not_looked_at", "keys")
        made.check("10.0.0.2", "not_looked_at", "keys")
    assert (caught.value.status_code, caught.value.headers) == (429, {"Retry-After": "1"})
    assert [(entry["event"], entry["client"], entry["retry_after_seconds"]) for entry in logs] == [
        ("not_looked_at", "10.0.0.1", 0.3)
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient", "testclient", True),
        ("", "", True),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    made = Throttle(5)
    for _ in range(FREE):
        refuse(made, client=one, user="")
    assert (refuse(made, client=other, user="") > 0) is same


def test_names_made_up_do_not_fill_the_memory_or_hide_who_makes_them_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_SIZE", 50)
    made = Throttle(5)
    delays = [refuse(made, user=f"user{number}") for number in range(500)]
    assert len(made._guesses) == 50
    assert delays[-1] == 5.0


def test_long_names_do_not_fill_the_memory() -> None:
    made = Throttle(5)
    refuse(made, user="x" * 60_000)
    assert max(len(name) for _, name in made._guesses) <= 100
