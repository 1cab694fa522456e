"""The daemon as a guest runs it: started, asked, reloaded, stopped."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.guest_agent.agent_daemon import InstalledAgent, gone, installed
from unit.waiting import until

MOST_MEGABYTES = 20


@pytest.fixture
def agent() -> Iterator[InstalledAgent]:
    with installed() as made:
        yield made


def test_it_starts_answers_and_stops(agent: InstalledAgent) -> None:
    assert agent.daemon("status").returncode == 3
    started = agent.daemon("start")
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    pid = agent.pid()
    assert agent.ask("version") == {"message": "1.0.0", "returncode": "0"}
    status = agent.daemon("status")
    assert (status.returncode, status.stdout) == (0, f"singularity: runs as process {pid}\n")
    assert agent.daemon("stop").returncode == 0
    assert gone(pid)
    assert not agent.socket.exists()
    assert not (agent.root / "run/singularity/singularity.pid").exists()
    assert agent.daemon("status").returncode == 3


def test_it_runs_in_a_session_of_its_own_and_holds_no_folder(agent: InstalledAgent) -> None:
    agent.daemon("start")
    assert os.getsid(agent.pid()) != os.getsid(0)
    assert Path(f"/proc/{agent.pid()}/cwd").readlink() == Path("/")
    assert Path(f"/proc/{agent.pid()}/fd/2").readlink() == Path("/dev/null")


def test_a_second_start_changes_nothing(agent: InstalledAgent) -> None:
    agent.daemon("start")
    pid = agent.pid()
    again = agent.daemon("start")
    assert (again.returncode, again.stdout) == (0, f"singularity: runs already, as process {pid}\n")
    assert agent.pid() == pid


def test_restart_replaces_the_process(agent: InstalledAgent) -> None:
    assert agent.daemon("restart").returncode == 0
    pid = agent.pid()
    assert agent.daemon("restart").returncode == 0
    assert agent.pid() != pid
    assert gone(pid)


def test_a_pidfile_of_a_dead_process_is_none(agent: InstalledAgent) -> None:
    agent.daemon("start")
    os.kill(agent.pid(), signal.SIGKILL)
    until(lambda: gone(agent.pid()))
    assert agent.daemon("status").returncode == 3
    assert agent.daemon("start").returncode == 0
    assert agent.ask("version")["returncode"] == "0"


def test_a_pidfile_with_the_number_of_a_foreign_process_kills_nobody(agent: InstalledAgent) -> None:
    pidfile = agent.root / "run/singularity/singularity.pid"
    pidfile.parent.mkdir(parents=True)
    pidfile.write_text(f"{os.getpid()}\n")
    stopped = agent.daemon("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "singularity: does not run\n")


def test_why_it_does_not_start_is_said(agent: InstalledAgent) -> None:
    failed = agent.daemon("-u", "nobody-of-that-name", "start")
    assert (failed.returncode, failed.stderr) == (1, "singularity: there is no user nobody-of-that-name\n")
    failed = agent.daemon("-H", "/nowhere/log", "start")
    assert (failed.returncode, failed.stderr) == (1, "singularity: /nowhere/log: No such file or directory\n")


def test_a_relative_program_and_relative_paths_are_found_later_on(agent: InstalledAgent) -> None:
    command = [sys.executable, "singularity", "daemon", "--root", "root", "-H", "log", "--channel", "unix:socket"]
    subprocess.run([*command, "start"], cwd=agent.folder, check=True, timeout=60)
    assert agent.ask("keyinit", "5")["returncode"] == "D0"  # loads what was not loaded before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_ends_by_a_signal_with_success(agent: InstalledAgent, number: int) -> None:
    command = [sys.executable, str(agent.program), "daemon", "--root", str(agent.root), "--channel"]
    with subprocess.Popen([*command, f"unix:{agent.socket}", "-H", "-", "--nodaemonize", "start"]) as process:
        assert agent.ask("version")["returncode"] == "0"
        assert agent.pid() == process.pid
        process.send_signal(number)
        assert process.wait(10) == 0


def test_systemd_is_told_when_it_is_ready_reloads_and_stops(agent: InstalledAgent) -> None:
    said = []
    address = agent.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(10)
        command = [sys.executable, str(agent.program), "daemon", "--root", str(agent.root), "--channel"]
        process = subprocess.Popen(
            [*command, f"unix:{agent.socket}", "-H", str(agent.log), "--nodaemonize", "start"],
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
        )
        said.append(listener.recv(500).decode())
        process.send_signal(signal.SIGHUP)
        said += [listener.recv(500).decode(), listener.recv(500).decode()]
        process.terminate()
        said.append(listener.recv(500).decode())
        assert process.wait(10) == 0
    assert said[0] == f"READY=1\nMAINPID={process.pid}"
    assert said[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[2:] == ["READY=1", "STOPPING=1"]


def test_reload_reads_the_configuration_anew(agent: InstalledAgent) -> None:
    configuration = agent.root / "etc/singularity/singularity.conf"
    configuration.parent.mkdir()
    agent.daemon("start")
    assert "password" in agent.ask("features")["message"].split(",")
    configuration.write_text("[main]\nfunctions = file\n")
    assert agent.daemon("reload").returncode == 0
    until(lambda: agent.ask("features")["message"] == "injectfile,file_inject,version,features")
    configuration.write_text("[main]\nfunctions = nonsense\n")
    refused = agent.daemon("reload")
    assert refused.returncode == 2
    assert "functions has 'nonsense'" in refused.stderr
    os.kill(agent.pid(), signal.SIGHUP)
    until(lambda: f"not reloaded: {configuration}, [main]: functions has 'nonsense'" in agent.log.read_text())
    assert agent.ask("features")["message"] == "injectfile,file_inject,version,features"


def test_a_configuration_that_is_wrong_by_now_does_not_hinder_the_end(agent: InstalledAgent) -> None:
    configuration = agent.root / "etc/singularity/singularity.conf"
    configuration.parent.mkdir()
    configuration.write_text(f"[daemon]\nrun = {agent.folder}\n")
    agent.daemon("start")
    configuration.write_text(f"[daemon]\nrun = {agent.folder}\n[main]\nnonsense = 1\nloglevel = loud\n[x]\n")
    assert agent.daemon("start").returncode == 2
    assert agent.daemon("status").returncode == 0
    assert agent.daemon("stop").returncode == 0
    assert agent.daemon("status").returncode == 3


def test_reload_closes_channels_and_opens_others(agent: InstalledAgent) -> None:
    configuration = agent.root / "etc/singularity/singularity.conf"
    configuration.parent.mkdir()
    other = agent.folder / "other"
    configuration.write_text(f"[daemon]\nchannel = unix:{agent.socket}\n")
    agent.run("daemon", "-H", str(agent.log), "start")
    assert agent.ask("version")["returncode"] == "0"
    configuration.write_text(f"[daemon]\nchannel = unix:{other}\n")
    agent.run("daemon", "reload")
    until(other.exists)
    assert not agent.socket.exists()


def test_reload_opens_a_log_that_was_moved_away(agent: InstalledAgent) -> None:
    agent.daemon("start")
    agent.log.rename(agent.folder / "log.1")
    agent.daemon("reload")
    until(agent.log.exists)


def test_without_any_channel_it_waits_for_one(agent: InstalledAgent) -> None:
    environment = {**os.environ, "XENSTORED_PATH": "/nowhere/socket"}
    assert agent.run("daemon", "-H", str(agent.log), "start", env=environment).returncode == 0
    assert agent.daemon("status").returncode == 0
    assert "xenstore can't be opened: /nowhere/socket: No such file or directory" in agent.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else: run the tests as root")
def test_it_becomes_the_user_that_it_is_told(agent: InstalledAgent) -> None:
    agent.folder.chmod(0o755)
    assert agent.daemon("-u", "nobody", "start").returncode == 0
    status = Path(f"/proc/{agent.pid()}/status").read_text()
    nobody = pwd.getpwnam("nobody").pw_uid
    assert f"Uid:\t{nobody}\t{nobody}\t{nobody}\t{nobody}\n" in status
    assert agent.ask("version")["returncode"] == "0"
    assert agent.daemon("stop").returncode == 0
    assert not (agent.root / "run/singularity/singularity.pid").exists()


def test_a_function_that_fails_does_not_end_it(agent: InstalledAgent) -> None:
    agent.daemon("start")
    for name, value in [("injectfile", 5), ("password", {}), ("keyinit", []), ("agentupdate", None), (5, 5), ("x", [])]:
        assert agent.ask(name, value)["returncode"] in ("500", "404")  # type: ignore[arg-type]
    assert agent.ask("version")["returncode"] == "0"


def test_its_memory_is_small_also_after_a_password(agent: InstalledAgent) -> None:
    agent.daemon("start")
    agent.ask("keyinit", "5")
    agent.ask("password", "YXazuqvtFdagFYrwKoYhWAbaJoW9eB7f+ju7GSwhBh4=")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{agent.pid()}/status").read_text().splitlines())
    assert int(status["RssAnon"].split()[0]) < MOST_MEGABYTES * 1024
