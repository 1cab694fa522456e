# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts are no nodes that serve: not Ready, cordoned, or not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    KubernetesClient,
    KubernetesError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Cluster:
    """An API server, and which hosts are its nodes: by host the names that its node may have, and its address."""

    kubeconfig: str
    context: str
    hosts: dict[str, tuple[tuple[str, ...], str]]


def read_clusters(
    hosts: Iterable[str],
    variables: Mapping[str, Mapping[str, Any]],
    kubeconfig: str,
    context: str,
    names: Mapping[str, str],
) -> list[Cluster]:
    """Return the clusters whose nodes the hosts are, by the hosts' `variables`.

    `kubeconfig` and `context` are for hosts without variables of their own, `names` the nodes' names, where known.
    """
    found: dict[tuple[str, str], dict[str, tuple[tuple[str, ...], str]]] = {}
    for host in hosts:
        own = variables[host] if host in variables else {}  # noqa: SIM401  `get` of HostVars yields an undefined value
        file = str(own.get("kubeconfig") or kubeconfig)
        if file:
            called = (str(own.get("node_name") or names.get(host) or ""), host)
            node = (tuple(name for name in called if name), str(own.get("ansible_host") or host))
            found.setdefault((file, str(own.get("kube_context") or context)), {})[host] = node
    return [Cluster(*where, nodes) for where, nodes in found.items()]


def out_of_service(clusters: Iterable[Cluster]) -> tuple[frozenset[str], str]:
    """Return the hosts whose nodes don't serve now, and why an API server could not be asked: then all of its don't."""
    away: set[str] = set()
    trouble = ""
    for cluster in clusters:
        try:
            rows = KubernetesClient(cluster.kubeconfig, cluster.context).nodes()
        except (KubernetesError, ImportError) as error:
            away |= cluster.hosts.keys()
            trouble = str(error)
            continue
        serving = [row for row in rows if row.ready and row.schedulable]
        known = {row.name for row in rows}
        names = {row.name for row in serving}
        addresses = {row.address for row in serving if row.address}
        for host, (called, address) in cluster.hosts.items():
            name = next((name for name in called if name in known), "")
            if not (name in names if name else address in addresses):
                away.add(host)
    return frozenset(away), trouble
