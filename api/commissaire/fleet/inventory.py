"""The fleet as an Ansible inventory: what `ansible-inventory --list` would print."""

from __future__ import annotations

import re
from typing import Any

from sqlmodel import Session, col, select

from commissaire.records import Cluster, Host

_NOT_IN_GROUPS = re.compile(r"[^A-Za-z0-9_]", re.ASCII)


def group_name(prefix: str, value: str) -> str:
    """Return a group name that Ansible takes without a warning: `cluster_web_1` for cluster `web-1`."""
    return f"{prefix}_{_NOT_IN_GROUPS.sub('_', value)}"


def inventory(session: Session) -> dict[str, Any]:
    """Return all hosts with their variables under `_meta`, and groups by cluster, status and operating system."""
    clusters: dict[int | None, str] = dict(session.exec(select(Cluster.id, Cluster.name)).all())
    groups: dict[str, list[str]] = {group_name("cluster", name): [] for name in clusters.values()}
    hostvars: dict[str, dict[str, Any]] = {}
    table = Host.__table__  # type: ignore[attr-defined]
    for row in session.connection().execute(table.select().order_by(col(Host.address))):
        cluster = clusters.get(row.cluster_id, "")
        hostvars[row.address] = {
            "ansible_host": row.address,
            "ansible_user": row.remote_user,
            "commissaire_address": row.address,
            "commissaire_status": row.status,
            "commissaire_cluster": cluster,
            "commissaire_os": row.os,
            "commissaire_os_version": row.os_version,
            "commissaire_os_family": row.os_family,
            "commissaire_cpus": row.cpus,
            "commissaire_memory_kb": row.memory_kb,
            "commissaire_space_bytes": row.space_bytes,
            "commissaire_source": row.source,
        }
        for prefix, value in (("cluster", cluster), ("status", row.status), ("os", row.os)):
            if value:
                groups.setdefault(group_name(prefix, value), []).append(row.address)
    document: dict[str, Any] = {name: {"hosts": hosts} for name, hosts in sorted(groups.items())}
    document["_meta"] = {"hostvars": hostvars}
    document["all"] = {"children": ["ungrouped", *sorted(groups)]}
    return document
