# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a host until it is as demanded, or its time is up."""

from __future__ import annotations

import time
import urllib.error
from typing import TYPE_CHECKING

from ansible.module_utils.urls import open_url
from ansible_collections.commissaire.fleet.plugins.plugin_utils.contact import CONTACT_SECONDS
from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Finding, failures, find, find_url
from ansible_collections.commissaire.fleet.plugins.plugin_utils.host_look import look_script
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    CommandError,
    HostKeyError,
    Machine,
    NoContactError,
    changed_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Demands

AGAIN_SECONDS = 2.0
LEAST_SECONDS = 10.0  # for one command or request, however little time is left


def examine(machine: Machine, demands: Demands, still_wanted: Callable[[], None]) -> tuple[list[Finding], str]:
    """Return what was found at last, and the boot id; all of it but the playbook, and "" for a host that is silent."""
    deadline = time.monotonic() + demands.timeout_seconds
    while True:
        findings, boot_id = _look(machine, demands, max(LEAST_SECONDS, deadline - time.monotonic()))
        if not failures(findings) or time.monotonic() + AGAIN_SECONDS > deadline:
            return findings, boot_id
        still_wanted()
        time.sleep(AGAIN_SECONDS)


def request(url: str, seconds: float) -> str:
    """Return the status that a GET of *url* is answered with, or why there is none; redirections are not followed."""
    try:
        with open_url(url, timeout=seconds, follow_redirects="none", use_netrc=False) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except Exception as error:  # the many ways in which a server can't be talked to
        return str(error)


def _look(machine: Machine, demands: Demands, seconds: float) -> tuple[list[Finding], str]:
    try:
        answer = machine.ask(look_script(demands, int(seconds)), seconds + CONTACT_SECONDS)
    except HostKeyError as error:
        return [Finding("reachable", False, changed_key(error))], ""
    except (NoContactError, CommandError) as error:
        machine.hang_up()
        return [Finding("reachable", False, str(error))], ""
    findings = find(demands, answer)
    if demands.url and demands.url_from == "controller":
        findings.append(find_url(demands, request(demands.url, min(seconds, CONTACT_SECONDS))))
    return findings, answer["boot_id"]
