# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look at a host that demands are judged by: one shell script, one exchange, and no Python on the host."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils.lease import AS_ROOT

if TYPE_CHECKING:
    from ansible_collections.commissaire.fleet.plugins.plugin_utils.demands import Demands

# What a command printed comes first: whatever it looks like, the lines after it win. The ways to ask for a pending
# reboot are those of the role upgrade.
FUNCTIONS = (
    AS_ROOT
    + r"""
LC_ALL=C; export LC_ALL
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
judge() {  # $1: who is asked, $2, $3: patterns of its answers that a reboot is needed, and that none is
  case $reboot in ''|none) ;; *) return ;; esac
  who=$1 needed=$2 needless=$3
  shift 3
  case $(as_root "$@" 2>/dev/null; echo "status=$?") in
    $needed) reboot="$who says so" ;;
    $needless) reboot=none ;;
  esac
}
check_reboot() {
  reboot=
  if [ -e /run/reboot-required ]; then reboot=/run/reboot-required
  elif [ -e /run/ostree/staged-deployment ]; then reboot='a deployment is staged'
  elif [ -e /run/ostree-booted ] || [ -e /etc/kernel/postinst.d/unattended-upgrades ] ||
    [ -e /etc/kernel/postinst.d/update-notifier ]; then reboot=none  # these leave the marks above
  fi
  judge needrestart '*KSTA: [23]*' '*KSTA: 1*' needrestart -b -k
  judge dnf '*Reboot is required*' '*Reboot should not be necessary*' dnf needs-restarting -r
  judge yum '*Reboot is required*' '*Reboot is probably not necessary*' needs-restarting -r
  judge zypper '*status=102' '*status=0' zypper --quiet --non-interactive needs-rebooting
  printf 'reboot=%s\n' "$reboot"
}
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
"""
)


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
