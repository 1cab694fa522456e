"""The action rolling_place in plays of Ansible's own, on hosts that are nothing but names."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

SHUT = [{"from": "2020-01-01T00:00:00Z", "to": "2199-01-01T00:00:00Z"}]
ZONES = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "c1": "c"}
PLAY = """\
- hosts: all
  order: "{{ play_order | default('inventory') }}"
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  tasks:
    - commissaire.fleet.rolling_place:
        state: taken
        blackouts: "{{ shut }}"
        outside_window: "{{ outside | default('wait') }}"
        when_paused: end
        interrupted: "{{ interrupted | default(false) }}"
        spread: "{{ spread | default(false) }}"
        failure_domain: "{{ domain | default('') }}"
      register: place
    - ansible.builtin.meta: end_host
      when: not place.taken
    - name: Stay until all have arrived
      ansible.builtin.shell: >-
        until grep -q '"arrived": .0, 1, 2, 3, 4, 5.' {{ temporary }}/*/commissaire-places-*.json; do sleep 0.1; done
      when: spread | default(false) and inventory_hostname == 'a1'
    - ansible.builtin.debug:
        msg: "STARTED {{ inventory_hostname }}"
    - commissaire.fleet.rolling_place:
        state: released
"""


CANARY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.assert:
        that: inventory_hostname not in fails_before | default([])
- hosts: all
  order: "{{ play_order | default('inventory') }}"
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  pre_tasks:
    - ansible.builtin.assert:
        that: inventory_hostname not in fails_here | default([])
  tasks:
    - commissaire.fleet.rolling_place:
        state: taken
        canary: "{{ canary }}"
        max_failures: 1
        max_unavailable: 6
        count_earlier: "{{ fails_before is defined }}"
        control_file: "{{ control | default('') }}"
        when_paused: end
        spread: "{{ spread | default(false) }}"
        failure_domain: zone
      register: place
    - ansible.builtin.meta: end_host
      when: not place.taken
    - ansible.builtin.debug:
        msg: "STARTED {{ inventory_hostname }}"
    - commissaire.fleet.rolling_place:
        state: released
        skipped: "{{ inventory_hostname in skips | default([]) }}"
        failed: "{{ inventory_hostname in fails | default([]) }}"
"""


def play(tmp_path, *arguments, interrupted=(), content=PLAY, **variables):
    """Return what ansible-playbook ended with, the hosts in the order in which they started, and its output."""
    hosts = {name: {"zone": zone, "interrupted": name in interrupted} for name, zone in ZONES.items()}
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "shut": SHUT}
    own["temporary"] = str(tmp_path / "temporary")
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": own}}))
    (tmp_path / "play.yml").write_text(content)
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts.json", tmp_path / "play.yml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment["ANSIBLE_LOCAL_TEMP"] = own["temporary"]
    done = subprocess.run(
        [*command, "-e", json.dumps(variables), *arguments],
        cwd="/", env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, " ".join(re.findall(r"STARTED (\w+)", done.stdout)), done.stdout + done.stderr


def test_only_interrupted_hosts_start_outside_the_windows_and_in_turn_over_the_domains(tmp_path):
    interrupted = set(ZONES) - {"b1"}
    code, started, output = play(tmp_path, "-f", "7", interrupted=interrupted, spread=True, domain="zone")
    assert (code, started) == (0, "a1 c1 a2 b2 a3"), output
    assert '"resume_at": 7226582400.0' in output


def test_a_dry_run_waits_for_no_window_and_the_order_is_the_plays(tmp_path):
    code, started, output = play(tmp_path, "--check", "-f", "2", play_order="reverse_inventory")
    assert (code, started) == (0, "c1 b2 b1 a3 a2 a1"), output


def test_a_run_that_is_refused_has_failed(tmp_path):
    code, started, output = play(tmp_path, "-f", "2", outside="refuse")
    assert (code, started) == (2, ""), output
    assert "not started: blackout; hosts may start from 2199-01-01 00:00 UTC" in output


def test_a_host_that_could_not_be_tried_is_replaced_by_the_next(tmp_path):
    variables = {"canary": 1, "skips": ["a1", "a2"], "fails": ["a3"]}
    code, started, output = play(tmp_path, "-f", "7", content=CANARY, **variables)
    assert (code, started) == (0, "a1 a2 a3"), output
    assert "not started: a3 failed, and went first to try it out" in output


def test_a_first_host_that_failed_in_an_earlier_play_keeps_the_others_back(tmp_path):
    variables = {"canary": 1, "fails_before": ["c1"], "play_order": "reverse_inventory"}
    _code, started, output = play(tmp_path, "-f", "7", content=CANARY, **variables)
    assert started == "", output
    assert "not started: c1 failed, and went first to try it out" in output


def test_a_first_host_that_leaves_the_play_before_its_turn_is_not_waited_for(tmp_path):
    code, started, output = play(tmp_path, "-f", "2", content=CANARY, canary=1, fails_here=["a1"])
    assert (code, started) == (2, "a2 a3 b1 b2 c1"), output


def test_a_play_that_is_paused_before_its_first_hosts_begin_ends(tmp_path):
    control = tmp_path / "control"
    control.write_text("pause for lunch")
    code, started, output = play(tmp_path, "-f", "7", content=CANARY, canary=2, control=str(control))
    assert (code, started) == (0, ""), output


def test_too_few_forks_for_a_rearranged_order_do_not_keep_the_first_hosts_from_coming(tmp_path):
    code, started, output = play(tmp_path, "-f", "3", content=CANARY, canary=3, spread=True)
    assert (code, len(started.split())) == (0, len(ZONES)), output
