"""A real Kubernetes control plane in a lab's namespace: etcd, API server, controller manager and scheduler.

Certificates are real, RBAC and the node authorizer are on, and admission is as shipped, with NodeRestriction.
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import yaml

from unit.commctl.certificates import Authority, Pair

from .programs import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab import Lab

RBAC = Path(__file__).parents[2] / "extensions/kubernetes/rbac.yml"
RBAC_API = "/apis/rbac.authorization.k8s.io/v1"
PORT = 6443
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["nodes", "pods", "pods/*"]}]},
        {"level": "Metadata"},
    ],
}


class ControlPlane:
    """Keeps everything in *folder*; what it is asked is asked as an administrator, from inside the lab."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.url = f"https://{lab.gateway}:{PORT}"
        self.etcd = f"http://{lab.gateway}:2379"
        self.authority = Authority(folder)
        self.audit_log = folder / "audit.log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._admin = self.authority.sign("admin", organization="system:masters")
        context = ssl.create_default_context(cafile=self.authority.path)
        context.load_cert_chain(self._admin.certificate, self._admin.key)
        self._client = httpx.Client(base_url=self.url, verify=context, trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        try:
            self._start_etcd()
            self.start_api_server()
            self._start_controllers()
            for role in yaml.safe_load_all(RBAC.read_text()):
                self.ask("POST", f"{RBAC_API}/clusterroles", role)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()  # told to end, an API server waits for an etcd that is gone already
            process.wait()
        self._client.close()

    def start_api_server(self, *options: str) -> None:
        """Start the API server, and wait until it is ready."""
        hosts = ("127.0.0.1", self.lab.gateway, "10.96.0.1", "kubernetes", "kubernetes.default.svc")
        serving = self.authority.sign("kube-apiserver", hosts=hosts)
        to_kubelets = self.authority.sign("kube-apiserver-kubelet-client", organization="system:masters")
        accounts = self._accounts()
        policy = self.folder / "audit.yaml"
        policy.write_text(yaml.safe_dump(AUDITED))
        self._run(
            "kube-apiserver",
            "--advertise-address=" + self.lab.gateway,
            "--allow-privileged",
            f"--audit-log-path={self.audit_log}",
            f"--audit-policy-file={policy}",
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={self.authority.path}",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--kubelet-client-certificate={to_kubelets.certificate}",
            f"--kubelet-client-key={to_kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            f"--secure-port={PORT}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            *options,
        )
        self.until(self._is_ready, 60, "the API server to be ready")

    def stop_api_server(self) -> None:
        """Kill the API server: nothing answers any more."""
        process = self._processes.pop("kube-apiserver")
        process.kill()
        process.wait()

    @contextmanager
    def frozen_api_server(self) -> Iterator[None]:
        """Stop the API server's process: it takes connections, and answers when it goes on."""
        process = self._processes["kube-apiserver"]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def kubeconfig(self, name: str, pair: Pair | None = None, token: str = "") -> Path:
        """Write a kubeconfig for a certificate or a token, as people have it: with everything in the file."""

        def content(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        user: dict[str, Any] = {"token": token}
        if pair:
            user = {"client-certificate-data": content(pair.certificate), "client-key-data": content(pair.key)}
        cluster = {"server": self.url, "certificate-authority-data": content(self.authority.path)}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "lab", "cluster": cluster}],
                    "users": [{"name": name, "user": user}],
                    "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
                    "current-context": "lab",
                }
            )
        )
        path.chmod(0o600)
        return path

    @property
    def admin_kubeconfig(self) -> Path:
        """A kubeconfig that may do everything."""
        return self.kubeconfig("admin", self._admin)

    def token(self, *roles: str) -> str:
        """Return a token of an account that may do what these of our ClusterRoles allow, and nothing else."""
        name = ".".join(roles)
        account = f"/api/v1/namespaces/default/serviceaccounts/{name}"
        if not self.lab.inside(self._client.get, account).is_success:
            self.ask("POST", account.rpartition("/")[0], {"metadata": {"name": name}})
            subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
            for role in roles:
                reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
                binding = {"metadata": {"name": f"{name}:{role}"}, "subjects": [subject], "roleRef": reference}
                self.ask("POST", f"{RBAC_API}/clusterrolebindings", binding)
        spec = {"spec": {"expirationSeconds": 86400}}
        return str(self.ask("POST", f"{account}/token", spec)["status"]["token"])

    def account(self, role: str) -> Path:
        """Return the kubeconfig of such an account."""
        path = self.folder / f"{role}.kubeconfig"
        return path if path.exists() else self.kubeconfig(role, token=self.token(role))

    def ask(self, method: str, path: str, body: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Send a request as an administrator; return the answer, which must be a good one."""
        answer = self.lab.inside(self._client.request, method, path, json=body, **kwargs)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def occupy(self) -> None:
        """Send a request that takes three seconds: it waits for a version of the pods that there never is.

        Others that take long, as profiles and watches do, count for no place of the API server.
        """
        never = {"resourceVersion": str(2**40), "resourceVersionMatch": "NotOlderThan"}
        answer = self.lab.inside(self._client.get, "/api/v1/pods", params=never)
        assert answer.status_code == 504, answer.text

    def node(self, name: str) -> dict[str, Any] | None:
        """Return a Node; None when there is none."""
        answer = self.lab.inside(self._client.get, f"/api/v1/nodes/{name}")
        found: dict[str, Any] = answer.json()
        return None if answer.status_code == 404 else found

    def pods(self, selector: str = "", namespace: str = "default") -> list[dict[str, Any]]:
        """Return the pods of a namespace, all or those with a label."""
        query = {"labelSelector": selector} if selector else None
        items: list[dict[str, Any]] = self.ask("GET", f"/api/v1/namespaces/{namespace}/pods", params=query)["items"]
        return items

    def audit(self) -> Iterator[dict[str, Any]]:
        """Return the API server's own account of what it was asked and what it answered, oldest first."""
        with self.audit_log.open() as lines:
            yield from map(json.loads, lines)

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait for a condition and return what it is; fail, showing the logs' ends, when it does not come true."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                names = dead or list(self._processes)
                logs = "\n".join(f"{name}:\n{self._log(name).read_text()[-2000:]}" for name in names)
                raise AssertionError(f"waited {seconds} s for {what}; ended: {dead}\n{logs}")
            time.sleep(0.1)
        return found

    def _start_etcd(self) -> None:
        program = shutil.which("etcd")
        assert program
        listen = f"--listen-client-urls={self.etcd},http://127.0.0.1:2379"
        self._run(
            "etcd",
            "--data-dir",
            str(self.folder / "etcd"),
            "--unsafe-no-fsync",
            listen,
            f"--advertise-client-urls={self.etcd}",
            program=Path(program),
        )

    def _start_controllers(self) -> None:
        accounts = self._accounts()
        manager = self._kubeconfig_of("kube-controller-manager")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={manager}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--root-ca-file={self.authority.path}",
            f"--service-account-private-key-file={accounts.key}",
            f"--cluster-signing-cert-file={self.authority.path}",
            f"--cluster-signing-key-file={self.authority.key}",
            "--use-service-account-credentials",
            "--allocate-node-cidrs",
            f"--cluster-cidr={PODS}",
            "--controllers=*,bootstrapsigner,tokencleaner",
        )
        scheduler = self._kubeconfig_of("kube-scheduler")
        self._run("kube-scheduler", f"--kubeconfig={scheduler}", "--bind-address=127.0.0.1", "--leader-elect=false")
        account = "/api/v1/namespaces/default/serviceaccounts/default"  # pods can't be made before there is one
        self.until(lambda: self.lab.inside(self._client.get, account).is_success, 60, "the controllers to work")

    def _kubeconfig_of(self, name: str) -> Path:
        return self.kubeconfig(name, self.authority.sign(f"system:{name}"))

    def _accounts(self) -> Pair:
        pair = Pair(self.folder / "accounts.pem", self.folder / "accounts.key")
        return pair if pair.key.exists() else self.authority.sign("accounts")

    def _run(self, name: str, *arguments: str, program: Path | None = None) -> None:
        with self._log(name).open("ab") as log:
            command = [program or programs() / name, *arguments]
            self._processes[name] = self.lab.popen(command, stdout=log, stderr=log, cwd=self.folder)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _is_ready(self) -> bool:
        try:
            return bool(self.lab.inside(self._client.get, "/readyz").is_success)
        except httpx.TransportError:
            return False
