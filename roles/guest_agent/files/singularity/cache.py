"""What was applied, kept so that `apply` can put it back: one JSON file an item, for the agent's eyes alone."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from typing import Any

from singularity.errors import Refused

MOST = 64 << 20
MOST_TOGETHER = 4 << 20
"""So many characters the values of one item may have: a host may send any number of files."""
_log = logging.getLogger("singularity")


class Cache:
    """Items by name ("network", "password" …), each any value that JSON has, in the folder `directory`.

    A cache that can't be written costs a line in the log: what was asked for has been done all the same.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def read(self, name: str, default: Any = None) -> Any:
        """Return what was kept under `name`; `default` where nothing (readable) was."""
        try:
            with open(self._path(name), "rb") as file:
                return json.loads(file.read(MOST).decode("utf-8"))
        except FileNotFoundError:
            return default
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("the cache of %s can not be read: %s", name, type(error).__name__)
            return default

    def write(self, name: str, value: Any) -> None:
        """Keep `value` under `name`; a value that is kept already is left alone."""
        content = json.dumps(value, sort_keys=True).encode("ascii")
        path = self._path(name)
        staged = f"{path}.{os.urandom(8).hex()}~"
        try:
            with suppress(OSError), open(path, "rb") as file:
                if file.read(len(content) + 1) == content:
                    return
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            new = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(new, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(new)
            os.rename(staged, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(staged)
            _log.warning("the cache of %s can not be written: %s", name, error.strerror)

    def update(self, name: str, key: str, value: Any) -> None:
        """Keep `value` as the item `key` of the object under `name`: a user's hash of the passwords, and so on."""
        kept = self.read(name, {})
        items = {**(kept if isinstance(kept, dict) else {}), key: value}
        if sum(len(str(one)) for one in items.values()) > MOST_TOGETHER:
            _log.warning("the cache of %s is full: %.200s is not kept in it", name, key)
            del items[key]
        self.write(name, items)

    def forget(self, name: str) -> None:
        """Keep nothing under `name` any more."""
        with suppress(OSError):
            os.unlink(self._path(name))

    def _path(self, name: str) -> str:
        if not name.isidentifier():
            raise Refused("the cache has no such item")
        return os.path.join(self.directory, f"{name}.json")
