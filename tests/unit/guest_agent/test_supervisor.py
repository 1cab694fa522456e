"""Who supervises the daemon, by what /proc and systemd tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from singularity import supervisor
from singularity.errors import Refused

PID = 77
UNIFIED = "0::/system.slice/singularity.service\n"
HYBRID = "12:devices:/system.slice/other.service\n1:name=systemd:/system.slice/singularity.service\n0::/\n"
SESSION = "0::/user.slice/user-0.slice/session-3.scope\n"
OURS = "MainPID=77\nActiveState=active\n"
OPENRC = "supervise-daemon\0guest-agent\0--start\0/usr/bin/python3\0"
SYSTEMCTL = ["systemctl", "--no-ask-password", "stop", "singularity.service"]


@pytest.mark.parametrize(
    ("cgroup", "shown", "parent", "command"),
    [
        (UNIFIED, OURS, "", SYSTEMCTL),
        (HYBRID, OURS, "", SYSTEMCTL),
        (UNIFIED, "ActiveState=active\nMainPID=77\n", "", SYSTEMCTL),
        (UNIFIED, "MainPID=77\nActiveState=deactivating\n", "", None),
        (UNIFIED, "MainPID=5\nActiveState=active\n", "/usr/sbin/cron\0-f\0", None),
        (UNIFIED, None, "", None),
        (SESSION, OURS, "-bash\0", None),
        ("", OURS, "", None),
        ("", "", OPENRC, ["rc-service", "guest-agent", "stop"]),
        ("", "", OPENRC.replace("supervise", "/sbin/supervise", 1), ["rc-service", "guest-agent", "stop"]),
        ("", "", "start-stop-daemon\0guest-agent\0", None),
    ],
)
def test_it_is_found_by_its_process(
    monkeypatch: pytest.MonkeyPatch, cgroup: str, shown: str | None, parent: str, command: list[str] | None
) -> None:
    files = {f"/proc/{PID}/cgroup": cgroup, f"/proc/{PID}/status": "Name:\tx\nPPid:\t9\n", "/proc/9/cmdline": parent}

    def run(argv: list[str], *_: Any) -> bytes:
        assert argv[:2] == ["systemctl", "show"]
        if shown is None:
            raise Refused("systemctl can not be started: No such file or directory")
        return shown.encode()

    monkeypatch.setattr(supervisor, "_read", files.__getitem__)
    monkeypatch.setattr(supervisor.programs, "run", run)
    assert supervisor.command(PID, "stop") == command


def test_a_process_that_ended_meanwhile_has_none() -> None:
    assert supervisor.command(2**22 + 1, "restart") is None
