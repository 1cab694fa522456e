"""What the hypervisor can ask for. Each function is a module of the same name, loaded when it is first called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Dict, List, Optional

if TYPE_CHECKING:
    from typing import Protocol, Tuple, Union

    from singularity.channels import Channel
    from singularity.guest import Guest

    class Function(Protocol):
        """A module with a function in it."""

        NAME: str
        ITEM: Optional[str]

        def answer(self, value: Any, guest: Guest, channel: Channel) -> Union[str, Tuple[str, str]]:
            """Do it, and return the message, or (returncode, message). Raises Refused."""


FUNCTIONS: Dict[str, Optional[str]] = {
    "resetnetwork": "network",
    "injectfile": "file",
    "file_inject": "file",
    "version": None,
    "password": "password",
    "features": None,
    "keyinit": "password",
    "agentupdate": "update",
    "hostname": "hostname",
    "hosts": "hosts",
    "resolvers": "resolvers",
}
"""Names, and which item of -F each belongs to; None: it is always on."""


def names(guest: Guest) -> List[str]:
    """Return the names of the functions that are on."""
    return [name for name, item in FUNCTIONS.items() if item is None or guest.manages(item)]


def find(name: Any, guest: Guest) -> Optional[Function]:
    """Return the function of that name; None where there is none, or it is switched off."""
    if not isinstance(name, str) or name not in FUNCTIONS:
        return None
    item = FUNCTIONS[name]
    if item is not None and not guest.manages(item):
        return None
    module: Any = import_module(f"singularity.functions.{name}")
    return module  # type: ignore[no-any-return]
