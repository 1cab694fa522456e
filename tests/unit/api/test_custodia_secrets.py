"""What Custodia's answers mean, those that the real one gives only when something is wrong with it, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from commissaire.records import Secret
from commissaire.secrets.custodia import CustodiaBackend, CustodiaClient
from commissaire.secrets.errors import StoreUnavailable


class Scripted(CustodiaClient):
    """Answers with the statuses it is given, one after the other."""

    def __init__(self, statuses: Sequence[int]) -> None:
        super().__init__(Path("/nowhere"))
        self.asked: list[str] = []
        self._statuses = iter(statuses)

    def request(self, method: str, path: str, api_id: str, key: str, *, json: Any = None) -> httpx.Response:
        self.asked.append(method)
        return httpx.Response(next(self._statuses))


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Iterator[Scripted]:
    client = Scripted(request.param)
    yield client
    client.close()


def seal(client: CustodiaClient) -> Secret:
    secret = Secret(owner="host/1", field="ssh_priv_key")
    CustodiaBackend(client, "commissaire", "key").seal(secret, "value")
    return secret


@pytest.mark.parametrize("scripted", [[201], [404, 201, 201], [404, 200, 201]], indirect=True)
def test_a_value_is_kept_when_custodia_says_that_it_made_it(scripted: Scripted) -> None:
    assert seal(scripted).sealed
    assert scripted.asked in (["PUT"], ["PUT", "POST", "PUT"])


@pytest.mark.parametrize(
    ("scripted", "status"),
    [*(([status], status) for status in (200, 400, 401, 405, 406, 409, 413)), ([404, 201, 404], 404)],
    indirect=["scripted"],
)
def test_any_other_answer_means_that_the_value_is_not_kept(scripted: Scripted, status: int) -> None:
    with pytest.raises(StoreUnavailable, match=f"Custodia answers {status} to a new secret; its log says why"):
        seal(scripted)
