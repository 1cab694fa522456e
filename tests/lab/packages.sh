#!/bin/sh
# Install the Debian packages the lab, the demo and the integration tests need. Quiet and quick when nothing is missing.
# Where that can't be done it says what will be skipped, and succeeds: everything else works without them.
set -eu

lab='systemd-container mmdebstrap debian-archive-keyring iproute2 openssh-client'
database=postgresql
bus='etcd-server redis-server'
trees=ostree
rulebooks=openjdk-17-jre-headless
secrets=custodia
rpm=zypper
machines='virtinst xorriso qemu-utils grub-pc-bin grub-common e2fsprogs libsasl2-modules'
xenstore='xen-utils-4.17 xenstore-utils gcc libc6-dev'
guest=qemu-guest-agent # udev starts it only where there is a virtio port for it

skip() {
  echo "packages: $1" >&2
  echo "packages: tests on real machines (make lab, make demo, tests/integration) and on PostgreSQL, etcd, Redis, Custodia, zypper, xenstored, virtual machines, qemu-ga and ansible-rulebook are skipped" >&2
  exit 0
}

missing() {
  for package in $lab $database $bus $secrets $trees $rulebooks $rpm $machines $xenstore $guest; do
    case $(dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null) in
      'install ok installed') ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

for program in apt-get dpkg-query; do
  command -v "$program" >/dev/null || skip "no $program: this is not a Debian machine"
done

wanted=$(missing)
[ -n "$wanted" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || skip "not root, and sudo wants a password: run as root: apt-get install $wanted"
  as_root='sudo -n'
fi

install() {
  # shellcheck disable=SC2086 # lists of words on purpose
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --quiet --no-install-recommends $wanted >"$log" 2>&1 </dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "packages: installing $wanted" >&2
if ! install; then
  $as_root apt-get update --quiet --quiet >"$log" 2>&1 </dev/null || { cat "$log" >&2; skip 'apt-get update failed'; }
  install || { cat "$log" >&2; skip "apt-get could not install $wanted"; }
fi
