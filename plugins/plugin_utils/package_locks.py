# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a package manager changes a host just now: a reboot would leave its packages half-installed."""

from __future__ import annotations

import shlex

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)
"""The files that dpkg, apt and rpm lock for writing while they change packages, by fcntl(2)."""

FIND = rf"""
packager=
for file in {shlex.join(LOCKS)}; do
  inode=$(stat -c %i "$file" 2>/dev/null) || continue
  while read -r _number _kind _how mode pid where _range; do
    case $mode:$pid:$where in
      WRITE:0:*) ;; # of another container
      WRITE:*:*:*:"$inode") packager="$(cat "/proc/$pid/comm" 2>/dev/null) (process $pid)" ;;
    esac
  done </proc/locks
done
"""
"""Shell that sets `packager` to the program that holds one of them, or to nothing."""
