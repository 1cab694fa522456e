# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reboot a machine, and know when it is really back."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass, field

from ansible_collections.commissaire.fleet.plugins.plugin_utils import lease, package_locks
from ansible_collections.commissaire.fleet.plugins.plugin_utils.contact import (
    CONTACT_SECONDS,
    first_contact,
    pause_seconds,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import (
    Answer,
    CommandError,
    DeniedError,
    HostKeyError,
    Machine,
    NoContactError,
    changed_key,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.ssh_port import SshPort, ssh_port

DENIED_SECONDS = 30.0  # a login may be refused while a machine still starts (nologin, homes not mounted)
FIRST_LOGIN_SECONDS = 1.0  # into a machine whose port never fell silent
AFTER_BOOT_SECONDS = 60  # for the play to take the lease up again on a host that came back in the last moment
PACKAGER_POLL_SECONDS = 2.0
MARKER = "/var/lib/commissaire/restart.json"

PREAMBLE = (
    lease.AS_ROOT
    + r"""
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
"""
)
OBSERVE = (
    PREAMBLE
    + rf"""
echo "marker=$(cat {MARKER} 2>/dev/null)"
echo "privilege=$(as_root true 2>&1 && echo yes)"
"""
)
WRITE_MARKER = rf"""
as_root sh -c 'set -e; umask 022; mkdir -p {MARKER.rpartition("/")[0]}
  said=$(printf "%s\n" "$1" | dd of={MARKER}.new conv=fsync 2>&1) || {{ echo "$said" >&2; exit 1; }}
  mv {MARKER}.new {MARKER}; sync {MARKER.rpartition("/")[0]} 2>/dev/null || sync' sh "$marker" || exit 1
"""
REBOOT = r"""
if [ -d /run/systemd/system ] && as_root systemctl reboot; then :; else as_root shutdown -r now || as_root reboot; fi
"""
LOOK = (
    PREAMBLE
    + r"""
state() { as_root systemctl is-system-running "$@" 2>/dev/null || systemctl is-system-running 2>/dev/null; }
system_state=none
if [ -d /run/systemd/system ]; then
  end=$(($(date +%s) + SECONDS_LEFT))
  system_state=$(state --wait | head -n 1)
  while :; do
    case $system_state in initializing|starting|offline|unknown|'') ;; *) break ;; esac
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 0.2 2>/dev/null || sleep 1
    system_state=$(state | head -n 1)
  done
fi
echo "system_state=$system_state"
case $system_state in
  degraded|maintenance) units=$(systemctl list-units --failed --no-legend --plain | cut -d' ' -f1) ;;
  initializing|starting) units=$(systemctl list-jobs --no-legend | awk '{print $2}') ;;
esac 2>/dev/null
echo "units="$units
"""
)


class RestartError(Exception):
    """A restart that did not end well; `out_of_service` says whether the machine may be away."""

    def __init__(self, message: str, out_of_service: bool) -> None:
        super().__init__(message)
        self.out_of_service = out_of_service


@dataclass(frozen=True)
class Observation:
    """A machine before its restart. `missing_privilege` is what sudo said, empty when rebooting is allowed."""

    boot_id: str
    marked_operation: str
    marked_boot_id: str
    missing_privilege: str

    def rebooted_for(self, operation_id: str) -> bool:
        """Tell whether this operation's reboot has happened already."""
        return bool(operation_id) and self.marked_operation == operation_id and self.marked_boot_id != self.boot_id


@dataclass
class Restart:
    """One restart of one machine."""

    machine: Machine
    timeout_seconds: float
    timings: dict[str, float] = field(default_factory=dict)

    def observe(self, contact_timeout_seconds: float = 0) -> Observation:
        """Read what a restart must know; try a silent host again for `contact_timeout_seconds`."""
        start = time.monotonic()
        try:
            answer = first_contact(self.machine, OBSERVE, contact_timeout_seconds)
        except HostKeyError as error:
            raise RestartError(changed_key(error), out_of_service=False) from error
        except (NoContactError, CommandError) as error:
            raise RestartError(f"can't be reached: {error}", out_of_service=False) from error
        self.timings["observe"] = _since(start)
        return read_observation(answer)

    def order(
        self,
        boot_id: str,
        operation_id: str,
        command: list[str],
        lease_token: int = 0,
        lock_timeout_seconds: float = 0,
    ) -> None:
        """Write the marker (with an operation only) and order the reboot, in one exchange.

        With a `lease_token` the reboot only happens under that lease, which then lasts until the host must be back.
        A package manager that changes the host is waited for, `lock_timeout_seconds` at most.
        """
        script = f'{PREAMBLE}{package_locks.FIND}\n[ -z "$packager" ] || {{ echo "packager=$packager"; exit 0; }}\n'
        if lease_token:
            script += lease.guard(lease_token, int(self.timeout_seconds) + AFTER_BOOT_SECONDS)
        if operation_id:
            marker = json.dumps({"operation_id": operation_id, "boot_id": boot_id})
            script += f"marker={shlex.quote(marker)}\n{WRITE_MARKER}"
        script += f"as_root {shlex.join(command)}" if command else REBOOT
        start = time.monotonic()
        try:
            while packager := (answer := self.machine.ask(script, CONTACT_SECONDS))["packager"]:
                if time.monotonic() - start >= lock_timeout_seconds:
                    raise RestartError(
                        f"is not rebooted, because {packager} changes its packages; wait for the end of that",
                        out_of_service=False,
                    )
                time.sleep(PACKAGER_POLL_SECONDS)
            if answer["outcome"] == "lost":
                raise RestartError(lease.lost(lease.read(answer)), out_of_service=False)
        except CommandError as error:
            raise RestartError(f"refused to reboot: {error}", out_of_service=False) from error
        except NoContactError:
            pass  # it hung up on us, as a rebooting machine may; whether it reboots, its boot id will tell
        self.machine.hang_up()
        self.timings["order"] = _since(start)

    def wait(self, boot_id: str, ordered: bool = True, lease_token: int = 0) -> Answer:
        """Return what the machine says once it has another boot id than `boot_id` and has started its services.

        With a `lease_token` the lease is then as short again as it was taken for; a lost one is a failure.

        Call it right after `order`; without an order the machine may be back already. The port is asked first, because
        that costs nothing; a port that never falls silent (a proxy may hold it) is not waited for.
        """
        start = time.monotonic()
        port = ssh_port(self.machine)
        down, next_login, failed_logins = port is None or not ordered, FIRST_LOGIN_SECONDS, 0
        words, refused_since = "", None
        while (elapsed := time.monotonic() - start) < self.timeout_seconds:
            complaint = _probe(port, elapsed)
            if complaint:
                self.timings.setdefault("down", _since(start))
                down, words = True, complaint
            elif down or elapsed >= next_login:
                next_login = elapsed * 2
                self.timings["port"] = _since(start)
                try:
                    answer = self._look(start, lease.settle(lease_token, boot_id) if lease_token else "")
                    if answer["boot_id"] not in ("", boot_id):
                        self.timings["up"] = _since(start)
                        if answer["outcome"] == "lost":
                            raise RestartError(f"is back, but {lease.lost(lease.read(answer))}", out_of_service=True)
                        return answer
                    words, down = f"still has the boot id {boot_id}", port is None
                except HostKeyError as error:
                    raise RestartError(changed_key(error), out_of_service=True) from error
                except DeniedError as error:
                    words = str(error)
                    refused_since = refused_since or elapsed
                    if elapsed - refused_since > DENIED_SECONDS:
                        raise RestartError(f"is back, but refuses the login: {words}", out_of_service=True) from error
                except (NoContactError, CommandError) as error:
                    words = str(error)
                self.machine.hang_up()
                failed_logins += 1
                time.sleep(min(2.0, 0.05 * 2**failed_logins))
            time.sleep(pause_seconds(elapsed))
        raise RestartError(f"did not come back within {self.timeout_seconds:g} s: {words}", out_of_service=True)

    def _look(self, start: float, afterwards: str) -> Answer:
        left = max(1, int(self.timeout_seconds - (time.monotonic() - start)))
        return self.machine.ask(LOOK.replace("SECONDS_LEFT", str(left)) + afterwards, left + 1)


def read_observation(answer: Answer) -> Observation:
    """Read what OBSERVE printed; a marker that is no JSON object counts as none."""
    try:
        marker = dict(json.loads(answer["marker"] or "{}"))
    except (ValueError, TypeError):
        marker = {}
    if not answer["boot_id"]:
        raise RestartError(
            "has no /proc/sys/kernel/random/boot_id, so a reboot could not be told", out_of_service=False
        )
    return Observation(
        boot_id=answer["boot_id"],
        marked_operation=str(marker.get("operation_id", "")),
        marked_boot_id=str(marker.get("boot_id", "")),
        missing_privilege="" if answer["privilege"] == "yes" else answer["privilege"] or "sudo said nothing",
    )


def judge(answer: Answer, fail_on_degraded: bool) -> str:
    """Return systemd's state of a machine that is fit again (`none` without systemd), or raise RestartError."""
    state, units = answer["system_state"], answer["units"].strip()
    if state in ("running", "none") or (state == "degraded" and not fail_on_degraded):
        return state
    explained = {
        "degraded": f"is back, but degraded: these units failed: {units}",
        "starting": f"is back, but systemd still starts: these jobs are left: {units}",
    }
    raise RestartError(explained.get(state, f"is back, but systemd's state is {state!r}; {units}"), out_of_service=True)


def _probe(port: SshPort | None, elapsed: float) -> str:
    return port.complaint(min(2.0, max(0.2, 0.1 * elapsed))) if port else ""


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)
