"""What a guest agent of the QEMU guest agent's dialect is asked, where it is Commissaire's."""

import base64
import json

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_file import GuestFile, Wanted
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu import QemuGuest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu_file import QemuFiles
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_qemu_network import QemuNetwork
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_update import PLACE, refusal, update, version_of

OWN = ["commissaire-inject-file", "commissaire-reset-network", "commissaire-agent-update"]
FILES = ["guest-file-open", "guest-file-read", "guest-file-close", "guest-file-write", "guest-file-flush"]
GIVEN = {"url": None, "src": None, "md5": None, "sha256": None, "signature": None}


class Lines:
    """An agent that knows these commands, and answers with what `says` has for them; it notes what it is asked."""

    def __init__(self, *commands, says=None):
        self.commands = ["guest-info", *commands]
        self.says = {"guest-info": {"version": "1.2", "supported_commands": self.known()}, **(says or {})}
        self.asked = []

    def known(self):
        return [{"name": name, "enabled": not name.startswith("guest-set")} for name in self.commands]

    def exchange(self, question, seconds):
        asked = json.loads(question)
        if asked["execute"] != "guest-info":
            self.asked.append((asked["execute"], asked.get("arguments", {})))
        return json.dumps({"return": self.says.get(asked["execute"], {})})


def test_our_agent_is_known_by_its_commands():
    guest = QemuGuest(Lines(*OWN), 5)
    assert (guest.is_ours(), version_of(guest)) == (True, "1.2")
    assert guest.describe()["agent"]["name"] == "commissaire-guest"
    other = QemuGuest(Lines("guest-exec"), 5)
    with pytest.raises(GuestError, match=r"its agent is qemu-guest-agent 1\.2, which its distribution updates"):
        version_of(other)


def test_a_command_that_is_blocked_or_unknown_is_not_asked_for():
    lines = Lines("guest-set-user-password")
    with pytest.raises(GuestError, match="has blocked guest-set-user-password; allow it there"):
        QemuGuest(lines, 5).set_password("root", "x", False)
    with pytest.raises(GuestError, match="does not know guest-exec; allow it there"):
        QemuGuest(lines, 5).run(["true"])
    assert lines.asked == []


def test_our_agent_writes_a_file_in_one_message():
    lines = Lines(*OWN)
    QemuFiles(QemuGuest(lines, 5)).apply("/a", Wanted(b"new", "0600", "ann"), None)
    expected = {"path": "/a", "buf-b64": base64.b64encode(b"new").decode(), "mode": "0600", "owner": "ann"}
    assert lines.asked == [("commissaire-inject-file", expected)]


def test_our_agent_changes_a_mode_without_commands():
    lines = Lines(*OWN)
    QemuFiles(QemuGuest(lines, 5)).apply("/a", Wanted(mode="0600"), GuestFile(b"old"))
    assert lines.asked[0][1] == {"path": "/a", "buf-b64": base64.b64encode(b"old").decode(), "mode": "0600"}


def test_our_agent_is_given_a_network_whole():
    lines = Lines(*OWN)
    with QemuNetwork(QemuGuest(lines, 5), None, 5) as network:
        assert network.differs({"hostname": "ns"}) is None
        network.reset({"hostname": "ns"})
    assert lines.asked == [("commissaire-reset-network", {"vm-data": {"hostname": "ns"}})]


def test_our_agent_says_what_would_change_where_it_runs_commands():
    status = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(b"+ diff\n").decode()}
    lines = Lines(*OWN, "guest-exec", says={"guest-exec": {"pid": 5}, "guest-exec-status": status})
    with QemuNetwork(QemuGuest(lines, 5), None, 5) as network:
        assert network.differs({"hostname": "ns"}) == "+ diff\n"
    told = lines.asked[0][1]
    assert [told["path"], *told["arg"]] == ["commissaire-guest", "apply", "network", "--vm-data", "-", "--noop"]
    assert json.loads(base64.b64decode(told["input-data"])) == {"hostname": "ns"}


def test_another_agent_needs_our_program_for_a_network():
    with pytest.raises(GuestError, match="there is no agent_program to put into it"):
        QemuNetwork(QemuGuest(Lines("guest-exec"), 5), None, 5).differs({"hostname": "ns"})


def test_our_agent_is_updated_from_a_url_or_from_a_file_put_there():
    lines = Lines(*OWN)
    update(QemuGuest(lines, 5), {**GIVEN, "url": "http://x/y", "md5": "00"}, None, 5)
    assert lines.asked == [("commissaire-agent-update", {"url": "http://x/y", "md5": "00"})]
    lines.asked.clear()
    update(QemuGuest(lines, 5), {**GIVEN, "src": "/x"}, b"program", 5)
    assert [name for name, _ in lines.asked] == ["commissaire-inject-file", "commissaire-agent-update"]
    assert lines.asked[0][1]["path"] == PLACE
    assert lines.asked[1][1]["url"] == f"file://{PLACE}"
    assert len(lines.asked[1][1]["sha256"]) == 64


def test_an_update_needs_a_program_and_its_digest():
    guest = QemuGuest(Lines(*OWN), 5)
    assert refusal(guest, GIVEN) == "give url and a digest, or src"
    assert refusal(guest, {**GIVEN, "url": "http://x"}) == "give the digest of what is at url, sha256 or md5"
    assert refusal(guest, {**GIVEN, "url": "http://x", "md5": "00"}) == refusal(guest, {**GIVEN, "src": "/x"}) == ""


def test_a_disk_that_is_full_is_told():
    lines = Lines(*FILES, says={"guest-file-open": 1, "guest-file-write": {"count": 0, "eof": False}})
    with pytest.raises(GuestError, match="writes nothing more to /a; is its disk full"):
        QemuGuest(lines, 5).agent.write("/a", b"x")
    assert lines.asked[-1] == ("guest-file-close", {"handle": 1})
