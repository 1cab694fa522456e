"""A large fleet, straight into the database. No host of it exists, so nothing must be asked of it."""

from sqlalchemy import insert

from commissaire.clock import now
from commissaire.database import Database
from commissaire.records import Cluster, Host, HostStatus

CLUSTERS = 100


def address(number: int) -> str:
    """Return the address of host `number`, from 0."""
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


def record_hosts(database: Database, number: int) -> None:
    """Record `number` active hosts in 100 clusters."""
    facts = {"os": "debian", "os_version": "12", "os_family": "Debian", "kernel": "6.1.0-40-amd64", "cpus": 8}
    facts |= {"memory_kb": 33_554_432, "space_bytes": 500_000_000_000, "message": "", "remote_user": "root"}
    rows = [
        {"address": address(index), "cluster_id": index % CLUSTERS + 1, "status": HostStatus.ACTIVE, **facts}
        for index in range(number)
    ]
    clusters = [{"id": index + 1, "name": f"cluster-{index}"} for index in range(CLUSTERS)]
    with database.write() as session:
        connection = session.connection()
        defaults = {"created_at": now()}
        connection.execute(insert(Cluster), [{**row, "network": "default", **defaults} for row in clusters])
        connection.execute(insert(Host), [{**row, "source": "", "last_check": now(), **defaults} for row in rows])
