"""Checks of hosts: a playbook as for an operation, without an operation's record."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

from commissaire.database import Database
from commissaire.event_type import EventType
from commissaire.fleet.checks import CLAIM, Outcome
from commissaire.fleet.hosts import pin_host_keys
from commissaire.launcher.job import Job
from commissaire.launcher.reach import common_vars, reach
from commissaire.launcher.supervisors import Supervisors
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.store import SecretStore

PLAYBOOK = "commissaire.fleet.check"
FORKS = 25
_NO_OPERATION = 0
_LONGEST_SECONDS = CLAIM.total_seconds() - 60
_CHEAP_KEY_EXCHANGE = "^curve25519-sha256"
"""OpenSSH's own first choice, sntrup761, costs more time than all the rest of a check."""


class Checks:
    """Looks at hosts; one run at a time."""

    def __init__(
        self, database: Database, store: SecretStore, supervisors: Supervisors, data_dir: Path, runtime: Path
    ) -> None:
        self._database = database
        self._store = store
        self._supervisors = supervisors
        self._directory = data_dir / "operations" / "check"
        self._runtime = runtime / "check"
        self._public_halves: dict[str, str] = {}

    def run(self, addresses: list[str]) -> tuple[dict[str, Outcome], str]:
        """Return what was found of each host, and why of some nothing was found."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700, parents=True)
        try:
            return self._run(addresses)
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, addresses: list[str]) -> tuple[dict[str, Outcome], str]:
        try:
            with self._database.read() as session:
                found = reach(session, self._store, addresses, self._directory, self._public_halves)
        except StoreUnavailable as error:
            return {}, str(error)
        outcomes = {address: Outcome(failure=why) for address, why in found.unusable.items()}
        if not found.hosts:
            return outcomes, ""
        variables = common_vars(self._directory, KexAlgorithms=_CHEAP_KEY_EXCHANGE)
        job = Job(
            operation_id=_NO_OPERATION,
            playbook=PLAYBOOK,
            directory=str(self._directory),
            runtime_directory=str(self._runtime),
            inventory={"all": {"hosts": found.hosts, "vars": variables}},
            extra_vars={},
            known_hosts=found.known_hosts,
            keys=list(found.keys.values()),
            forks=FORKS,
        )
        words = [""]

        def write(entries: list[dict[str, Any]]) -> None:
            new_keys = [line for entry in entries if entry["type"] == "known_hosts" for line in entry["lines"]]
            if new_keys:
                with self._database.write() as session:
                    pin_host_keys(session, new_keys)
            for entry in entries:
                if entry["type"] == EventType.WARNING:
                    words[0] = entry["message"]
                elif entry["type"] == EventType.CHECKPOINT:
                    outcomes[entry["host"]] = _outcome(entry)

        alarm = threading.Timer(_LONGEST_SECONDS, self._supervisors.stop, [_NO_OPERATION])
        alarm.daemon = True
        alarm.start()
        try:
            end = self._supervisors.run(job, write)
        finally:
            alarm.cancel()
        return outcomes, str(end["message"] or words[0])


def _outcome(entry: dict[str, Any]) -> Outcome:
    if entry["state"] == "finished":
        return Outcome(facts=entry["data"].get("facts") or {})
    return Outcome(failure=entry["message"] or "it can't be used, and did not say why")
