"""The records in a PostgreSQL database that `--database-url` names."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from commissaire.app import create_app
from commissaire.auth.httpbasicauth import hash_password
from commissaire.clock import now
from commissaire.database import Database
from commissaire.dispatch.embedded import EmbeddedDispatcher
from commissaire.fleet.checks import Outcome, claim_due, record
from commissaire.fleet.sources import claim, record_listing
from commissaire.records import Cluster, Host, Operation, OperationState, Schedule
from commissaire.scheduler import Scheduler
from commissaire.settings import Settings

from .postgresql import PostgreSQL

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A PostgreSQL server of the module's own."""
    with PostgreSQL() as server:
        yield server.url


def test_the_application_works_on_it(database_url: str, tmp_path: Path) -> None:
    users = {"admin": {"hash": hash_password("secret", rounds=4)}}
    plugin = {"name": "httpbasicauth", "users": users}
    settings = Settings(data_dir=tmp_path, database_url=database_url, workers=0, authentication_plugins=[plugin])
    with TestClient(create_app(settings)) as client:
        client.auth = ("admin", "secret")
        assert client.put("/api/v0/cluster/web", json={}).status_code == 201
        assert client.put("/api/v0/host/127.0.0.2", json={"cluster": "web"}).status_code == 201
        restart = client.put("/api/v0/cluster/web/restart", json={"max_unavailable": "50%"})
        assert restart.status_code == 201
        again = client.put("/api/v0/cluster/web/restart", json={})
        assert (again.status_code, again.headers["Location"]) == (200, restart.headers["Location"])
        operation = restart.headers["Location"]
        assert client.get(operation).json()["parameters"]["max_unavailable"] == "50%"
        assert client.post(f"{operation}/cancel").json()["state"] == "cancelled"
        events = client.get(f"{operation}/events").json()["items"]
        assert [event["data"]["state"] for event in events] == ["queued", "cancelled"]
        labels = {"labels": {"zone": "a"}}
        assert client.put("/api/v1/hosts/127.0.0.2/labels", json=labels).status_code == 200
        for query, number in (("zone=a", 1), ("zone", 1), ("zone=b", 0), ("rack", 0)):
            assert len(client.get("/api/v1/hosts", params={"label": query}).json()["items"]) == number
        hostvars = client.get("/api/v1/inventory").json()["_meta"]["hostvars"]
        assert hostvars["127.0.0.2"]["commissaire_labels"] == {"zone": "a"}
        assert "commissaire_hosts" in client.get("/metrics").text
    assert not list(tmp_path.glob("*.db")), "nothing is kept in SQLite beside it"


def test_two_watchers_never_take_the_same_host(database_url: str) -> None:
    databases = [Database(database_url), Database(database_url)]
    databases[0].migrate()
    due = now() - timedelta(seconds=1)
    with databases[0].write() as session:
        hosts = (Host(address=f"10.9.0.{n}", status="active", next_check_at=due) for n in range(60))
        session.add_all(hosts)
    taken: list[str] = []

    def take_all(database: Database) -> None:
        while True:
            with database.write() as session:
                some = claim_due(session, 7)
            if not some:
                return
            taken.extend(some)

    threads = [threading.Thread(target=take_all, args=(database,)) for database in databases * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(f"10.9.0.{n}" for n in range(60))
    with databases[0].write() as session:
        record(session, {address: Outcome(failure="gone") for address in taken}, 1000, now())
        assert claim(session, "cloud", 60)
        assert not claim(session, "cloud", 60)
        record_listing(session, "cloud", [], 300)
    for database in databases:
        database.close()


def test_two_servers_never_ask_for_the_same_schedule(database_url: str) -> None:
    databases = [Database(database_url), Database(database_url)]
    databases[0].migrate()
    names = [f"s{number}" for number in range(10)]
    given = {"cron": "0 0 1 1 *", "kind": "upgrade", "next_run_at": now()}
    with databases[0].write() as session:
        session.add_all(Cluster(name=name) for name in names)
        session.add_all(Schedule(name=name, cluster=name, **given) for name in names)
    asked: list[str] = []

    def look(database: Database) -> None:
        asked.extend(Scheduler(database, EmbeddedDispatcher(database, "a server")).look())

    threads = [threading.Thread(target=look, args=(database,)) for database in databases * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with databases[0].read() as session:
        operations = session.exec(select(Operation.cluster).where(col(Operation.requested_by).like("schedule %"))).all()
    for database in databases:
        database.close()
    assert sorted(asked) == sorted(name or "" for name in operations) == sorted(names)


@pytest.mark.parametrize(("request_", "answer"), [("pause", ("running", "pause")), ("cancel", ("running", None))])
def test_a_request_waits_for_a_claim_that_is_under_way(
    database_url: str, tmp_path: Path, request_: str, answer: tuple[str, str | None]
) -> None:
    plugin = {"name": "httpbasicauth", "users": {"admin": {"hash": hash_password("secret", rounds=4)}}}
    settings = Settings(data_dir=tmp_path, database_url=database_url, workers=0, authentication_plugins=[plugin])
    with TestClient(create_app(settings)) as client, ThreadPoolExecutor(1) as pool:
        client.auth = ("admin", "secret")
        assert client.put(f"/api/v0/cluster/{request_}", json={}).status_code == 201
        assert client.put(f"/api/v0/host/{request_}.example", json={"cluster": request_}).status_code == 201
        operation = client.put(f"/api/v0/cluster/{request_}/restart", json={}).headers["Location"]
        number = int(operation.rpartition("/")[2])
        database = Database(database_url)
        with database.write() as session:  # as another server claims it
            claimed = session.exec(select(Operation).where(Operation.id == number).with_for_update()).one()
            claimed.state, claimed.attempt = OperationState.RUNNING, 1
            session.add(claimed)
            session.flush()
            asked = pool.submit(client.post, f"{operation}/{request_}")
            time.sleep(0.5)
        database.close()
        shown = asked.result(10).json()
        assert (shown["state"], shown["halt"]) == answer


def test_two_servers_never_claim_the_same_operation(database_url: str) -> None:
    databases = [Database(database_url), Database(database_url)]
    databases[0].migrate()
    dispatchers = [EmbeddedDispatcher(database, f"server-{n}") for n, database in enumerate(databases)]
    with databases[0].write() as session:
        session.add_all([Operation(kind="restart", exclusive_key=f"test/{n}") for n in range(40)])
    claimed: list[int] = []

    def claim_all(dispatcher: EmbeddedDispatcher) -> None:
        while (claim := dispatcher.claim(("restart",), 0)) is not None:
            claimed.append(claim.operation_id)

    threads = [threading.Thread(target=claim_all, args=(dispatcher,)) for dispatcher in dispatchers * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with databases[0].read() as session:
        queued = (Operation.kind == "restart", Operation.state == OperationState.QUEUED)
        left = session.exec(select(Operation).where(*queued)).all()
    assert left == []
    assert set(Counter(claimed).values()) == {1}
    assert len(claimed) == 40
    for database in databases:
        database.close()
