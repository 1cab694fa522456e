"""The program of the guest agent, made of its sources."""

import subprocess
import sys
import zipfile

import pytest
from ansible.errors import AnsibleError
from ansible_collections.commissaire.fleet.plugins.plugin_utils import guest_program


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of the agent's."""
    package = tmp_path / "singularity"
    (package / "channels").mkdir(parents=True)
    (package / "__init__.py").write_text('"""An agent."""\n\n__version__ = "1.2.3"\n')
    (package / "channels/__init__.py").write_text("")
    (package / "cli.py").write_text(
        "from . import __version__\n\n\ndef main():\n    print(__version__)\n    return 3\n"
    )
    monkeypatch.setattr(guest_program, "PACKAGE", package)
    guest_program.build.cache_clear()
    yield package
    guest_program.build.cache_clear()


def test_it_is_one_file_that_python_runs(package, tmp_path):
    program = tmp_path / "program"
    program.write_bytes(guest_program.build())
    done = subprocess.run([sys.executable, program], cwd="/", capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"{guest_program.version()}\n", 3)
    assert program.read_bytes().startswith(b"#!/usr/bin/env python3\n")


def test_the_same_sources_make_the_same_program(package):
    one = guest_program.build()
    (package / "cli.py").touch()
    (package / "__pycache__").mkdir()
    (package / "__pycache__/cli.cpython-311.pyc").write_bytes(b"x")
    guest_program.build.cache_clear()
    assert guest_program.build() == one


def test_it_has_the_sources_and_nothing_else(package, tmp_path):
    (package / "notes.txt").write_text("x")
    (tmp_path / "program").write_bytes(guest_program.build())
    names = zipfile.ZipFile(tmp_path / "program").namelist()
    assert names == ["__main__.py", *(f"singularity/{name}.py" for name in ("__init__", "channels/__init__", "cli"))]


def test_sources_that_are_missing_are_told(package):
    (package / "__init__.py").unlink()
    with pytest.raises(AnsibleError, match=r"the guest agent's sources can't be read: .*; install the collection anew"):
        guest_program.version()
