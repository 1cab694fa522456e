#!/bin/sh
# Keep a machine powered: start it, and start it again when it reboots (systemd-nspawn then exits 133; anything else ends it).
# supervise.sh LINK OWN_CGROUP_PROCS... -- MACHINE_CGROUP_PROCS... -- COMMAND...
link=$1
shift
while [ "$1" != -- ]; do echo 0 >"$1" && shift; done
shift
while :; do
  ip link delete "$link" 2>/dev/null # left over until the kernel has taken the old machine apart
  (
    while [ "$1" != -- ]; do echo 0 >"$1" && shift; done
    shift
    exec "$@"
  )
  [ $? -eq 133 ] || exit 0
done
