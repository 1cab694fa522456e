"""commctl host ssh to a real sshd, with a real server."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab, LabHost

from .controller import BIN, Controller

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    with Lab.make(hosts=1) as made:
        yield made


@pytest.fixture(scope="module")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    """A server that knows the machine, which is bootstrapped: its host key is pinned."""
    with Controller(lab, tmp_path_factory.mktemp("controller")) as controller:
        controller.add_hosts("web")
        yield controller


@pytest.fixture
def host(lab: Lab) -> LabHost:
    return lab.hosts[0]


@pytest.fixture
def memory(controller: Controller) -> Iterator[Path]:
    """Where commctl puts keys."""
    folder = controller.folder / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    yield folder
    assert list(folder.iterdir()) == [], "nothing is left there"


@pytest.fixture
def start(controller: Controller, memory: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start `commctl host ssh` in the lab, as the user who started the server."""

    def popen(*words: str) -> subprocess.Popen[str]:
        environment = {**controller._environ, "XDG_RUNTIME_DIR": str(memory)}
        command = [str(BIN / "commctl"), "host", "ssh", *words]
        pipe = subprocess.PIPE
        return controller.lab.popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    return popen


def test_a_command_runs_there_and_its_exit_code_is_ours(
    start: Callable[..., subprocess.Popen[str]], host: LabHost, controller: Controller
) -> None:
    process = start(host.address, "hostname; exit 7")
    assert process.communicate(timeout=60) == (f"{host.name}\n", "")
    assert process.returncode == 7
    assert not (controller.home / ".ssh/known_hosts").exists(), "the server's pin was enough"


def test_options_of_ssh_reach_it(start: Callable[..., subprocess.Popen[str]], host: LabHost) -> None:
    host.run(["/usr/sbin/sshd", "-p", "9876"])
    process = start(host.address, "-v", "-p", "9876", "hostname")
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == (f"{host.name}\n", 0), err
    assert "debug1: Connecting to" in err
    assert "port 9876" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_session_and_the_key_is_gone(
    start: Callable[..., subprocess.Popen[str]], host: LabHost, memory: Path, number: signal.Signals
) -> None:
    process = start(host.address, "echo up; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    (folder,) = memory.iterdir()
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == 128 + number


def test_another_host_key_than_the_pinned_one_is_refused_whatever_the_arguments_say(
    start: Callable[..., subprocess.Popen[str]], host: LabHost, controller: Controller, tmp_path: Path
) -> None:
    path = f"/api/v1/hosts/{host.address}"
    true_key = controller.ask("GET", path).json()["host_key"]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", tmp_path / "other"], check=True)
    other = (tmp_path / "other.pub").read_text().strip()
    assert controller.ask("PUT", f"{path}/host-key", {"host_key": other}).status_code == 200
    try:
        process = start(host.address, "-o", "StrictHostKeyChecking=no", "hostname")
        out, err = process.communicate(timeout=60)
    finally:
        controller.ask("PUT", f"{path}/host-key", {"host_key": true_key})
    assert (out, process.returncode) == ("", 255)
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in err
