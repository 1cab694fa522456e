"""YAML in which a MAC address and a date are texts: YAML 1.1 takes 52:54:00:00:00:01 for a number to the base of 60."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from yaml import YAMLError

__all__ = ["YAMLError", "load"]
_INT = "tag:yaml.org,2002:int"
_TEXTS = (_INT, "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")


class _Loader(yaml.SafeLoader):
    """A safe loader whose only numbers are decimal and whole, and which knows no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _TEXTS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"^(0|[1-9][0-9]*)$"), list("0123456789"))


def load(text: str) -> Any:
    """Return what *text* holds. Raises YAMLError when it is no YAML, or holds what JSON has not (`!!binary`)."""
    found = yaml.load(text, _Loader)  # noqa: S506  a safe one
    try:
        json.dumps(found)
    except (TypeError, ValueError) as error:
        raise YAMLError(f"{error}; write it as a text") from None
    return found
