# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a Kubernetes API server what a node has to know of it; documented in plugins/modules/kubernetes_server.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    KubernetesClient,
    KubernetesError,
    patiently,
)

ARGUMENTS = {
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "default": ""},
    "dns": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "float", "default": 60},
}
DNS = ("kube-system", "kube-dns")
"""The Service by which pods look names up, whatever serves it."""


class ActionModule(ActionBase):
    """Ask; the host takes no part in it."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return {"server", "version", "certificate_authority", "dns_address"}."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            client = KubernetesClient(arguments["kubeconfig"], arguments["context"])
            version = patiently(client.version, arguments["timeout_seconds"], lambda _why, pause: time.sleep(pause))
            return {
                "changed": False,
                "server": client.server,
                "version": version,
                "certificate_authority": client.certificate_authority,
                "dns_address": client.service_address(*DNS) if arguments["dns"] else "",
            }
        except KubernetesError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        except ImportError as error:
            raise AnsibleActionFail(
                f"a kubeconfig needs the Python package kubernetes on the controller: {error}"
            ) from error
