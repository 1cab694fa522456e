"""What a host must be like, from tables: what can be demanded, and how that is judged."""

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import (
    Demands,
    Disk,
    Finding,
    failures,
    find,
    find_url,
    read_demands,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Answer

DF = "/dev/sda1 1000 700 100 88% /var/lib/with a space"
UNITS = Demands(units=("a", "b.timer"))
HOST_URL = Demands(url="http://h1/", url_from="host")


@pytest.mark.parametrize(
    ("given", "demands"),
    [
        ({}, Demands()),
        ({"units": None, "url": None}, Demands()),
        ({"units": ["a", "b"], "no_failed_units": True}, Demands(units=("a", "b"), no_failed_units=True)),
        (
            {"disk": [{"path": "/", "free_bytes": 5, "free_percent": None}]},
            Demands(disk=(Disk("/", free_bytes=5),)),
        ),
        ({"command": ["a", "b c"], "timeout_seconds": 0}, Demands(command=("a", "b c"), timeout_seconds=0)),
        ({"url": "https://{host}:8/{host}"}, Demands(url="https://[fd00::1]:8/[fd00::1]")),
        ({"url": "http://x", "url_statuses": [200, 404]}, Demands(url="http://x", url_statuses=(200, 404))),
        ({"playbook": "my.own.look.deeper"}, Demands(playbook="my.own.look.deeper")),
    ],
)
def test_options_become_demands(given, demands):
    assert read_demands(given, "fd00::1") == demands


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"url": "file:///etc/shadow"}, "url is 'file:///etc/shadow'; give one that begins with http:// or https://"),
        ({"url": "http://a b"}, "url is"),
        ({"playbook": "/tmp/look.yml"}, "give one as namespace.collection.playbook"),
        ({"playbook": "look"}, "playbook is 'look'"),
        ({"playbook": "--version"}, "playbook is '--version'"),
        ({"disk": [{"path": "var"}]}, "disk: path is 'var'; give an absolute one"),
        ({"disk": [{"path": "/var", "free_percent": 101}]}, "disk: /var can't have so much free"),
        ({"disk": [{"path": "/var", "free_bytes": -1}]}, "disk: /var can't have so much free"),
        ({"timeout_seconds": -1}, "timeout_seconds is -1; give 0 or more"),
    ],
)
def test_what_can_not_be_demanded_is_told(given, problem):
    with pytest.raises(ValueError, match=r".") as raised:
        read_demands(given, "h1")
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("demands", "said", "wrong"),
    [
        (Demands(), {}, ""),
        (UNITS, {"unit.0": "active", "unit.1": "active"}, ""),
        (
            UNITS,
            {"unit.0": "failed", "unit.1": ""},
            "unit a: failed, wanted active; unit b.timer: unknown, wanted active",
        ),
        (Demands(no_failed_units=True), {"failed_units": " ", "failed_units_known": "yes"}, ""),
        (Demands(no_failed_units=True), {"failed_units": "x.service y.service ", "failed_units_known": "yes"},
         "failed units: x.service y.service"),
        (Demands(no_failed_units=True), {"failed_units": "sh: systemctl: not found"},
         "failed units: sh: systemctl: not found"),
        (Demands(disk=(Disk("/var", 102400, 10),)), {"disk.0": DF}, ""),
        (Demands(disk=(Disk("/var", 102401),)), {"disk.0": DF},
         "disk /var: 102400 bytes free (10 %), wanted 102401 bytes"),
        (Demands(disk=(Disk("/var", 1, 10.5),)), {"disk.0": DF},
         "disk /var: 102400 bytes free (10 %), wanted 1 bytes and 10.5 %"),
        (Demands(disk=(Disk("/x"),)), {"disk.0": "df: /x: No such file or directory"},
         "disk /x: df: /x: No such file or directory"),
        (Demands(no_pending_reboot=True), {}, "pending reboot: nothing on the host tells"),
        (Demands(no_pending_reboot=True), {"reboot": "none"}, ""),
        (Demands(no_pending_reboot=True), {"reboot": "dnf says so"}, "pending reboot: dnf says so"),
        (Demands(command=("x",)), {"command": "0 fine"}, ""),
        (Demands(command=("x",)), {"command": "7 bad  day"}, "command: exit status 7: bad  day"),
        (Demands(command=("x",)), {"command": "1 "}, "command: exit status 1"),
        (Demands(command=("x",)), {}, "command: exit status unknown"),
        (HOST_URL, {"url": "200"}, ""),
        (HOST_URL, {"url": "503"}, "url http://h1/: 503, wanted 200"),
        (HOST_URL, {}, "url http://h1/: no answer, wanted 200"),
    ],
)  # fmt: skip
def test_a_host_is_judged_by_what_it_says(demands, said, wrong):
    findings = find(demands, Answer({"boot_id": "123", **said}))
    assert findings[0] == Finding("reachable", True, "boot id 123")
    assert failures(findings) == wrong


def test_one_of_several_statuses_is_right():
    demands = Demands(url="http://x", url_statuses=(204, 404))
    assert find_url(demands, "404").passed
    assert find_url(demands, "200").found == "200, wanted 204 or 404"
