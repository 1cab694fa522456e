"""The commands that QEMU's own agent does not have, and the shutdown, which is only begun here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from singularity import __version__
from singularity.errors import Refused
from singularity.qemu import children, power, programs
from unit.guest_agent.qemu_guest import PASSWD, Asker, encoded

MAC = "bc:76:4e:00:00:01"


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    for path, text in {
        "etc/passwd": PASSWD.format(uid=0, gid=0),
        "etc/os-release": "ID=debian\n",
        "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
        "sys/class/net/eth0/address": f"{MAC}\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    asker = Asker(tmp_path)
    yield asker
    asker.close()


def test_features_name_the_agent_and_what_it_does(tmp_path: Path) -> None:
    told = Asker(tmp_path, functions=("file", "hostname")).ask("commissaire-features")
    assert told["name"] == "singularity"
    assert told["version"] == __version__
    assert {"injectfile", "file_inject", "hostname", "version", "features"} == set(told["features"])


def test_a_network_is_reset_by_what_comes_along(asker: Asker, tmp_path: Path) -> None:
    address = {"ip": "192.0.2.5", "netmask": "255.255.255.0", "enabled": "1"}
    network = {"label": "public", "mac": MAC, "gateway": "192.0.2.1", "ips": [address]}
    vm_data = {"hostname": "fine", "networking/BC764E000001": json.dumps(network)}
    assert asker.ask("commissaire-reset-network", vm_data=vm_data) == {}
    assert "192.0.2.5" in (tmp_path / "etc/network/interfaces").read_text()
    assert (tmp_path / "etc/hostname").read_text() == "fine\n"
    assert "eth0" not in asker.error("commissaire-reset-network", vm_data={"networking/000000000000": "{}"})


def test_an_update_needs_a_digest_and_hands_on_the_strongest(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def update(_: Any, *arguments: Any) -> str:
        given[:] = arguments
        return "1.0.1"

    monkeypatch.setattr("singularity.update.update", update)
    url = "http://192.0.2.1/singularity"
    assert "md5 or sha256" in asker.error("commissaire-agent-update", url=url)
    assert asker.ask("commissaire-agent-update", url=url, md5="AB") == {"version": "1.0.1"}
    assert given == [url, "ab", None]
    asker.ask("commissaire-agent-update", url=url, md5="ab", sha256="cd", signature=encoded("signed"))
    assert given == [url, "cd", b"signed"]
    kept = asker.qemu._session.guest.cache.read("update")
    assert kept == {"url": url, "sha256": "cd", "signature": encoded("signed")}


def test_an_update_of_what_is_no_program_of_one_file_is_refused(asker: Asker) -> None:
    assert "one file" in asker.error("commissaire-agent-update", url="http://192.0.2.1/x", md5="0" * 32)


class TestShutdown:
    """No program is run here: what would be is looked at."""

    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        started: list[list[str]] = []

        def execute(_: Any, path: str, arg: list[str] | tuple[()] = ()) -> dict[str, int]:
            started.append([path, *arg])
            return {"pid": 1}

        monkeypatch.setattr(programs, "execute", execute)
        return started

    @pytest.mark.parametrize(
        ("arguments", "command"),
        [
            ({}, ["shutdown", "-h", "-P", "+0"]),
            ({"mode": "powerdown"}, ["shutdown", "-h", "-P", "+0"]),
            ({"mode": "halt"}, ["shutdown", "-h", "-H", "+0"]),
            ({"mode": "reboot"}, ["shutdown", "-r", "+0"]),
        ],
    )
    def test_a_shutdown_that_began_has_no_answer(
        self, started: list[list[str]], arguments: dict[str, str], command: list[str]
    ) -> None:
        request = {"execute": "guest-shutdown", "arguments": arguments}
        assert Asker("/").qemu.answer(request) is None
        assert started == [command]

    def test_as_many_programs_as_may_run_do_not_hinder_it(
        self, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asker = Asker("/")
        monkeypatch.undo()
        monkeypatch.setattr(programs, "PROGRAMS_MOST", 1)
        monkeypatch.setitem(power.WAYS, "halt", (["true"], ["true"]))
        pid = asker.ask("guest-exec", path="sleep", arg=["0.5"])["pid"]
        assert asker.qemu.answer({"execute": "guest-shutdown", "arguments": {"mode": "halt"}}) is None
        assert asker.error("guest-exec-status", pid=pid) == "Invalid parameter 'pid'"
        asker.turn(0.7)
        asker.close()
        assert not children._running

    def test_another_mode_is_refused(self, started: list[list[str]]) -> None:
        assert "halt|powerdown|reboot" in Asker("/").error("guest-shutdown", mode="sleep")
        assert not started

    def test_without_shutdown_a_smaller_program_does_it(
        self, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execute = programs.execute

        def only_small(session: Any, path: str, arg: Any = ()) -> dict[str, int]:
            if path == "shutdown":
                raise Refused("there is none")
            return execute(session, path, arg)

        monkeypatch.setattr(power.programs, "execute", only_small)
        assert Asker("/").qemu.answer({"execute": "guest-shutdown", "arguments": {"mode": "reboot"}}) is None
        assert started == [["reboot"]]
