"""Events written a second, on SQLite."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from commissaire.clock import now
from commissaire.database import Database
from commissaire.fleet.claims import Claim
from commissaire.launcher.journal import Journal
from commissaire.launcher.kinds import KINDS
from commissaire.notices import Notices
from commissaire.records import Event, EventType, Operation, OperationHost, OperationKind, OperationState

from .fleet import address, record_hosts
from .report import Part, ratio

HOSTS = 3_000
EVENTS = 100_000
BATCHES = {1_000: EVENTS, 100: 20_000, 10: 5_000, 1: 1_000}
"""Events in a batch: how many are written."""
ONE_BY_ONE = 1_000
PHASES = ("waiting", "checking", "rebooting", "verifying")


def measure() -> Part:
    part = Part(f"Journal: events written a second, SQLite, an operation on {HOSTS:,} hosts")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        floor = _bare_sqlite(Path(folder) / "bare.db")
        database = Database(f"sqlite:///{folder}/commissaire.db")
        database.migrate()
        record_hosts(database, HOSTS)
        alone = _one_by_one(database, _operation(database))
        part.add("one by one: session.add, commit", f"{alone:,.0f} a second", on=f"{ONE_BY_ONE:,} events")
        for size, number in BATCHES.items():
            speed = _journal(database, number, size)
            part.add(
                f"Journal.write, {size:,} at once",
                f"{speed:,.0f} a second",
                ratio(speed, alone, "one by one"),
                f"{number:,} events",
            )
        part.add(
            "bare sqlite3 executemany, 1,000 at once",
            f"{floor:,.0f} a second",
            ratio(floor, alone, "one by one"),
            f"{EVENTS:,} events",
        )
        database.close()
    part.notes.append(
        "Journal.write also keeps the row of each host the batch tells of, and at a host's end the host's own record; "
        "a batch is what arrived while the one before was written. One by one and bare sqlite3 write the events alone."
    )
    return part


def _operation(database: Database) -> int:
    operation = Operation(kind=OperationKind.RESTART, cluster="cluster-0", state=OperationState.RUNNING, attempt=1)
    with database.write() as session:
        session.add(operation)
        session.flush()
        blank = {
            "operation_id": operation.id,
            "state": "pending",
            "phase": "",
            "message": "",
            "data": {},
            "updated_by_event": 0,
        }
        rows = [{**blank, "address": address(number), "position": number} for number in range(HOSTS)]
        session.connection().execute(insert(OperationHost), rows)
    return operation.id or 0


def _entries(number: int) -> Iterator[dict[str, Any]]:
    """Yield what a rolling restart tells, again and again: phase after phase of host after host."""
    for index in range(number):
        host, step = divmod(index, len(PHASES) + 1)
        last = step == len(PHASES)
        yield {
            "type": EventType.CHECKPOINT,
            "time": now().isoformat(),
            "host": address(host % HOSTS),
            "phase": "done" if last else PHASES[step],
            "task": "Report the end",
            "message": "",
            "data": {"reboot_seconds": 1.63, "system_state": "running"} if last else {},
            "state": "finished" if last else "running",
        }


def _journal(database: Database, number: int, size: int) -> float:
    journal = Journal(database, Notices(), Claim(_operation(database), 1), KINDS[OperationKind.RESTART].effects)
    entries = list(_entries(number))
    begin = time.perf_counter()
    for start in range(0, number, size):
        journal.write(entries[start : start + size])
    return number / (time.perf_counter() - begin)


def _one_by_one(database: Database, operation: int) -> float:
    entries = list(_entries(ONE_BY_ONE))
    begin = time.perf_counter()
    for entry in entries:
        fields = {name: entry[name] for name in ("type", "host", "phase", "task", "message", "data")}
        with database.write() as session:
            session.add(Event(operation_id=operation, time=now(), **fields))
    return len(entries) / (time.perf_counter() - begin)


def _bare_sqlite(path: Path) -> float:
    rows = [(1, e["time"], e["type"], e["host"], e["phase"], e["task"], e["message"], "{}") for e in _entries(EVENTS)]
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
    columns = "operation_id INTEGER, time TEXT, type TEXT, host TEXT, phase TEXT, task TEXT, message TEXT, data TEXT"
    connection.execute(f"CREATE TABLE event (seq INTEGER PRIMARY KEY, {columns})")
    connection.execute("CREATE INDEX event_operation ON event (operation_id)")
    begin = time.perf_counter()
    for start in range(0, len(rows), 1000):
        statement = (
            "INSERT INTO event (operation_id, time, type, host, phase, task, message, data) VALUES (?,?,?,?,?,?,?,?)"
        )
        connection.executemany(statement, rows[start : start + 1000])
        connection.commit()
    seconds = time.perf_counter() - begin
    connection.close()
    return len(rows) / seconds
