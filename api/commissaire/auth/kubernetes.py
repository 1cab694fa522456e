"""Bearer tokens of Kubernetes and OpenShift, checked by a TokenReview.

https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import structlog

from commissaire.auth.plugin import Identity, SignIn
from commissaire.auth.role import Role
from commissaire.configuration import SettingsError
from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import connect

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_TIMEOUT_SECONDS = (3, 10)
log = structlog.get_logger(__name__)


class KubernetesAuth:
    """Asks the server as the one whose token, certificate or kubeconfig it is; groups are those that it tells."""

    cacheable = True
    default_role = Role.VIEWER
    default_roles: ClassVar = {"group:system:masters": Role.ADMINISTRATOR}
    security: ClassVar = {"type": "http", "scheme": "bearer"}

    def __init__(
        self,
        server_url: str | None = None,
        token: str | None = None,
        certificate_path: str | None = None,
        certificate_key_path: str | None = None,
        certificate_authority: str | None = None,
        kubeconfig: str | None = None,
    ) -> None:
        from kubernetes.client import AuthenticationV1Api  # over a second, and only some have it configured

        files = {
            "certificate_path": certificate_path,
            "certificate_key_path": certificate_key_path,
            "certificate_authority": certificate_authority,
        }
        options = {"server_url": server_url, "token": token, **files}
        if kubeconfig is not None:
            if any(options.values()):
                raise SettingsError("kubeconfig says everything; leave the plugin's other options out")
            client = _from_kubeconfig(kubeconfig)
        else:
            if (token is None) == (certificate_path is None or certificate_key_path is None):
                raise SettingsError(
                    "the plugin needs server_url, and either token or certificate_path and certificate_key_path; "
                    "or kubeconfig alone"
                )
            for name, path in files.items():
                if path is not None and not Path(path).is_file():
                    raise SettingsError(f"{name}: there is no file {path}")
            try:
                client = connect(options)
            except ManagerError as error:
                raise SettingsError("the plugin needs server_url") from error
        self._server = client.configuration.host
        self._reviews = AuthenticationV1Api(client)

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """See `Authenticator.authenticate`."""
        from kubernetes.client import V1TokenReview, V1TokenReviewSpec
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        scheme, _, token = sign_in.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        review = V1TokenReview(
            api_version="authentication.k8s.io/v1", kind="TokenReview", spec=V1TokenReviewSpec(token=token.strip())
        )
        try:
            status: Any = self._reviews.create_token_review(review, _request_timeout=_TIMEOUT_SECONDS).status
        except ApiException as error:
            log.error(
                "token_review_refused",
                server=self._server,
                error=f"{error.status} {error.reason}",
                message="bind the ClusterRole system:auth-delegator to the account that this plugin uses",
            )
            return None
        except (HTTPError, OSError, ValueError) as error:
            log.error("token_review_impossible", server=self._server, error=str(error))
            return None
        if not status.authenticated or not status.user.username:
            return None
        return Identity(status.user.username, frozenset(status.user.groups or ()))


PluginClass = KubernetesAuth


def _from_kubeconfig(path: str) -> ApiClient:
    import yaml
    from kubernetes.config import ConfigException, new_client_from_config

    try:
        client: ApiClient = new_client_from_config(config_file=path)  # type: ignore[no-untyped-call]
        return client
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        # the last two come from YAML that has another shape
        raise SettingsError(f"can't use the kubeconfig {path}: {error}") from error
