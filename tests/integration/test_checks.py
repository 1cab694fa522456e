"""Checks before and after the work on each host, on real machines."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Lab
from lab.host import LabHost

from .controller import Controller
from .playbook import PLAYS, run_playbook
from .test_lease import HOLD, Background, is_held, let_go, until

pytestmark = pytest.mark.integration

NOTED = "noted.yml"
COLLECTIONS = Path(__file__).with_name("collections")
PORT = 8088
FILES = ("work", "looks", "held", "unfit", "hold")


@pytest.fixture
def unharmed(lab):
    """The lab's machines, without what the tests leave behind."""
    yield lab
    for host in lab.hosts:
        host.wait_for_ssh(60)
        for name in FILES:
            (host.root / "var/lib" / name).unlink(missing_ok=True)
        (host.root / "var/lib/commissaire/lease").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def health(lab: Lab, tmp_path_factory):
    """A folder on the controller: a host whose file is there is healthy, by the URL of the same name."""
    folder = tmp_path_factory.mktemp("health")
    server = lab.popen(
        [sys.executable, "-m", "http.server", "--bind", lab.gateway, "--directory", folder, str(PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield folder
    server.kill()
    server.wait()


def url(lab: Lab) -> str:
    return f"http://{lab.gateway}:{PORT}/{{host}}"


def lines(host: LabHost, name: str) -> list[str]:
    """Return what a file of /var/lib says."""
    path = host.root / "var/lib" / name
    return path.read_text().splitlines() if path.exists() else []


def unfit(host: LabHost) -> None:
    (host.root / "var/lib/unfit").touch()


FIT = {"command": ["test", "!", "-e", "/var/lib/unfit"], "timeout_seconds": 0}


def test_a_host_that_is_not_fit_is_skipped_and_the_others_are_restarted_and_looked_at_twice(unharmed, health):
    lab = unharmed
    first, *others = lab.hosts
    unfit(first)
    for host in others:
        (health / host.address).touch()
    before = {host.name: host.boots() for host in lab.hosts}
    outcome = run_playbook(
        lab,
        "restart",
        check_before={**FIT, "units": ["ssh.service"], "disk": [{"path": "/", "free_percent": 1}]},
        when_check_fails="skip",
        check_after={"command": ["sh", "-c", "echo look >>/var/lib/looks"], "units": ["ssh"], "url": url(lab)},
        soak_seconds=1,
    )
    assert outcome.returncode == 0, outcome.output
    skipped = outcome.last("h1")
    assert (skipped["state"], skipped["phase"]) == ("skipped", "checking")
    assert skipped["message"] == "h1 is not fit: command: exit status 1"
    assert first.boots() == before["h1"]
    assert not is_held(first)
    for host in others:
        assert host.boots()[:-1] == before[host.name]
        assert outcome.last(host.name)["state"] == "finished"
        assert lines(host, "looks") == ["look", "look"]
        points = outcome.checkpoints(host.name)
        assert [point["phase"] for point in points] == [
            "checking", "checking", "rebooting", "verifying", "soaking", "verifying", "done",
        ]  # fmt: skip
        found = {finding["name"]: finding["found"] for finding in points[-2]["data"]["checks_after"]}
        assert found == {
            "reachable": f"boot id {host.boot_id()}",
            "unit ssh": "active",
            "command": "exit status 0",
            f"url http://{lab.gateway}:{PORT}/{host.address}": "200",
        }
        assert {finding["name"] for finding in points[1]["data"]["checks_before"]} == {
            "reachable", "unit ssh.service", "disk /", "command",
        }  # fmt: skip
    (health / others[0].address).unlink()


def test_a_host_that_is_not_fit_afterwards_has_failed_and_keeps_its_place(unharmed, health):
    first, *others = unharmed.hosts
    after = {"url": url(unharmed), "timeout_seconds": 0}
    outcome = run_playbook(unharmed, NOTED, check_after=after, max_failures=3)
    assert outcome.returncode == 2
    failed = outcome.last("h1")
    assert (failed["state"], failed["phase"]) == ("failed", "verifying")
    address = f"http://{unharmed.gateway}:{PORT}/{first.address}"
    assert failed["message"] == f"verifying: h1 is not fit: url {address}: 404, wanted 200"
    assert lines(first, "work") == ["work"]
    for host in others:
        assert outcome.last(host.name)["state"] == "not_started"
        assert "h1 failed out of service" in outcome.last(host.name)["message"]
    assert not is_held(first)


def test_work_may_make_the_checks_itself_to_take_itself_back(unharmed):
    first = unharmed.host("h1")
    unfit(first)
    outcome = run_playbook(unharmed, NOTED, check_after=FIT, max_failures=1, note_work="note_and_look")
    failed = outcome.last("h1")
    assert failed["message"] == "working: taken back: h1 is not fit: command: exit status 1"
    assert [outcome.last(name)["state"] for name in ("h1", "h2", "h3")] == ["failed", "finished", "finished"]
    assert lines(first, "work") == ["work", "taken back"]


@pytest.mark.parametrize(("when", "others"), [("fail", "finished"), ("stop", "not_started")])
def test_a_host_that_is_not_fit_counts_as_failed_or_stops_the_others(unharmed, when, others):
    first = unharmed.host("h1")
    unfit(first)
    outcome = run_playbook(unharmed, NOTED, check_before=FIT, when_check_fails=when, max_failures=1)
    assert outcome.returncode == 2
    assert outcome.last("h1")["message"] == "checking: h1 is not fit: command: exit status 1"
    assert [outcome.last(name)["state"] for name in ("h1", "h2", "h3")] == ["failed", others, others]
    if when == "stop":
        assert outcome.last("h3")["message"] == "not started: h1 was not fit, which stops the others"
    assert lines(first, "work") == []


def test_mistakes_in_later_checks_are_told_before_anything_is_done(unharmed):
    for wrong in ({"untis": []}, {"playbook": "look.yml"}):
        outcome = run_playbook(unharmed, NOTED, "--limit", "h1", check_after=wrong)
        assert outcome.returncode == 2
        assert outcome.last("h1")["phase"] == "checking"
        assert lines(unharmed.host("h1"), "work") == []


def test_a_playbook_of_the_users_is_a_check(unharmed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(COLLECTIONS))
    second = unharmed.host("h2")
    unfit(second)
    after = {"playbook": "lab.checks.look"}
    outcome = run_playbook(
        unharmed, NOTED, user="operator", check_after=after, operation_id="night-7", max_failures=3, max_unavailable=3
    )
    assert [outcome.last(name)["state"] for name in ("h1", "h2", "h3")] == ["finished", "failed", "finished"]
    assert {host.name: lines(host, "looks") for host in unharmed.hosts} == {
        name: [f"night-7 on {name}"] for name in ("h1", "h2", "h3")
    }
    message = outcome.last("h2")["message"]
    assert message.startswith("verifying: h2 is not fit: playbook lab.checks.look: ended with 2: fatal: [h2]: FAILED!")


def test_a_playbook_that_checks_ends_with_the_run_that_asked_for_it(unharmed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(COLLECTIONS))
    host = unharmed.host("h1")
    (host.root / HOLD).touch()
    run = Background(unharmed, NOTED, "--limit", "h1", check_after={"playbook": "lab.checks.look"})
    main = run.main()
    until(lambda: lines(host, "held"))
    os.kill(main, signal.SIGKILL)
    until(lambda: not checking(unharmed))
    let_go(host)
    run.wait()


def checking(lab: Lab) -> list[int]:
    """Return the pids of the playbooks that are a check in this lab."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"lab.checks.look" in command and bytes(lab.directory) in command and b"check_after" not in command:
            found.append(int(entry.name))
    return found


def test_a_host_keeps_its_place_while_it_soaks_and_what_happens_to_it_then_is_seen(unharmed, tmp_path):
    control = tmp_path / "control"
    first, second = unharmed.host("h1"), unharmed.host("h2")
    booted = first.boot_id()
    run = Background(
        unharmed, NOTED, check_after={"command": ["sh", "-c", "echo look >>/var/lib/looks"]}, soak_seconds=3600,
        control_file=str(control), max_failures=3,
    )  # fmt: skip
    until(lambda: lines(first, "looks"))
    first.run(["systemctl", "reboot"])
    until(lambda: first.boot_id() not in (None, booted))
    first.wait_for_ssh(60)
    assert is_held(first)
    assert lines(second, "work") == []
    control.write_text("stop enough seen\n")
    outcome = run.wait()
    message = outcome.last("h1")["message"]
    assert message == (
        f"verifying: h1 is not fit: boot id: {first.boot_id()}, so it has rebooted by itself since {booted}"
    )
    assert outcome.last("h2")["state"] == "not_started"
    assert len(lines(first, "looks")) == 2


def test_a_host_that_an_earlier_play_skipped_is_worked_on_in_a_later_one_without_checks(unharmed, tmp_path):
    unfit(unharmed.host("h1"))
    site = tmp_path / "site.yml"
    first, second = ({"import_playbook": str(PLAYS / NOTED), "vars": each} for each in ({"check_before": FIT}, {}))
    site.write_text(json.dumps([first, second]))
    outcome = run_playbook(unharmed, str(site), "--limit", "h1", when_check_fails="skip")
    assert [point["state"] for point in outcome.checkpoints("h1") if point["state"] != "running"] == [
        "skipped",
        "finished",
    ]
    assert lines(unharmed.host("h1"), "work") == ["work"]


def test_a_host_that_was_left_half_way_is_never_skipped(unharmed):
    outcome = run_playbook(
        unharmed, NOTED, "--limit", "h1", check_before=FIT, check_after={"command": ["false"], "timeout_seconds": 0},
        when_check_fails="skip", work_begun=True,
    )  # fmt: skip
    assert (outcome.returncode, outcome.last("h1")["state"]) == (2, "failed")


def test_a_run_without_checks_has_no_task_more(unharmed):
    outcome = run_playbook(unharmed, NOTED, "--limit", "h1")
    actions = [result["action"].rpartition(".")[2] for name, result in outcome.results if name == "h1"]
    frame = ["validate_argument_spec", "rolling_place", "lease", "include_role"]
    assert actions == [*frame, "command", "lease", "rolling_place", "checkpoint"]


def test_a_server_skips_checks_by_a_playbook_and_retries(unharmed, tmp_path):
    first = unharmed.host("h1")
    unfit(first)
    with Controller(unharmed, tmp_path) as controller:
        usual = controller.home / ".ansible/collections"
        usual.mkdir(parents=True)
        (usual / "ansible_collections").symlink_to(COLLECTIONS / "ansible_collections")
        controller.add_hosts("web")
        parameters = {
            "check_before": FIT,
            "when_check_fails": "skip",
            "check_after": {"playbook": "lab.checks.look", "units": ["ssh"]},
            "max_unavailable": 3,
        }
        wanted = {"kind": "restart", "cluster": "web", "parameters": parameters}
        operation = controller.ask("POST", "/api/v1/operations", wanted).headers["Location"]
        shown = controller.ended(operation, 300)
        assert shown["message"] == "2 restarted, 1 skipped"
        assert shown["state"] == "finished"
        rows = controller.hosts_of(operation)
        assert (rows[first.address]["state"], lines(first, "looks")) == ("skipped", [])
        for host in unharmed.hosts[1:]:
            (look,) = lines(host, "looks")
            assert re.fullmatch(rf"{shown['id']}-[0-9.]+ on {host.address}", look)
            found = [finding["name"] for finding in rows[host.address]["data"]["checks_after"]]
            assert found == ["reachable", "unit ssh", "playbook lab.checks.look"]
        (first.root / "var/lib/unfit").unlink()
        again = controller.ask("POST", f"{operation}/retry").headers["Location"]
        shown = controller.ended(again, 300)
        assert (shown["message"], list(controller.hosts_of(again))) == ("1 restarted", [first.address])
