"""What sets up the network of a guest, one module for each way that distributions have.

A configurator, ours or a user's own Python file, has
- `NAME`;
- `fits(system) -> int`: 0 it can't be meant, 1 it may be (by the distribution, say), 2 it is installed, 3 it is in use;
- `plan(network, system) -> list of Change`: what the files shall be, out of those there are; it changes nothing;
- `down(network, system) -> list of argument lists`: run before the files are replaced, and may fail;
- `up(network, system) -> list of argument lists`: run afterwards, and must not fail, but for those that begin with "-".
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import stat
from typing import TYPE_CHECKING, Any, List, Sequence

from singularity.errors import Refused
from singularity.paths import shown

if TYPE_CHECKING:
    from singularity.network.system import System

OURS = ("netplan", "ifcfg", "networkmanager", "networkd", "debian", "gentoo")
"""In the order of preference, where several fit as well."""
_PARTS = ("fits", "plan", "down", "up")
MARK = "Written by singularity, the guest agent: changes here are lost at the next reset of the network."


def choose(system: System, folders: Sequence[str] = ()) -> Any:
    """Return the configurator that fits best: a user's own from `folders` first. Raise Refused where none does."""
    for own in _own(folders):
        if _fits(own, system):
            return own
    rated = [(module.fits(system), module) for module in map(_ours, OURS)]
    best = max(rating for rating, _ in rated)
    if not best:
        raise Refused("nothing here tells how this system's network is set up: give a configurator by --configurators")
    return next(module for rating, module in rated if rating == best)


def ask(configurator: Any, what: str, *arguments: Any) -> List[Any]:
    """Return what a part of a configurator answers; what a user's own raises becomes Refused."""
    try:
        return list(getattr(configurator, what)(*arguments))
    except Refused:
        raise
    except Exception as error:
        name = getattr(configurator, "NAME", "")
        raise Refused(f"the configurator {shown(str(name))} fails: {type(error).__name__}") from error


def _ours(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


def _own(folders: Sequence[str]) -> List[Any]:
    """Return the configurators in `folders`, in the order of their names."""
    found = []
    for folder in folders:
        try:
            names = sorted(
                name for name in os.listdir(folder) if name.endswith(".py") and not name.startswith((".", "_"))
            )
        except OSError as error:
            raise Refused(f"the configurators in {shown(folder)} can not be read: {error.strerror}") from error
        found += [_load(os.path.join(folder, name)) for name in names]
    return found


def _load(path: str) -> Any:
    """Run a user's file and return it. Raise Refused where somebody else could have written it, or it is none."""
    found = os.stat(path)
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o022:
        raise Refused(f"the configurator {shown(path)} can be written by others: it must be root's alone")
    name = "singularity_configurator_" + os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refused(f"the configurator {shown(path)} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Refused(f"the configurator {shown(path)} can not be loaded: {type(error).__name__}") from error
    absent = [part for part in _PARTS if not callable(getattr(module, part, None))]
    if absent:
        raise Refused(f"the configurator {shown(path)} has no {', '.join(absent)}")
    return module


def _fits(own: Any, system: System) -> int:
    try:
        return int(own.fits(system))
    except Exception as error:
        raise Refused(f"the configurator {shown(str(own.__file__))} fails: {type(error).__name__}") from error
