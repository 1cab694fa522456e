# Say what this host is, in sections `== name`, to the filter commissaire.fleet.host_facts. POSIX sh; changes nothing.
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
say() { printf '\n== %s\n' "$1"; }
say os_release; cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null
say kernel; uname -r
say hostname; cat /proc/sys/kernel/hostname 2>/dev/null || uname -n
say boot_id; cat /proc/sys/kernel/random/boot_id 2>/dev/null
say machine_id; cat /etc/machine-id 2>/dev/null
say cpus; getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo 2>/dev/null
say memory; grep '^MemTotal:' /proc/meminfo 2>/dev/null
say filesystems; df -P -k 2>/dev/null
say ostree; [ -e /run/ostree-booted ] && echo yes
say bootc; command -v bootc >/dev/null 2>&1 && echo yes
say python
for python in /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python $(command -v python3 2>/dev/null); do
  [ -x "$python" ] || continue
  version=$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
  echo "$python $version"
  break
done
say system_state; [ -d /run/systemd/system ] && systemctl is-system-running 2>/dev/null
say privileged; if [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; then echo yes; fi
say login; echo "${SUDO_USER:-$(id -un)}"
say package_manager
for name in rpm-ostree dnf5 dnf yum apt-get zypper apk pacman; do
  command -v "$name" >/dev/null 2>&1 && echo "$name" && break
done
say virtualization; systemd-detect-virt 2>/dev/null
say end
exit 0
