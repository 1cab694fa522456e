"""Guest agents by way of libvirt: what is told of machines whose agent does not answer."""

import sys
from types import SimpleNamespace

import pytest

libvirt = pytest.importorskip("libvirt", reason="no libvirt-python here; make setup builds it with libvirt-dev")

from ansible_collections.commissaire.fleet.plugins.module_utils import guest_connection, guest_libvirt  # noqa: E402
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import (  # noqa: E402
    GuestAgent,
    GuestError,
    GuestRefused,
)
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_libvirt import LibvirtLines, machine  # noqa: E402

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{}'/></channel>"
CONNECTED, DISCONNECTED = CHANNEL.format("connected"), CHANNEL.format("disconnected")


def domain(active=True, devices=CONNECTED):
    xml = f"<domain><devices>{devices}</devices></domain>"
    return SimpleNamespace(isActive=lambda: active, XMLDesc=lambda flags: xml, UUIDString=lambda: UUID)


def connection(found):
    return SimpleNamespace(lookupByName=lambda name: found)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "there is no such machine; vm_info tells which there are"),
        (domain(active=False), "the machine is off; start it"),
        (
            domain(devices=""),
            r"it has no channel org\.qemu\.guest_agent\.0; give it one \(module vm, guest_agent: true\)",
        ),
    ],
)
def test_a_machine_that_no_agent_can_answer_for_is_told(found, words):
    with pytest.raises(GuestError, match=words):
        machine(connection(found), "ns")


def test_a_machine_that_has_the_name_of_another_by_now_is_not_taken_for_it():
    assert machine(connection(domain()), "ns", UUID.upper())
    with pytest.raises(GuestError, match=f"another machine is called so: its UUID is {UUID}"):
        machine(connection(domain()), "ns", "00000000-f6a4-8304-79aa-97f2502e193f")


def test_what_a_guest_says_is_not_compared_with_the_hypervisors_password():
    params = {"uri_username": "ann", "uri_password": "s3cret word"}
    module = SimpleNamespace(params=dict(params), no_log_values={"s3cret word", "another"})
    for _ in range(2):
        assert guest_connection._access(module).password == "s3cret word"
        assert module.params["uri_password"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        assert module.no_log_values == {"another"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (domain(devices=DISCONNECTED), "no agent is connected; start qemu-guest-agent or commissaire-guest within"),
        (domain(), r"see within the machine what its agent is doing, or give it more time \(timeout_seconds\)"),
        (domain(active=False), "the machine is off; start it"),
    ],
)
def test_an_agent_that_does_not_answer_is_told_with_the_next_step(monkeypatch, asked, words):
    def command(*_):
        raise libvirt.libvirtError("Guest agent is not responding")

    monkeypatch.setitem(sys.modules, "libvirt_qemu", SimpleNamespace(qemuAgentCommand=command))
    with pytest.raises(GuestError, match=f"its guest agent does not answer: .*; {words}"):
        LibvirtLines(asked).exchange("{}", 5)


def test_what_an_agent_refuses_is_told_apart_from_silence(monkeypatch):
    def command(*_):
        raise libvirt.libvirtError(
            "internal error: unable to execute QEMU agent command 'guest-file-open': failed to open file '/none'"
        )

    monkeypatch.setitem(sys.modules, "libvirt_qemu", SimpleNamespace(qemuAgentCommand=command))
    with pytest.raises(GuestRefused, match="refuses guest-file-open: failed to open file '/none'"):
        GuestAgent(LibvirtLines(domain())).read("/none")


def test_a_message_that_libvirt_does_not_take_is_refused():
    with pytest.raises(GuestError, match="is too large for libvirt"):
        LibvirtLines(domain()).exchange("x" * 5_000_000, 5)


def test_a_short_time_is_a_second_at_least(monkeypatch):
    asked = []
    command = SimpleNamespace(qemuAgentCommand=lambda *given: asked.append(given[1:]) or '{"return": {}}')
    monkeypatch.setitem(sys.modules, "libvirt_qemu", command)
    assert GuestAgent(LibvirtLines(domain()), 0.2).ask("guest-ping") == {}
    assert asked == [('{"execute": "guest-ping"}', 1, 0)]


def test_an_agent_that_was_too_slow_to_be_asked_is_asked_again_and_no_other(monkeypatch):
    clock, calls, patience = [0.0], [], 30

    def command(_domain, question, seconds, _flags):
        calls.append(question)
        clock[0] += 5.2 if len(calls) < 4 else seconds
        raise libvirt.libvirtError("Guest agent is not responding: Guest agent not available for now")

    monkeypatch.setattr(guest_libvirt.time, "monotonic", lambda: clock[0])
    monkeypatch.setitem(sys.modules, "libvirt_qemu", SimpleNamespace(qemuAgentCommand=command))
    with pytest.raises(GuestError, match="does not answer"):
        LibvirtLines(domain()).exchange("{}", patience)
    assert len(calls) == 4, "the fourth time it was asked, and said nothing"
