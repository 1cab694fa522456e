"""How a playbook reaches a hypervisor: by its URI, with the credentials that are recorded for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session

from commissaire.fleet.hypervisor_credentials import kept_credentials
from commissaire.fleet.hypervisors import usable_hypervisor
from commissaire.launcher.job import PrivateKey
from commissaire.launcher.reach import private_key
from commissaire.machines.credentials import Credentials
from commissaire.records import Hypervisor
from commissaire.secrets.store import SecretStore

_KNOWN_HOSTS = "hypervisor_known_hosts"
_SECRETS = "hypervisor"
"""The folder of a job's secret files."""


@dataclass(frozen=True)
class HypervisorReach:
    """A hypervisor, and what its job has of it: keys, and texts by the names of files; see `Job`."""

    hypervisor: Hypervisor
    credentials: Credentials
    keys: list[PrivateKey]
    files: dict[str, str]
    secret_files: dict[str, str]

    def variables(self, directory: Path, runtime: Path) -> dict[str, str]:
        """Return the modules' options by which it is reached, without those that are secret; see `looked_up`."""
        told = {}
        if self.keys:
            told["private_key_file"] = str(directory / f"{self.keys[0].name}.pub")  # the ssh agent has the private half
            told["known_hosts_file"] = str(directory / _KNOWN_HOSTS)
        if self.credentials.tls_ca:
            told["pki_path"] = str(runtime / _SECRETS)
        return told

    def looked_up(self, runtime: Path) -> dict[str, str]:
        """Return the secret options as templates, which look into their files when a module is given them.

        An inventory is a file on disk.
        """
        if not self.credentials.username:
            return {}
        places = {name: runtime / _SECRETS / name for name in ("username", "password")}
        return {
            name: f"{{{{ lookup('ansible.builtin.file', '{place}', rstrip=false) }}}}" for name, place in places.items()
        }

    def secret_variables(self) -> dict[str, str]:
        """Return the secret options themselves, for a playbook that has its variables in memory only."""
        if not self.credentials.username:
            return {}
        return {"username": self.credentials.username, "password": self.credentials.password}


def reach_hypervisor(session: Session, store: SecretStore, name: str) -> HypervisorReach:
    """Return how a hypervisor is reached.

    Raises:
        NotFound, Conflict: there is no such one, or it is not allowed.
        SecretError, UnusableKey: what it is reached with can't be had.
    """
    hypervisor = usable_hypervisor(session, name)
    credentials = kept_credentials(session, store, name)
    of_user = {"username": credentials.username, "password": credentials.password} if credentials.username else {}
    secrets = of_user | credentials.certificates()
    return HypervisorReach(
        hypervisor=hypervisor,
        credentials=credentials,
        keys=[private_key(credentials.ssh_priv_key)] if credentials.ssh_priv_key else [],
        files={_KNOWN_HOSTS: credentials.known_hosts(hypervisor.uri)} if credentials.ssh_host_keys else {},
        secret_files={f"{_SECRETS}/{name}": text for name, text in secrets.items()},
    )
