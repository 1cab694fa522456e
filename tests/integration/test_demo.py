"""The demonstration, from its first line to its last, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
TESTS = Path(__file__).parent.parent
Demo = subprocess.Popen[str]


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder; its path is short, because ssh's sockets come below it."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def demo_of(lab_possible: None, home: Path) -> Iterator[Callable[[int], Demo]]:
    """`demo_of(2)` starts the demonstration with two hosts, `home` being its home and place for temporary files."""
    started: list[Demo] = []

    def start(hosts: int) -> Demo:
        environment = {**os.environ, "PYTHONPATH": str(TESTS), "HOME": str(home), "TMPDIR": str(home)}
        argv = [sys.executable, "-m", "demo", "--hosts", str(hosts)]
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        process = Demo(argv, env=environment, stdout=pipe, stderr=both, text=True, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def left_behind(output: str, home: Path) -> list[str]:
    """Everything of a demonstration that said `output` which is still here: files, lab, network, processes."""
    found = re.search(r"/run/commissaire-lab/(\w+)/home/", output)
    assert found, output
    lab = found[1]
    paths = [*home.iterdir(), Path("/run/commissaire-lab") / lab, Path(f"/run/netns/lab-{lab}")]
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if any(word.encode() in words for word in (str(home), f"commissaire-lab/{lab}/")):
            processes.append(words.replace(b"\0", b" ").decode(errors="replace")[:200])
    return [str(path) for path in paths if path.exists()] + processes


def test_the_demonstration_proves_its_point_and_leaves_nothing(demo_of: Callable[[int], Demo], home: Path) -> None:
    process = demo_of(2)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "\n$ commctl cluster restart start demo --watch\n" in output
    assert "\n2 restarted, 0 failed, 0 not started" in output
    assert "\nAt most 1 away at once; " in output
    assert output.endswith("Proven: every host restarted exactly once, and never was more than one away.\n")
    assert left_behind(output, home) == []


def test_the_demonstration_leaves_nothing_when_it_is_interrupted(demo_of: Callable[[int], Demo], home: Path) -> None:
    process = demo_of(1)
    assert process.stdout
    output = ""
    for line in process.stdout:
        output += line
        if "checking" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    output += process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert left_behind(output, home) == []
