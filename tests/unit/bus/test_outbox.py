"""What is told of transactions: committed changes of public fields, each record once."""

from __future__ import annotations

import orjson
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, select
from structlog.testing import capture_logs

from commissaire.bus.notification import PUBLIC
from commissaire.bus.outbox import watch
from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.claims import Claim
from commissaire.fleet.operations import Requester, request_bootstrap
from commissaire.fleet.rolling import request_rolling
from commissaire.launcher.journal import Journal
from commissaire.notices import Notices
from commissaire.records import Cluster, ContainerManager, Host, Operation, OperationHost, OperationKind, Secret
from unit.bus.conftest import Told

SOMEBODY = Requester("admin", "1")


def add(database: Database, *records: SQLModel) -> None:
    with database.write() as session:
        session.add_all(records)


def test_a_committed_change_is_told_as_a_json_rpc_notification(database: Database, told: Told) -> None:
    add(database, Cluster(name="web"))
    (notification,) = told
    assert orjson.loads(notification.body) == {
        "jsonrpc": "2.0",
        "method": "notify.storage.Cluster.created",
        "params": {
            "event": "created",
            "model": "Cluster",
            "record": {"name": "web", "network": "default", "container_manager": None},
        },
    }


def test_updates_and_deletions_are_told_with_the_last_state(database: Database, told: Told) -> None:
    add(database, Host(address="h1", cpus=1))
    with database.write() as session:
        session.exec(select(Host)).one().cpus = 2
    with database.write() as session:
        session.delete(session.exec(select(Host)).one())
    assert told.keys == ["Host.created", "Host.updated", "Host.deleted"]
    assert [record["cpus"] for record in told.records] == [1, 2, 2]


def test_nothing_is_told_of_what_is_rolled_back(database: Database, told: Told) -> None:
    with pytest.raises(IntegrityError):
        add(database, Cluster(name="web"), Cluster(name="web"))
    with database.write() as session:
        session.add(Cluster(name="web"))
        session.flush()
        session.rollback()
    add(database, Cluster(name="db"))
    assert [record["name"] for record in told.records] == ["db"]


def test_a_savepoint_that_is_released_tells_nothing_before_the_commit(database: Database, told: Told) -> None:
    with database.write() as session:
        with session.begin_nested():
            session.add(Cluster(name="web"))
        assert told == []
    assert told.keys == ["Cluster.created"]


def test_several_changes_in_one_transaction_are_told_once(database: Database, told: Told) -> None:
    with database.write() as session:
        host, gone = Host(address="h1"), Host(address="gone")
        session.add_all([host, gone])
        session.flush()
        host.status = "active"
        session.delete(gone)
        session.flush()
        host.cpus = 4
    assert told.keys == ["Host.created"]
    assert (told.records[0]["status"], told.records[0]["cpus"]) == ("active", 4)


def test_a_host_is_told_with_its_clusters_name(database: Database, told: Told) -> None:
    with database.write() as session:
        web = Cluster(name="web")
        session.add(web)
        session.flush()
        session.add_all([Host(address="h1", cluster_id=web.id), Host(address="h2")])
    assert [record.get("cluster") for record in told.records] == [None, "web", None]
    assert "cluster_id" not in told.records[1]


def test_secrets_and_what_is_not_listed_never_leave(database: Database, told: Told) -> None:
    add(
        database,
        Secret(owner="host/1", field="ssh", key_id="1", wrapped_key=b"CANARY", sealed=b"CANARY"),
        Host(address="h1", host_key="ssh-ed25519 CANARY"),
        ContainerManager(name="ocp", options={"token": "CANARY"}),
        Operation(kind="restart", parameters={"checks": "CANARY"}),
    )
    assert sorted(told.keys) == ["ContainerManager.created", "Host.created", "Operation.created"]
    assert not [notification for notification in told if b"CANARY" in notification.body]


def test_a_change_of_fields_that_are_not_public_is_not_told(database: Database, told: Told) -> None:
    add(database, Operation(kind="restart"))
    with database.write() as session:
        session.exec(select(Operation)).one().heartbeat_at = now()
    assert told.keys == ["Operation.created"]


def test_the_progress_of_an_operation_is_told_in_its_order(database: Database, told: Told) -> None:
    with database.write() as session:
        web = Cluster(name="web")
        session.add(web)
        session.flush()
        hosts = [Host(address=f"h{number}", cluster_id=web.id, status="active") for number in (1, 2)]
        session.add_all(hosts)
        operation, _ = request_rolling(session, OperationKind.RESTART, web, {}, SOMEBODY)
        operation_id = operation.id
    assert told.keys[-3:] == ["Operation.created", "OperationHost.created", "OperationHost.created"]
    assert operation_id is not None
    with database.write() as session:
        claimed = session.get_one(Operation, operation_id)
        claimed.state, claimed.attempt = "running", 1
    told.clear()
    journal = Journal(database, Notices(), Claim(operation_id, 1), lambda *_: None)
    entry = {
        "type": "checkpoint",
        "time": now().isoformat(),
        "task": "x",
        "state": "running",
        "message": "",
        "data": {},
    }
    journal.write([{**entry, "host": "h1", "phase": "draining"}, {**entry, "host": "h1", "phase": "rebooting"}])
    assert told.keys == ["OperationHost.updated"]
    assert told.records[0].items() >= {"operation_id": operation_id, "address": "h1", "phase": "rebooting"}.items()
    journal.end("", cancelled=True)
    assert [(record["address"], record["state"]) for record in told.records[1:]] == [
        ("h1", "cancelled"),
        ("h2", "not_started"),
    ]


def test_a_bootstrap_is_told_as_operation_and_host(database: Database, told: Told) -> None:
    with database.write() as session:
        host = Host(address="h1")
        session.add(host)
        session.flush()
        request_bootstrap(session, host, SOMEBODY)
    assert told.keys == ["Host.created", "Operation.created", "OperationHost.created"]


def test_a_failure_to_tell_fails_no_transaction(database: Database) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("no place")

    watch(database.sessions, refuse)
    with capture_logs() as logs:
        add(database, Cluster(name="web"))
    assert [entry["event"] for entry in logs] == ["notifications_failed"]
    with database.read() as session:
        assert session.exec(select(Cluster.name)).all() == ["web"]


def test_what_is_public_are_columns() -> None:
    for model, fields in PUBLIC.items():
        assert set(fields) <= set(model.model_fields), model  # type: ignore[attr-defined]
    assert OperationHost in PUBLIC
