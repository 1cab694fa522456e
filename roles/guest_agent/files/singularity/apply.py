"""`singularity apply`: put back what was applied last, or show what that would change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Callable, List, Mapping, Sequence

from singularity.errors import Refused, reason

if TYPE_CHECKING:
    from singularity.guest import Guest

ACTIONS = ("network", "hosts", "hostname", "resolvers", "password", "file", "update")
"""In the order in which `all` takes them."""


def run(guest: Guest, actions: Sequence[str], vm_data: Mapping[str, str] | None = None) -> int:
    """Do `actions` ("all", or some of ACTIONS) once more by what the cache holds; `vm_data` stands in for "network".

    With --noop the changes go to the standard output as a unified diff. Return 0, or 1 when something was refused: the
    standard error output says what; the other actions are done all the same.
    """
    failed = False
    for action in _chosen(guest, actions):
        try:
            if not guest.manages(action):
                raise Refused(f"{action} is not managed: --functions leaves it out")
            if action == "network" and vm_data is not None:
                from singularity import network

                network.reset(guest, vm_data)
            else:
                for again in _appliers(action):
                    again(guest)
        except Exception as error:  # an action that goes wrong in a new way is one that failed, as well
            failed = True
            print(f"singularity: {action}: {reason(error)}", file=sys.stderr)
    text = "".join(guest.files.diffs)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    return int(failed)


def _chosen(guest: Guest, actions: Sequence[str]) -> List[str]:
    """Return the actions in their order, each once; `all` means those that are managed."""
    wanted = [action for action in ACTIONS if guest.manages(action)] if "all" in actions else []
    return wanted + [action for action in dict.fromkeys(actions) if action != "all" and action not in wanted]


def _appliers(action: str) -> List[Callable[[Guest], None]]:
    """Return what the functions have for an action."""
    from importlib import import_module

    from singularity.functions import FUNCTIONS

    modules = [import_module(f"singularity.functions.{name}") for name, item in FUNCTIONS.items() if item == action]
    return list(dict.fromkeys(module.apply for module in modules if hasattr(module, "apply")))
