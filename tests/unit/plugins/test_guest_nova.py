"""What a guest agent of the nova dialect is asked, and what is made of its replies."""

import json

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError, GuestRefused
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_nova import NovaGuest

from unit.plugins.nova_agent import NovaAgent


class Messages:
    """Carries requests to an agent of this process; `limit` is what a request may have."""

    def __init__(self, agent, limit=None):
        self.agent = agent
        self.waited = []
        if limit:
            self.room = lambda request: limit - len(json.dumps(request, separators=(",", ":")))

    def exchange(self, request, seconds):
        self.waited.append((request["name"], seconds))
        return json.dumps(self.agent(request))


def guest_of(agent, limit=None):
    return NovaGuest(Messages(agent, limit), 30)


def test_it_tells_its_version_and_features_and_nothing_else():
    told = guest_of(NovaAgent("version,features,password")).describe()
    agent = {"name": None, "version": "1.0", "dialect": "nova", "features": ["features", "password", "version"]}
    assert told.pop("agent") == agent
    assert {*told.values()} == {None}


def test_a_password_is_sent_with_new_keys_each_time():
    agent = NovaAgent()
    guest = guest_of(agent)
    for password in ("grüße s3cret", "other"):
        guest.set_password(password)
    assert agent.passwords == ["grüße s3cret\n", "other\n"]


def test_a_file_goes_in_the_form_that_the_agent_knows():
    older, newer = NovaAgent(), NovaAgent("features,file_inject,injectfile")
    guest_of(older).write("/etc/bücher", b"\0one,two")
    guest_of(newer).write("/etc/bücher, more", b"\0one,two")
    assert older.files == {"/etc/bücher".encode(): b"\0one,two"}
    assert newer.files == {"/etc/bücher, more".encode(): b"\0one,two"}
    with pytest.raises(GuestError, match="takes no path with a comma"):
        guest_of(older).write("/a,b", b"")


@pytest.mark.parametrize("features", ["injectfile", "injectfile,file_inject"])
@pytest.mark.parametrize("path", ["/etc/motd", "/a", "/bü", "/root/.ssh/authorized_keys"])
def test_the_limit_that_is_told_is_the_limit(features, path):
    agent = NovaAgent(features)
    guest = guest_of(agent, limit=1000)
    with pytest.raises(GuestError, match="by xenstore a file can't go in pieces") as refused:
        guest.write(path, b"x" * 1000)
    most = int(str(refused.value).split("no more than ")[1].split()[0])
    guest.write(path, b"x" * most)
    assert [len(content) for content in agent.files.values()] == [most]
    with pytest.raises(GuestError, match=f"no more than {most} fit"):
        guest.write(path, b"x" * (most + 1))


def test_a_path_that_is_too_long_by_itself_is_told():
    with pytest.raises(GuestError, match="its path alone is too long"):
        guest_of(NovaAgent(), limit=100).write("/" + "x" * 200, b"")


def test_nothing_is_written_in_check_mode():
    agent = NovaAgent()
    guest_of(agent).write("/a", b"x", check_mode=True)
    assert agent.files == {}


def test_a_network_may_take_longer():
    guest = guest_of(NovaAgent())
    guest.reset_network()
    assert guest.channel.waited == [("resetnetwork", 60)]


def test_what_the_agent_refuses_is_told_in_its_words():
    agent = NovaAgent()
    agent.says["resetnetwork"] = {"returncode": "500", "message": "no such MAC address"}
    with pytest.raises(GuestRefused, match=r"its guest agent refuses resetnetwork: no such MAC address \(500\)"):
        guest_of(agent).reset_network()
    with pytest.raises(GuestRefused, match=r"refuses unknown: No such agent command \(404\)"):
        guest_of(agent).ask("unknown")


@pytest.mark.parametrize("reply", ["", "[]", "{}", '{"returncode": "0"}', "nonsense"])
def test_a_reply_that_is_none_is_told(reply):
    guest = guest_of(NovaAgent())
    guest.channel.exchange = lambda request, seconds: reply
    with pytest.raises(GuestError, match="its guest agent's reply to version can't be read"):
        guest.version()


def test_a_reply_may_have_numbers_and_raw_line_breaks():
    guest = guest_of(NovaAgent())
    guest.channel.exchange = lambda request, seconds: '{"returncode": 0, "message": "1.0\n"}'
    assert guest.version() == "1.0"
