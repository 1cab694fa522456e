"""The door that is open while enough hosts answer."""

from ansible_collections.commissaire.fleet.plugins.plugin_utils import health_door
from ansible_collections.commissaire.fleet.plugins.plugin_utils.health_door import HealthDoor, read_ports
from ansible_collections.commissaire.fleet.plugins.plugin_utils.shared_value import SharedValue


def test_one_look_serves_all_who_wait_for_as_long_as_it_is_fresh(tmp_path, monkeypatch):
    now, looks = [1000.0], []
    answers = iter([{"h2", "h3"}, {"h2", "h3"}, {"h2"}])

    def look(ports):
        looks.append(sorted(ports))
        return frozenset(next(answers))

    monkeypatch.setattr(health_door, "look", look)
    monkeypatch.setattr(health_door.time, "time", lambda: now[0])
    ports = {name: (name, 22) for name in ("h1", "h2", "h3")}
    hosts = ["h1", "h2", "h3"]
    one, other = (HealthDoor(SharedValue(str(tmp_path), "play", "health"), ports, hosts, 2, 100) for _ in range(2))

    def ask(door):
        return door.plan(door.look(frozenset()), frozenset())

    assert (ask(one).action, ask(other).action) == ("wait", "wait")
    assert len(looks) == 1
    now[0] += 101
    assert (ask(other).action, ask(one).action) == ("refuse", "refuse")
    assert len(looks) == 2
    now[0] += 5
    assert (ask(one), ask(other)) == (None, None)
    assert looks == [hosts] * 3


def test_a_host_under_way_is_known_by_its_address_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(health_door, "look", lambda _ports: frozenset())
    ports = {"h1": ["10.0.0.1", 22], "h2": ["10.0.0.2", 22], "10.0.0.1": ["10.0.0.1", 22], "10.0.0.2": ["10.0.0.2", 22]}
    door = HealthDoor(SharedValue(str(tmp_path), "play", "health"), ports, ["10.0.0.1", "10.0.0.2"], 2, 100)
    seen = door.look(frozenset())
    assert door.plan(seen, frozenset()) is None
    waiting = door.plan(seen, frozenset({"h1", "h3"}))
    assert waiting.message == "waits: only 1 of 2 hosts answer, min_healthy is 2 (10.0.0.1 under way)"


def test_of_nodes_those_count_that_are_ready(tmp_path, monkeypatch):
    monkeypatch.setattr(health_door, "look", lambda _ports: frozenset({"h1"}))
    found = [(frozenset({"h2"}), ""), (frozenset({"h1", "h2", "h3"}), "the API server is away")]
    monkeypatch.setattr(health_door, "out_of_service", lambda clusters: found[len(clusters) - 1])
    shared = SharedValue(str(tmp_path), "play", "health")
    cluster = ["/k", "", {host: [[host], ""] for host in ("h1", "h2", "h3")}]
    hosts = ["h1", "h2", "h3"]
    door = HealthDoor(shared, {}, hosts, 2, 100, [cluster])
    told = door.plan(door.look(frozenset()), frozenset()).message
    assert told == "waits: only 1 of 3 hosts are Ready, min_healthy is 2 (h1, h2 away)"
    other = HealthDoor(SharedValue(str(tmp_path), "other", "health"), {}, hosts, 2, 100, [cluster, cluster])
    told = other.plan(other.look(frozenset()), frozenset()).message
    assert told.endswith("only 0 of 3 hosts are Ready, min_healthy is 2 (h1, h2, h3 away; the API server is away)")


def test_hosts_are_asked_where_ansible_would_connect():
    variables = {
        "h1": {"ansible_host": "10.0.0.1", "ansible_port": "2222"},
        "h2": {},
        "h3": {"ansible_connection": "local"},
        "h4": {"ansible_connection": "ssh", "ansible_host": ""},
    }
    assert read_ports(["h1", "h2", "h3", "h4", "10.0.0.9"], variables) == {
        "h1": ("10.0.0.1", 2222),
        "h2": ("h2", 22),
        "h4": ("h4", 22),
        "10.0.0.9": ("10.0.0.9", 22),
    }


def test_a_shared_value_is_made_once(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"h1": ["10.0.0.1", 22]}

    first, second = (SharedValue(str(tmp_path), "play", "ports").get(make) for _ in range(2))
    assert (first, second, len(made)) == ({"h1": ["10.0.0.1", 22]}, first, 1)
    assert SharedValue(str(tmp_path), "another", "ports").read() is None
