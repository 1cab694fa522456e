"""What a provider tells of its hosts: the output of `ansible-inventory --list`, read as Commissaire's own fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from commissaire.fleet.addresses import check_address
from commissaire.fleet.errors import NotFound

DEFAULT_VARIABLES = {
    "os": "ansible_distribution",
    "cpus": "ansible_processor_vcpus",
    "memory_mb": "ansible_memtotal_mb",
}
_NUMBERS = {
    "cpus": ("cpus", 1, 2**31 - 1),
    "memory_kb": ("memory_kb", 1, 2**63 - 1),
    "memory_mb": ("memory_kb", 1024, 2**63 - 1),
    "space_bytes": ("space_bytes", 1, 2**63 - 1),
    "space_gb": ("space_bytes", 1024**3, 2**63 - 1),
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 ._+-]", re.ASCII)


class ListingError(Exception):
    """A provider that could not be listed; the text says why."""


def read_listing(output: bytes, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return `{"name", "address", "os", "cpus", "memory_kb", "space_bytes"}` of each host, by name.

    *variables* says in which variable a field is; a dot leads into a dictionary. A host's address is what `address`
    says, else `ansible_host`, else its name; None when that is no address.

    Raises:
        ListingError: it is no inventory.
    """
    try:
        document = orjson.loads(output)
        hostvars = document["_meta"]["hostvars"]
        names = {host for group in document.values() for host in group.get("hosts", ())} | set(hostvars)
        return [_host(name, hostvars.get(name) or {}, variables) for name in sorted(names)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ListingError(f"what it lists is no inventory: {type(error).__name__}: {error}") from error


def _host(name: str, told: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    host: dict[str, Any] = {
        "name": name,
        "address": _address(_value(told, variables.get("address", "ansible_host"), name)),
    }
    system = _value(told, variables.get("os", ""), "")
    host["os"] = _NOT_IN_NAMES.sub("", str(system)).lower()[:128]
    host |= {"cpus": 0, "memory_kb": 0, "space_bytes": 0}
    for variable, (field, factor, most) in _NUMBERS.items():
        if variable in variables:
            host[field] = host[field] or _number(_value(told, variables[variable], 0), factor, most)
    return host


def _value(told: Any, path: str, default: Any) -> Any:
    for part in path.split("."):
        told = told.get(part) if isinstance(told, dict) else None
    return default if told is None else told


def _number(value: Any, factor: int, most: int) -> int:
    try:
        return min(max(int(float(value) * factor), 0), most)
    except (TypeError, ValueError, OverflowError):
        return 0


def _address(value: Any) -> str | None:
    try:
        return check_address(str(value))
    except NotFound:
        return None
