# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The door of a rolling play that is open while enough hosts serve; one look serves all who wait."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.health import Health, after_look, look, plan_health
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ready_nodes import Cluster, out_of_service
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import SshPort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.shared_value import SharedValue

FRESH_SECONDS = 3.0
SSH_PORT = 22
BY_SSH = ("ssh", "smart", "paramiko", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")


class HealthDoor:
    """Shut while fewer than `least` of the `hosts` serve; after `wait_seconds` of that no host starts any more.

    A host serves that answers, and whose node is Ready and not cordoned, if it is one of `clusters`. `ports` are those
    of these hosts and of the play's, where they are known.
    """

    def __init__(
        self,
        shared: SharedValue,
        ports: Mapping[str, Any],
        hosts: Sequence[str],
        least: int,
        wait_seconds: float,
        clusters: Sequence[Sequence[Any]] = (),
    ) -> None:
        self._shared = shared
        self._clusters = [Cluster(*cluster) for cluster in clusters]
        self._ports = {host: SshPort(*where) for host, where in ports.items()}
        self._hosts = hosts
        self._least = least
        self._wait_seconds = wait_seconds

    def look(self, under_way: frozenset[str]) -> Health:
        """Look which hosts serve, unless somebody just did; the play works on those `under_way`."""
        with self._shared.locked():
            raw = self._shared.read()
            health = Health(**{**raw, "silent": frozenset(raw["silent"])}) if raw else Health()
            if time.time() - health.looked_at > FRESH_SECONDS:
                silent = look({host: self._ports[host] for host in self._hosts if host in self._ports})
                no_nodes, trouble = out_of_service(self._clusters)
                silent |= no_nodes
                away = self._away(under_way)
                health = after_look(health, silent, len(self._hosts), self._least, time.time(), away, trouble)
                self._shared.write({**asdict(health), "silent": sorted(silent)})
        return health

    def plan(self, health: Health, under_way: frozenset[str]) -> Decision | None:
        """Decide after a look, without any I/O; whom the play works on does not serve, whatever the look found."""
        away = self._away(under_way)
        serve = "are Ready" if self._clusters else "answer"
        return plan_health(health, len(self._hosts), self._least, self._wait_seconds, time.time(), away, serve)

    def _away(self, under_way: frozenset[str]) -> frozenset[str]:
        """Return the hosts to look at that are under way, by their name or address."""
        ports = {self._ports[host] for host in under_way if host in self._ports}
        return frozenset(host for host in self._hosts if host in under_way or self._ports.get(host) in ports)


def read_ports(hosts: list[str], variables: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """Return where the sshd of each host listens, by the hosts' `variables`; a name without any is an address.

    Hosts that are not reached by ssh are left out: whether they answer can't be seen from here.
    """
    ports = {}
    for host in hosts:
        own = variables[host] if host in variables else {}  # noqa: SIM401  `get` of HostVars yields an undefined value
        if own.get("ansible_connection", "ssh") in BY_SSH:
            port = own.get("ansible_port") or own.get("ansible_ssh_port") or SSH_PORT
            ports[host] = (str(own.get("ansible_host") or own.get("ansible_ssh_host") or host), int(port))
    return ports
