#!/bin/sh
# Install libvirt's Python bindings for the Python named. They are built here, against libvirt's headers; where those can't
# be had, say what is missing without them, and succeed.
set -eu
python=$1

without() {
  echo "setup: $1" >&2
  echo "setup: without libvirt's Python bindings this server can't ask hypervisors, and their tests are skipped; install libvirt-dev, pkg-config, gcc and python3-dev, then run make setup again" >&2
  exit 0
}

"$python" -c 'import libvirt' 2>/dev/null && exit 0
if ! pkg-config --exists libvirt 2>/dev/null || ! command -v gcc >/dev/null ||
  ! "$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
  command -v apt-get >/dev/null || without 'libvirt-devel, pkg-config, gcc or the headers of Python are missing'
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || without 'not root, and sudo wants a password'
    as_root='sudo -n'
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet --no-install-recommends \
      libvirt-dev pkg-config gcc libc6-dev python3-dev >"$log" 2>&1 </dev/null
  }
  echo 'setup: installing what libvirt-python is built with' >&2
  install || { $as_root apt-get update --quiet --quiet >"$log" 2>&1 </dev/null && install; } || {
    cat "$log" >&2
    without 'apt-get could not install the headers'
  }
fi
"$(dirname "$python")/uv" pip install --quiet --python "$python" --constraint constraints.txt --editable '.[dev,libvirt]' ||
  without 'libvirt-python could not be built'
