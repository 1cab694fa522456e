"""The client of xenstored, over its socket."""

import time

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.xenstore import Xenstore, XenstoreError

from unit.plugins.xenstored import running


@pytest.fixture
def store(tmp_path):
    with running(tmp_path / "socket") as found:
        yield found


@pytest.fixture
def client(store):
    client = Xenstore(str(store.path))
    yield client
    client.close()


def test_a_node_is_written_read_listed_and_removed(client):
    client.write("/a/b", "grüße".encode())
    assert client.read("/a/b") == "grüße".encode()
    assert client.list("/a") == ["b"]
    client.remove("/a/b")
    client.remove("/a/b")
    assert client.read("/a/b") is None
    assert client.list("/a") == []


def test_a_folder_too_large_for_a_message_is_listed_in_parts(client, store):
    names = [f"{number:036}" for number in range(200)]
    store.tree.update({f"/many/{name}": b"" for name in names})
    assert client.list("/many") == names


def test_a_value_too_large_is_refused_before_it_is_sent(client):
    client.write("/a", b"x" * (4096 - 3))
    with pytest.raises(XenstoreError, match=r"4097 bytes are too many for xenstore, which takes 4096"):
        client.write("/a", b"x" * (4096 - 2))


def test_a_watch_tells_of_the_beginning_and_of_each_change(client, store):
    client.watch("/a", "token")
    assert client.wait(time.monotonic() + 5) == "token"
    assert client.wait(time.monotonic() + 0.05) is None
    store.put("/a/b", "1")
    assert client.wait(time.monotonic() + 5) == "token"
    client.unwatch("/a", "token")
    store.put("/a/b", "2")
    assert client.wait(time.monotonic() + 0.05) is None


def test_a_transaction_that_others_came_between_is_done_again(client, store):
    store.conflicts = 2
    done = []
    assert client.transaction(lambda: done.append(1) or "result") == "result"
    assert (len(done), store.commits) == (3, 1)


def test_a_transaction_that_fails_is_given_up(client, store):
    with pytest.raises(ZeroDivisionError):
        client.transaction(lambda: 1 / 0)
    assert store.commits == 0
    client.write("/a", b"")


def test_a_store_that_can_not_be_reached_is_named(tmp_path):
    with pytest.raises(XenstoreError, match=rf"xenstored can't be reached at {tmp_path}/none: .*socket right\?"):
        Xenstore(str(tmp_path / "none"))
