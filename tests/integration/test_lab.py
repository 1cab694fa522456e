"""The lab itself: its machines are real, its accidents happen, and it leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab, LabError, LabHost, cgroup, labs, sweep
from lab.apt import debian_sources
from lab.laboratory import BASE

pytestmark = pytest.mark.integration
TESTS = Path(__file__).parent.parent


@pytest.fixture
def host(lab: Lab) -> Iterator[LabHost]:
    """A machine of the shared lab, put right again when a test leaves it cut off, frozen or powered off."""
    host = lab.hosts[0]
    yield host
    host.mend()
    host.power_on()
    host.thaw()
    host.wait_for_ssh()


def ssh(lab: Lab, host: LabHost, *command: str, user: str = "root") -> str:
    done = lab.run([*lab.ssh(host, user), *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def greeting(host: LabHost, timeout: float = 1) -> bytes:
    """What a client hears on the ssh port; raises OSError (TimeoutError: nothing) like a socket."""
    with socket.create_connection((host.address, 22), timeout=timeout) as connection:
        return connection.recv(4)


def traces(lab: Lab) -> list[str]:
    """Everything of `lab` that is still on this computer."""
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(lab.directory) in line]
    groups = [hierarchy / cgroup.ROOT / lab.name for hierarchy in cgroup.hierarchies()]
    nspawn = Path("/run/systemd/nspawn/propagate").glob(f"{lab.name}-*")
    paths = [lab.directory, Path("/run/netns") / lab.namespace, *groups, *nspawn]
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(lab.name in word for word in words) and path.parent.name != str(os.getpid()):
            processes.append(" ".join(words))
    return mounts + [str(path) for path in paths if path.exists()] + processes


def wait_until(done: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_every_machine_runs_systemd_and_nothing_has_failed(lab: Lab) -> None:
    assert [host.wait_until_running() for host in lab.hosts] == ["running"] * 3


def test_root_and_operator_log_in_and_operator_may_use_sudo(lab: Lab) -> None:
    host = lab.hosts[1]
    assert ssh(lab, host, "id", "-un", user="operator") == "operator"
    assert ssh(lab, host, "sudo", "-n", "id", "-un", user="operator") == "root"
    assert ssh(lab, host, "hostname") == host.name


def test_each_machine_has_its_own_identity(lab: Lab) -> None:
    machine_ids = {(host.root / "etc/machine-id").read_text().strip() for host in lab.hosts}
    host_keys = {line.split()[2] for line in lab.known_hosts.read_text().splitlines()}
    assert len(machine_ids) == len(host_keys) == len({host.boot_id() for host in lab.hosts}) == 3


def test_a_machine_reaches_the_controller_and_nothing_beyond(lab: Lab) -> None:
    script = f"import socket; socket.create_server(('{lab.gateway}', 8000)).accept()[0].send(b'here')"
    server = lab.popen([sys.executable, "-c", script])
    reach = "import socket; print(socket.create_connection(('{}', {}), timeout=1).recv(4).decode())"
    assert wait_until(lambda: lab.run(["ss", "-Hltn", "sport", "8000"], capture_output=True).stdout != b"")
    assert lab.hosts[0].run(["python3", "-c", reach.format(lab.gateway, 8000)], capture_output=True).stdout == b"here\n"
    assert server.wait() == 0
    beyond = lab.hosts[0].run(["python3", "-c", reach.format("192.0.2.1", 80)], check=False, capture_output=True)
    assert b"OSError" in beyond.stderr or b"TimeoutError" in beyond.stderr
    with pytest.raises(OSError, match="Network is unreachable"):
        lab.inside(socket.create_connection, ("192.0.2.1", 80), 1)


def test_a_reboot_is_real_quick_and_recorded_by_the_machine(lab: Lab, host: LabHost) -> None:
    before, boots = host.boot_id(), host.boots()
    assert before == ssh(lab, host, "cat", "/proc/sys/kernel/random/boot_id") == boots[-1]
    started = time.monotonic()
    lab.run([*lab.ssh(host), "systemctl", "reboot"], capture_output=True)
    assert wait_until(lambda: host.boot_id() not in (None, before))
    host.wait_for_ssh()
    seconds = time.monotonic() - started
    assert host.wait_until_running() == "running"
    assert host.boots() == [*boots, host.boot_id()]
    assert "-1" in ssh(lab, host, "journalctl", "--list-boots", "--no-pager")
    assert seconds < 6  # 1.4 s on an idle computer


def test_a_machine_that_is_cut_off_stays_so_over_a_reboot_until_mended(lab: Lab, host: LabHost) -> None:
    boots = host.boots()
    host.cut()
    with pytest.raises(OSError, match=r"timed out|No route to host"):
        lab.inside(greeting, host)
    host.run(["systemctl", "reboot"])
    assert wait_until(lambda: len(host.boots()) > len(boots))
    with pytest.raises(LabError, match=f"{host.name} of lab {lab.name} does not answer ssh within 0.5 s"):
        host.wait_for_ssh(0.5)
    host.mend()
    assert host.wait_for_ssh() < 10


def test_a_frozen_machine_takes_connections_and_says_nothing_until_thawed(lab: Lab, host: LabHost) -> None:
    host.freeze()
    with pytest.raises(TimeoutError):
        lab.inside(greeting, host, timeout=0.3)
    host.thaw()
    assert lab.inside(greeting, host) == b"SSH-"


def test_a_machine_whose_plug_is_pulled_stays_down_and_comes_back_with_its_disk(lab: Lab, host: LabHost) -> None:
    boots = host.boots()
    host.freeze()
    host.power_off()
    assert (host.boot_id(), host.running(), host.boots()) == (None, False, boots)
    with pytest.raises(LabError, match="power it on first"):
        host.freeze()
    host.power_on()
    host.wait_for_ssh()
    assert host.boots() == [*boots, host.boot_id()]


def test_a_machine_that_shuts_itself_down_stays_off(lab: Lab, host: LabHost) -> None:
    ssh_exit = lab.run([*lab.ssh(host), "systemctl", "poweroff"], capture_output=True).returncode
    assert ssh_exit in (0, 255)
    assert wait_until(lambda: not host.running())
    host.power_on()
    host.wait_for_ssh()


def test_a_full_disk_is_full_until_freed(lab: Lab, host: LabHost) -> None:
    host.fill_disk()
    full = host.run(["dd", "if=/dev/zero", "of=/root/more", "bs=64k", "count=1"], check=False, capture_output=True)
    host.free_disk()
    assert b"No space left on device" in full.stderr
    host.run(["rm", "-f", "/root/more"])


def test_ansible_reaches_a_machine_by_the_inventory(lab: Lab, tmp_path: Path) -> None:
    inventory = lab.inventory(tmp_path / "hosts.yml", user="operator")
    ansible = str(Path(sys.executable).parent / "ansible")
    argv = [ansible, "h2", "-i", str(inventory), "-m", "ansible.builtin.ping"]
    done = lab.run(argv, capture_output=True, text=True, cwd=tmp_path)
    assert "h2 | SUCCESS" in done.stdout, done.stdout + done.stderr


def test_two_labs_at_once_don_t_know_of_each_other_and_leave_nothing_behind(
    lab: Lab, lab_of: Callable[..., Lab]
) -> None:
    other = lab_of(1)
    assert other.hosts[0].address == lab.hosts[0].address
    assert other.hosts[0].boot_id() != lab.hosts[0].boot_id()
    other.hosts[0].power_off()
    assert lab.inside(greeting, lab.hosts[0]) == b"SSH-"
    straggler = other.popen(["sleep", "600"])
    other.down()
    assert straggler.wait() == -signal.SIGKILL
    assert traces(other) == []
    assert lab.inside(greeting, lab.hosts[0]) == b"SSH-"


@pytest.fixture
def orphan(lab_possible: None) -> Iterator[Callable[..., Lab]]:
    """A lab of another process, which is killed; `orphan(unguarded=True)` kills the lab's warden first."""
    script = """import time; from lab import Lab; lab = Lab.make(1); print(lab.name, lab._warden.pid, flush=True)
time.sleep(600)"""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)

    def kill(unguarded: bool = False) -> Lab:
        assert owner.stdout
        name, warden = owner.stdout.readline().split()
        if unguarded:
            os.kill(int(warden), signal.SIGKILL)
        lab = Lab.find(name)
        assert lab.hosts[0].running()
        owner.kill()
        owner.wait()
        return lab

    with owner:
        yield kill
        owner.kill()


def test_a_lab_goes_with_its_owner_even_when_that_is_killed(orphan: Callable[..., Lab]) -> None:
    lab = orphan()
    assert wait_until(lambda: traces(lab) == []), traces(lab)


def test_an_orphan_whose_warden_died_as_well_goes_when_the_next_lab_is_made(orphan: Callable[..., Lab]) -> None:
    lab = orphan(unguarded=True)
    assert lab.hosts[0].running()
    sweep()
    assert traces(lab) == []


def test_the_command_line_makes_shows_and_removes_a_lab(lab_possible: None) -> None:
    name = f"c{os.getpid() % 10**6}"

    def command(*argv: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        argv = (sys.executable, "-m", "lab", *argv)
        return subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)

    made = command("up", "--hosts", "1", "--name", name)
    try:
        assert made.returncode == 0, made.stderr
        assert "10.77.0.11" in made.stdout
        assert [lab.name for lab in labs()].count(name) == 1
        assert f"{name:8} h1   10.77.0.11" in command("list").stdout
        assert "there already" in command("up", "--name", name).stderr
        assert "has no host h9" in command("cut", "--name", name, "h9").stderr
        assert command("poweroff", "--name", name, "h1").returncode == 0
        assert "off" in command("list").stdout
        assert "10.77.0.1/24" in command("enter", "--name", name, "--", "ip", "address").stdout
    finally:
        removed = command("down", "--name", name)
    assert removed.returncode == 0, removed.stderr
    assert traces(Lab(name)) == []
    assert f"there is no lab {name}" in command("down", "--name", name).stderr


def test_the_machines_come_from_the_mirror_that_apt_uses(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    (tmp_path / "apt/sources.list").write_text(
        "# deb http://commented.example/debian trixie main\n"
        "deb [arch=amd64 signed-by=/a.gpg] http://one.example/debian trixie main contrib\n"
        "deb-src http://source.example/debian trixie main\n"
        "deb http://other.example/tools stable-tools main\n"
    )
    (tmp_path / "apt/sources.list.d/a.sources").write_text(
        "Enabled: no\nTypes: deb\nURIs: http://disabled.example\nSuites: trixie\nComponents: main\n\n"
        "Types: deb deb-src\nURIs: http://two.example/debian\n http://three.example/debian\n# comment\n"
        "Suites: trixie-security\nComponents:\n main\n"
    )
    found = [line.split(maxsplit=2)[2] for line in debian_sources("bookworm", tmp_path).splitlines()]
    assert found == [
        "http://one.example/debian bookworm main",
        "http://two.example/debian bookworm-security main",
        "http://three.example/debian bookworm-security main",
    ]
    (tmp_path / "os-release").write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert debian_sources("bookworm", tmp_path) == ""


def test_a_name_that_would_not_fit_an_interface_is_refused(lab_possible: None) -> None:
    with pytest.raises(LabError, match="can't be a lab's name"):
        Lab.make(1, name="Too-long-a-name")
    assert not (BASE / "Too-long-a-name").exists()
