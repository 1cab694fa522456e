# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A guest's network, by the QEMU guest agent's dialect.

Commissaire's agent knows how a network is configured. Into a guest with another agent its program is put for a moment.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import RESET_NETWORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import QemuGuest

NETWORK_SECONDS = 60
OURS = "commissaire-guest"
PLACE = (
    'umask 077; for d in /run /var/tmp /tmp; do mktemp -d "$d/commissaire.XXXXXXXX" 2>/dev/null && exit; done; exit 1'
)
REMOVE = 'rm -rf -- "$1"'
PYTHON = """
for python in python3 /usr/libexec/platform-python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then command -v "$python"; exit; fi
done
echo 'there is no Python 3.8 or newer; install python3 within the machine' >&2
exit 1
"""


class QemuNetwork:
    """The network of one guest. `program` is Commissaire's agent, for a guest that has another one.

    A context, at whose end that program is removed from the guest.
    """

    def __init__(self, guest: QemuGuest, program: bytes | None, timeout_seconds: float) -> None:
        self._guest = guest
        self._program = program
        self._folder = ""
        self._seconds = max(timeout_seconds, NETWORK_SECONDS)

    def __enter__(self) -> QemuNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            with contextlib.suppress(GuestError):
                self._guest.shell(REMOVE, self._folder)

    def differs(self, vm_data: Mapping[str, str]) -> str | None:
        """Return what would change of the guest's files, as a diff; None where the agent lets nobody look."""
        if not self._guest.is_ours():
            return self._apply(self._put(), vm_data, "--noop")
        if not self._guest.can("guest-exec"):
            return None
        try:
            return self._apply([OURS], vm_data, "--noop")
        except GuestRefused:
            return None  # it runs commands, but not this one, which may have another name there

    def reset(self, vm_data: Mapping[str, str]) -> bool:
        """Let the guest have this network, and return whether that has changed anything. Raise GuestError."""
        if not self._guest.is_ours():
            self._apply(self._put(), vm_data)
            return True
        self._guest.require(RESET_NETWORK)
        told = self._guest.agent.ask_patiently(self._seconds, RESET_NETWORK, **{"vm-data": dict(vm_data)})
        return bool((told or {}).get("changed", True))

    def _apply(self, command: Sequence[str], vm_data: Mapping[str, str], *options: str) -> str:
        argv = [*command, "apply", "network", "--vm-data", "-", *options]
        ended = self._guest.run(argv, json.dumps(dict(vm_data)).encode(), None, self._seconds)
        if ended.rc:
            said = (ended.stderr or ended.stdout).decode(errors="replace").strip()
            raise GuestError(f"its network can't be set: {said or f'{command[-1]} ended with {ended.rc}'}")
        return ended.stdout.decode(errors="replace")

    def _put(self) -> list[str]:
        """Put the program into the guest, unless it is there already, and return the command that runs it."""
        if self._program is None:
            raise GuestError("its guest agent can't set a network, and there is no agent_program to put into it")
        python = self._guest.demand(PYTHON, what="its network can't be set").strip()
        if not self._folder:
            self._folder = self._guest.demand(PLACE, what="no folder can be made within the machine").strip()
            self._guest.agent.write(f"{self._folder}/singularity", self._program)
        return [python, f"{self._folder}/singularity"]
