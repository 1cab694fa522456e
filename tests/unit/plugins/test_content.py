"""Every playbook and plugin, as Ansible itself reads it: any warning fails."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
FOLDERS = {"module": "modules", "filter": "filter", "inventory": "inventory", "lookup": "lookup"}


def run(*command):
    """Run one of Ansible's commands far from the checkout, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "playbooks").glob("*.yml"))])
def test_a_playbook_reads_without_a_warning(name):
    run("ansible-playbook", "--syntax-check", "-i", "h1,", f"commissaire.fleet.{name}")


@pytest.mark.parametrize("kind", FOLDERS)
def test_plugins_document_themselves_with_examples_and_returns(kind):
    names = [f"commissaire.fleet.{path.stem}" for path in sorted((ROOT / "plugins" / FOLDERS[kind]).glob("*.py"))]
    documented = json.loads(run("ansible-doc", "--json", "--type", kind, *names))
    assert list(documented) == names
    for name in names:
        assert documented[name]["doc"]["short_description"]
        assert documented[name]["examples"]
        assert documented[name]["return"] or kind == "inventory"


def test_every_action_is_documented_and_every_other_module_is_a_program():
    actions = {path.stem for path in (ROOT / "plugins/action").glob("*.py")}
    modules = {path.stem: path.read_text() for path in (ROOT / "plugins/modules").glob("*.py")}
    assert actions <= modules.keys()
    completing = {name for name in actions if "run_with_file(" in (ROOT / f"plugins/action/{name}.py").read_text()}
    for name, text in modules.items():
        assert ("\ndef main() -> None:\n" in text) == (name not in actions - completing), name


def test_every_role_says_what_it_takes_and_every_default_is_said():
    yaml = pytest.importorskip("yaml")
    for role in sorted((ROOT / "roles").iterdir()):
        entries = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
        specs = entries["main"]["options"]
        for name, entry in entries.items():
            assert (role / f"tasks/{name}.yml").exists()
            assert entry["options"].items() <= specs.items()
        file = role / "defaults/main.yml"
        defaults = yaml.safe_load(file.read_text()) if file.exists() else {}
        for name, value in defaults.items():
            asked = re.fullmatch(r"{{ (\w+) \| default\((.*)\) }}", str(value))
            if asked:  # the variable that a playbook is asked for has the name without the role's
                assert name == f"{role.name}_{asked[1]}"
                defaults[name] = yaml.safe_load(asked[2])
        assert {name: option["default"] for name, option in specs.items()} == defaults, role.name


READ_AS = {"bool": "bool", "list": "commissaire.fleet.as_list"}


def test_what_a_command_line_says_is_read_as_what_it_stands_for():
    """Ansible checks that a text stands for a bool or a list, and leaves it the text: `false` would be true."""
    yaml = pytest.importorskip("yaml")
    kinds = {
        name: option["type"]
        for file in (ROOT / "roles").glob("*/meta/argument_specs.yml")
        for entry in yaml.safe_load(file.read_text())["argument_specs"].values()
        for name, option in entry["options"].items()
        if option.get("type") in READ_AS
    }
    unread = []
    for path in sorted(path for kind in ("tasks", "vars") for path in (ROOT / "roles").glob(f"*/{kind}/**/*.yml")):
        for text in texts_of(yaml.safe_load(path.read_text())):
            for found in re.finditer(r"\b[a-z_]+\b(?! \| default)", text):
                reader = READ_AS.get(kinds.get(found[0], ""), "")
                if reader and not text[found.end() :].startswith(f" | {reader}"):
                    unread.append(f"{path.relative_to(ROOT)}: {text}")
    assert unread == []


def texts_of(value):
    """Return the expressions in tasks or variables; one that is nothing but a variable goes to who reads it."""
    if isinstance(value, dict):
        return [
            text
            for name, part in value.items()
            if name not in ("msg", "name", "message", "fail_msg", "success_msg")
            for text in texts_of(part)
        ]
    if isinstance(value, list):
        return [text for part in value for text in texts_of(part)]
    return [value] if isinstance(value, str) and not re.fullmatch(r"\{\{ \w+ \}\}", value) else []


def test_no_variable_of_a_hosts_environment_gets_into_a_script():
    yaml = pytest.importorskip("yaml")
    expanded = [
        f"{path.relative_to(ROOT)}: {task['name']}"
        for path in sorted((ROOT / "roles").glob("*/tasks/**/*.yml"))
        for task in tasks_of(yaml.safe_load(path.read_text()))
        if task.get("ansible.builtin.command", {"expand_argument_vars": False}).get("expand_argument_vars", True)
    ]
    assert expanded == []


def tasks_of(tasks):
    """Return the tasks, also those in blocks."""
    found = []
    for task in tasks:
        blocks = [task[name] for name in ("block", "rescue", "always") if name in task]
        found += [task, *(each for block in blocks for each in tasks_of(block))]
    return found


def test_the_collection_knows_nothing_of_the_api():
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        assert "import commissaire" not in path.read_text()
        assert "from commissaire" not in path.read_text()
