"""The wheel in an environment of its own: everything is in it, and it works without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

from lab import Lab

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).parent / "uv")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a virtual environment into which the built wheel was installed."""
    folder = tmp_path_factory.mktemp("from a wheel")
    _run([UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = str(folder / "venv/bin/python")
    _run(
        [UV, "pip", "install", "--quiet", "--python", python, "--constraint", str(ROOT / "constraints.txt"), str(wheel)]
    )
    return folder / "venv/bin"


def test_a_playbook_from_the_wheel_restarts_real_hosts_without_the_api(
    installed: Path, lab: Lab, tmp_path: Path
) -> None:
    before = {host.name: host.boots() for host in lab.hosts}
    lab.inventory(tmp_path / "hosts.yml")
    command = ["ansible-playbook", "-i", "hosts.yml", "commissaire.fleet.restart", "-e", "max_unavailable=2"]

    with tempfile.TemporaryDirectory(prefix="home-") as home:  # ssh's sockets are below it: a long path is too long
        environ = {"PATH": f"{installed}:{os.environ['PATH']}", "HOME": home, "LC_ALL": "C.UTF-8"}
        done = lab.run(
            [str(installed / command[0]), *command[1:]], cwd=tmp_path, env=environ, capture_output=True, text=True
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    for host in lab.hosts:
        assert host.boots()[:-1] == before[host.name]


def test_the_commands_from_the_wheel_start(installed: Path) -> None:
    for command in ("commissaire-server", "commctl"):
        assert "Usage" in _run([str(installed / command), "--help"]).replace("usage", "Usage")


def test_the_wheel_holds_nothing_but_the_package_and_the_collection(installed: Path) -> None:
    (wheel,) = installed.parents[1].glob("*.whl")
    names = _run([sys.executable, "-m", "zipfile", "--list", str(wheel)]).splitlines()[1:]
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("commissaire-")} == {"commissaire", "ansible_collections"}
    assert any(name.startswith("ansible_collections/commissaire/fleet/galaxy.yml") for name in names)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
