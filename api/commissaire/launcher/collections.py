"""Where our own collection is."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def collections_path() -> str:
    """Return the folder that holds our collection, so that no copy in a home folder wins over it."""
    spec = importlib.util.find_spec("ansible_collections.commissaire.fleet")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the collection commissaire.fleet is not installed beside the server; reinstall commissaire")
    return str(Path(next(iter(spec.submodule_search_locations))).parents[2])
