"""Arguments of commands, declared as in QEMU's schema ("*name": optional), and what is said of wrong ones."""

from __future__ import annotations

from typing import Any, Mapping

from ..errors import Refused

LEAST, MOST = -(2**63), 2**63 - 1
ENUMS = {
    "QGASeek": ("set", "cur", "end"),
    "GuestExecCaptureOutputMode": ("none", "stdout", "stderr", "separated", "merged"),
}
WORDS = {"int": "integer", "str": "string", "bool": "boolean", "[str]": "array", "{str}": "object"}


def checked(declared: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by the names that Python functions have. Raise Refused for a missing, unknown or wrong one."""
    arguments = {}
    for name, kind in declared.items():
        plain = name.lstrip("*")
        if plain in given:
            _check(plain, kind, given[plain])
            arguments[plain.replace("-", "_")] = given[plain]
        elif plain == name:
            raise Refused(f"Parameter '{name}' is missing")
    for name in given:
        if name not in declared and f"*{name}" not in declared:
            raise Refused(f"Parameter '{name}' is unexpected")
    return arguments


def _check(name: str, kind: str, value: Any) -> None:
    if kind == "GuestFileWhence":
        _check_choice(name, kind, value, "int", "QGASeek")
    elif kind == "GuestExecCaptureOutput":
        _check_choice(name, kind, value, "bool", "GuestExecCaptureOutputMode")
    elif not _fits(kind, value):
        raise Refused(f"Invalid parameter type for '{name}', expected: {WORDS[kind]}")
    elif kind == "[str]":
        for index, member in enumerate(value):
            _check(f"{name}[{index}]", "str", member)
    elif kind == "{str}":
        for key, member in value.items():
            _check(f"{name}.{key}", "str", member)


def _check_choice(name: str, kind: str, value: Any, simple: str, enum: str) -> None:
    """Check what is either of a simple kind or one of an enumeration's words."""
    if isinstance(value, str):
        if value not in ENUMS[enum]:
            raise Refused(f"Parameter '{name}' does not accept value '{value}'")
    elif not _fits(simple, value):
        raise Refused(f"Invalid parameter type for '{name}', expected: {kind}")


def _fits(kind: str, value: Any) -> bool:
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool) and LEAST <= value <= MOST
    return isinstance(value, {"str": str, "bool": bool, "[str]": list, "{str}": dict}[kind])
