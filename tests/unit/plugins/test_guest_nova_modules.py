"""The modules that ask guest agents, run as Ansible runs them, against an agent of the nova dialect in a xenstore."""

import json

import pytest

from direct_module import run_directly
from unit.plugins.nova_agent import NovaAgent
from unit.plugins.xenstored import running

VM_DATA = "/local/domain/7/vm-data"
INTERFACE = {"mac": "52:54:00:12:34:56", "ips": [{"ip": "192.0.2.10", "netmask": "24"}], "gateway": "192.0.2.1"}


class Domain:
    """A domain with an agent."""

    def __init__(self, store):
        self.store = store
        self.agent = store.agent = NovaAgent()

    def run(self, module, check=False, **arguments):
        given = {"transport": "xenstore", "socket": str(self.store.path), "name": "ns", "timeout_seconds": 5}
        return run_directly(module, check, {**given, **arguments})

    def asked(self):
        return [request["name"] for request in self.store.requests]


@pytest.fixture
def domain(tmp_path):
    with running(tmp_path / "socket") as store:
        yield Domain(store)


def test_it_tells_of_the_agent(domain):
    told = domain.run("guest_info")
    assert (told["agent"]["version"], told["agent"]["dialect"], told["hostname"]) == ("1.0", "nova", None)
    assert domain.run("guest_info", name=None, domid=7)["agent"] == told["agent"]
    assert domain.run("guest_info", name="none")["msg"].startswith("machine none: there is no such domain")


def test_a_password_is_set_for_root_only_and_in_nothing_that_is_said(domain):
    result = domain.run("guest_password", password="s3cret-s3cret")
    assert (result["changed"], domain.agent.passwords) == (True, ["s3cret-s3cret\n"])
    assert "s3cret" not in json.dumps(result)
    assert "s3cret" not in json.dumps(domain.store.requests)
    assert "only root's password can be set" in domain.run("guest_password", user="ann", password="x")["msg"]
    assert "and no hash" in domain.run("guest_password", password="x", crypted=True)["msg"]


def test_a_password_is_not_set_in_check_mode(domain):
    assert domain.run("guest_password", check=True, password="x")["changed"] is True
    assert domain.asked() == ["version"]


def test_a_file_is_written_each_time(domain):
    for _ in range(2):
        result = domain.run("guest_file", path="/etc/bücher", content="grüße\n")
        assert result["changed"] is True
    assert domain.agent.files == {"/etc/bücher".encode(): "grüße\n".encode()}
    assert "grüße" not in result["diff"]["after"]
    assert domain.run("guest_file", path="/a", content="x\n", secret=False, check=True)["diff"]["after"] == "x\n"
    assert len(domain.agent.files) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"state": "absent"}, "the dialect nova has nothing for state=absent"),
        ({"state": "fetched", "dest": "/tmp/x"}, "the dialect nova has nothing for state=fetched"),
        ({"content": "", "mode": "0600"}, "the dialect nova can set neither mode, owner nor group; leave them out"),
        ({}, "give its content"),
        ({"content": "x" * 5000}, "5000 bytes are too many for /etc/file: no more than 29"),
        ({"content": "x" * 2000, "value_limit": 2048}, "2000 bytes are too many for /etc/file: no more than 15"),
    ],
)
def test_what_the_dialect_has_not_is_refused(domain, arguments, words):
    result = domain.run("guest_file", path="/etc/file", **arguments)
    assert result["failed"] is True
    assert words in result["msg"]
    assert domain.agent.files == {}


def test_commands_are_refused(domain):
    assert "the dialect nova has nothing that runs commands" in domain.run("guest_command", argv=["true"])["msg"]


def test_a_network_is_told_of_in_vm_data(domain):
    given = {"hostname": "ns", "interfaces": [INTERFACE]}
    foreseen = domain.run("guest_network", check=True, **given)
    assert (foreseen["changed"], domain.store.below(VM_DATA), domain.agent.resets) == (True, {}, 0)
    result = domain.run("guest_network", **given)
    assert (result["changed"], result["diff"], domain.agent.resets) == (True, foreseen["diff"], 1)
    assert {*domain.store.below(VM_DATA)} == {"hostname", "networking/525400123456"}
    assert json.loads(domain.store.below(VM_DATA)["networking/525400123456"])["gateway"] == "192.0.2.1"
    assert domain.run("guest_network", **given)["changed"] is False
    assert domain.run("guest_network", hostname="other")["diff"]["after"]["hostname"] == "other"
    assert "networking/525400123456" in domain.store.below(VM_DATA)
    changed = domain.run("guest_network", interfaces=[{"mac": "52:54:00:00:00:01"}])
    assert {*changed["diff"]["after"]} == {"hostname", "networking/525400000001"}
    assert domain.store.below(VM_DATA)["hostname"] == "other"


def test_vm_data_is_put_back_when_the_agent_refuses_it(domain):
    domain.run("guest_network", hostname="ns")
    domain.agent.says["resetnetwork"] = {"returncode": "500", "message": "no such MAC"}
    result = domain.run("guest_network", interfaces=[INTERFACE])
    assert result["msg"] == "machine ns: its guest agent refuses resetnetwork: no such MAC (500)"
    assert domain.store.below(VM_DATA) == {"hostname": "ns"}


def test_an_agent_is_updated_until_it_answers_with_the_version(domain):
    given = {"url": "http://192.0.2.1/singularity-1.1", "md5": "0" * 32, "version": "1.1"}
    assert domain.run("guest_agent_update", check=True, **given)["changed"] is True
    assert domain.agent.version == "1.0"
    result = domain.run("guest_agent_update", **given)
    assert (result["changed"], result["version_before"], result["version"]) == (True, "1.0", "1.1")
    assert {"name": "agentupdate", "value": f"http://192.0.2.1/singularity-1.1,{'0' * 32}"} in domain.store.requests
    assert domain.run("guest_agent_update", **given)["changed"] is False


def test_an_agent_that_puts_its_old_program_back_has_failed(domain):
    domain.agent.says["agentupdate"] = {"returncode": "0", "message": ""}
    given = {"url": "http://192.0.2.1/singularity-1.1", "md5": "0" * 32, "version": "1.1", "timeout_seconds": 1}
    result = domain.run("guest_agent_update", **given)
    assert result["msg"].startswith("machine ns: after its update it still answers with version 1.0, not 1.1")
    assert "give url and md5" in domain.run("guest_agent_update", version="1.1")["msg"]
