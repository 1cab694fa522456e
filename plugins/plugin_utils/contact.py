# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first exchange with a host that may be dead, or still starting."""

from __future__ import annotations

import time

from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    Answer,
    CommandError,
    HostKeyError,
    Machine,
    NoContactError,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import ssh_port

CONTACT_SECONDS = 30.0
"""For one exchange with a host that is up."""
GREETING_SECONDS = 2.0  # for an sshd that is up


def first_contact(machine: Machine, script: str, contact_timeout_seconds: float) -> Answer:
    """Return what *script* answers; a silent host is tried again for `contact_timeout_seconds`.

    Raises:
        NoContactError: it stayed silent. HostKeyError at once: it is another machine.
        CommandError: it answers, but the script failed to the last.
    """
    start = time.monotonic()
    port = ssh_port(machine)
    while True:
        if port and port.complaint(GREETING_SECONDS):
            machine.hang_up()  # a kept connection into a dead machine is silent; a new one says what is wrong
        try:
            return machine.ask(script, CONTACT_SECONDS)
        except HostKeyError:
            raise
        except (NoContactError, CommandError):
            elapsed = time.monotonic() - start
            if elapsed >= contact_timeout_seconds:
                raise
            machine.hang_up()
            time.sleep(pause_seconds(elapsed))


def pause_seconds(elapsed: float) -> float:
    """Return how long to sleep between two probes: 1.5 % of what was waited already, within 0.05 and 2 s."""
    return min(2.0, max(0.05, 0.015 * elapsed))
