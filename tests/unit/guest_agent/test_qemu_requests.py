"""How requests of QEMU's dialect are read, and what is said of bad ones: word for word what qemu-ga says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.guest_agent.qemu_guest import Asker

PING = "guest-ping"


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    asker = Asker(tmp_path)
    yield asker
    asker.close()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ([], "QMP input must be a JSON object"),
        (None, "QMP input must be a JSON object"),
        ({}, "QMP input lacks member 'execute'"),
        ({"execute": 1}, "QMP input member 'execute' must be a string"),
        ({"execute": PING, "arguments": None}, "QMP input member 'arguments' must be an object"),
        ({"execute": PING, "more": 1}, "QMP input member 'more' is unexpected"),
        ({"execute": PING, "arguments": {"a": 1}}, "Parameter 'a' is unexpected"),
        ({"execute": "guest-sync"}, "Parameter 'id' is missing"),
        ({"execute": "guest-sync", "arguments": {"id": "3"}}, "Invalid parameter type for 'id', expected: integer"),
        ({"execute": "guest-sync", "arguments": {"id": True}}, "Invalid parameter type for 'id', expected: integer"),
        ({"execute": "guest-sync", "arguments": {"id": 1.0}}, "Invalid parameter type for 'id', expected: integer"),
        ({"execute": "guest-sync", "arguments": {"id": 2**63}}, "Invalid parameter type for 'id', expected: integer"),
        (
            {"execute": "guest-exec", "arguments": {"path": "x", "arg": ["a", 1]}},
            "Invalid parameter type for 'arg[1]', expected: string",
        ),
        (
            {"execute": "guest-exec", "arguments": {"path": "x", "capture-output": 1}},
            "Invalid parameter type for 'capture-output', expected: GuestExecCaptureOutput",
        ),
        (
            {"execute": "guest-exec", "arguments": {"path": "x", "capture-output": "all"}},
            "Parameter 'capture-output' does not accept value 'all'",
        ),
        (
            {"execute": "commissaire-reset-network", "arguments": {"vm-data": {"hostname": 1}}},
            "Invalid parameter type for 'vm-data.hostname', expected: string",
        ),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(asker: Asker, request_: Any, said: str) -> None:
    reply = asker.qemu.answer(request_)
    assert reply is not None
    assert json.loads(reply) == {"error": {"class": "GenericError", "desc": said}}


def test_an_unknown_command_is_not_found(asker: Asker) -> None:
    error = {"class": "CommandNotFound", "desc": "The command guest-x has not been found"}
    assert asker.answer("guest-x") == {"error": error}


@pytest.mark.parametrize("identity", [5, None, "a", {"a": [1]}])
def test_an_id_comes_back_with_answers_and_with_errors(asker: Asker, identity: Any) -> None:
    for request in ({"execute": PING}, {"execute": "guest-x"}, {"more": 1}):
        reply = asker.qemu.answer({**request, "id": identity})
        assert reply is not None
        assert json.loads(reply)["id"] == identity


def test_an_id_that_no_answer_can_carry_is_left_out(asker: Asker) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for identity in (deep, math.nan, [math.inf]):
        assert asker.qemu.answer({"execute": PING, "id": identity}) == b'{"return": {}}\n'


def test_only_the_answer_to_a_delimited_sync_begins_with_the_sentinel(asker: Asker) -> None:
    sync = {"execute": "guest-sync-delimited", "arguments": {"id": -(2**63)}}
    assert asker.qemu.answer(sync) == b'\xff{"return": -9223372036854775808}\n'
    assert asker.ask("guest-sync", id=7) == 7
    assert asker.qemu.answer({"execute": PING}) == b'{"return": {}}\n'


def test_what_is_no_json_is_answered_as_qemu_does() -> None:
    from singularity.qemu import Qemu

    error = {"class": "GenericError", "desc": "JSON parse error, expecting value"}
    assert json.loads(Qemu.garbled("expecting value")) == {"error": error}


def test_a_text_that_can_be_no_path_does_no_harm(asker: Asker) -> None:
    for path in ("/\ud800", "/\0", "", "a", "/a" * 5000, "/../../etc"):
        assert asker.error("guest-file-open", path=path)
        assert asker.error("guest-exec", path=path)
    assert asker.ask(PING) == {}


def test_a_fault_of_the_agent_is_told_without_what_was_asked_for(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr("singularity.qemu.presence.ping", fail)
    said = asker.error(PING)
    assert "KeyError" in said
    assert "secret" not in said
    assert "could not be answered" in caplog.text


def test_the_log_has_the_names_of_commands_and_nothing_else_of_them(
    asker: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "singularity")
    asker.answer("guest-exec", path="/no/secret", arg=["secret"], input_data="c2VjcmV0")
    asker.answer("guest-set-user-password", username="secret", password="c2VjcmV0", crypted=False)
    asker.ask(PING)
    assert "guest-exec was refused" in caplog.text
    assert "guest-ping was answered" in caplog.text
    assert "secret" not in caplog.text
    assert "c2VjcmV0" not in caplog.text


class TestAllowed:
    """Which commands are switched off, and that guest-info tells it."""

    @staticmethod
    def enabled(asker: Asker) -> set[str]:
        commands = asker.ask("guest-info")["supported_commands"]
        return {command["name"] for command in commands if command["enabled"]}

    def test_functions_that_are_left_out_take_their_commands_with_them(self, tmp_path: Path) -> None:
        asker = Asker(tmp_path, functions=("file",))
        enabled = self.enabled(asker)
        assert {"guest-file-open", "commissaire-inject-file", PING} <= enabled
        assert not enabled & {"guest-exec", "guest-set-user-password", "commissaire-reset-network"}
        answer = asker.answer("guest-exec", path="/bin/true")
        assert answer["error"]["class"] == "CommandNotFound"
        assert answer["error"]["desc"].startswith("Command guest-exec has been disabled")

    def test_a_blocked_command_is_off(self, tmp_path: Path) -> None:
        asker = Asker(tmp_path, block_commands=("guest-exec",))
        assert "guest-exec" not in self.enabled(asker)
        assert "blocked" in asker.error("guest-exec", path="/bin/true")
        assert "guest-exec-status" in self.enabled(asker)

    def test_of_an_allow_list_blocked_ones_are_left_out(self, tmp_path: Path) -> None:
        asker = Asker(tmp_path, allow_commands=(PING, "guest-info"), block_commands=(PING,))
        assert self.enabled(asker) == {"guest-info"}
        assert "blocked" in asker.error(PING)
        assert "not allowed" in asker.error("guest-get-time")

    def test_a_machine_is_not_shut_down_by_an_agent_of_a_folder(self, tmp_path: Path) -> None:
        asker = Asker(tmp_path)
        assert "guest-shutdown" not in self.enabled(asker)
        assert str(tmp_path) in asker.error("guest-shutdown")

    def test_every_command_that_is_told_of_exists(self, tmp_path: Path) -> None:
        from importlib import import_module

        from singularity.qemu.commands import COMMANDS

        for command in COMMANDS.values():
            assert callable(getattr(import_module(f"singularity.qemu.{command.module}"), command.function))
        assert {entry["name"] for entry in Asker(tmp_path).ask("guest-info")["supported_commands"]} == set(COMMANDS)
