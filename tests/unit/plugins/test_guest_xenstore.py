"""Requests to a guest agent by way of xenstore."""

import json
import time

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_agent import GuestError
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_xenstore import XenstoreMessages, domain_number
from ansible_collections.commissaire.fleet.plugins.module_utils.xenstore import Xenstore

from unit.plugins.nova_agent import NovaAgent
from unit.plugins.xenstored import running

HOME = "/local/domain/7"
VERSION = {"name": "version", "value": "agent"}


@pytest.fixture
def store(tmp_path):
    with running(tmp_path / "socket") as found:
        found.agent = NovaAgent()
        yield found


@pytest.fixture
def client(store):
    client = Xenstore(str(store.path))
    yield client
    client.close()


def test_a_reply_comes_by_a_watch_and_nothing_is_left(store, client):
    messages = XenstoreMessages(client, 7)
    start = time.monotonic()
    for _ in range(3):
        assert json.loads(messages.exchange(VERSION, 5)) == {"returncode": "0", "message": "1.0"}
    assert time.monotonic() - start < 2
    assert store.requests == [VERSION] * 3
    assert store.below(f"{HOME}/data") == {}


def test_a_request_that_nobody_takes_is_taken_back(store, client):
    store.agent = None
    with pytest.raises(GuestError, match=r"has not taken version within 0\.1 s; is one running within the domain"):
        XenstoreMessages(client, 7).exchange(VERSION, 0.1)
    assert store.below(f"{HOME}/data") == {}


def test_a_request_that_is_taken_and_not_answered_is_told_apart(store, client):
    store.agent.says["version"] = None
    with pytest.raises(GuestError, match=r"has taken version, and not replied within 0\.2 s; see its log"):
        XenstoreMessages(client, 7).exchange(VERSION, 0.2)


def test_what_interrupted_runs_of_ours_left_is_removed_and_nothing_else(store, client):
    old, new = f"commissaire-{int(time.time()) - 7200:x}-aa", f"commissaire-{int(time.time()):x}-bb"
    others = {"guest/5e0cb5d2-2e4d-4cf4-8d68-0ecf8fd84ba9": "{}", f"guest/{new}": "{}", "host/commissaire-x": "{}"}
    for name, value in {**others, f"guest/{old}": "{}", f"host/{old}": "{}"}.items():
        store.tree[f"{HOME}/data/{name}"] = value.encode()
    XenstoreMessages(client, 7).exchange(VERSION, 5)
    assert store.below(f"{HOME}/data").items() >= others.items()
    assert not [name for name in store.below(f"{HOME}/data") if old in name]


def test_vm_data_is_written_at_once_and_what_is_not_wanted_is_removed(store, client):
    store.tree[f"{HOME}/vm-data/networking/AA"] = b"{}"
    store.tree[f"{HOME}/vm-data/other"] = b"stays"
    store.conflicts = 1
    messages = XenstoreMessages(client, 7)
    messages.write_vm_data({"hostname": "ns", "networking/BB": "{}"})
    assert store.commits == 1
    assert store.below(f"{HOME}/vm-data") == {"hostname": "ns", "networking/BB": "{}", "other": "stays"}
    assert messages.vm_data() == {"hostname": "ns", "networking/BB": "{}"}


def test_a_value_has_a_limit_of_its_own(client):
    with pytest.raises(GuestError, match="is too large for xenstore, which takes 2048 here"):
        XenstoreMessages(client, 7, 2048).exchange({"name": "x", "value": "y" * 2048}, 1)
    with pytest.raises(GuestError, match="is too large for xenstore, which takes 40"):
        XenstoreMessages(client, 7).exchange({"name": "x", "value": "y" * 4096}, 1)


def test_a_domain_is_found_by_its_name_or_number(store, client):
    assert domain_number(client, "ns", None) == 7
    assert domain_number(client, None, 7) == 7
    with pytest.raises(GuestError, match="there is no such domain"):
        domain_number(client, "none", None)
    with pytest.raises(GuestError, match="there is no such domain"):
        domain_number(client, None, 8)
    store.tree["/local/domain/9/name"] = b"ns"
    with pytest.raises(GuestError, match="several domains have this name; give domid"):
        domain_number(client, "ns", None)
