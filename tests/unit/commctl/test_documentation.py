"""docs/commctl.md against the program: every command and option, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from commissaire.commctl.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (Path(__file__).parents[3] / "docs/commctl.md").read_text()
SECTIONS = dict(re.findall(r"^### `commctl ([^`]+)`\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE))
OPTION = re.compile(r"`(-[a-zA-Z]|--[a-z-]+)(?: [^`]*)?`")


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def usage(path: str, command: Any) -> str:
    """Return a command as its heading in the document has it: "host list [CLUSTER]"."""
    words = [path]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = f"{parameter.metavar}{'...' if parameter.nargs == -1 else ''}"
            words.append(word if parameter.required else f"[{word}]")
    return " ".join(words)


def options(command: Any) -> set[str]:
    return {name for one in command.params if one.param_type_name == "option" for name in one.opts}


COMMANDS = {usage(path, command): command for path, command in commands(typer.main.get_command(app))}


def test_every_command_has_its_section_and_every_section_its_command() -> None:
    assert list(SECTIONS) == list(COMMANDS)


def test_every_section_has_the_commands_options_and_no_others() -> None:
    documented = {name: set(OPTION.findall(text)) for name, text in SECTIONS.items()}
    assert documented == {name: options(command) for name, command in COMMANDS.items()}


def test_the_programs_own_options_are_documented() -> None:
    top = TEXT[: TEXT.index("## Configuration")]
    assert set(OPTION.findall(top)) == options(typer.main.get_command(app)) | {"-h", "--help"}


def test_every_parameter_has_a_help_text() -> None:
    for name, command in COMMANDS.items():
        assert command.help, name
        assert all(parameter.help for parameter in command.params), name
