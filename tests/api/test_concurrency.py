"""Requests at the same instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from api.conftest import Fleet
from commissaire.fleet.claims import Claim


def at_once(number: int, request: Callable[[int], int]) -> Counter[int]:
    """Send requests from threads that start together; return how often each status came."""
    barrier = Barrier(number)

    def one(index: int) -> int:
        barrier.wait()
        return request(index)

    with ThreadPoolExecutor(number) as pool:
        return Counter(pool.map(one, range(number)))


def test_of_two_restarts_at_the_same_instant_one_is_new_and_the_other_gets_it(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    for _ in range(5):
        statuses = at_once(2, lambda _: fleet.client.put("/api/v0/cluster/web/restart", json={}).status_code)
        assert statuses == {201: 1, 200: 1}
        operation = fleet.client.get("/api/v1/operations?kind=restart&limit=1").json()["items"][0]["id"]
        fleet.end(operation)


def test_twenty_hosts_at_once_are_all_recorded_and_bootstrapped(fleet: Fleet) -> None:
    fleet.cluster()
    body = {"cluster": "web", "ssh_priv_key": "dGVzdAo="}
    statuses = at_once(20, lambda n: fleet.client.put(f"/api/v0/host/10.0.0.{n}", json=body).status_code)
    assert statuses == {201: 20}
    assert len(fleet.client.get("/api/v0/cluster/web/hosts").json()) == 20
    operations = fleet.client.get("/api/v1/operations").json()["items"]
    assert sum(operation["hosts"]["total"] for operation in operations) == 20


def test_the_same_host_at_once_is_recorded_once(fleet: Fleet) -> None:
    statuses = at_once(20, lambda _: fleet.client.put("/api/v0/host/10.0.0.1", json={}).status_code)
    assert statuses == {201: 20}
    assert len(fleet.client.get("/api/v0/hosts").json()) == 1
    assert [item["hosts"]["total"] for item in fleet.client.get("/api/v1/operations").json()["items"]] == [1]


def test_a_host_that_two_clusters_want_at_once_is_in_one(fleet: Fleet) -> None:
    fleet.cluster("web")
    fleet.cluster("db")
    fleet.host("10.0.0.1")
    paths = [f"/api/v0/cluster/{name}/hosts/10.0.0.1" for name in ("web", "db")]
    assert at_once(2, lambda n: fleet.client.put(paths[n]).status_code) == {200: 1, 409: 1}


def test_more_requests_than_threads_and_connections_are_all_answered(fleet: Fleet) -> None:
    statuses = at_once(100, lambda n: fleet.client.put(f"/api/v0/cluster/c{n % 10}", json={}).status_code)
    assert statuses == {201: 100}
    assert len(fleet.client.get("/api/v0/clusters").json()) == 10


def test_an_operation_cancelled_and_claimed_at_once_is_one_or_the_other(fleet: Fleet) -> None:
    fleet.cluster("web", "10.0.0.1")
    for _ in range(5):
        operation = fleet.restart()
        claimed: list[Claim | None] = []

        def race(index: int, operation: int = operation, claimed: list[Claim | None] = claimed) -> int:
            if index:
                claimed.append(fleet.services.dispatcher.claim(("restart",), 0))
                return 0
            return fleet.client.post(f"/api/v1/operations/{operation}/cancel").status_code

        assert at_once(2, race)[202] == 1
        state = fleet.client.get(f"/api/v1/operations/{operation}").json()["state"]
        assert state == ("running" if claimed == [Claim(operation, 1)] else "cancelled")
        if state == "running":
            fleet.end(operation)
