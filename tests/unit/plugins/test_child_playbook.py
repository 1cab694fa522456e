"""A playbook that is run for one host from within another: its command line, and what its end means."""

import os

import pytest
from ansible_collections.commissaire.fleet.plugins.plugin_utils.child_playbook import (
    WITHIN,
    environment,
    judge,
    options,
    run,
)

RECAP = "PLAY RECAP ****\nh1                         : ok=2    changed=0    unreachable=0    failed=0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, []),
        ({"inventory": ["/etc/hosts.yml", "a,b"]}, ["--inventory=/etc/hosts.yml", "--inventory=a,b"]),
        ({"extra_vars": ("@env/extravars", "x=1")}, ["--extra-vars=@env/extravars", "--extra-vars=x=1"]),
        ({"check": True, "diff": False, "become": True}, ["--become", "--check"]),
        ({"ssh_common_args": "-o X=y", "timeout": 10}, ["--timeout=10", "--ssh-common-args=-o X=y"]),
        ({"vault_ids": ["a@b"], "remote_user": None, "subset": "h2", "forks": 9}, ["--vault-id=a@b"]),
    ],
)
def test_it_is_run_with_the_options_of_this_run(arguments, words):
    assert options(arguments) == words


def test_its_output_is_its_own(tmp_path):
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner/awx_display.py").touch()
    given = {"A": "b", "ANSIBLE_STDOUT_CALLBACK": "awx_display", "ANSIBLE_FORCE_COLOR": "1"}
    plugins = {"ANSIBLE_CALLBACK_PLUGINS": f"/mine:{tmp_path}/runner"}
    own = {"A": "b", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1", WITHIN: "1"}
    assert environment(given) == own
    assert environment({**given, **plugins}) == {**own, "ANSIBLE_CALLBACK_PLUGINS": "/mine"}
    assert environment({**given, "ANSIBLE_CALLBACK_PLUGINS": f"{tmp_path}/runner"}) == own


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (0, RECAP, ""),
        (0, "PLAY RECAP ****\n", "has nothing to do on h1: a check that looks at nothing"),
        (0, "h1 : ok=0    changed=0    skipped=3", "has nothing to do on h1: a check that looks at nothing"),
        (0, "h10 : ok=1", "has nothing to do on h1: a check that looks at nothing"),
        (2, f"TASK [x]\n[ERROR]: x\nfatal: [h1]: FAILED! => no\n{RECAP}", "ended with 2: fatal: [h1]: FAILED! => no"),
        (4, "a\n\n[ERROR]: no such playbook\nb", "ended with 4: [ERROR]: no such playbook"),
        (250, "1\n2\n3\n4\n5\n6\n", "ended with 250: 2 3 4 5 6"),
    ],
)
def test_its_end_is_judged_by_status_and_output(status, text, why):
    assert judge("h1", status, text) == why


def test_a_dry_run_may_skip_all():
    assert judge("h1", 0, "h1 : ok=0    changed=0    skipped=3", dry=True) == ""


def test_what_it_says_is_bounded():
    assert len(judge("h1", 2, "fatal: [h1]: " + "x" * 10000)) == 1000


def test_a_check_starts_no_further_check(monkeypatch):
    monkeypatch.setitem(os.environ, WITHIN, "1")
    assert "a playbook that is a check itself" in run("a.b.c", "h1", {}, 1, lambda: None)
