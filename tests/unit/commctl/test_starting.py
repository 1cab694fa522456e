"""commctl is started often: nothing heavy may be imported before it is needed."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

HEAVY = ("rich", "httpx", "yaml", "fastapi", "sqlmodel", "sqlalchemy", "ansible", "ansible_runner")


def imported(*arguments: str) -> set[str]:
    """Return the top-level modules that a run of commctl imports."""
    program = "import sys\ntry:\n from commissaire.commctl.main import main\n main()\nfinally:\n print(*sys.modules)"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("arguments", [["--help"], ["host", "create", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert "typer" in modules
    assert not modules & set(HEAVY)


def test_a_call_imports_what_it_needs_and_no_more() -> None:
    modules = imported("-c", "/dev/null", "cluster", "list")
    assert "httpx" in modules
    assert not modules & (set(HEAVY) - {"httpx", "yaml"})


def test_help_costs_less_than_a_second_of_processor_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "commissaire.commctl.main", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "cluster" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def test_the_version_is_the_packages(capfd: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    subprocess.run([sys.executable, "-m", "commissaire.commctl.main", "--version"], check=True)
    assert capfd.readouterr().out == f"commctl {version('commissaire')}\n"
