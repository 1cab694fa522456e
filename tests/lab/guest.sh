# Make a fresh Debian tree the system of virtual machines. Read by `chroot DIR sh -s`; part of the recipe.
set -eu

systemctl --quiet mask \
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer \
  e2scrub_reap.service systemd-pstore.service systemd-networkd-wait-online.service ssh.socket
systemctl --quiet enable systemd-networkd.service ssh.service

echo 'LABEL=root / ext4 defaults 0 1' >/etc/fstab
install -d /boot/grub
cat >/boot/grub/grub.cfg <<'GRUB'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
linux /vmlinuz root=LABEL=root ro console=ttyS0,115200 net.ifnames=0 quiet
initrd /initrd.img
boot
GRUB

# What a network install's answers would set up: root's key comes with the machine's first boot or its installer.
cat >/etc/systemd/network/90-dhcp.network <<'NETWORK'
[Match]
Name=e*

[Network]
DHCP=yes
LLMNR=no
MulticastDNS=no

[DHCPv4]
ClientIdentifier=mac
NETWORK

# A switch in user space passes packets on as they come: their checksums must be there.
cat >/etc/systemd/network/80-checksums.link <<'LINK'
[Match]
OriginalName=e*

[Link]
NamePolicy=keep kernel
TransmitChecksumOffload=no
TCPSegmentationOffload=no
GenericSegmentationOffload=no
LINK

# A small one loads faster from a disk that only the firmware can read. cloud-init looks for a CD before udev does.
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' /etc/initramfs-tools/initramfs.conf
printf '%s\n' ext4 isofs sd_mod sr_mod virtio_net virtio_pci virtio_scsi >>/etc/initramfs-tools/modules
update-initramfs -u -k all >/dev/null

# Host keys are each machine's own, made at its first boot.
rm -f /etc/ssh/ssh_host_*
cat >/etc/systemd/system/ssh-keys.service <<'UNIT'
[Unit]
Description=Make the keys of this host
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
UNIT
echo 'HostKey /etc/ssh/ssh_host_ed25519_key' >/etc/ssh/sshd_config.d/lab.conf
systemctl --quiet enable ssh-keys.service

cat >/etc/cloud/cloud.cfg.d/90_lab.cfg <<'CLOUD'
datasource_list: [NoCloud, ConfigDrive]
disable_root: false
ssh_genkeytypes: [ed25519]
CLOUD

: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/apt/sources.list /etc/apt/sources.list.d/*
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*.log /var/log/apt
