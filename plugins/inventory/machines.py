# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The virtual machines of hypervisors, as an Ansible inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machines
short_description: Virtual machines on hypervisors with libvirt
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Asks hypervisors for their machines, all at once, and makes each a host, in groups by hypervisor
    (C(hypervisor_HOST)), owner (C(owner_NAME)), network (C(network_NAME)) and state (C(state_running),
    C(state_shut_off)). HOST is the one in the hypervisor's URI, else what the hypervisor calls itself. What can't be in
    a group's name becomes an underscore.
  - A host has the machine's name. Machines that share one are each called NAME.HOST. One whose name can't be a host's
    is called by its UUID. Such names are C(all), C(localhost), addresses, these groups, and those with other characters
    than letters, digits, C(_), C(.) and C(-).
  - A machine that several hypervisors know is taken from the one where it runs.
  - The variables are C(vm_name), C(vm_uuid), C(vm_state), C(vm_hypervisor) (the URI), C(vm_owner), C(vm_memory_mb),
    C(vm_vcpus), C(vm_networks), C(vm_addresses) (as from M(commissaire.fleet.vm_info)), and C(ansible_host), the first
    address on one of the machine's ports. A machine without any is connected to by its name.
  - With a cache, only hypervisors that did not answer the last time are asked.
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [commissaire.fleet.machines]
  uris:
    description: The hypervisors, as libvirt writes connections to them.
    type: list
    elements: str
    default: [qemu:///system]
  username:
    description:
      - Who signs in, where hypervisors ask by SASL, as they do over C(qemu+tcp) and may over C(qemu+tls).
      - All O(uris) are reached with the same credentials. Hypervisors with others are another inventory's.
    type: str
    default: ""
  password:
    description:
      - The password that belongs to O(username). It can be encrypted by ansible-vault, or a template that looks it up.
        One that holds C({{), C({%) or C({#) itself stands between C({% raw %}) and C({% endraw %}).
    type: str
    default: ""
  private_key_file:
    description: >-
      The private key for C(qemu+ssh), or the public half of a key that an ssh agent has. Without it ssh looks for one
      as ever.
    type: path
  known_hosts_file:
    description:
      - The keys of the hypervisors' SSH servers for C(qemu+ssh), as in C(known_hosts). Without it they are looked up as
        ssh does.
      - With this or O(private_key_file) a hypervisor whose key is not known is never trusted.
    type: path
  pki_path:
    description: >-
      The folder with the certificates for C(qemu+tls), which are C(cacert.pem), C(clientcert.pem) and
      C(clientkey.pem). Without it they are where libvirt looks for them.
    type: path
  timeout_seconds:
    description: How long they may take. Guest agents have half of it.
    type: int
    default: 10
  strict_hypervisors:
    description: Whether a hypervisor that does not answer is an error, and no warning.
    type: bool
    default: false
  address_family:
    description: Of which kind C(ansible_host) is.
    type: str
    choices: [ipv4, ipv6, any]
    default: ipv4
  address_sources:
    description:
      - Who is asked for addresses. What V(lease) and V(arp) know counts where V(agent) says nothing of use.
      - A guest says of itself what it wants, by its agent above all. Without V(agent) a connection that may only read
        is enough.
    type: list
    elements: str
    choices: [agent, lease, arp]
    default: [agent, lease, arp]
  filters:
    description: >-
      Only machines that have one of each of these, which are lists: C(owners), C(networks) and C(states).
    type: dict
    default: {}
requirements:
  - libvirt-python, on the controller
"""

EXAMPLES = r"""
# inventory/machines.yml: the machines on this computer
plugin: commissaire.fleet.machines

---
# those of hypervisors that ask who one is
plugin: commissaire.fleet.machines
uris: [qemu+tls://kvm3.example.org/system, qemu+tls://kvm4.example.org/system]
pki_path: /etc/commissaire/pki
username: inventory
password: "{{ lookup('ansible.builtin.env', 'INVENTORY_PASSWORD') }}"

---
# Ann's machines that run on either of two hypervisors; those on the network dmz by their IPv6 addresses
plugin: commissaire.fleet.machines
uris:
  - qemu+ssh://root@kvm1.example.org/system
  - qemu+ssh://root@kvm2.example.org/system
filters:
  owners: [ann]
  states: [running]
compose:
  ansible_host: >-
    (vm_addresses | selectattr('network', 'eq', 'dmz') | map(attribute='address') | select('search', ':') | first)
    | default(ansible_host, true)
groups:
  big: vm_memory_mb > 65536
keyed_groups:
  - key: vm_vcpus | string
    prefix: vcpus
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/commissaire
"""

import sys
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.commissaire.fleet.plugins.module_utils.domain import STATES
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor import IMPORT_ERROR
from ansible_collections.commissaire.fleet.plugins.module_utils.hypervisor_access import ARGUMENTS, Access
from ansible_collections.commissaire.fleet.plugins.plugin_utils.hypervisors import ask
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine_host import (
    FILTERS,
    groups_of,
    host_names,
    once,
    passes,
    variables_of,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.untrusted import untrusted


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Ansible's way to find inventories."""

    NAME = "commissaire.fleet.machines"

    def verify_file(self, path: str) -> bool:
        """Accept files named machines.yml, or ending in it: prod.machines.yaml."""
        return super().verify_file(path) and path.endswith(("machines.yml", "machines.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory`, or raise AnsibleParserError."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        filters = self._filters()
        found = once(self._load(self.get_cache_key(path), use_cache=cache and self.get_option("cache")))
        groups = {group for machine in found for group in groups_of(machine)}
        for machine, host in zip(found, host_names(found, groups | set(self.inventory.groups)), strict=True):
            if not host:
                self.display.warning(
                    f"machine {machine['name']} of hypervisor {machine['hypervisor']} is left out, for another one has "
                    f"its UUID {machine['uuid']} as well; give it one of its own"
                )
            elif passes(machine, filters):
                self._add(host, machine)

    def _add(self, host: str, machine: Any) -> None:
        self.inventory.add_host(host)
        known = self.inventory.hosts[host]
        for name, value in variables_of(machine, self.get_option("address_family")).items():
            known.set_variable(name, untrusted(value))
        for group in groups_of(machine):
            self.inventory.add_group(group)
            self.inventory.add_child(group, host)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), known.get_vars(), host, strict=strict)
        values = known.get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), values, host, strict=strict, fetch_hostvars=False)
        self._add_host_to_keyed_groups(
            self.get_option("keyed_groups"), values, host, strict=strict, fetch_hostvars=False
        )

    def _load(self, key: str, use_cache: bool) -> list[dict[str, Any]]:
        """Return the machines of all hypervisors that answer; the cache has those of hypervisors that have answered."""
        uris, sources = dict.fromkeys(self.get_option("uris")), self.get_option("address_sources")
        cached = self._cache.get(key) if use_cache else None
        known = cached["machines"] if cached and cached["sources"] == sources else {}
        answers = {**known, **self._ask([uri for uri in uris if uri not in known], sources)}
        if self.get_option("cache"):
            self._cache[key] = {"sources": sources, "machines": answers}
        return [machine for uri in uris for machine in answers.get(uri, ())]

    def _ask(self, uris: list[str], sources: list[str]) -> dict[str, list[dict[str, Any]]]:
        if uris and IMPORT_ERROR:
            raise AnsibleParserError(
                f"libvirt-python is missing, without which no hypervisor can be asked: install it for {sys.executable} "
                "with pip (that needs a C compiler and libvirt-dev or libvirt-devel), or the package python3-libvirt"
            )
        answers = {}
        for uri, answer in ask(uris, sources, self.get_option("timeout_seconds"), self._access()).items():
            if not isinstance(answer, str):
                answers[uri] = answer
            elif self.get_option("strict_hypervisors"):
                raise AnsibleParserError(answer)
            else:
                self.display.warning(f"{answer}; its machines are not in the inventory")
        return answers

    def _access(self) -> Access:
        given = {name: str(self.get_option(name) or "") for name in ARGUMENTS}
        try:
            given["password"] = str(self.templar.template(self.get_option("password")))
        except AnsibleError:  # which quotes it
            raise AnsibleParserError("the option password is a template that can't be used") from None
        try:
            return Access.of(given)
        except ValueError as error:
            raise AnsibleParserError(str(error)) from error

    def _filters(self) -> dict[str, list[str]]:
        filters = self.get_option("filters")
        for name, wanted in filters.items():
            if name not in FILTERS or not isinstance(wanted, list):
                raise AnsibleParserError(f"filters: {name} is no list of {', '.join(FILTERS)}")
        for state in filters.get("states", ()):
            if str(state).replace("_", " ") not in STATES:
                raise AnsibleParserError(f"filters: {state} is no state; there are {', '.join(STATES)}")
        return dict(filters)
