# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Get a host the certificate of its node; documented in plugins/modules/node_certificate.py."""

from __future__ import annotations

import base64
import contextlib
import shlex
import time
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.commissaire.fleet.plugins.plugin_utils import node_certificate as certificates
from ansible_collections.commissaire.fleet.plugins.plugin_utils.kubernetes_client import (
    ConflictError,
    KubernetesClient,
    KubernetesError,
    MissingError,
    patiently,
)
from ansible_collections.commissaire.fleet.plugins.plugin_utils.machine import CommandError, Machine, NoContactError
from ansible_collections.commissaire.fleet.plugins.plugin_utils.node_certificate import CertificateError

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "kubeconfig": {"type": "path", "required": True},
    "context": {"type": "str", "default": ""},
    "name": {"type": "str", "required": True},
    "folder": {"type": "path", "default": "/var/lib/kubelet/pki"},
    "may_exist": {"type": "bool", "default": False},
    "expiration_seconds": {"type": "int"},
    "timeout_seconds": {"type": "float", "default": 60},
}
HOST_SECONDS = 60.0
POLL_SECONDS = 0.2
LEAST_SECONDS_LEFT = 86400
CURRENT = "kubelet-client-current.pem"

PREPARE = """
umask 077
current={folder}/{current}
if [ -e "$current" ] && openssl x509 -in "$current" -noout -checkend {seconds} >/dev/null \\
    && [ "$(openssl x509 -in "$current" -noout -subject -nameopt RFC2253)" = {subject} ]; then
  echo present=yes
  exit 0
fi
[ -n "$1" ] || exit 0
mkdir -p {folder}
cd {folder}
openssl req -new -sha256 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout commissaire.key \\
  -subj {asked} -out commissaire.csr 2>/dev/null
printf 'request=%s\\n' "$(base64 -w0 commissaire.csr)"
"""
INSTALL = """
umask 077
cd {folder}
name=kubelet-client-$(date -u +%Y-%m-%d-%H-%M-%S).pem
{{ printf '%s' {certificate}; cat commissaire.key; }} >"$name"
ln -sfn "$name" {current}
rm -f commissaire.key commissaire.csr
"""
REMOVE = """
cd {folder} 2>/dev/null || exit 0
for file in kubelet-client-*.pem commissaire.key commissaire.csr; do
  if [ -e "$file" ] || [ -L "$file" ]; then rm -f "$file"; echo removed=yes; fi
done
"""


class ActionModule(ActionBase):
    """Have the host ask, look at what it asks for, have that signed, hand it over."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module's documentation promises; every trouble is a failure, never `unreachable`."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(ARGUMENTS)
        host = (task_vars or {}).get("inventory_hostname", "the host")
        try:
            changed = self._absent(arguments) if arguments["state"] == "absent" else self._present(arguments)
        except (CertificateError, KubernetesError) as error:
            return {"failed": True, "changed": False, "msg": f"{host}: {error}"}
        except (NoContactError, CommandError) as error:
            return {"failed": True, "changed": False, "msg": f"{host} can't make its certificate's request: {error}"}
        return {"changed": changed}

    def _present(self, arguments: dict[str, Any]) -> bool:
        node, seconds = arguments["name"], arguments["timeout_seconds"]
        answer = self._ask(
            PREPARE,
            arguments,
            "" if self._task.check_mode else "make",
            seconds=str(LEAST_SECONDS_LEFT),
            subject=f"subject=CN={certificates.common_name(node)},O={certificates.NODES}",
            asked=certificates.subject(node),
        )
        if answer["present"] or self._task.check_mode:
            return not answer["present"]
        pem = base64.b64decode(answer["request"]).decode(errors="replace")
        pem = certificates.check_request(pem, node)
        client = KubernetesClient(arguments["kubeconfig"], arguments["context"])
        self._check_name(client, node, arguments)
        body = certificates.request_body(pem, node, arguments["expiration_seconds"])
        try:
            request = self._patiently(lambda: client.request_certificate(body), seconds)
        except ConflictError:  # asked for by a try that was interrupted
            request = self._patiently(lambda: client.certificate_request(body["metadata"]["name"]), seconds)
        self._approve(client, request, pem, seconds)
        certificate = self._issued(client, request["metadata"]["name"], seconds)
        self._ask(INSTALL, arguments, "", certificate=certificate)
        return True

    def _check_name(self, client: KubernetesClient, node: str, arguments: dict[str, Any]) -> None:
        """See that the host does not become a node that is there already, unless somebody said that it is that one."""
        if arguments["may_exist"]:
            return
        with contextlib.suppress(MissingError):
            self._patiently(lambda: client.node(node), arguments["timeout_seconds"])
            raise CertificateError(
                f"there is a node {node} already; if this host is that one, say so by its name in node_name"
            )

    def _approve(self, client: KubernetesClient, request: dict[str, Any], pem: str, seconds: float) -> None:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = request["metadata"]["name"]
        while not certificates.is_approved(request):
            wanted = certificates.approved(request, pem, now)
            try:
                self._patiently(lambda wanted=wanted: client.approve_certificate(wanted), seconds)
                return
            except ConflictError:  # the cluster's own approver was quicker, or has looked at it
                request = self._patiently(lambda: client.certificate_request(name), seconds)

    def _issued(self, client: KubernetesClient, name: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            request = self._patiently(lambda: client.certificate_request(name), seconds)
            if why := certificates.denial(request):
                raise CertificateError(f"certificate signing request {name} was {why}")
            if issued := (request.get("status") or {}).get("certificate"):
                return base64.b64decode(issued).decode()
            time.sleep(POLL_SECONDS)
        raise CertificateError(
            f"certificate signing request {name} is approved, but not signed after {seconds:g} s: see whether the "
            f"cluster's controller manager runs, and signs for {certificates.SIGNER}"
        )

    def _absent(self, arguments: dict[str, Any]) -> bool:
        if self._task.check_mode:
            return True
        return bool(self._ask(REMOVE, arguments, "")["removed"])

    def _ask(self, script: str, arguments: dict[str, Any], argument: str, **words: str) -> Any:
        quoted = {name: shlex.quote(word) for name, word in words.items()}
        text = script.format(folder=shlex.quote(arguments["folder"]), current=CURRENT, **quoted)
        return Machine(self).ask(f"set -- {shlex.quote(argument)}\nset -e\n{text}", HOST_SECONDS)

    def _patiently(self, ask: Any, seconds: float) -> Any:
        return patiently(ask, seconds, lambda _why, pause: time.sleep(pause))
