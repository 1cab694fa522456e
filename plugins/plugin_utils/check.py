# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look whether a host can be used: one login, one probe, its facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.commissaire.fleet.plugins.plugin_utils.facts import read_facts
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    CommandError,
    DeniedError,
    HostKeyError,
    Machine,
    NoContactError,
    changed_key,
)

PROBE = Path(__file__).parents[2] / "roles/investigate/files/probe.sh"


class CheckError(Exception):
    """A host that can't be used; the text says why."""


def look(machine: Machine, seconds: float, connect_seconds: int) -> dict[str, Any]:
    """Return the facts of a host that answers within `seconds`; raise CheckError for one that can't be used."""
    machine.connect_anew(connect_seconds)
    try:
        return read_facts(machine.run(PROBE.read_text(encoding="utf-8"), seconds))
    except HostKeyError as error:
        raise CheckError(changed_key(error)) from error
    except DeniedError as error:
        raise CheckError(f"refuses the login: {error}; look at its user, and at the keys that may log in") from error
    except NoContactError as error:
        raise CheckError(f"can't be reached: {error}") from error
    except (CommandError, ValueError) as error:
        raise CheckError(f"answers, but can't be looked at: {error}") from error
