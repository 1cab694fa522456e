# Run a command beside the agent by which this was asked for, and which may be stopped by it: `sh aside.sh COMMAND`.
if [ -d /run/systemd/system ]; then
  exec systemd-run --quiet --collect sh -c "sleep 1; $1"
fi
setsid sh -c "sleep 1; $1" </dev/null >/dev/null 2>&1 &
