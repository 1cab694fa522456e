"""The inventory of virtual machines, from hypervisors of libvirt's test driver and from one that hangs."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

BIN = Path(sys.executable).parent
OWNER = "<metadata><c:owner xmlns:c='https://commissaire.example.org/xmlns/domain/1'>{}</c:owner></metadata>"
STATES = {"running": 1, "paused": 3, "shut off": 5}

pytest.importorskip("libvirt", reason="needs libvirt-python: pip install libvirt-python, which needs libvirt-dev")


def domain(name, *, owner="", networks=("lab",), state="running", uuid="", memory_mb=64):
    ports = "".join(f"<interface type='network'><source network='{network}'/></interface>" for network in networks)
    return f"""<domain type='test' xmlns:t='http://libvirt.org/schemas/domain/test/1.0'><name>{escape(name)}</name>
      {f"<uuid>{uuid}</uuid>" if uuid else ""}<memory unit='MiB'>{memory_mb}</memory><vcpu>2</vcpu>
      {OWNER.format(escape(owner)) if owner else ""}<os><type>hvm</type></os><devices>{ports}</devices>
      <t:runstate>{STATES[state]}</t:runstate></domain>"""


@pytest.fixture
def hypervisor(tmp_path):
    """Return a function that makes a hypervisor of such domains, and returns its URI."""

    def make(name, *domains):
        networks = "".join(
            f"<network><name>{network}</name><ip address='192.168.{number}.1' netmask='255.255.255.0'/></network>"
            for number, network in enumerate(("lab", "dmz"))
        )
        path = tmp_path / f"{name}.xml"
        path.write_text(f"<node>{''.join(domains)}{networks}</node>")
        return f"test://{path}"

    return make


@pytest.fixture
def hung():
    """A hypervisor that lets anybody connect and says nothing; `hung.closed` tells when nobody is connected."""
    with Hung() as made:
        yield made


class Hung:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"qemu+tcp://127.0.0.1:{self.listener.getsockname()[1]}/system"
        self.closed = threading.Event()

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        connection, _ = self.listener.accept()
        with connection:
            while connection.recv(4096):
                pass
        self.closed.set()


@pytest.fixture
def run(tmp_path):
    """Return a function that runs one of Ansible's programs with an inventory of these options."""

    def call(*uris, command=("ansible-inventory", "--list", "--export"), python_path="", **options):
        source = tmp_path / "test.machines.yml"
        source.write_text(json.dumps({"plugin": "commissaire.fleet.machines", "uris": uris, **options}))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
        environment["PYTHONPATH"] = python_path
        return subprocess.run(
            [BIN / command[0], "-i", source, *command[1:]],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return call


@pytest.fixture
def listed(run):
    def read(*uris, **options):
        done = run(*uris, **options)
        assert (done.returncode, done.stderr) == (0, "")
        return plain(json.loads(done.stdout))

    return read


def plain(value):
    """Leave out how Ansible says of a text that it is no template."""
    if isinstance(value, dict):
        inner = value.get("__ansible_unsafe")
        return inner if inner is not None else {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def hosts(inventory):
    return set(inventory["_meta"]["hostvars"])


def test_machines_are_hosts_with_variables_and_groups(listed, hypervisor):
    uri = hypervisor(
        "one", domain("web", owner="ann", networks=("lab", "dmz")), domain("db", state="shut off", memory_mb=128)
    )
    inventory = listed(uri)
    web, db = (inventory["_meta"]["hostvars"][name] for name in ("web", "db"))
    assert (web["vm_name"], web["vm_owner"], web["vm_networks"]) == ("web", "ann", ["lab", "dmz"])
    assert (web["vm_state"], web["vm_hypervisor"], web["vm_memory_mb"], web["vm_vcpus"]) == ("running", uri, 64, 2)
    assert len(web["vm_uuid"]) == 36
    first, second = web["vm_addresses"]
    assert web["ansible_host"] == first["address"]
    assert (first["network"], first["source"], first["prefix"]) == ("lab", "lease", 24)
    assert (second["network"], second["address"].rpartition(".")[0]) == ("dmz", "192.168.1")
    assert (db["vm_owner"], db["vm_state"], db["vm_addresses"]) == (None, "shut off", [])
    assert "ansible_host" not in db
    groups = {name: group["hosts"] for name, group in inventory.items() if "hosts" in group}
    own_name = socket.gethostname().translate(str.maketrans(".-", "__"))
    assert groups == {
        f"hypervisor_{own_name}": ["db", "web"], "network_lab": ["db", "web"], "network_dmz": ["web"],
        "owner_ann": ["web"], "state_running": ["web"], "state_shut_off": ["db"],
    }  # fmt: skip


def test_sources_and_families_of_addresses_are_chosen(listed, hypervisor):
    uri = hypervisor("one", domain("web"))
    web = listed(uri, address_sources=["arp"])["_meta"]["hostvars"]["web"]
    (address,) = web["vm_addresses"]
    assert (address["source"], address["prefix"]) == ("arp", None)
    assert "ansible_host" not in listed(uri, address_family="ipv6")["_meta"]["hostvars"]["web"]


def test_groups_and_variables_of_ones_own_are_made(listed, hypervisor):
    inventory = listed(
        hypervisor("one", domain("web"), domain("db", memory_mb=4096)),
        compose={"twice": "vm_memory_mb * 2"},
        groups={"big": "vm_memory_mb > 1024"},
        keyed_groups=[{"key": "vm_vcpus | string", "prefix": "vcpus"}],
    )
    assert inventory["_meta"]["hostvars"]["db"]["twice"] == 8192
    assert (inventory["big"]["hosts"], inventory["vcpus_2"]["hosts"]) == (["db"], ["db", "web"])


def test_a_mistake_in_them_is_told_when_that_is_wanted(run, hypervisor):
    uri = hypervisor("one", domain("web"))
    assert run(uri, groups={"big": "nothing > 1"}).returncode == 0
    failed = run(uri, groups={"big": "nothing > 1"}, strict=True)
    assert failed.returncode != 0
    assert "'nothing' is undefined" in failed.stderr


def test_only_machines_that_pass_the_filters_are_hosts(listed, hypervisor):
    uri = hypervisor(
        "one", domain("web", owner="ann", networks=("dmz",)), domain("db", owner="ann", state="paused"),
        domain("other", owner="bob"), domain("nobodys"),
    )  # fmt: skip
    assert hosts(listed(uri, filters={"owners": ["ann"]})) == {"web", "db"}
    assert hosts(listed(uri, filters={"owners": ["ann", "bob"], "states": ["running"]})) == {"web", "other"}
    inventory = listed(uri, filters={"networks": ["dmz"]})
    assert hosts(inventory) == {"web"}
    assert "owner_bob" not in inventory


def test_two_hundred_machines_of_many_hypervisors_are_there_while_one_hangs(run, hypervisor, hung):
    uris = [
        hypervisor(f"node{node}", *(domain(f"m{node}-{number}", owner="ann") for number in range(50)))
        for node in range(4)
    ]
    started = time.monotonic()
    done = run(*uris[:2], hung.uri, *uris[2:], timeout_seconds=3)
    took = time.monotonic() - started
    assert done.returncode == 0
    inventory = plain(json.loads(done.stdout))
    assert len(hosts(inventory)) == 200
    assert len(inventory["owner_ann"]["hosts"]) == 200
    assert all(variables["ansible_host"] for variables in inventory["_meta"]["hostvars"].values())
    told = " ".join(done.stderr.split())
    assert f"[WARNING]: hypervisor {hung.uri} does not answer in time; see whether it hangs" in told
    assert "its machines are not in the inventory" in told
    assert told.count("WARNING") == 1
    assert 3 <= took < 8
    assert hung.closed.wait(5), "nothing is left that waits for it"


def test_a_hypervisor_that_does_not_answer_is_an_error_when_that_is_wanted(run, hypervisor, hung):
    done = run(hypervisor("one", domain("web")), hung.uri, timeout_seconds=1, strict_hypervisors=True)
    assert done.returncode != 0
    assert f"hypervisor {hung.uri} does not answer in time" in " ".join(done.stderr.split())
    assert "web" not in done.stdout


def test_one_that_can_not_be_reached_is_told_in_libvirts_words(run, hypervisor, tmp_path):
    done = run(
        hypervisor("one", domain("web")), "qemu+tcp://127.0.0.1:9/system", f"test://{tmp_path}/none.xml", "no:///"
    )
    assert hosts(json.loads(done.stdout)) == {"web"}
    told = " ".join(done.stderr.split())
    assert "hypervisor qemu+tcp://127.0.0.1:9/system can't be reached: unable to connect to server" in told
    assert f"hypervisor test://{tmp_path}/none.xml can't be reached: " in told
    assert "hypervisor no:/// can't be reached: " in told


def test_half_of_ones_credentials_are_a_mistake_and_a_hung_one_leaves_nothing(
    run, hypervisor, hung, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    half = run(hypervisor("kvm1"), username="ann")
    assert half.returncode != 0
    assert "username and password belong together" in " ".join(half.stderr.split())
    broken = run(hypervisor("kvm2"), username="ann", password="hunter{%2secret")
    assert broken.returncode != 0
    assert "the option password is a template" in " ".join(broken.stderr.split())
    assert "secret" not in broken.stdout + broken.stderr
    half = run(hypervisor("kvm3"), username="ann", password="{{ lookup('ansible.builtin.env', 'NOTHING') }}")
    assert "username and password belong together" in " ".join(half.stderr.split()), "it is looked up"
    secret = "{{ lookup('ansible.builtin.env', 'HOME') | length }}"
    hangs = run(hung.uri, username="ann", password=secret, known_hosts_file="hosts", timeout_seconds=1)
    assert "does not answer in time" in " ".join(hangs.stderr.split()), hangs.stderr
    assert list((tmp_path / "run").iterdir()) == []


def test_machines_that_share_a_name_are_told_apart_and_one_that_has_moved_is_one(listed, hypervisor):
    moved = "11111111-2222-3333-4444-555555555555"
    first = hypervisor("one", domain("web"), domain("moved", uuid=moved, state="shut off"))
    second = hypervisor("two", domain("web"), domain("moved", uuid=moved))
    inventory = listed(first, second)
    assert inventory["_meta"]["hostvars"]["moved"]["vm_hypervisor"] == second
    both = {name for name, one in inventory["_meta"]["hostvars"].items() if one["vm_name"] == "web"}
    assert both == {inventory["_meta"]["hostvars"][name]["vm_uuid"] for name in both}, "both are on this computer"
    assert hosts(inventory) == {"moved", *both}


HOSTILE = ["all", "ungrouped", "localhost", "192.0.2.7", "a b", "a:b", "a,b", "*", "!a", "-x", "{{ 1 }}", "owner_ann",
           "{{ lookup('ansible.builtin.pipe', 'touch CANARY') }}", "<b>", "&", "'\"", "state_running"]  # fmt: skip


def test_names_that_somebody_else_chose_are_no_patterns_no_groups_and_no_templates(run, listed, hypervisor, tmp_path):
    canary = tmp_path / "canary"
    names = [name.replace("CANARY", str(canary).replace("/", "\\x2f")) for name in HOSTILE]
    owner = f"{{{{ lookup('ansible.builtin.pipe', 'touch {canary}') }}}}"
    uri = hypervisor("one", *(domain(name, owner=owner) for name in names), domain("web", owner="ann"))
    options = {"keyed_groups": [{"key": "vm_owner | regex_replace('[^a-z]', '_')", "prefix": "by"}]}
    inventory = listed(uri, **options)
    variables = inventory["_meta"]["hostvars"]
    assert {one["vm_name"] for one in variables.values()} == {*names, "web"}
    assert all(name in ("web", one["vm_uuid"]) for name, one in variables.items())
    assert len([name for name in inventory if name.startswith("owner_")]) == 2
    done = run(uri, command=("ansible", "all", "-m", "ansible.builtin.debug", "-a", "msg={{ vm_name }}{{ vm_owner }}"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(owner) == len(names)
    assert not canary.exists()


def test_a_cache_has_those_that_have_answered_and_asks_the_others_again(run, listed, hypervisor, tmp_path):
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    one = hypervisor("one", domain("web"))
    two = f"test://{tmp_path}/two.xml"
    assert "two.xml can't be reached" in run(one, two, **cached).stderr
    (tmp_path / "one.xml").unlink()
    assert hypervisor("two", domain("db")) == two
    assert hosts(listed(one, two, **cached)) == {"web", "db"}
    assert hosts(listed(two, **cached)) == {"db"}, "what is not asked for is not told"
    assert "one.xml can't be reached" in run(one, two, address_sources=["lease"], **cached).stderr
    flushed = run(one, two, command=("ansible-inventory", "--list", "--flush-cache"), **cached)
    assert "one.xml can't be reached" in flushed.stderr


@pytest.mark.parametrize(("options", "message"), [
    ({"filters": {"owner": ["ann"]}}, "filters: owner is no list of owners, networks, states"),
    ({"filters": {"owners": "ann"}}, "filters: owners is no list of owners, networks, states"),
    ({"filters": {"states": ["off"]}}, "filters: off is no state; there are no state, running"),
    ({"address_family": "ipx"}, "address_family"),
    ({"address_sources": ["dns"]}, "address_sources"),
])  # fmt: skip
def test_a_mistake_in_the_options_is_told(run, options, message):
    done = run("test:///default", **options)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())


def test_without_libvirt_python_it_is_said_what_to_install(run, tmp_path):
    (tmp_path / "libvirt.py").write_text("raise ImportError('there is none')\n")
    done = run("test:///default", python_path=str(tmp_path))
    assert done.returncode != 0
    told = " ".join(done.stderr.split())
    assert "libvirt-python is missing" in told
    assert "python3-libvirt" in told
