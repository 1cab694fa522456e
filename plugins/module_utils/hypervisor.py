# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A connection to a hypervisor's libvirt, with errors that name the thing and libvirt's own words."""

from __future__ import annotations

import contextlib
import time
import traceback
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.commissaire.fleet.plugins.module_utils import hypervisor_access
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import Access, explained, way_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule

IMPORT_ERROR = None
try:
    import libvirt
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

REFRESH_SECONDS = 120.0
ARGUMENTS: dict[str, Any] = {"uri": {"type": "str", "default": "qemu:///system"}, **hypervisor_access.ARGUMENTS}


class HypervisorError(Exception):
    """libvirt does not do what it is asked; the message says what and why."""


@contextlib.contextmanager
def connected(module: AnsibleModule, *, read_only: bool = False, access: Access | None = None) -> Iterator[Any]:
    """Give a libvirt connection to the parameter `uri`; whatever goes wrong with it ends the module, and says what.

    Without `access` it is that of the module's parameters.
    """
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("libvirt-python"), exception=IMPORT_ERROR)
    try:
        access = access or Access.of(module.params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    try:
        with connection_to(module.params["uri"], access, read_only=read_only) as connection:
            yield connection
    except HypervisorError as error:
        module.fail_json(msg=str(error))


@contextlib.contextmanager
def connection_to(uri: str, access: Access | None = None, *, read_only: bool = False, place: str = "") -> Iterator[Any]:
    """Give a libvirt connection to `uri`. Raise HypervisorError, which names it, for whatever goes wrong with it.

    `place` is for what is needed to open it; see `way_to`.
    """
    libvirt.registerErrorHandler(lambda *_: None, None)  # it would print each error
    access = access or Access()
    try:
        with way_to(uri, access, place) as way:
            connection = _opened(way, access, read_only)
    except libvirt.libvirtError as error:
        raise HypervisorError(f"hypervisor {uri} can't be reached: {explained(str(error))}") from error
    try:
        yield connection
    except (libvirt.libvirtError, HypervisorError) as error:
        raise HypervisorError(f"hypervisor {uri}: {error}") from error
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()


def _opened(uri: str, access: Access, read_only: bool) -> Any:
    if not access.username:
        return (libvirt.openReadOnly if read_only else libvirt.open)(uri)
    answers = {libvirt.VIR_CRED_AUTHNAME: access.username, libvirt.VIR_CRED_PASSPHRASE: access.password}

    def answer(questions: list[list[Any]], _: None) -> int:
        for question in questions:
            question[4] = answers[question[0]]
        return 0

    return libvirt.openAuth(uri, [[*answers], answer, None], libvirt.VIR_CONNECT_RO if read_only else 0)


def found(lookup: Any, *arguments: Any) -> Any:
    """Return what one of libvirt's lookups finds; None when there is no such thing."""
    missing = (
        libvirt.VIR_ERR_NO_NETWORK,
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_STORAGE_VOL,
    )
    try:
        return lookup(*arguments)
    except libvirt.libvirtError as error:
        if error.get_error_code() in missing:
            return None
        raise


def tried(call: Any, *arguments: Any) -> Any:
    """Return what a call of libvirt's returns; None when libvirt can't do it, for whatever reason."""
    try:
        return call(*arguments)
    except libvirt.libvirtError:
        return None


def active_pool(connection: Any, name: str) -> Any:
    """Return a storage pool of libvirt's. Raise HypervisorError when it can't be used."""
    pool = found(connection.storagePoolLookupByName, name)
    if pool is None or not pool.isActive():
        raise HypervisorError(f"storage pool {name} is {'not active' if pool else 'not there'}; start it first")
    return pool


def refresh(pool: Any) -> None:
    """Let libvirt look what is in a storage pool. While a volume of it is being made it can't, and is asked again."""
    deadline = time.monotonic() + REFRESH_SECONDS
    while True:
        try:
            pool.refresh(0)
            return
        except libvirt.libvirtError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
