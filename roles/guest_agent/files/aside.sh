# Run a command beside the agent by which this was asked for, and which may be stopped by it: `sh aside.sh COMMAND ENDED`.
# ENDED is the file that says with what it ended. POSIX sh.
set -eu
rm -f "$2"
command="sleep 1; ($1); echo \$? >$2.new; mv $2.new $2"
if [ -d /run/systemd/system ]; then
  exec systemd-run --quiet --collect sh -c "$command"
fi
setsid sh -c "$command" </dev/null >/dev/null 2>&1 &
