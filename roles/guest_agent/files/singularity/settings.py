"""The settings: of the command line, else of the configuration file, else the defaults."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from singularity.errors import SettingsError
from singularity.options import ITEMS, OPTIONS, Option

FILE = "singularity.conf"
SILENT = ("version", "features")
"""Functions that are always on; -F may name them nevertheless."""
BELOW_ROOT = ("configuration", "cache", "run")
"""Folders that lie below --root unless they are given."""


class Settings(NamedTuple):
    """How the agent was told to be. Paths are absolute; --root is already in those of the agent's own folders."""

    log_level: str = "warning"
    log_handler: str = "syslog"
    backup: bool = True
    configuration: str = "/etc/singularity"
    cache: str = "/var/cache/singularity"
    functions: Tuple[str, ...] = ITEMS
    root: str = "/"
    noop: bool = False
    run: str = "/run/singularity"
    pidfile: Optional[str] = None
    uid: Optional[str] = None
    gid: Optional[str] = None
    nodaemonize: bool = False
    configurators: Tuple[str, ...] = ()
    channels: Tuple[str, ...] = ("auto",)
    allow_paths: Tuple[str, ...] = ()
    """Empty: all."""
    deny_paths: Tuple[str, ...] = ("/etc/singularity",)
    """What the owner of the machine set must not be changed from outside."""
    allow_commands: Tuple[str, ...] = ()
    block_commands: Tuple[str, ...] = ()
    update_key: Optional[str] = None

    @property
    def pid_path(self) -> str:
        """Where the pidfile lies."""
        return self.pidfile or os.path.join(self.run, "singularity.pid")


def load(given: Mapping[str, Any], command: str, strict: bool = True) -> Settings:
    """Return the settings for *command* (apply or daemon). *given*: what stands on its command line, by field.

    Raises SettingsError where they can't be used; unless it is *strict*, what is wrong in the file is left out.
    """
    defaults = Settings()
    root = str(given.get("root", defaults.root))
    folder = str(given.get("configuration", _below(root, defaults.configuration)))
    values = {**_read(os.path.join(folder, FILE), command, strict), **given}
    for name in BELOW_ROOT:
        values.setdefault(name, _below(str(values.get("root", root)), getattr(defaults, name)))
    values["configuration"] = folder
    return Settings(**values)


def convert(option: Option, text: str) -> Any:
    """Return what *text* means as the value of *option*. Raises SettingsError."""
    if option.kind in ("flag", "off"):
        return _truth(option, text)
    if not text.strip():
        raise SettingsError(f"{option.name} is empty")
    if option.choices and text.lower() not in option.choices:
        raise SettingsError(f"{option.name} is {text!r}; it can be {', '.join(option.choices)}")
    if option.choices:
        return text.lower()
    if option.field == "log_handler" and text not in ("syslog", "-"):
        return os.path.abspath(text)
    if option.kind == "path":
        return os.path.abspath(text)
    if option.kind == "paths":
        return tuple(os.path.abspath(word) for word in _words(option, text))
    if option.kind == "text":
        return text
    words = _words(option, text)
    return {"functions": _functions, "channels": _channels}.get(option.field, tuple)(words)


def _read(path: str, command: str, strict: bool) -> Dict[str, Any]:
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return {}
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        if not strict:
            return {}
        raise SettingsError(f"{path} can't be read: {' '.join(str(error).split())}") from error
    for section in parser.sections() if strict else ():
        _check_section(path, section, parser[section])
    values = {}
    for option in OPTIONS:
        for section in (command, "main"):
            if option.in_file and parser.has_option(section, option.name):
                try:
                    values[option.field] = convert(option, parser[section][option.name])
                except SettingsError as error:
                    if not strict:
                        continue
                    raise SettingsError(f"{path}, [{section}]: {error}") from error
                break
    return values


def _check_section(path: str, section: str, values: Mapping[str, str]) -> None:
    known = {option.name for option in OPTIONS if option.in_file and section in (*option.commands, "main")}
    if section not in ("main", "apply", "daemon"):
        raise SettingsError(f"{path}: there is no section [{section}]; there are [main], [apply] and [daemon]")
    for name in values:
        if name not in known:
            raise SettingsError(f"{path}, [{section}]: there is no option {name}; there are {', '.join(sorted(known))}")


def _below(root: str, path: str) -> str:
    return path if root == "/" else root + path


def _truth(option: Option, text: str) -> bool:
    known = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
    if text.strip().lower() not in known:
        raise SettingsError(f"{option.name} is {text!r}; it can be yes or no")
    return known[text.strip().lower()]


def _words(option: Option, text: str) -> Tuple[str, ...]:
    import shlex

    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace += ","
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return tuple(lexer)
    except ValueError as error:
        raise SettingsError(f"{option.name} is {text!r}: {error}") from error


def _functions(names: Tuple[str, ...]) -> Tuple[str, ...]:
    if "all" in names:
        return ITEMS
    unknown = [name for name in names if name not in ITEMS and name not in SILENT]
    if unknown:
        raise SettingsError(f"functions has {unknown[0]!r}; it can be all, or some of {', '.join(ITEMS)}")
    return tuple(name for name in ITEMS if name in names)


def _channels(names: Tuple[str, ...]) -> Tuple[str, ...]:
    from singularity.channels.names import absolute

    return tuple(map(absolute, names))
