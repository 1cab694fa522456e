"""A successor is watched until it says that it is up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from singularity import succession
from unit.waiting import until

HEIR = """
import os, sys, time
from pathlib import Path
from singularity import succession
succession.SECONDS = 0.3
folder = Path(sys.argv[1])
again = [sys.executable, "-c", "import sys; open(sys.argv[1] + '/again', 'w')", str(folder)]
succession.guard((folder / "put_back").touch, again)
(folder / "heir").write_text(str(os.getpid()))
"""


def inherit(folder: Path, then: str, **environment: str) -> subprocess.Popen[bytes]:
    here = {**os.environ, "PYTHONPATH": str(Path(succession.__file__).parent.parent)}
    for name in succession.SUPERVISED:
        here.pop(name, None)
    return subprocess.Popen([sys.executable, "-c", HEIR + then, str(folder)], env=here | environment)


def test_one_that_is_up_is_left_alone(tmp_path: Path) -> None:
    heir = inherit(tmp_path, "succession.is_up(); assert succession.READY not in os.environ; time.sleep(1)")
    assert heir.wait(10) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["heir"]


@pytest.mark.parametrize("then", ["raise SystemExit(1)", "time.sleep(60)"])
def test_one_that_ends_or_is_silent_is_replaced_by_its_former(tmp_path: Path, then: str) -> None:
    heir = inherit(tmp_path, then)
    until(lambda: (tmp_path / "again").exists())
    assert (tmp_path / "put_back").exists()
    assert heir.wait(10) != 0, "one that is silent is killed"


@pytest.mark.parametrize("name", succession.SUPERVISED)
def test_who_starts_daemons_anew_does_so_with_the_former(tmp_path: Path, name: str) -> None:
    heir = inherit(tmp_path, "raise SystemExit(1)", **{name: "x"})
    until(lambda: (tmp_path / "put_back").exists())
    assert heir.wait(10) == 1
    assert not (tmp_path / "again").exists()


def test_nobody_is_told_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(succession.READY, raising=False)
    succession.is_up()
