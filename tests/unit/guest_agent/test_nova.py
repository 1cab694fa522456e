"""nova's dialect: what is asked, leniently read, and answered in a form that every host reads."""

from __future__ import annotations

import base64
import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from singularity import __version__, functions, nova
from singularity.errors import Refused
from singularity.guest import Guest
from singularity.key_exchange import BASE, PRIME
from singularity.nova import Nova
from unit.guest_agent.agent_doubles import StillChannel, memory_guest
from unit.guest_agent.test_key_exchange import CIPHER_TEXT, SHARED


@pytest.fixture
def guest() -> Guest:
    return memory_guest()


def ask(guest: Guest, name: Any, value: Any = "", channel: StillChannel | None = None) -> dict[str, str]:
    return raw(guest, json.dumps({"name": name, "value": value}), channel)


def raw(guest: Guest, message: bytes | str, channel: StillChannel | None = None) -> dict[str, str]:
    answer = Nova(guest).answer(message, channel or StillChannel())
    assert all(32 <= byte <= 126 and byte != ord("\\") for byte in answer)
    reply: dict[str, str] = json.loads(answer)
    assert set(reply) == {"returncode", "message"}
    assert all(isinstance(part, str) for part in reply.values())
    return reply


def test_version_answers_with_digits_and_dots(guest: Guest) -> None:
    assert Nova(guest).answer('{"name":"version", "value":"agent"}', StillChannel()) == (
        b'{"message":"1.0.0", "returncode":"0"}'
    )
    assert set(__version__) <= set("0123456789.")


def test_features_names_what_is_on(guest: Guest) -> None:
    named = ask(guest, "features")["message"].split(",")
    seed = {"resetnetwork", "injectfile", "version", "password", "features", "keyinit"}
    assert seed | {"file_inject", "agentupdate"} <= set(named)
    assert named == list(dict.fromkeys(named))


def test_what_is_switched_off_is_no_feature_and_no_command() -> None:
    guest = memory_guest(functions=("password",))
    assert ask(guest, "features")["message"] == "version,password,features,keyinit"
    assert ask(guest, "injectfile")["returncode"] == "404"
    silent = memory_guest(functions=())
    assert ask(silent, "features")["message"] == "version,features"
    assert ask(silent, "keyinit", "5") == {"returncode": "404", "message": "No such agent command"}


@pytest.mark.parametrize("name", ["kmsactivate", "", "Version", "functions", "../version", None, 5, [], {}, True])
def test_anything_else_is_no_such_command(guest: Guest, name: Any) -> None:
    assert ask(guest, name) == {"returncode": "404", "message": "No such agent command"}


def test_every_function_is_the_module_that_the_table_says() -> None:
    for name, item in functions.FUNCTIONS.items():
        module: Any = functions.find(name, memory_guest())
        assert (name, item) == (module.NAME, module.ITEM)


def test_the_seeds_exchange_is_answered(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    channel, set_for = StillChannel(), []
    keyinit = ask(guest, "keyinit", "126190143978468524724357084322869", channel)
    assert keyinit["returncode"] == "D0"
    assert 1 < int(keyinit["message"]) < PRIME
    channel.exchange._shared = SHARED  # what came of the seed's own private key
    accounts: Any = SimpleNamespace(set_password=lambda files, user, text: set_for.append((user, text)) or "$6$x")
    monkeypatch.setattr("singularity.accounts", accounts, raising=False)
    monkeypatch.setitem(__import__("sys").modules, "singularity.accounts", accounts)
    value = base64.b64encode(CIPHER_TEXT).decode()
    assert ask(guest, "password", value, channel) == {"returncode": "0", "message": ""}
    assert set_for == [("root", b"3JMxMps62singularity-test")]
    assert guest.cache.read("password") == {"root": "$6$x"}
    assert ask(guest, "password", value, channel)["message"] == "Password without key exchange"


@pytest.mark.parametrize("public", [5, "5", " 5\n", pow(BASE, 99, PRIME), str(pow(BASE, 99, PRIME))])
def test_a_public_key_is_a_number_or_its_digits(guest: Guest, public: Any) -> None:
    assert ask(guest, "keyinit", public)["returncode"] == "D0"


@pytest.mark.parametrize("public", ["", "x", "-5", "5.0", 5.5, True, None, [], {}, "1" * 65, "٥", 10**120])  # noqa: RUF001
def test_what_is_no_public_key_is_refused(guest: Guest, public: Any) -> None:
    assert ask(guest, "keyinit", public) == {"returncode": "500", "message": "Invalid public key"}


@pytest.mark.parametrize("value", ["!", "abc", 5, None, {}, "ä", "YQ"])
def test_a_password_that_is_no_base64_is_refused(guest: Guest, value: Any) -> None:
    assert ask(guest, "password", value) == {"returncode": "500", "message": "Couldn't decode base64 data"}


def test_a_password_needs_a_key_exchange_over_the_same_channel(guest: Guest) -> None:
    ask(guest, "keyinit", "5", StillChannel())
    value = base64.b64encode(b"x" * 16).decode()
    assert ask(guest, "password", value) == {"returncode": "500", "message": "Password without key exchange"}


def test_a_password_that_was_encrypted_by_another_key_is_refused(guest: Guest) -> None:
    channel = StillChannel()
    ask(guest, "keyinit", "5", channel)
    value = base64.b64encode(b"x" * 17).decode()
    assert ask(guest, "password", value, channel) == {"returncode": "500", "message": "Invalid password data received"}


def test_a_wrapped_value_with_raw_newlines_is_read(guest: Guest) -> None:
    encoded = base64.encodebytes(b"/etc/motd," + b"long " * 40).decode()
    assert "\n" in encoded
    assert raw(guest, f'{{"name": "injectfile", "value": "{encoded}"}}\n')["returncode"] == "0"
    assert guest.files.written == {"/etc/motd": b"long " * 40}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        b"garbage",
        b"{",
        b'{"name":"version"',
        b"[]",
        b"5",
        b"null",
        b'"version"',
        b"\xff\xfe",
        b"[" * 100000,
        b'{"a":' * 50000,
        b'{"name": "version", "value": NaN, ]',
    ],
    ids=lambda message: repr(message[:16]),
)
def test_what_is_no_request_is_answered_with_500(guest: Guest, message: bytes) -> None:
    assert raw(guest, message)["returncode"] == "500"


def test_a_request_may_have_what_nobody_asked_for(guest: Guest) -> None:
    assert raw(guest, '\ufeff {"value": 1, "name": "x", "name": "version", "id": [1]} \0\n')["returncode"] == "0"
    assert raw(guest, '{"name": "version"}')["returncode"] == "0"


def test_a_number_that_is_too_long_to_be_meant_is_not_computed(guest: Guest) -> None:
    assert raw(guest, f'{{"name": "keyinit", "value": {"9" * 1000000}}}')["message"] == "Invalid public key"


def test_a_reply_has_no_character_that_hosts_escape() -> None:
    assert nova.reply("500", 'a "quote" \\ back\nslash\x7f ü 😀') == (
        b'{"message":"a \'quote\' / back?slash? ? ?", "returncode":"500"}'
    )


def test_a_long_message_is_cut() -> None:
    assert len(nova.reply("500", "x" * 5000)) < 1100


def test_a_function_that_fails_is_answered_and_its_message_is_told_nobody(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ValueError("the secret is 12345")

    monkeypatch.setattr("singularity.functions.version.answer", fail)
    monkeypatch.setattr(logging.getLogger("singularity"), "propagate", True)
    caplog.set_level("DEBUG")
    reply = ask(guest, "version")
    assert reply == {
        "returncode": "500",
        "message": "version failed inside the agent (ValueError); its log says where",
    }
    assert "ValueError at" in caplog.text
    assert "12345" not in caplog.text + reply["message"]


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError("x"), AssertionError])
def test_whatever_a_function_raises_is_answered(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr("singularity.functions.version.answer", fail)
    assert ask(guest, "version")["returncode"] == "500"


def test_a_full_disk_is_said(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device", "/etc/motd")

    monkeypatch.setattr("singularity.functions.version.answer", full)
    assert ask(guest, "version")["message"] == "version failed: /etc/motd: No space left on device"


def test_a_refusal_has_its_own_returncode(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise Refused("not today", "409")

    monkeypatch.setattr("singularity.functions.version.answer", refuse)
    assert ask(guest, "version") == {"returncode": "409", "message": "not today"}


def test_nothing_that_is_asked_for_gets_into_the_log(guest: Guest, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("singularity").propagate = True
    caplog.set_level("DEBUG")
    secret = base64.b64encode(b"/etc/motd,SECRET").decode()
    ask(guest, "injectfile", secret)
    ask(guest, "password", secret)
    ask(guest, "keyinit", secret)
    assert secret not in caplog.text
    assert "SECRET" not in caplog.text
