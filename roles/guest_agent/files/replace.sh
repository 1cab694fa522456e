# Put other guest agents' services aside, and note them: `sh replace.sh REPLACED SERVICE...`. POSIX sh.
set -eu
replaced=$1
shift
for name in "$@"; do
  grep -qxF "$name" "$replaced" 2>/dev/null || echo "$name" >>"$replaced"
  if [ -d /run/systemd/system ]; then
    systemctl mask --quiet "$name"
    systemctl stop "$(echo "$name" | sed 's/@/@*/')"
  else
    rc-service --ifstarted "$name" stop
    rc-update delete "$name"
  fi
done
