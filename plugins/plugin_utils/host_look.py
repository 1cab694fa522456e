# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look at a host that demands are judged by: one shell script, one exchange, and no Python on the host."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Demands

# What a command printed comes first: whatever it looks like, the lines after it win. The ways to ask for a pending
# reboot are those of the role upgrade.
FUNCTIONS = r"""
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
flat() { tr '\000-\037\177' ' '; }
within() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
check_command() {
  said=$({ within "$@" 2>&1 </dev/null; printf '\nstatus=%s' "$?"; } | tail -c 400 | flat)
  printf 'command=%s %s\n' "${said##*status=}" "${said% status=*}"
}
check_url() {
  if command -v curl >/dev/null 2>&1; then
    said=$(curl -gsS -o /dev/null -w '%{http_code}' -m "$1" --proto =http,https --url "$2" 2>&1 </dev/null)
    said=${said%000}
  elif command -v wget >/dev/null 2>&1; then
    said=$(wget -S -O /dev/null -T "$1" "$2" 2>&1 </dev/null)
    status=$(printf '%s\n' "$said" | awk '/^ *HTTP\// { print $2; exit }')
    said=${status:-$said}
  else
    said='the host has neither curl nor wget'
  fi
  printf 'url=%s\n' "$(printf '%s' "$said" | flat | tail -c 400)"
}
check_unit() { printf 'unit.%s=%s\n' "$1" "$(systemctl is-active -- "$2" 2>&1 | head -n 1)"; }
check_failed_units() {
  if said=$(systemctl list-units --failed --no-legend --plain 2>&1); then
    echo failed_units_known=yes
    said=$(printf '%s\n' "$said" | cut -d' ' -f1 | head -n 20)
  fi
  printf 'failed_units=%s\n' "$(printf '%s' "$said" | flat)"
}
check_disk() { printf 'disk.%s=%s\n' "$1" "$(df -P -k -- "$2" 2>&1 | tail -n 1 | flat)"; }
check_reboot() {
  zypper_says() { zypper --quiet --non-interactive needs-rebooting >/dev/null 2>&1; [ $? -eq 102 ]; }
  if [ -e /run/reboot-required ]; then echo 'reboot=/run/reboot-required'
  elif [ -e /run/ostree/staged-deployment ]; then echo 'reboot=a deployment is staged'
  elif needrestart -b -k 2>/dev/null | grep -q '^NEEDRESTART-KSTA: [23]'; then echo 'reboot=needrestart says so'
  elif dnf needs-restarting -r 2>/dev/null | grep -q '^Reboot is required'; then echo 'reboot=dnf says so'
  elif needs-restarting -r 2>/dev/null | grep -q '^Reboot is required'; then echo 'reboot=yum says so'
  elif zypper_says; then echo 'reboot=zypper says so'
  fi
}
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
"""


def look_script(demands: Demands, seconds: int) -> str:
    """Return the script, in which a command and a request each have *seconds*; no word of a user's is left unquoted."""
    calls: list[list[str]] = []
    if demands.command:
        calls.append(["check_command", str(seconds), *demands.command])
    if demands.url and demands.url_from == "host":
        calls.append(["check_url", str(seconds), demands.url])
    calls += [["check_unit", str(index), unit] for index, unit in enumerate(demands.units)]
    calls += [["check_failed_units"]] * demands.no_failed_units
    calls += [["check_disk", str(index), disk.path] for index, disk in enumerate(demands.disk)]
    calls += [["check_reboot"]] * demands.no_pending_reboot
    return FUNCTIONS + "\n".join(shlex.join(call) for call in calls) + "\nexit 0\n"
