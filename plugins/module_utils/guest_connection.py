# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way from a module to the guest agent of a machine, whatever the transport and the dialect."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from ansible_collections.commissaire.fleet.plugins.module_utils import hypervisor, hypervisor_access
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_libvirt import LibvirtLines, machine
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_nova import NovaGuest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import QemuGuest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_socket import SocketLines, SocketMessages
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_xenstore import XenstoreMessages, domain_number
from ansible_collections.commissaire.fleet.plugins.module_utils.xenstore import SOCKET, Xenstore, XenstoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule

PREFIX = "uri_"
"""What parameters begin with by which libvirt is reached: a guest has users and passwords of its own."""
ARGUMENTS: dict[str, Any] = {
    "uri": hypervisor.ARGUMENTS["uri"],
    **{f"{PREFIX}{name}": argument for name, argument in hypervisor_access.ARGUMENTS.items()},
    "name": {"type": "str"},
    "uuid": {"type": "str"},
    "transport": {"type": "str", "choices": ["libvirt", "xenstore", "socket"], "default": "libvirt"},
    "domid": {"type": "int"},
    "socket": {"type": "path"},
    "dialect": {"type": "str", "choices": ["qemu", "nova"], "default": "qemu"},
    "value_limit": {"type": "int"},
    "timeout_seconds": {"type": "int", "default": 30},
}
REQUIRED_IF: list[Any] = [
    ("transport", "libvirt", ["name"]),
    ("transport", "xenstore", ["name", "domid"], True),
    ("transport", "socket", ["socket"]),
]
_ACCESS = "commissaire_access"
"""The attribute of a module by which its way is known when it opens another connection."""
_HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@contextlib.contextmanager
def connected(module: AnsibleModule) -> Iterator[QemuGuest | NovaGuest]:
    """Give the guest of the module's parameters; whatever goes wrong with it ends the module, and says what."""
    try:
        with reached(module) as guest:
            yield guest
    except (GuestError, XenstoreError) as error:
        module.fail_json(msg=f"{called(module.params)}: {error}")


@contextlib.contextmanager
def reached(module: AnsibleModule) -> Iterator[QemuGuest | NovaGuest]:
    """Do so for who wants to try again. Raise GuestError, XenstoreError."""
    with contextlib.ExitStack() as opened:
        yield _opened(module, opened)


def secret(module: AnsibleModule, name: str, shortest: float = math.inf) -> Any:
    """Return a parameter with no_log, and leave it out of what is told of the module's invocation.

    Results are searched only for secret texts of at least the length `shortest`: Ansible puts asterisks wherever one
    happens to be, for each 1 where a variable of the environment is 1. A module that says none of it needs no search.
    """
    value = module.params[name]
    if value is not None:
        module.params[name] = _HIDDEN
    module.no_log_values = {text for text in module.no_log_values if len(text) >= shortest}
    return value


def _opened(module: AnsibleModule, opened: contextlib.ExitStack) -> QemuGuest | NovaGuest:
    parameters = module.params
    seconds = parameters["timeout_seconds"]
    if parameters["transport"] == "libvirt":
        connection = opened.enter_context(hypervisor.connected(module, access=_access(module)))
        return QemuGuest(LibvirtLines(machine(connection, parameters["name"], parameters["uuid"])), seconds)
    if parameters["transport"] == "xenstore":
        store = Xenstore(parameters["socket"] or SOCKET)
        opened.callback(store.close)
        domid = domain_number(store, parameters["name"], parameters["domid"])
        return NovaGuest(XenstoreMessages(store, domid, parameters["value_limit"]), seconds)
    if parameters["dialect"] == "nova":
        messages = SocketMessages(parameters["socket"])
        opened.callback(messages.close)
        return NovaGuest(messages, seconds)
    lines = SocketLines(parameters["socket"])
    opened.callback(lines.close)
    return QemuGuest(lines, seconds)


def _access(module: AnsibleModule) -> hypervisor_access.Access:
    """Return with what libvirt is reached, and leave its password out of what is told.

    Ansible would search what the guest says for it, and so tell the guest whether it has guessed it.
    """
    access = getattr(module, _ACCESS, None)
    if access is None:
        try:
            access = hypervisor_access.Access.of(module.params, PREFIX)
        except ValueError as error:
            raise GuestError(str(error)) from error
        setattr(module, _ACCESS, access)
        if access.password:
            module.params[f"{PREFIX}password"] = _HIDDEN
            module.no_log_values.discard(access.password)
    return access


def called(parameters: dict[str, Any]) -> str:
    """Return what messages call the machine that these parameters name."""
    if parameters["name"]:
        return f"machine {parameters['name']}"
    return f"domain {parameters['domid']}" if parameters["transport"] == "xenstore" else parameters["socket"]
