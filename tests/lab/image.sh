# Make a fresh Debian tree a lab machine. Read by `chroot DIR sh -s`; part of the recipe, so a change here makes a new image.
set -eu

# What a container can't use, or what would start work of its own at a time of its own.
systemctl --quiet mask \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer \
  e2scrub_reap.service systemd-pstore.service getty.target console-getty.service \
  dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount ifupdown-pre.service

useradd --create-home --shell /bin/bash --no-user-group --gid operator operator
echo 'operator ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/operator
chmod 0440 /etc/sudoers.d/operator
install -d -m 0700 /root/.ssh
install -d -m 0700 -o operator -g operator /home/operator/.ssh

# Host keys are each machine's own; one kind is enough, and starts faster.
rm -f /etc/ssh/ssh_host_*
echo 'HostKey /etc/ssh/ssh_host_ed25519_key' >/etc/ssh/sshd_config.d/lab.conf

install -d /var/log/journal /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\n' >/etc/systemd/journald.conf.d/lab.conf

# The machine's own record of its boots, read from outside even while it is down.
cat >/etc/systemd/system/lab-boots.service <<'UNIT'
[Unit]
Description=Record this boot in /var/log/boots
DefaultDependencies=no
After=systemd-remount-fs.service
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'read -r id </proc/sys/kernel/random/boot_id; echo "$id $(date --utc +%%FT%%T.%%NZ)" >>/var/log/boots'

[Install]
WantedBy=sysinit.target
UNIT
systemctl --quiet enable lab-boots.service

: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/resolv.conf /etc/apt/sources.list /etc/apt/sources.list.d/*
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*.log /var/log/apt
