"""docs/guest-agent.md against the agent: every option, function, channel and limit, and nothing else."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from singularity import cli, daemon, framing, functions, settings, trial, update
from singularity.channels import keeper, listener, names, replies, xenstore_wire
from singularity.options import ITEMS, OPTIONS
from singularity.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs/guest-agent.md").read_text()
SECTIONS = dict(re.findall(r"^### `singularity ?(\w*)`\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE))
FLAG = re.compile(r"`(-[a-zA-Z]|--[a-z-]+)(?: [A-Z]+(?:\.\.\.)?)?`")
PARSER = cli.parser()


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of tables, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [row for row in cells if not row[0].startswith("---") and row[0].startswith(("`", "-", "always"))]


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


def subparsers() -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in PARSER._actions if isinstance(action, argparse._SubParsersAction))
    choices: dict[str, Any] = dict(action.choices)
    return choices


def test_every_command_has_its_section() -> None:
    assert list(SECTIONS) == ["", *subparsers()]


@pytest.mark.parametrize("command", ["", "apply", "daemon"])
def test_every_section_has_the_commands_options_and_no_others(command: str) -> None:
    documented = {flag for row in rows(SECTIONS[command]) for flag in FLAG.findall(row[0])}
    common = flags(PARSER)
    assert documented == (flags(subparsers()[command]) - common if command else common)


@pytest.mark.parametrize("command", ["", "apply", "daemon"])
def test_every_option_has_its_name_in_the_file_and_its_default(command: str) -> None:
    known = {option.flags: option for option in OPTIONS}
    for flag, name, default, _ in rows(SECTIONS[command]):
        option = known.get(tuple(FLAG.findall(flag)))
        if option is None:
            assert name == "", flag
            continue
        assert name == (f"`{option.name}`" if option.in_file else ""), flag
        value = getattr(Settings(), option.field)
        if isinstance(value, bool):
            assert default == ("" if option.kind == "off" else "yes" if value else "no"), flag
        elif isinstance(value, str):
            assert default == f"`{value}`", flag
        elif value and value != ITEMS:
            assert default == " ".join(f"`{one}`" for one in value), flag


def test_every_action_is_named() -> None:
    assert re.findall(r"`(\w+)`", SECTIONS["apply"].partition("An ACTION is ")[2].partition(".")[0]) == [
        "all",
        *cli.APPLICABLE,
    ]
    assert f"[OPTIONS] {'|'.join(cli.DAEMON)}\n" in TEXT


def test_every_exit_code_is_told() -> None:
    text = TEXT.partition("| exit code |")[2].partition("###")[0]
    assert {int(code) for code in re.findall(r"^\| (\d) \|", text, re.MULTILINE)} == {
        daemon.DONE,
        daemon.FAILED,
        cli.MISUSED,
        daemon.NOT_RUNNING,
        daemon.NOTHING_TO_RELOAD,
    }


def test_every_function_stands_at_its_item() -> None:
    told = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows(section("Functions")) if len(row) == 3
    }
    assert set(told) == {"always on", *ITEMS}
    for item, named in told.items():
        wanted = {name for name, belongs in functions.FUNCTIONS.items() if belongs == (item if item in ITEMS else None)}
        assert named == wanted, item


def test_every_channel_is_told_and_one() -> None:
    told = [row[0].strip("`") for row in rows(section("Channels"))]
    for name in told:
        assert names.parse(name.replace("PORT", "1").replace("SOCKET", "/x").replace("PATH", "/x"))
    assert {name.partition(":")[0] for name in told} == {"auto", "xenstore", "virtio", "unix", "vsock"}
    assert names.QEMU_PORT in section("Channels")


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    found = re.search(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    assert found
    (tmp_path / settings.FILE).write_text(found[1])
    read = settings.load({"configuration": str(tmp_path)}, "daemon")
    assert (read.log_level, read.channels) == ("info", ("xenstore",))
    assert read.functions == ("network", "hostname", "password", "file")


def test_numbers_are_those_of_the_program() -> None:
    assert framing.MOST_BYTES == 4 * 2**20
    assert (listener.MOST_CONNECTIONS, update.MOST_BYTES, update.FETCH_SECONDS) == (32, 16 * 2**20, 16)
    assert (xenstore_wire.MOST_PAYLOAD, replies.KEEP_SECONDS, replies.READ_SECONDS) == (4096, 600, 3)
    assert (keeper.FIRST_SECONDS, keeper.LONGEST_SECONDS) == (0.5, 15)
    assert update.TOGETHER_SECONDS + trial.STOP_SECONDS == 26
    for number in (
        "4 MiB",
        "32 connections",
        "16 MiB",
        "16 seconds",
        "26 seconds",
        "15 seconds",
        "4096 bytes",
        "ten minutes",
        "three seconds",
    ):
        assert number in TEXT
