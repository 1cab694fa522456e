"""Where a configuration comes from: a JSON file, and etcd behind it. The server and every service read it so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DIRECTORY = Path("/etc/commissaire")


class SettingsError(Exception):
    """The configuration can't be used; the message says which part and why."""


def read(name: str, file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration of *name*: etcd's where `ETCD_MACHINES` is set, and *file* over it.

    Keys have `_` where they had `-`.

    Raises:
        SettingsError: something named can't be read or is no JSON object, no etcd answers, or both sources are empty.
    """
    values: dict[str, Any] = {}
    if environ.get("ETCD_MACHINES"):
        key = f"/commissaire/config/{name}"
        text = _from_etcd(key, environ)
        if text is not None:
            values = parse(text, f"etcd's {key}")
        elif file is None:
            raise SettingsError(
                f"ETCD_MACHINES is set, but etcd has no key {key}, and there is no configuration file; "
                f"put a JSON object there (etcdctl put {key} '{{…}}'), or unset ETCD_MACHINES"
            )
    return {**values, **_from_file(file)} if file else values


def default_file(name: str) -> Path | None:
    """Return `/etc/commissaire/NAME.conf`, if there is one."""
    path = DIRECTORY / f"{name}.conf"
    return path if path.exists() else None


def parse(text: str, where: str) -> dict[str, Any]:
    """Read a JSON object; *where* names it in messages.

    Raises:
        SettingsError: it is none, or has a key twice.
    """
    document = parse_json(text, where)
    if not isinstance(document, dict):
        raise SettingsError(f"{where} must hold a JSON object")
    values = {key.replace("-", "_"): value for key, value in document.items()}
    if len(values) < len(document):
        raise SettingsError(f"{where} has a setting twice, once with - and once with _")
    return values


def parse_json(text: str, where: str) -> Any:
    """Read JSON; *where* names it in messages.

    Raises:
        SettingsError: it is none.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{where} is not valid JSON: {error}") from error


def _from_etcd(key: str, environ: Mapping[str, str]) -> str | None:
    from commissaire.etcd import EtcdError, read_key  # an HTTP client, for those who use it

    try:
        return read_key(key, environ)
    except EtcdError as error:
        raise SettingsError(str(error)) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error}") from error
