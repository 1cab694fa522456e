# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take, verify and release the lease on a host; documented in plugins/modules/lease.py."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import lease, renewer
from ansible_collections.commissaire.fleet.plugins.plugin_utils.contact import CONTACT_SECONDS, first_contact
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    CommandError,
    HostKeyError,
    Machine,
    NoContactError,
    changed_key,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.place_file import PlaceFile
from ansible_collections.commissaire.fleet.plugins.plugin_utils.progress import checkpoint

ARGUMENTS = {
    "state": {"type": "str", "choices": ["held", "verified", "released", "broken", "shown"], "default": "held"},
    "owner": {"type": "str", "default": ""},
    "operation_id": {"type": "str", "default": ""},
    "succeeds": {"type": "raw", "default": []},
    "seconds": {"type": "int", "default": 60},
    "token": {"type": "int", "default": 0},
    "contact_timeout_seconds": {"type": "float", "default": 0},
    "wait_seconds": {"type": "float", "default": 0},
    "when_silent": {"type": "str", "choices": ["fail", "skip", "stop"], "default": "fail"},
    "reason": {"type": "str", "default": ""},
    "phase": {"type": "str"},
}
SHORTEST_SECONDS = 10


class ActionModule(ActionBase):
    """Ask the host, keep the lease alive."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        if not SHORTEST_SECONDS <= arguments["seconds"] <= lease.LONGEST_SECONDS:
            raise AnsibleActionFail(
                f"seconds is {arguments['seconds']}; give {SHORTEST_SECONDS} to {lease.LONGEST_SECONDS}"
            )
        host = (task_vars or {}).get("inventory_hostname", "the host")
        play = str(self._task.get_play()._uuid)
        note = renewer.Note.of(C.DEFAULT_LOCAL_TMP, play, host)
        self._places = PlaceFile(C.DEFAULT_LOCAL_TMP, play)
        try:
            result = getattr(self, f"_{arguments['state']}")(Machine(self), note, arguments)
        except lease.LeaseError as error:
            return {"failed": True, "changed": False, "msg": f"{host} {error}"}
        except HostKeyError as error:
            return {"failed": True, "changed": False, "msg": f"{host} {changed_key(error)}"}
        except NoContactError as error:
            return _silent(f"{host} can't be reached: {error}", arguments["when_silent"])
        except CommandError as error:
            return {"failed": True, "changed": False, "msg": f"{host} can't be leased: {error}"}
        if arguments["phase"]:
            result["checkpoint"] = self._checkpoint(arguments, result)
        return result

    def _checkpoint(self, arguments: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        if arguments["state"] not in ("shown", "broken"):
            return checkpoint(arguments["phase"])
        found = {name: result[name] for name in ("owner", "operation_id", "token", "left_seconds")}
        return checkpoint(arguments["phase"], "finished", result["msg"], {"lease": found})

    def _held(self, machine: Machine, note: renewer.Note, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            answer = first_contact(machine, lease.look_script(), arguments["contact_timeout_seconds"])
            found = lease.read(answer)
            mine = {arguments["operation_id"], *lease.names(arguments["succeeds"])} - {""}
            if found.is_held and found.operation not in mine:
                raise lease.LeaseError(lease.held_by(found))
            return {"changed": True, **found.as_result()}
        found = lease.wait_for(
            lambda: lease.take(
                machine,
                arguments["owner"] or _owner(),
                arguments["operation_id"],
                arguments["seconds"],
                arguments["contact_timeout_seconds"],
                lease.names(arguments["succeeds"]),
            ),
            arguments["wait_seconds"],
        )
        renewer.start(machine, note, self._places, found.token, arguments["seconds"])
        return {"changed": True, "taken_over_from": found.taken_over_from, **found.as_result()}

    def _verified(self, machine: Machine, note: renewer.Note, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {"changed": False}
        return {"changed": False, **lease.verify(machine, arguments["token"]).as_result()}

    def _released(self, machine: Machine, note: renewer.Note, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give the lease back; where that can't be told to the host it expires, which is no failure."""
        note.remove()
        if self._task.check_mode or not arguments["token"]:
            return {"changed": False, "msg": "holds no lease"}
        try:
            released = lease.release(machine, arguments["token"])
        except (NoContactError, CommandError) as error:
            return {"changed": False, "msg": f"the lease expires by itself, because the host is silent: {error}"}
        told = {} if released else {"_ansible_verbose_always": True}  # a reader of plain output learns of it, too
        return {"changed": released, "msg": "released" if released else "was not ours any more", **told}

    def _broken(self, machine: Machine, note: renewer.Note, arguments: dict[str, Any]) -> dict[str, Any]:
        if not arguments["reason"].strip():
            raise AnsibleActionFail("say why the lease is broken: reason")
        found = lease.read(machine.ask(lease.look_script(), CONTACT_SECONDS))
        if self._task.check_mode or not found.is_held:
            return {"changed": found.is_held, "msg": lease.told(found), **found.as_result()}
        answer = machine.ask(
            lease.script("break", owner=arguments["owner"] or _owner(), reason=arguments["reason"]),
            CONTACT_SECONDS,
        )
        broken = answer["outcome"] == "broken"
        return {"changed": broken, "msg": f"broken; it was {lease.told(found)}", **found.as_result()}

    def _shown(self, machine: Machine, note: renewer.Note, arguments: dict[str, Any]) -> dict[str, Any]:
        found = lease.read(machine.ask(lease.look_script(), CONTACT_SECONDS))
        return {"changed": False, "msg": lease.told(found), **found.as_result()}


def _silent(why: str, when_silent: str) -> dict[str, Any]:
    result = {
        "failed": when_silent != "skip",
        "changed": False,
        "fit": False,
        "stop": when_silent == "stop",
        "msg": why,
    }
    return {**result, "_ansible_verbose_always": True}  # a reader of plain output learns why, too


def _owner() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()} (ansible-playbook, pid {os.getppid()})"
