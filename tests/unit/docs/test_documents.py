"""README.md and docs/ against what they tell of: links, commands, targets, paths, examples, messages."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from commissaire import records
from commissaire.commctl.main import app
from commissaire.server import _parser

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
FOLDERS = "api|changelogs|docs|inventory|molecule|playbooks|plugins|roles|tests"
NEW = {"drain"}
"""What docs/extending.md makes up."""


def prose(text: str) -> str:
    return FENCE.sub("", text)


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Return (document, content) of each fenced block in one of *languages*, without its indentation."""
    found = []
    for name, text in DOCUMENTS.items():
        for language, content in FENCE.findall(text):
            if language in languages:
                indent = min((len(line) - len(line.lstrip()) for line in content.splitlines() if line), default=0)
                found.append((name, "".join(line[indent:] for line in content.splitlines(keepends=True))))
    return found


def commands() -> list[list[str]]:
    """Return what the documents' readers type, as words; pipes end a command."""
    lines = [line[2:] for _, block in blocks("console", "") for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line.split(" | ")[0]) for line in dict.fromkeys(lines)]


def commands_of(program: str) -> list[list[str]]:
    return [words[1:] for words in commands() if Path(words[0]).name == program]


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(DOCUMENTS[name])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_every_document_is_linked_from_the_readme() -> None:
    assert set(re.findall(r"\]\((docs/[\w-]+\.md)\)", DOCUMENTS["README.md"])) == set(DOCUMENTS) - {"README.md"}


def test_every_make_target_is_told_of_and_every_one_told_of_is_there() -> None:
    quoted = re.findall(r"`make ([a-z-]+)[^`]*`", "\n".join(DOCUMENTS.values()))
    assert {*quoted, *(words[0] for words in commands_of("make"))} == set(TARGETS)


def test_every_playbook_and_role_is_told_of() -> None:
    text = DOCUMENTS["docs/collection.md"]
    playbooks = {path.stem for path in ROOT.glob("playbooks/*.yml")}
    assert set(re.findall(r"^### commissaire\.fleet\.(\w+)$", text, re.MULTILINE)) == playbooks
    for role in (path.name for path in ROOT.glob("roles/*")):
        assert re.search(rf"^\| {role} \|", text, re.MULTILINE), role


def test_every_record_is_told_of() -> None:
    listed = re.search(r"\*\*Records\.\*\* (.*?)\. Times", DOCUMENTS["docs/architecture.md"], re.DOTALL)
    assert listed
    tables = {record.__name__ for record in vars(records).values() if hasattr(record, "__table__")}
    assert set(re.findall(r"`(\w+)`", listed[1])) == tables


def test_every_path_told_of_is_there() -> None:
    for name, text in DOCUMENTS.items():
        for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", text):
            assert (ROOT / path).exists() or NEW & set(re.split(r"[/.]", path)), f"{name}: {path}"


def test_every_test_told_of_is_there() -> None:
    told = [test for text in DOCUMENTS.values() for test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)]
    assert len(told) > 40
    for path, name in told:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"


@pytest.mark.parametrize("words", commands_of("commctl"), ids=" ".join)
def test_a_commctl_command_has_these_words(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    path, rest = "commctl", list(words)
    while hasattr(command, "commands"):
        if rest[0].startswith("-"):
            break
        path, command = f"{path} {rest[0]}", command.commands[rest.pop(0)]
    if not hasattr(command, "commands"):
        command.make_context(path, rest)


def test_a_commissaire_server_command_has_these_words() -> None:
    texts = ["", *re.findall(r'make run ARGS="([^"]+)"', "\n".join(DOCUMENTS.values()))]
    for words in [*map(shlex.split, texts), *commands_of("commissaire-server")]:
        _parser().parse_args(words)


def test_ansible_commands_name_playbooks_and_variables_that_are_there() -> None:
    found = commands_of("ansible-playbook")
    assert found
    for words in found:
        (name,) = (word for word in words if word.startswith("commissaire.fleet."))
        short = name.rpartition(".")[2]
        playbook = (ROOT / "playbooks" / f"{short}.yml").read_text()
        for role in ("rolling", short):
            defaults = ROOT / "roles" / role / "defaults/main.yml"
            playbook += defaults.read_text() if defaults.exists() else ""
        for variable in (word.partition("=")[0] for before, word in pairwise(words) if before == "-e"):
            assert re.search(rf"\b{variable}\b", playbook), f"{name}: {variable}"


@pytest.mark.parametrize(
    "command",
    [
        ["make", "help"],
        ["commctl", "--version"],
        ["commctl", "--help"],
        ["commissaire-server", "--help"],
        ["commissaire-secrets", "--help"],
        ["ansible-doc", "-t", "module", "commissaire.fleet.checkpoint"],
    ],
    ids=" ".join,
)
def test_the_programs_of_the_documents_start(command: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_every_program_of_the_documents_is_known() -> None:
    ours = {"make", "commctl", "commissaire-server", "commissaire-secrets", "ansible-playbook", "ansible-inventory"}
    others = {".", "cat", "curl", "$CURL", "openssl", "python3", "pip", "sqlite3", "file", "kubectl"}
    assert {Path(words[0]).name or words[0] for words in commands() if "=" not in words[0]} <= ours | others


def test_examples_are_whole() -> None:
    for name, block in blocks("python"):
        compile(block, name, "exec")
    for _, block in blocks("yaml"):
        assert yaml.safe_load(block)
    for _, block in blocks("json"):
        assert json.loads(block)


def messages_of(path: Path) -> Iterator[str]:
    """Yield the texts that a file can say; what differs is `…`."""
    if path.suffix == ".yml":
        text = re.sub(r"\{\{.*?\}\}", "…", path.read_text(), flags=re.DOTALL)
        yield from (line.strip() for line in text.splitlines())
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def troubles() -> list[str]:
    """Return the messages in the first column of the guide's tables for troubleshooting."""
    text = DOCUMENTS["docs/guide.md"]
    rows = re.findall(r"^\| (`.*?`(?:, `.*?`)*) \|", text[text.index("## Troubleshooting") :], re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def test_every_message_in_the_troubleshooting_tables_can_be_said() -> None:
    files = [*ROOT.glob("api/commissaire/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/tasks/**/*.yml")]
    said = {message for path in files for message in messages_of(path)}
    found = troubles()
    assert len(found) > 30
    for message in found:
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in message.split("…")), re.DOTALL)
        assert any(pattern.search(text) for text in said), message
