"""The agent's sources: what a guest needs for them to run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.guest_agent.agent_doubles import PACKAGE

SOURCES = {str(path.relative_to(PACKAGE)): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
OPTIONAL = {"cryptography"}
"""What is used where it is, and only tried."""
NEWER = {
    "removeprefix",
    "removesuffix",
    "pairwise",
    "batched",
    "bit_count",
    "is_relative_to",
    "readlink",
    "hardlink_to",
}
"""Methods and functions that Python 3.8 has not."""
NEWER_MODULES = {"graphlib", "tomllib", "zoneinfo"}
GENERICS = {"dict", "frozenset", "list", "set", "tuple", "type", "Popen", "deque", "Counter", "OrderedDict"}


def annotations(tree: ast.AST) -> set[ast.AST]:
    """Return all nodes that stand in annotations, which are never evaluated."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if part is not None:
                found.update(ast.walk(part))
    return found


def too_new(tree: ast.AST) -> Iterator[str]:
    ignored = annotations(tree)
    for node in ast.walk(tree):
        if node in ignored:
            continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = (node.left, node.right)
            if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
                yield f"line {node.lineno}: a union at run time"
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            name = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            if name in GENERICS:
                yield f"line {node.lineno}: a generic {name} at run time"
        elif isinstance(node, ast.Attribute) and node.attr in NEWER and getattr(node.value, "id", "") != "os":
            yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.keyword) and node.arg in {"slots", "kw_only"}:
            yield f"line {node.lineno}: {node.arg}"
        elif isinstance(node, ast.With) and node.end_lineno is None:
            yield f"line {node.lineno}: with in parentheses"


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_python_3_8(name: str) -> None:
    tree = ast.parse(SOURCES[name], feature_version=(3, 8))
    assert list(too_new(tree)) == []


@pytest.mark.parametrize("name", SOURCES)
def test_annotations_are_not_evaluated(name: str) -> None:
    tree = ast.parse(SOURCES[name])
    if annotations(tree):
        assert "from __future__ import annotations" in SOURCES[name]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_imports_the_standard_library_and_its_own_package(name: str) -> None:
    others = {module for module in imported(ast.parse(SOURCES[name])) if module not in sys.stdlib_module_names}
    assert others <= {"singularity", *OPTIONAL}
    assert not NEWER_MODULES & set(imported(ast.parse(SOURCES[name])))


def test_cryptography_is_imported_where_its_absence_is_foreseen_only() -> None:
    users = {name for name, text in SOURCES.items() if "cryptography" in set(imported(ast.parse(text)))}
    assert users <= {"crypto.py", "signature.py"}


def test_the_check_finds_what_is_too_new() -> None:
    texts = ["x = int | None", "x = list[int]()", "'a'.removeprefix('b')", "@dataclass(slots=True)\nclass A: pass"]
    assert all(list(too_new(ast.parse(text))) for text in texts)
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n  case 1: pass", feature_version=(3, 8))
    assert Path(PACKAGE, "__main__.py").is_file()
