"""Settings: the command line, else the file, else the default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from singularity import guest
from singularity.errors import Refused, SettingsError
from singularity.options import ITEMS, OPTIONS
from singularity.settings import Settings, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def settings(folder: Path, text: str, command: str = "daemon", **given: Any) -> Settings:
    (folder / "singularity.conf").write_text(text)
    return load({"configuration": str(folder), **given}, command)


def test_without_a_file_the_defaults_are_taken(folder: Path) -> None:
    assert load({"configuration": str(folder)}, "daemon") == Settings(configuration=str(folder))


def test_the_file_is_taken_where_the_command_line_says_nothing(folder: Path) -> None:
    assert settings(folder, "[main]\nloglevel = debug\n").log_level == "debug"


def test_the_command_line_wins(folder: Path) -> None:
    assert settings(folder, "[main]\nloglevel = debug\n", log_level="error").log_level == "error"


def test_a_commands_section_wins_over_main(folder: Path) -> None:
    text = "[main]\nloglevel = debug\nbackup = yes\n[daemon]\nloglevel = info\n[apply]\nbackup = no\n"
    daemon, apply = settings(folder, text), settings(folder, text, "apply")
    assert (daemon.log_level, daemon.backup) == ("info", True)
    assert (apply.log_level, apply.backup) == ("debug", False)


def test_lists_have_commas_or_white_space_or_lines(folder: Path) -> None:
    text = "[main]\nfunctions = network, hosts\n  password\n[daemon]\nchannel = xenstore,unix:/a\n  'unix:/b c'\n"
    read = settings(folder, text)
    assert read.functions == ("network", "hosts", "password")
    assert read.channels == ("xenstore", "unix:/a", "unix:/b c")


def test_every_option_but_those_of_the_command_line_alone_can_stand_in_the_file(folder: Path) -> None:
    values = {"flag": "yes", "path": "/x", "paths": "/x /y", "words": "file", "texts": "xenstore", "text": "0"}
    for option in OPTIONS:
        if option.in_file:
            value = option.choices[0] if option.choices else values[option.kind]
            for section in {*option.commands, "main"}:
                read = settings(folder, f"[{section}]\n{option.name} = {value}\n", option.commands[0])
                if section in ("main", option.commands[0]):
                    default = getattr(Settings, option.field)
                    assert getattr(read, option.field) != default or default is True, option.name


def test_every_field_has_an_option() -> None:
    assert {option.field for option in OPTIONS} == set(Settings._fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[main]\nlogleval = debug\n", r"\[main\]: there is no option logleval; there are .*loglevel"),
        ("[other]\n", r"there is no section \[other\]"),
        ("[main]\nloglevel = loud\n", "loglevel is 'loud'; it can be debug, info"),
        ("[main]\nbackup = perhaps\n", "backup is 'perhaps'; it can be yes or no"),
        ("[main]\nfunctions = network,reboot\n", "functions has 'reboot'; it can be all, or some of network"),
        ("[main]\nnoop = yes\nrun = /x\n[apply]\nrun = /x\n", r"\[apply\]: there is no option run"),
        ("[daemon]\nchannel = tcp:1\n", "'tcp:1' is no channel; one is auto"),
        ("[daemon]\nchannel = vsock:x\n", "'vsock:x' is no channel"),
        ("[daemon]\nchannel = 'unix:/x\n", "No closing quotation"),
        ("[main]\ncache =\n", "cache is empty"),
        ("loglevel = debug\n", "can't be read: .*no section headers"),
    ],
)
def test_a_mistake_in_the_file_is_named(folder: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(folder, text)


def test_functions_can_be_all_or_none_but_the_silent_ones(folder: Path) -> None:
    assert settings(folder, "[main]\nfunctions = all\n").functions == ITEMS
    assert settings(folder, "[main]\nfunctions = version,features\n").functions == ()


def test_with_a_root_the_agents_own_folders_lie_below_it_unless_they_are_given(tmp_path: Path) -> None:
    root = str(tmp_path)
    read = load({"root": root, "cache": "/elsewhere"}, "daemon")
    assert (read.configuration, read.cache) == (f"{root}/etc/singularity", "/elsewhere")
    assert (read.run, read.pid_path) == (f"{root}/run/singularity", f"{root}/run/singularity/singularity.pid")


def test_every_option_has_a_help_text_without_a_capital() -> None:
    for option in OPTIONS:
        assert re.match(r"[a-z]", option.help), option.name


def test_the_agents_own_folder_stays_denied_whatever_else_is() -> None:
    made = guest.make(Settings(deny_paths=("/srv",), configuration="/opt/agent", root="/"))
    for path in ("/etc/singularity/update.pem", "/opt/agent/singularity.conf", "/srv/x"):
        with pytest.raises(Refused, match="denied"):
            made.files.read(path)
