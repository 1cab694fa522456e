"""The fleet as an Ansible inventory: what `ansible-inventory --list` would print."""

from __future__ import annotations

import functools
import re
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlmodel import Session

from commissaire.records import Cluster, Host
from commissaire.records.as_json import json_column, json_map

_NOT_IN_GROUPS = re.compile(r"[^A-Za-z0-9_]", re.ASCII)


@functools.lru_cache(maxsize=4096)
def group_name(prefix: str, value: str) -> str:
    """Return a group name that Ansible takes without a warning: `cluster_web_1` for cluster `web-1`."""
    return _NOT_IN_GROUPS.sub("_", f"{prefix}_{value}")


def inventory(session: Session) -> bytes:
    """Return, as JSON, all hosts' variables under `_meta`, and groups by cluster, status, OS and label."""
    hosts, clusters = Host.__table__, Cluster.__table__  # type: ignore[attr-defined]
    source = hosts.outerjoin(clusters, hosts.c.cluster_id == clusters.c.id)
    cluster = func.coalesce(clusters.c.name, "")
    variables = {
        "ansible_host": hosts.c.address,
        "ansible_user": hosts.c.remote_user,
        "commissaire_address": hosts.c.address,
        "commissaire_status": hosts.c.status,
        "commissaire_cluster": cluster,
        "commissaire_os": hosts.c.os,
        "commissaire_os_version": hosts.c.os_version,
        "commissaire_os_family": hosts.c.os_family,
        "commissaire_cpus": hosts.c.cpus,
        "commissaire_memory_kb": hosts.c.memory_kb,
        "commissaire_space_bytes": hosts.c.space_bytes,
        "commissaire_source": hosts.c.source,
        "commissaire_labels": json_column(session, hosts.c.labels),
    }
    hostvars = json_map(session, source, hosts.c.address, variables)
    groups: dict[str, list[str]] = {
        group_name("cluster", name): [] for name in session.connection().scalars(select(clusters.c.name))
    }
    columns = (hosts.c.address, hosts.c.labels, cluster, hosts.c.status, hosts.c.os)
    members = select(*columns).select_from(source).order_by(hosts.c.address)
    for address, labels, *values in session.connection().execute(members):
        named = {f"label_{key}": value for key, value in labels.items()} if labels else {}
        for prefix, value in (*zip(("cluster", "status", "os"), values, strict=True), *named.items()):
            if value:
                groups.setdefault(group_name(prefix, value), []).append(address)
    document: dict[str, Any] = {name: {"hosts": addresses} for name, addresses in sorted(groups.items())}
    document["all"] = {"children": ["ungrouped", *sorted(groups)]}
    return b'{"_meta":{"hostvars":' + hostvars + b"}," + orjson.dumps(document)[1:]
