# Say what the guest agent would meet on this machine, in lines NAME=VALUE: `sh look.sh PROGRAM REPLACED USER LINK...`.
# REPLACED is the file in which the role notes the services it has put aside. POSIX sh; changes nothing.
program=$1 replaced=$2 user=$3
shift 3

if [ -d /run/systemd/system ]; then
  echo init=systemd
elif command -v openrc-run >/dev/null 2>&1 || [ -x /sbin/openrc-run ]; then
  echo init=openrc
else
  echo init=none
fi

# other services that hold the port org.qemu.guest_agent.0, or will when there is one
if [ -d /run/systemd/system ]; then
  systemctl list-unit-files --no-legend --plain qemu-guest-agent.service qemu-ga@.service 2>/dev/null |
    while read -r name state _; do
      case $state in
        masked* | disabled | bad) systemctl --quiet is-active "$(echo "$name" | sed 's/@/@*/')" || continue ;;
      esac
      echo "other=$name"
    done
elif [ -x /etc/init.d/qemu-guest-agent ]; then
  if rc-service --quiet qemu-guest-agent status >/dev/null 2>&1 || rc-update show | grep -q '^ *qemu-guest-agent |'; then
    echo other=qemu-guest-agent
  fi
fi
if [ -f "$replaced" ]; then
  while read -r name; do
    echo "replaced=$name"
  done <"$replaced"
fi

id -u "$user" >/dev/null 2>&1 && echo user=yes
[ -e /dev/xen/xenbus ] && echo xen=yes

# what is of the agent already, and what is called as it is to be
[ -e "${program%/*}" ] && echo there=yes
for path in "$program" /etc/singularity/singularity.conf /etc/singularity/update.pem \
  /etc/systemd/system/singularity.service /etc/init.d/singularity; do
  [ -f "$path" ] && sha256sum "$path" | sed 's/^/sum=/'
done
if [ -d /run/systemd/system ]; then
  systemctl --quiet is-active singularity.service && systemctl --quiet is-enabled singularity.service && echo running=yes
elif [ -x /etc/init.d/singularity ]; then
  rc-service --quiet singularity status && rc-update show default | grep -q '^ *singularity |' && echo running=yes
fi
for link in "$@"; do
  if [ "$(readlink "$link")" = "$program" ]; then
    echo "linked=$link"
  elif [ -e "$link" ] || [ -L "$link" ]; then
    echo "taken=$link"
  fi
done
exit 0
