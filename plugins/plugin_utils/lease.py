# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease on a host: who may work on it, for how long, kept on the host itself.

The file holds lines `name=value` and survives reboots. Every change happens on the host, under a lock, by the host's
own clock. The token grows with every holder and is never used again, so an old holder can always be told.
"""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.commissaire.fleet.plugins.plugin_utils.contact import CONTACT_SECONDS, first_contact
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import HostKeyError, NoContactError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import Answer, Machine

LEASE = "/var/lib/commissaire/lease"
LONGEST_SECONDS = 7 * 86400
LOCK_SECONDS = 10
POLL_SECONDS = 2.0

AS_ROOT = r"""
PATH=$PATH:/usr/sbin:/sbin
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }
"""
# arguments: action, owner, operation, seconds, token, reason, operations that have ended
CHANGE = rf"""
set -e
umask 022
file={LEASE} action=$1
number() {{ case $1 in ''|*[!0-9]*) echo 0 ;; *) echo "$1" ;; esac; }}
token=0 owner= operation= seconds=0 usual=0 expires=0 since=0
if [ -e "$file" ]; then
  while IFS='=' read -r name value; do
    case $name in
      owner) owner=$value ;;
      operation) operation=$value ;;
      token) token=$(number "$value") ;;
      seconds) seconds=$(number "$value") ;;
      usual) usual=$(number "$value") ;;
      expires) expires=$(number "$value") ;;
      since) since=$(number "$value") ;;
    esac
  done <"$file"
fi
now=$(date +%s) clamped=no
# a clock that was set back must not lengthen a lease
[ "$((expires - now))" -le "$seconds" ] || {{ expires=$((now + seconds)); clamped=yes; }}
if [ -z "$owner" ]; then held=no; elif [ "$expires" -gt "$now" ]; then held=yes; else held=expired; fi
# whether the holder is the operation that asks, or one of those that have ended
ours() {{
  asking=$4
  shift 7
  for ended in "$asking" "$@"; do
    [ -z "$operation" ] || [ "$ended" != "$operation" ] || return 0
  done
  return 1
}}
write() {{
  said=$(printf 'token=%s\nowner=%s\noperation=%s\nseconds=%s\nusual=%s\nexpires=%s\nsince=%s\n' \
    "$token" "$owner" "$operation" "$seconds" "$usual" "$expires" "$since" | dd of="$file.new" conv=fsync 2>&1) ||
    {{ echo "can't write $file: $said" >&2; exit 1; }}
  mv "$file.new" "$file"
  sync "${{file%/*}}" 2>/dev/null || sync
}}
tell() {{ logger -t commissaire -- "lease $*" 2>/dev/null || :; }}
case $action in
  take)
    if [ "$held" = yes ] && ! ours take "$@"; then
      outcome=refused
      [ "$clamped" = no ] || write # so that it expires at last, however often somebody looks
    else
      [ "$held" = no ] || echo "taken_over_from=$owner"
      outcome=held token=$((token + 1)) owner=$2 operation=$3 seconds=$4 usual=$4 since=$now
      expires=$((now + $4))
      write
      tell "$token taken by $owner for operation $operation"
    fi ;;
  renew)
    if [ -n "$owner" ] && [ "$token" = "$5" ]; then
      outcome=held
      [ "$expires" -ge "$((now + $4))" ] || {{ seconds=$4; expires=$((now + $4)); }}
      write
    else outcome=lost; fi ;;
  shorten)
    if [ -n "$owner" ] && [ "$token" = "$5" ]; then
      outcome=held
      [ "$usual" -eq 0 ] || {{ seconds=$usual; expires=$((now + usual)); }}
      write
    else outcome=lost; fi ;;
  verify)
    if [ "$held" = yes ] && [ "$token" = "$5" ]; then outcome=held; else outcome=lost; fi ;;
  release)
    if [ -n "$owner" ] && [ "$token" = "$5" ]; then
      outcome=released owner= operation= seconds=0 usual=0 expires=0 since=0
      write
      tell "$token released"
    else outcome=lost; fi ;;
  break)
    if [ "$held" = yes ]; then
      echo "broken_owner=$owner"
      tell "$token of $owner broken by $2: $6"
      outcome=broken token=$((token + 1)) owner= operation= seconds=0 usual=0 expires=0 since=0
      write
    else outcome=free; fi ;;
  *) if [ "$held" = yes ]; then outcome=held; else outcome=free; fi ;;
esac
printf 'outcome=%s\ntoken=%s\nowner=%s\noperation=%s\nleft=%s\nsince=%s\n' \
  "$outcome" "$token" "$owner" "$operation" "$((expires > now ? expires - now : 0))" "$since"
"""


class LeaseError(Exception):
    """The host refuses the lease, or it was lost; the text says to whom."""


@dataclass(frozen=True)
class Lease:
    """A lease as the host tells of it. `left_seconds` is until it expires, 0 when nobody holds it."""

    token: int
    owner: str
    operation: str
    left_seconds: int
    taken_over_from: str = ""

    @property
    def is_held(self) -> bool:
        """Whether somebody holds it now."""
        return bool(self.owner and self.left_seconds)

    def as_result(self) -> dict[str, object]:
        """Return it in the shape of a task's result."""
        return {
            "token": self.token,
            "owner": self.owner,
            "operation_id": self.operation,
            "left_seconds": self.left_seconds,
        }


def script(
    action: str,
    *,
    owner: str = "",
    operation: str = "",
    seconds: int = 0,
    token: int = 0,
    reason: str = "",
    succeeds: Sequence[str] = (),
) -> str:
    """Return the shell script that does *action* and prints the outcome.

    Actions are take, renew (never to an earlier expiry), shorten (to what it was taken for, from now on), verify,
    release, break and look.
    """
    arguments = [action, plain(owner), plain(operation), str(seconds), str(token), plain(reason), *map(plain, succeeds)]
    directory = LEASE.rpartition("/")[0]
    # one shell as root; who may open the lock file may hold it, so nobody else may
    inner = f'mkdir -p -m 755 {directory} && umask 077 && exec flock -w {LOCK_SECONDS} {LEASE}.lock sh -c "$0" sh "$@"'
    return f"{AS_ROOT}\nas_root sh -c {shlex.quote(inner)} {shlex.join([CHANGE, *arguments])}\n"


def guard(token: int, seconds: int) -> str:
    """Return shell that ends the script that follows it, after printing `outcome=lost`, unless *token* holds the lease.

    The lease lasts *seconds* from then on, or longer.
    """
    return f"""
guarded=$({script("renew", token=token, seconds=seconds)}) || exit 1
printf '%s\\n' "$guarded"
case $guarded in *outcome=lost*) exit 0 ;; esac
"""


def settle(token: int, boot_id: str) -> str:
    """Return shell that ends what `guard` prolonged the lease by, once the host has another boot id than *boot_id*.

    It prints `outcome=lost` when *token* holds the lease no more.
    """
    shorten = script("shorten", token=token)
    return f"""
if [ "$(cat /proc/sys/kernel/random/boot_id)" != {shlex.quote(boot_id)} ]; then
{shorten}
fi
"""


def look_script() -> str:
    """Return the shell script that prints the lease and changes nothing, not even a folder."""
    return f"set -- look\n{CHANGE}"


def read(answer: Answer) -> Lease:
    """Read what a script printed."""
    return Lease(
        token=int(answer["token"] or 0),
        owner=answer["owner"],
        operation=answer["operation"],
        left_seconds=int(answer["left"] or 0),
        taken_over_from=answer["taken_over_from"],
    )


def take(
    machine: Machine,
    owner: str,
    operation: str,
    seconds: int,
    contact_timeout_seconds: float = 0,
    succeeds: Sequence[str] = (),
) -> Lease:
    """Take the lease, or raise LeaseError when somebody else holds it; a silent host is tried again for a while.

    What *operation* itself, or one of *succeeds* (that have ended, and could not give it back) holds is taken over at
    once.
    """
    wanted = script("take", owner=owner, operation=operation, seconds=seconds, succeeds=succeeds)
    answer = first_contact(machine, wanted, contact_timeout_seconds)
    lease = read(answer)
    if answer["outcome"] != "held":
        raise LeaseError(held_by(lease))
    return lease


def wait_for(take_it: Callable[[], Lease], seconds: float) -> Lease:
    """Return the lease that *take_it* takes, as soon as it can, or raise its error after *seconds*.

    A host that was leased and falls silent is waited for: whoever has the lease may be rebooting it.
    """
    start = time.monotonic()
    was_held = False
    while True:
        try:
            return take_it()
        except HostKeyError:
            raise
        except (LeaseError, NoContactError) as error:
            was_held = was_held or isinstance(error, LeaseError)
            if not was_held or time.monotonic() - start >= seconds:
                raise
        time.sleep(POLL_SECONDS)


def verify(machine: Machine, token: int) -> Lease:
    """Return the lease if *token* still holds it, or raise LeaseError."""
    answer = machine.ask(script("verify", token=token), CONTACT_SECONDS)
    if answer["outcome"] != "held":
        raise LeaseError(lost(read(answer)))
    return read(answer)


def renew(machine: Machine, token: int, seconds: int) -> bool:
    """Hold the lease for *seconds* from now at least; return False when it was lost."""
    return machine.ask(script("renew", token=token, seconds=seconds), CONTACT_SECONDS)["outcome"] == "held"


def release(machine: Machine, token: int) -> bool:
    """Give the lease back; return False when it was lost."""
    return machine.ask(script("release", token=token), CONTACT_SECONDS)["outcome"] == "released"


def told(lease: Lease) -> str:
    """Say who holds a lease."""
    if not lease.is_held:
        return "held by nobody"
    operation = f" for operation {lease.operation}" if lease.operation else ""
    return f"held by {lease.owner}{operation}, for another {lease.left_seconds} s at least"


def held_by(lease: Lease) -> str:
    """Say that somebody else holds a lease, and what can be done about it."""
    return (
        f"is leased: {told(lease)}. Wait for the end of that, "
        "or break the lease if nobody works there any more (`commctl lease break`, or the playbook lease_break)"
    )


def lost(lease: Lease) -> str:
    """Say who took a lease away."""
    if lease.owner:
        return f"lost its lease to {lease.owner}: nothing more is done here"
    return "lost its lease, which was broken or has expired: nothing more is done here"


def names(value: object) -> list[str]:
    """Return a name, or a list of names, as a list; a name may have a comma in it."""
    return [str(name) for name in value] if isinstance(value, list | tuple) else [str(value)]


def plain(text: str) -> str:
    """Return *text* as one line that can be a value: no control characters, no `=`, not too long."""
    return re.sub(r"[\x00-\x1f\x7f=]+", " ", text).strip()[:200]
