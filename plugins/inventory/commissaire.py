# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts a Commissaire server manages, as an Ansible inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: commissaire
short_description: Hosts and groups from a Commissaire server
version_added: 0.1.0
author: The Commissaire authors (@commissaire)
description:
  - Reads C(GET /api/v1/inventory). Hosts come in groups by cluster (C(cluster_NAME)), status (C(status_NAME)) and
    operating system (C(os_NAME)).
  - Where to ask, and as whom, comes from the options, else from the file that the server's first start writes.
  - With a cache, the server is still asked, but only whether anything changed (C(ETag)).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Names this plugin.
    type: str
    required: true
    choices: [commissaire.fleet.commissaire]
  endpoint:
    description: The server's URL, for example V(http://127.0.0.1:8000).
    type: str
    env:
      - name: COMMISSAIRE_ENDPOINT
  username:
    description: Who asks.
    type: str
    env:
      - name: COMMISSAIRE_USERNAME
  password:
    description: Their password.
    type: str
    env:
      - name: COMMISSAIRE_PASSWORD
  config_file:
    description: A JSON file with the keys C(endpoint), C(username) and C(password), for those not given otherwise.
    type: path
    default: ~/.commissaire.json
  validate_certs:
    description: Whether the server's certificate must be valid.
    type: bool
    default: true
  ca_path:
    description: A file with the certificates to trust instead of the system's.
    type: path
  timeout_seconds:
    description: How long the server may take.
    type: int
    default: 30
"""

EXAMPLES = r"""
# inventory/commissaire.yml, after the server's first start on this machine
plugin: commissaire.fleet.commissaire

---
# another server; groups of one's own
plugin: commissaire.fleet.commissaire
endpoint: https://commissaire.example.org
username: reader
password: "{{ lookup('ansible.builtin.env', 'READER_PASSWORD') }}"
ca_path: /etc/ssl/example.pem
groups:
  big: commissaire_memory_kb | int > 64000000
keyed_groups:
  - key: commissaire_os_version
    prefix: version
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/commissaire
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from ansible.errors import AnsibleParserError
from ansible.module_utils.urls import open_url
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.commissaire.fleet.plugins.plugin_utils.untrusted import untrusted

PATH = "/api/v1/inventory"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Ansible's way to find inventories."""

    NAME = "commissaire.fleet.commissaire"

    def verify_file(self, path: str) -> bool:
        """Accept files named commissaire.yml, or ending in it: prod.commissaire.yaml."""
        return super().verify_file(path) and path.endswith(("commissaire.yml", "commissaire.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory`, or raise AnsibleParserError."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        answer = self._load(self.get_cache_key(path), use_cache=cache and self.get_option("cache"))
        groups, variables = read_inventory(answer)
        for host, values in variables.items():
            self.inventory.add_host(host)
            known = self.inventory.hosts[host]
            for name, value in values.items():
                known.set_variable(
                    name, untrusted(value)
                )  # inventory.set_variable takes twice the time of everything else here
        for group, content in groups.items():
            self.inventory.add_group(group)
            for name, value in content.get("vars", {}).items():
                self.inventory.set_variable(group, name, untrusted(value))
            for host in content.get("hosts", []):
                if host not in variables:
                    self.inventory.add_host(host)
                self.inventory.add_child(group, host)
        for group, content in groups.items():
            for child in content.get("children", []):
                self.inventory.add_group(child)
                self.inventory.add_child(group, child)
        if any(self.get_option(option) for option in ("compose", "groups", "keyed_groups")):
            for host in variables:
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

    def _load(self, key: str, use_cache: bool) -> Any:
        """Return the server's answer; from the cache when the server says that nothing changed."""
        cached = self._cache.get(key) if use_cache else None
        settings = self._settings()
        url = settings["endpoint"].rstrip("/") + PATH
        try:
            response = open_url(
                url,
                url_username=settings["username"],
                url_password=settings["password"],
                force_basic_auth=True,
                headers={"If-None-Match": cached["etag"]} if cached else {},
                validate_certs=self.get_option("validate_certs"),
                ca_path=self.get_option("ca_path"),
                timeout=self.get_option("timeout_seconds"),
                http_agent="commissaire.fleet",
            )
            answer = json.loads(response.read())
        except HTTPError as error:
            if error.code == 304 and cached:
                return cached["answer"]
            raise AnsibleParserError(f"{url}: {_explain(error, settings['username'])}") from error
        except ValueError as error:
            raise AnsibleParserError(f"{url} does not answer with JSON: is a Commissaire there?") from error
        except Exception as error:  # open_url raises whatever the network and TLS raise
            raise AnsibleParserError(f"{url} can't be reached: {error}; start the server, or set endpoint") from error
        if self.get_option("cache"):
            self._cache[key] = {"etag": response.headers.get("ETag", ""), "answer": answer}
        return answer

    def _settings(self) -> dict[str, str]:
        """Return endpoint, username and password, from the options or else from the configuration file."""
        path = Path(self.get_option("config_file")).expanduser()
        settings: dict[str, str] = {}
        if path.exists():
            try:
                settings = dict(json.loads(path.read_text()))
            except (OSError, ValueError, TypeError) as error:
                raise AnsibleParserError(f"{path} is no readable JSON object: {error}") from error
        for name in ("endpoint", "username", "password"):
            given = self.get_option(name)
            if given:
                settings[name] = str(self.templar.template(given))
            if not settings.get(name):
                raise AnsibleParserError(f"no {name} is given, neither as an option nor in {path}")
        return settings


def read_inventory(answer: Any) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Split what `ansible-inventory --list` prints into groups and host variables; raise AnsibleParserError."""
    variables = answer.get("_meta", {}).get("hostvars") if isinstance(answer, Mapping) else None
    if not isinstance(variables, Mapping):
        raise AnsibleParserError(f"{PATH} answered without _meta.hostvars: is the server's version older or newer?")
    groups = {name: dict(content) for name, content in answer.items() if name != "_meta"}
    return groups, dict(variables)


def _explain(error: HTTPError, username: str) -> str:
    if error.code == 401:
        return f"the server does not know {username} by this password (401)"
    try:
        problem = json.loads(error.read())
        return f"{problem['title']}: {problem.get('detail', '')} ({error.code})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code} {error.reason}"
