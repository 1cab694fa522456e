"""Providers: real runs of ansible-inventory on files, scripts and plugins, good and bad ones."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from commissaire.settings import SourceSettings
from commissaire.sources.listing import ListingError, read_listing
from commissaire.sources.provider import list_hosts

HOST = {"name": "web1", "address": "10.0.0.1", "os": "fedora", "cpus": 4, "memory_kb": 2097152, "space_bytes": 0}
FILE = """
[web]
web1 ansible_host=10.0.0.1 ansible_distribution=Fedora ansible_processor_vcpus=4 ansible_memtotal_mb=2048
"""
PLUGIN = """
plugin: ansible.builtin.generator
hosts: {name: "web{{ number }}"}
layers: {number: [1, 2, 3]}
"""


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def listed(tmp_path: Path, inventory: Path, **options: Any) -> list[dict[str, Any]]:
    return list_hosts(SourceSettings(inventory=inventory, **options), tmp_path, "cloud")


def test_a_file_is_a_provider(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts"
    inventory.write_text(FILE)
    assert listed(tmp_path, inventory) == [HOST]


def test_a_script_is_a_provider_and_knows_only_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "token")
    monkeypatch.setenv("COMMISSAIRE_DATABASE_URL", "secret")
    inventory = script(
        tmp_path / "cloud",
        """cat <<EOF
{"_meta": {"hostvars": {"web1": {"os": {"name": "$CLOUD_TOKEN-$COMMISSAIRE_DATABASE_URL-end"},
 "gigabytes": 2, "kb": 7, "ip": "10.0.0.9"}}}, "all": {"hosts": ["web1"]}}
EOF""",
    )
    variables = {"os": "os.name", "space_gb": "gigabytes", "memory_kb": "kb", "address": "ip"}
    (host,) = listed(tmp_path, inventory, variables=variables, environment=["CLOUD_TOKEN", "NOT_SET"])
    assert host == {
        "name": "web1", "address": "10.0.0.9", "os": "token--end", "cpus": 0, "memory_kb": 7, "space_bytes": 2 * 2**30,
    }  # fmt: skip


def test_a_plugins_configuration_is_a_provider(tmp_path: Path) -> None:
    inventory = tmp_path / "cloud.generator.yml"
    inventory.write_text(PLUGIN)
    assert [host["name"] for host in listed(tmp_path, inventory)] == ["web1", "web2", "web3"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo out of order >&2; exit 3", "out of order"),
        ("echo garbage", "can't be listed"),
        ("echo '[1, 2]'", "can't be listed"),
        ("exit 0", "can't be listed"),
    ],
)
def test_a_broken_script_is_told_with_its_own_words(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(ListingError, match=said) as caught:
        listed(tmp_path, script(tmp_path / "cloud", body))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_script_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    inventory = script(tmp_path / "cloud", f"sleep 500 & echo $! $$ > {pids}; wait")
    begin = time.monotonic()
    with pytest.raises(ListingError, match="did not answer within 3 s"):
        listed(tmp_path, inventory, timeout_seconds=3)
    assert time.monotonic() - begin < 20
    for pid in pids.read_text().split():
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ListingError, match="there is no"):
        listed(tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "output",
    [b"", b"{}", b"[]", b"null", b'{"_meta": {"hostvars": 7}}', b'{"_meta": {"hostvars": {}}, "all": 3}'],
)
def test_what_is_no_inventory_is_refused(output: bytes) -> None:
    with pytest.raises(ListingError, match="no inventory"):
        read_listing(output, {})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"ansible_host": "2001:DB8::1"}, {"address": "2001:db8::1"}),
        ({"ansible_host": "no address at all"}, {"address": None}),
        ({"n": "12"}, {"cpus": 12}),
        ({"n": -3}, {"cpus": 0}),
        ({"n": 1e300}, {"cpus": 2**31 - 1}),
        ({"n": float(10**12)}, {"cpus": 2**31 - 1}),
        ({"n": [1]}, {"cpus": 0}),
        ({"n": {"deep": 1}}, {"cpus": 0}),
        ({"o": "Red\nHat\x1b[31m"}, {"os": "redhat31m"}),
        ({"o": "x" * 1000}, {"os": "x" * 128}),
    ],
)
def test_what_is_told_goes_no_further_than_its_field(told: dict[str, Any], expected: dict[str, Any]) -> None:
    output = json.dumps({"_meta": {"hostvars": {"web1": told}}}).encode()
    (host,) = read_listing(output, {"cpus": "n", "os": "o"})
    assert {name: host[name] for name in expected} == expected


def test_three_thousand_hosts_are_listed(tmp_path: Path) -> None:
    document = {
        "_meta": {"hostvars": {f"web{n}": {"ansible_host": f"10.1.{n // 250}.{n % 250}"} for n in range(3000)}},
        "all": {"hosts": [f"web{n}" for n in range(3000)]},
    }
    (tmp_path / "data").write_text(json.dumps(document))
    hosts = listed(tmp_path, script(tmp_path / "cloud", f"cat {tmp_path / 'data'}"), timeout_seconds=120)
    assert len(hosts) == 3000
    assert len({host["address"] for host in hosts}) == 3000
