"""The script that keeps the lease, run here, on a file of this test's."""

import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils import lease
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import HostKeyError, NoContactError


@pytest.fixture
def do(tmp_path, monkeypatch):
    """Run one action as a host would; return what it printed."""
    file = tmp_path / "lease"
    monkeypatch.setattr(lease, "CHANGE", lease.CHANGE.replace(lease.LEASE, str(file)))
    monkeypatch.setattr(lease, "LEASE", str(file))
    monkeypatch.setattr(lease, "AS_ROOT", 'as_root() { "$@"; }')

    def run(action, **arguments):
        done = subprocess.run(["sh"], input=lease.script(action, **arguments), text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    run.file = file
    return run


def test_only_one_holds_it_and_its_token_grows(do):
    first = do("take", owner="a", operation="1", seconds=60)
    assert (first["outcome"], first["token"], first["left"]) == ("held", "1", "60")
    second = do("take", owner="b", operation="2", seconds=60)
    assert (second["outcome"], second["owner"], second["operation"]) == ("refused", "a", "1")
    assert do("release", token=1)["outcome"] == "released"
    assert do("look")["outcome"] == "free"
    assert do("take", owner="b", operation="2", seconds=60)["token"] == "2"
    assert do("verify", token=1)["outcome"] == "lost"
    assert do("renew", token=1, seconds=60)["outcome"] == "lost"
    assert do("release", token=1)["outcome"] == "lost"
    assert do("verify", token=2)["outcome"] == "held"


def test_the_same_operation_takes_it_over_at_once_and_others_when_it_has_expired(do):
    do("take", owner="a", operation="1", seconds=600)
    again = do("take", owner="b", operation="1", seconds=600)
    assert (again["outcome"], again["token"], again["taken_over_from"]) == ("held", "2", "a")
    expire(do.file)
    assert do("verify", token=2)["outcome"] == "lost"
    other = do("take", owner="c", operation="", seconds=60)
    assert (other["outcome"], other["token"], other["taken_over_from"]) == ("held", "3", "b")
    assert do("take", owner="d", operation="", seconds=60)["outcome"] == "refused"  # no name is nobody's


def test_what_an_operation_that_has_ended_left_is_taken_over_at_once(do):
    do("take", owner="a", operation="1", seconds=600)
    assert do("take", owner="b", operation="2", seconds=60, succeeds=["0", "x 1"])["outcome"] == "refused"
    assert do("take", owner="b", operation="2", seconds=60, succeeds=["3", "1"])["outcome"] == "held"
    do("release", token=2)
    do("take", owner="a", operation="", seconds=600)
    assert do("take", owner="b", operation="", seconds=60, succeeds=[""])["outcome"] == "refused"


@pytest.mark.parametrize(
    ("given", "names"), [("late, again", ["late, again"]), (["1", 2], ["1", "2"]), (7, ["7"]), ([], [])]
)
def test_one_that_has_ended_or_a_list_of_them_is_named(given, names):
    assert lease.names(given) == names


def test_an_expired_lease_that_nobody_took_is_renewed(do):
    do("take", owner="a", operation="1", seconds=60)
    expire(do.file)
    assert do("renew", token=1, seconds=60)["outcome"] == "held"
    assert do("verify", token=1)["outcome"] == "held"


def test_a_clock_that_was_set_back_makes_no_lease_longer(do):
    do("take", owner="a", operation="1", seconds=60)
    text = do.file.read_text()
    expires = int(text.partition("expires=")[2].split()[0])
    do.file.write_text(text.replace(f"expires={expires}", f"expires={expires + 100000}"))
    assert int(do("look")["left"]) <= 60


def test_a_lease_from_a_clock_that_was_set_back_expires_however_often_others_want_it(do):
    do("take", owner="a", operation="1", seconds=1)
    text = do.file.read_text()
    expires = int(text.partition("expires=")[2].split()[0])
    do.file.write_text(text.replace(f"expires={expires}", f"expires={expires + 100000}"))
    assert do("take", owner="b", operation="2", seconds=60)["outcome"] == "refused"
    time.sleep(2)
    assert do("take", owner="b", operation="2", seconds=60)["outcome"] == "held"


def test_a_renewal_never_shortens_a_lease_and_the_end_of_a_reboot_does(do):
    do("take", owner="a", operation="1", seconds=60)
    assert do("renew", token=1, seconds=660)["left"] == "660"
    assert int(do("renew", token=1, seconds=60)["left"]) > 600
    assert int(do("look")["left"]) > 600
    shortened = do("shorten", token=1)
    assert (shortened["outcome"], shortened["left"]) == ("held", "60")
    assert int(do("look")["left"]) <= 60
    assert do("shorten", token=2)["outcome"] == "lost"


def test_a_lease_is_settled_by_a_host_that_has_rebooted(do):
    do("take", owner="a", operation="1", seconds=60)
    do("renew", token=1, seconds=660)
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for before, shortest, longest in ((boot_id, 601, 660), ("another", 1, 60)):
        subprocess.run(["sh"], input=lease.settle(1, before), text=True, capture_output=True, check=True)
        assert shortest <= int(do("look")["left"]) <= longest


def test_a_broken_lease_is_lost_and_tells_whose_it_was(do):
    assert do("break", owner="admin", reason="gone")["outcome"] == "free"
    do("take", owner="a", operation="1", seconds=60)
    broken = do("break", owner="admin", reason="gone")
    assert (broken["outcome"], broken["broken_owner"]) == ("broken", "a")
    assert do("renew", token=1, seconds=60)["outcome"] == "lost"


@pytest.mark.parametrize("content", ["", "garbage\n", "token=x\nowner=a\nexpires=$(reboot)\nseconds=\n"])
def test_a_damaged_file_is_no_lease(do, content):
    do.file.write_text(content)
    assert do("look")["outcome"] == "free"
    assert do("take", owner="b", operation="", seconds=60)["outcome"] == "held"


def test_names_are_values_and_nothing_else(do):
    do("take", owner="a=b\ntoken=99 $(id) `id` '\"", operation="x\r\ny", seconds=60)
    shown = do("look")
    assert (shown["token"], shown["owner"]) == ("1", "a b token 99 $(id) `id` '\"")
    assert shown["operation"] == "x y"


def expire(file):
    text = file.read_text()
    expires = text.partition("expires=")[2].split()[0]
    file.write_text(text.replace(f"expires={expires}", "expires=1"))


HELD = lease.LeaseError("is leased")
SILENT = NoContactError("No route to host")
OTHER_KEY = HostKeyError("REMOTE HOST IDENTIFICATION HAS CHANGED!")


@pytest.mark.parametrize(
    ("answers", "seconds", "outcome"),
    [
        ([HELD, SILENT, SILENT, "taken"], 60, "taken"),
        ([HELD, HELD, "taken"], 3, "taken"),
        ([HELD, HELD, "taken"], 1, HELD),
        ([HELD, "taken"], 0, HELD),
        ([SILENT, "taken"], 60, SILENT),
        ([HELD, SILENT, SILENT, SILENT, "taken"], 3, SILENT),
        ([HELD, OTHER_KEY, "taken"], 60, OTHER_KEY),
    ],
)
def test_a_lease_is_waited_for_also_while_its_holder_reboots_the_host(monkeypatch, answers, seconds, outcome):
    clock = [0.0]
    monkeypatch.setattr(lease.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(lease.time, "sleep", lambda pause: clock.__setitem__(0, clock[0] + pause))
    left = iter(answers)

    def take():
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    if isinstance(outcome, Exception):
        with pytest.raises(type(outcome), match=str(outcome)):
            lease.wait_for(take, seconds)
    else:
        assert lease.wait_for(take, seconds) == outcome
