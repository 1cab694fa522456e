# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The virtual machines that hypervisors announce by mDNS, as an Ansible inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mdns
short_description: Virtual machines that hypervisors announce by mDNS
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Listens for a while to what hypervisors with the role C(vm_announce) announce as C(_domu._tcp). Machines come in
    groups by hypervisor (C(hypervisor_HOST), without C(.local)) and owner (C(owner_NAME)).
  - A host has the machine's name; its UUID, where several machines have that name, or it is not fit for a host's
    name (other characters than C(a-z), C(0-9), C(_), C(.) and C(-), or a name of the controller itself).
  - Each host has C(vm_name), C(vm_uuid), C(vm_hypervisor) (a libvirt URI) and C(vm_owner). How it is reached is for
    C(compose) to say, or for the name to be resolved.
  - Whoever is on the network can announce anything, also in the name of another; nothing here is proof of who owns a
    machine or where it runs. Give no group of this inventory secrets that a stranger may not have, and let ssh check
    host keys.
requirements:
  - zeroconf (Python)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [commissaire.fleet.mdns]
  allowed_uris:
    description:
      - The libvirt URIs of the hypervisors whose machines are taken; all others are ignored.
      - C(*) stands for any number of letters, digits, C(.), C(_) and C(-), and for nothing else, because other
        characters can lead elsewhere, or name commands for libvirt to run.
    type: list
    elements: str
    required: true
  browse_seconds:
    description: How long to listen. Hypervisors answer within a second, but a packet may be lost.
    type: float
    default: 3
  interfaces:
    description: Names or addresses of the network interfaces to listen on; without any all that have an IPv4 address.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
# inventory/mdns.yml
plugin: commissaire.fleet.mdns
allowed_uris:
  - qemu+ssh://*.example.org/system

---
# on one interface; groups of one's own; what was heard is kept for ten minutes
plugin: commissaire.fleet.mdns
allowed_uris:
  - qemu+ssh://10.77.0.11/system
  - qemu+ssh://10.77.0.12/system
interfaces: [br0]
compose:
  ansible_host: vm_name ~ '.vm.example.org'
groups:
  databases: vm_name is match('db')
keyed_groups:
  - key: vm_owner
    prefix: of
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/commissaire
cache_timeout: 600
"""

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.commissaire.fleet.plugins.plugin_utils.announcement import (
    Announcement,
    allows,
    group_name,
    host_names,
    read_announcement,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.browser import IMPORT_ERROR, BrowserError, browse


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Ansible's way to find inventories."""

    NAME = "commissaire.fleet.mdns"

    def verify_file(self, path: str) -> bool:
        """Accept files named mdns.yml, or ending in it: lab.mdns.yaml."""
        return super().verify_file(path) and path.endswith(("mdns.yml", "mdns.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory`, or raise AnsibleParserError."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        heard = self._load(self.get_cache_key(path), use_cache=cache and self.get_option("cache"))
        patterns = self.get_option("allowed_uris")
        machines = [announcement for announcement in heard if allows(patterns, announcement.uri)]
        if len(machines) < len(heard):
            self.display.v(f"{path}: {len(heard) - len(machines)} announcements are not of allowed_uris, and ignored")
        for host, announcement in sorted(host_names(machines).items()):
            self._add(host, announcement)

    def _add(self, host: str, announcement: Announcement) -> None:
        self.inventory.add_host(host)
        values = {
            "vm_name": announcement.name,
            "vm_uuid": announcement.uuid,
            "vm_hypervisor": announcement.uri,
            "vm_owner": announcement.owner,
        }
        for name, value in values.items():
            self.inventory.set_variable(host, name, wrap_var(value))
        hypervisor = announcement.host[: -len(".local")] if announcement.host.endswith(".local") else announcement.host
        groups = [group_name("hypervisor", hypervisor)]
        groups += [group_name("owner", announcement.owner)] if announcement.owner else []
        for group in groups:
            self.inventory.add_child(self.inventory.add_group(group), host)
        self._construct(host)

    def _construct(self, host: str) -> None:
        strict = self.get_option("strict")
        values = self.inventory.hosts[host].get_vars()
        self._set_composite_vars(self.get_option("compose"), values, host, strict=strict)
        values = self.inventory.hosts[host].get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), values, host, strict=strict, fetch_hostvars=False)
        self._add_host_to_keyed_groups(
            self.get_option("keyed_groups"), values, host, strict=strict, fetch_hostvars=False
        )

    def _load(self, key: str, use_cache: bool) -> list[Announcement]:
        """Return what is announced, or was when it was last listened to."""
        cached = self._cache.get(key) if use_cache else None
        if cached is not None:
            return [Announcement(**one) for one in cached]
        if IMPORT_ERROR:
            raise AnsibleParserError("listening to mDNS needs the package zeroconf: pip install zeroconf")
        try:
            heard = browse(self.get_option("interfaces"), self.get_option("browse_seconds"))
        except BrowserError as error:
            raise AnsibleParserError(str(error)) from error
        found = [read_announcement(*instance) for instance in heard]
        announcements = [announcement for announcement in found if announcement is not None]
        if self.get_option("cache"):
            self._cache[key] = [asdict(announcement) for announcement in announcements]
        return announcements
