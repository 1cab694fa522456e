"""The borders of the design: who may import whom, and how playbooks are named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from commissaire.launcher.kinds import KINDS

ROOT = Path(__file__).parents[3]
API = sorted((ROOT / "api/commissaire").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the modules a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def importers(paths: list[Path], *packages: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in paths
        for module in imports(path)
        if module.partition(".")[0] in packages
    }


def test_there_is_something_to_look_at() -> None:
    assert len(API) > 50
    assert len(PLUGINS) > 5


def test_the_collection_never_imports_the_api() -> None:
    assert importers(PLUGINS, "commissaire") == set()


def test_the_api_never_imports_the_collection_or_ansible() -> None:
    assert importers(API, "plugins", "ansible_collections", "ansible") == set()


def test_one_module_of_the_api_imports_ansible_runner() -> None:
    assert importers(API, "ansible_runner") == {"api/commissaire/launcher/supervisor.py"}


def test_the_api_names_playbooks_by_fqcn_only_and_they_exist() -> None:
    for kind in KINDS.values():
        assert re.fullmatch(r"commissaire\.fleet\.[a-z_]+", kind.playbook)
        assert (ROOT / "playbooks" / f"{kind.playbook.rpartition('.')[2]}.yml").is_file()
    for path in API:
        strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert not [text for text in strings if isinstance(text, str) and re.search(r"playbooks/|[a-z]\.ya?ml\b", text)]


def test_commctl_knows_the_server_by_its_rest_interface_only() -> None:
    own = sorted((ROOT / "api/commissaire/commctl").glob("*.py"))
    other = {module for path in own for module in imports(path) if module.startswith("commissaire.")}
    assert {module for module in other if not module.startswith("commissaire.commctl")} == set()


def test_services_know_the_server_by_rest_and_the_bus_only() -> None:
    own = sorted((ROOT / "api/commissaire/service").glob("*.py"))
    other = {module for path in own for module in imports(path) if module.partition(".")[0] == "commissaire"}
    allowed = {"commissaire", "commissaire.bus.uri", "commissaire.configuration"}
    assert {module for module in other if not module.startswith("commissaire.service")} <= allowed


def test_kombu_is_imported_where_there_is_a_bus_only() -> None:
    users = {path.rpartition("/")[0] for path in importers(API, "kombu")}
    assert users == {"api/commissaire/bus", "api/commissaire/service"}
