"""What trying a container manager shows: whether it answers, which version it is, and what it allows us to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from commissaire.managers.error import ManagerError
from commissaire.managers.kubernetes import TIMEOUT_SECONDS, asking

Right = tuple[str, str, str, str]
"""(verb, API group, resource with its subresource, name): as a SelfSubjectAccessReview asks for one."""

FUNCTIONS: dict[str, tuple[Right, ...]] = {
    "status": (("get", "", "nodes", ""), ("list", "", "nodes", ""), ("list", "", "pods", "")),
    "rolling": (
        ("get", "", "nodes", ""),
        ("list", "", "nodes", ""),
        ("patch", "", "nodes", ""),
        ("list", "", "pods", ""),
        ("create", "", "pods/eviction", ""),
    ),
    "bootstrap": (
        ("get", "", "nodes", ""),
        ("list", "", "nodes", ""),
        ("patch", "", "nodes", ""),
        ("create", "certificates.k8s.io", "certificatesigningrequests", ""),
        ("get", "certificates.k8s.io", "certificatesigningrequests", ""),
        ("update", "certificates.k8s.io", "certificatesigningrequests/approval", ""),
        ("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
        ("get", "", "services", "kube-dns"),
    ),
    "leave": (
        ("get", "", "nodes", ""),
        ("list", "", "nodes", ""),
        ("patch", "", "nodes", ""),
        ("delete", "", "nodes", ""),
        ("list", "", "pods", ""),
        ("create", "", "pods/eviction", ""),
    ),
    "authentication": (("create", "authentication.k8s.io", "tokenreviews", ""),),
}
"""What each function of ours needs; the ClusterRoles in extensions/kubernetes say the same."""


@dataclass(frozen=True)
class Finding:
    """`error` is why it can't be used; `missing` are the rights each function lacks, as `VERB RESOURCE`."""

    reachable: bool
    error: str = ""
    version: str = ""
    missing: dict[str, list[str]] = field(default_factory=dict)


def examine(options: dict[str, Any]) -> Finding:
    """Try a container manager with these *options*, their secrets in clear; never raises."""
    try:
        with asking(options) as client:
            from kubernetes.client import AuthorizationV1Api, VersionApi

            version = str(VersionApi(client).get_code(_request_timeout=TIMEOUT_SECONDS).git_version)
            reviews = AuthorizationV1Api(client)
            rights = sorted({right for needed in FUNCTIONS.values() for right in needed})
            lacks = {right for right in rights if not _may(reviews, right)}
    except ManagerError as error:
        return Finding(False, error=str(error))
    missing = {name: [_told(right) for right in needed if right in lacks] for name, needed in FUNCTIONS.items()}
    return Finding(True, version=version, missing={name: words for name, words in missing.items() if words})


def _may(reviews: Any, right: Right) -> bool:
    from kubernetes.client import V1ResourceAttributes, V1SelfSubjectAccessReview, V1SelfSubjectAccessReviewSpec

    verb, group, resource, name = right
    kind, _, subresource = resource.partition("/")
    namespace = "kube-system" if kind == "services" else None
    attributes = V1ResourceAttributes(
        verb=verb, group=group, resource=kind, subresource=subresource or None, name=name or None, namespace=namespace
    )
    review = V1SelfSubjectAccessReview(spec=V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    answer = reviews.create_self_subject_access_review(review, _request_timeout=TIMEOUT_SECONDS)
    return bool(answer.status and answer.status.allowed)


def _told(right: Right) -> str:
    verb, group, resource, name = right
    return f"{verb} {resource}{f'.{group}' if group else ''}{f' {name}' if name else ''}"
