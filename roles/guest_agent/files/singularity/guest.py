"""The guest: what functions and dialects work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.cache import Cache
    from singularity.files import Files
    from singularity.settings import Settings


def _alone(program: str) -> None:
    raise Refused("There is no daemon that could be succeeded")


class Guest:
    """This machine, as far as the agent manages it. The daemon's reload changes it in place."""

    def __init__(self, settings: Settings, files: Files, cache: Cache) -> None:
        self.settings = settings
        self.files = files
        self.cache = cache
        self.succeed: Callable[[str], None] = _alone
        """Let the program at this path take the place of the running one, soon after the present answer."""

    def manages(self, item: str) -> bool:
        """Whether -F lets the agent manage *item*: network, password, file …"""
        return item in self.settings.functions


def make(settings: Settings) -> Guest:
    """Return the guest that *settings* describe."""
    from singularity.cache import Cache
    from singularity.files import Files

    deny = {*type(settings)().deny_paths, settings.configuration, *settings.deny_paths}  # nobody gives his own away
    files = Files(settings.root, settings.allow_paths, sorted(deny), settings.backup, settings.noop)
    return Guest(settings, files, Cache(settings.cache))
