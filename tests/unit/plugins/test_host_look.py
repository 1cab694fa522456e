"""The script that looks at a host, run by this machine's own shell."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Demands, Disk, failures, find
from ansible_collections.commissaire.fleet.plugins.plugin_utils.host_look import look_script
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Answer

TOOLS = ("cat", "tr", "cut", "head", "tail", "awk", "grep", "df", "sh", "printf", "false", "sleep", "timeout")


@pytest.fixture
def programs(tmp_path):
    """A folder with the programs that every host has, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def add(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def wrong(programs: Path, demands: Demands, seconds: int = 10) -> str:
    script = look_script(demands, seconds).replace("PATH=$PATH:/usr/sbin:/sbin", "")
    script = script.replace("/etc/kernel/", f"{programs}/kernel/")
    done = subprocess.run(["/bin/sh", "-c", script], env={"PATH": str(programs)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pairs = (line.strip().partition("=") for line in done.stdout.splitlines())
    return failures(find(demands, Answer({name: value for name, _, value in pairs})))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("sh", "-c", "echo fine"), ""),
        (("printf", "%s\n", "$(touch stolen)", "; exit 0 #", "it's", "unit.0=active"),
         ""),
        (("sh", "-c", "echo status=0; echo bad; exit 3"), "command: exit status 3: status=0 bad"),
        (("false",), "command: exit status 1"),
        (("no-such-program",), "command: exit status 127: "),
        (("sh", "-c", "printf '%01000d' 0; exit 9"), "command: exit status 9: 0000"),
    ],
)  # fmt: skip
def test_a_command_is_run_as_it_is_and_what_it_says_is_bounded(programs, tmp_path, monkeypatch, command, said):
    monkeypatch.chdir(tmp_path)
    told = wrong(programs, Demands(command=command))
    assert told.startswith(said)
    assert bool(told) == bool(said)
    assert len(told) < 500
    assert not Path("stolen").exists()


def test_a_command_that_hangs_is_ended(programs):
    assert wrong(programs, Demands(command=("sleep", "600")), 1) == "command: exit status 124"


def test_a_command_can_not_speak_for_the_units(programs):
    add(programs, "systemctl", "echo inactive; exit 3")
    demands = Demands(units=("x",), command=("printf", "a\u2028unit.0=active\u2028b"))
    assert wrong(programs, demands) == "unit x: inactive, wanted active"


def test_units_are_asked_for_one_by_one(programs):
    add(programs, "systemctl", '[ "$1 $2" = "is-active --" ] && { [ "$3" = "a b" ] && echo active || echo inactive; }')
    assert wrong(programs, Demands(units=("a b", "$(c)"))) == "unit $(c): inactive, wanted active"


def test_failed_units_are_named_and_a_host_without_systemd_says_so(programs):
    assert "systemctl: not found" in wrong(programs, Demands(no_failed_units=True))
    add(programs, "systemctl", "printf 'a.service loaded failed failed A\\nb.mount loaded failed failed B\\n'")
    assert wrong(programs, Demands(no_failed_units=True)) == "failed units: a.service b.mount"


def test_disks_are_asked_for_by_path(programs, tmp_path):
    odd = tmp_path / "it's $(odd)"
    odd.mkdir()
    demands = Demands(disk=(Disk(str(odd), 1), Disk("/", free_bytes=2**62), Disk("/no/such", 1)))
    disk, absent = wrong(programs, demands).split("; ")
    assert disk.startswith("disk /: ")
    assert disk.endswith(f" %), wanted {2**62} bytes")
    assert absent.startswith("disk /no/such: df: /no/such: No such file")


@pytest.mark.parametrize(
    ("program", "script", "why"),
    [
        ("needrestart", "echo NEEDRESTART-KSTA: 3", "needrestart says so"),
        ("needrestart", "echo NEEDRESTART-KSTA: 1", ""),
        ("needrestart", "echo NEEDRESTART-KSTA: 0", "nothing on the host tells"),
        ("dnf", "echo Reboot is required to fully utilize these updates.; exit 1", "dnf says so"),
        ("dnf", "echo Reboot should not be necessary.", ""),
        ("dnf", "echo No such command: needs-restarting.; exit 1", "nothing on the host tells"),
        ("needs-restarting", "echo Reboot is required to ensure.; exit 1", "yum says so"),
        ("needs-restarting", "echo Reboot is probably not necessary.", ""),
        ("zypper", "exit 102", "zypper says so"),
        ("zypper", "exit 0", ""),
        ("zypper", "exit 1", "nothing on the host tells"),
        ("other", "exit 0", "nothing on the host tells"),
    ],
)
def test_a_pending_reboot_is_known_by_what_the_system_has(programs, program, script, why):
    add(programs, program, f'[ "$PRIVILEGED" ] || exit 9\n{script}')
    add(programs, "id", "echo 1000")
    add(programs, "sudo", 'shift; PRIVILEGED=yes exec "$@"')
    assert wrong(programs, Demands(no_pending_reboot=True)) == (f"pending reboot: {why}" if why else "")


def test_where_kernels_leave_a_mark_none_is_an_answer(programs):
    hooks = programs / "kernel/postinst.d"
    hooks.mkdir(parents=True)
    (hooks / "update-notifier").touch()
    assert wrong(programs, Demands(no_pending_reboot=True)) == ""


@pytest.mark.parametrize("program", ["curl", "wget"])
def test_the_host_itself_asks_a_url(programs, url, program):
    (programs / program).symlink_to(shutil.which(program) or pytest.skip(f"install {program}"))

    def ask(path, *statuses):
        return wrong(programs, Demands(url=path, url_from="host", url_statuses=statuses or (200,)))

    assert ask(f"{url}/200") == ""
    assert ask(f"{url}/302", 302) == ""
    assert ask(f"{url}/503") == f"url {url}/503: 503, wanted 200"
    assert re.search("refused|connect to server", ask("http://127.0.0.1:9/"))


def test_a_host_that_can_not_ask_says_so(programs):
    told = wrong(programs, Demands(url="http://127.0.0.1:9/", url_from="host"))
    assert told == "url http://127.0.0.1:9/: the host has neither curl nor wget, wanted 200"
