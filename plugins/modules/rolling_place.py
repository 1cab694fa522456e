# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rolling_place
short_description: Take or release a place in the window of a rolling play
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Lets no more than O(max_unavailable) hosts of a play be out of service at once, and lets no new host start once more
    than O(max_failures) have failed.
  - The window slides. As soon as a host releases its place, the next one takes it.
  - A host that failed while it was out of service keeps its place to the end of the play.
  - The play must use C(strategy=ansible.builtin.host_pinned) or C(free), with any number of forks. Fewer forks than
    O(max_unavailable) narrow the window; more of them only wait.
  - A host that must wait is logged in to meanwhile, so that its place is not spent on that. Nothing is done on it.
  - It counts the failures it is told of with O(failed), and hosts that left the play while they held a place.
  - When one of Ansible's workers was killed, a play with a free strategy waits for it forever. A process beside the
    play notices that within a minute, mostly in 10 seconds, on a Linux controller, says so and ends the play.
  - A task that ends C(unreachable) takes its host out of the play, and no C(rescue) releases the place. Hosts that wait
    for it give up after 20 seconds without anyone at work, on a Linux controller; on another they wait on.
extends_documentation_fragment:
  - commissaire.fleet.phase
options:
  state:
    description: Whether to wait for a place and take it, or to release it.
    type: str
    choices: [taken, released]
    required: true
  max_unavailable:
    description:
      - How many hosts may be out of service at once, at least 1, or a percentage of the play's hosts, rounded down.
    type: raw
    default: 1
  max_failures:
    description: How many hosts may fail before no new one starts, or a percentage of the play's hosts, rounded down.
    type: raw
    default: 0
  failed:
    description: With O(state=released), count the host as failed.
    type: bool
    default: false
  out_of_service:
    description: With O(failed=true), the host went out of service and was not seen fit since, so it keeps its place.
    type: bool
    default: false
  stop:
    description: With O(failed=true), no further host starts, whatever O(max_failures) allows.
    type: bool
    default: false
  skipped:
    description:
      - With O(state=released), nothing was done on the host. If it was one of the O(canary) hosts, the next one is in
        its stead.
    type: bool
    default: false
  canary:
    description:
      - How many hosts go first, as a number or a percentage of the play's hosts, rounded down, but to one at least. The
        others wait until all of these have ended, and are not started if one of them failed.
      - These are the first in the order that can be tried out. One that leaves the play before it starts, or is
        O(skipped), is replaced by the next. So is one that Ansible has no fork for while all of its forks wait.
    type: raw
    default: 0
  canary_soak_seconds:
    description: How long the others wait after the last of the first hosts has ended.
    type: float
    default: 0
  canary_ended_at:
    description: When the last of them ended in an earlier run, in seconds since the epoch.
    type: float
    default: 0
  count_earlier:
    description:
      - Count hosts that failed in an earlier play of the same run, on the same hosts, as if they had failed in this.
      - It must be so for all hosts of the play, and no host may leave the play before it asks for a place.
    type: bool
    default: false
  control_file:
    description:
      - A file on the controller by which the play is controlled while it runs.
      - While its first line begins with C(pause) no further host starts. Once it begins with C(stop) none starts any
        more. What follows in that line is the reason that is told.
    type: path
    default: ""
  when_paused:
    description:
      - What a host does while the play is paused. V(wait) waits; V(end) does not start it, and reports it as
        V(pending), so that a later run can go on where this one was.
    type: str
    choices: [wait, end]
    default: wait
  maintenance_windows:
    description:
      - When hosts may start. A list of mappings with C(from) and C(to) (V("22:00"); a window that ends no later than it
        begins passes midnight), C(time_zone) (an IANA name), and C(days) on which it opens, some of V(mon), V(tue),
        V(wed), V(thu), V(fri), V(sat), V(sun), by default all.
      - Without any, hosts may start at all times. Hosts under way at the end of a window come to their end.
      - Where the clocks change, a time that they skip is the moment when they do; of one that comes twice the first
        counts.
    type: raw
    default: []
  blackouts:
    description:
      - When hosts may not start, whatever O(maintenance_windows) says. A list of mappings with C(from) and C(to)
        (V(2026-12-24T18:00:00+01:00), or without the offset and with a C(time_zone)), and a C(reason).
    type: raw
    default: []
  outside_window:
    description:
      - What a host does outside the windows. V(wait) waits like O(when_paused) says, until the next one opens;
        V(refuse) does not start it, and fails, unless another host of the play has started before; V(pause) does not
        start it, and reports it as V(pending), for a later run that somebody starts.
    type: str
    choices: [wait, refuse, pause]
    default: wait
  spread:
    description:
      - Start one host of each failure domain in turn. Hosts that Ansible has not come to yet, for want of forks, can't
        be waited for any longer than two seconds.
    type: bool
    default: false
  failure_domain:
    description: The name of the label (in C(commissaire_labels)) or variable that tells each host's failure domain.
    type: str
    default: ""
  one_domain_at_a_time:
    description:
      - Keep hosts of different failure domains from being out of service at once. Hosts without one are together in a
        domain.
    type: bool
    default: false
  domains_away:
    description: With O(one_domain_at_a_time), the failure domains of hosts that an earlier run left out of service.
    type: list
    elements: str
    default: []
  interrupted:
    description:
      - Whether an earlier run left this host half-way. It then need not wait for a maintenance window, nor for enough
        healthy hosts, of which it may be one too few.
    type: bool
    default: false
  min_healthy:
    description:
      - How many hosts must answer before another one starts, or a percentage of O(min_healthy_of), rounded up. A host
        answers when its sshd greets this controller, unless the play works on it.
      - A host that is a node of a Kubernetes cluster, by O(kubeconfig) or its own variable C(kubeconfig), must be Ready
        and not cordoned as well.
    type: raw
    default: 0
  min_healthy_of:
    description: The hosts to look at, by their names or addresses; by default those of the play.
    type: list
    elements: str
    default: []
  min_healthy_nodes:
    description: The names of their nodes, where they are known, by host.
    type: dict
    default: {}
  kubeconfig:
    description: How the API server is reached of whose cluster hosts without a variable of that name are nodes.
    type: path
    default: ""
  context:
    description: Another of its contexts than the current one.
    type: str
    default: ""
  min_healthy_wait_seconds:
    description:
      - How long to wait for enough of them, before no further host is started, and the task fails. Those that the play
        works on are waited for as long as it does.
    type: float
    default: 300
attributes:
  check_mode:
    description: Places are taken and released as usual; windows are not waited for, nor is enough to be healthy.
    support: full
"""

EXAMPLES = r"""
- name: Update hosts, a quarter of them at a time
  hosts: all
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  tasks:
    - name: Take a place
      commissaire.fleet.rolling_place:
        state: taken
        max_unavailable: 25%
        max_failures: 2
      register: place

    - name: End here when no further host may start
      ansible.builtin.meta: end_host
      when: not place.taken

    - name: Update the host
      block:
        - name: Run the updater
          ansible.builtin.command: /usr/local/sbin/update
          changed_when: true
          register: update

        - name: Release the place
          commissaire.fleet.rolling_place:
            state: released
      rescue:
        - name: Account for the failure
          commissaire.fleet.rolling_place:
            state: released
            failed: true
            out_of_service: "{{ update is defined }}"

        - name: Fail
          ansible.builtin.fail:
            msg: "{{ ansible_failed_result.msg }}"
"""

RETURN = r"""
taken:
  description:
    - Whether the host holds a place now.
    - With O(state=taken), V(false) means that it must not start.
  returned: always
  type: bool
msg:
  description: Why.
  returned: always
  type: str
waited_seconds:
  description: How long the host waited.
  returned: when O(state=taken)
  type: float
checkpoint:
  description:
    - As M(commissaire.fleet.checkpoint) returns it, with the state V(not_started) for a host that must not start, or
      V(pending) for one that may start later; RV(checkpoint.data) then holds C(resume_at), in seconds since the epoch,
      where that is known, or null where somebody has to let it go on.
  returned: when O(phase) is given, or the host must not start
  type: dict
"""
