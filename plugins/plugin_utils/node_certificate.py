# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate by which a kubelet is its node: what may be asked for, without any I/O.

The host makes the key, which never leaves it. Whatever it then asks for, nothing is approved but the certificate of the
one node that it is to be (https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/).
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
NODES = "system:nodes"
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


class CertificateError(Exception):
    """The host asks for something that it must not get; the message says what."""


def subject(node: str) -> str:
    """Return the subject of a node's certificate, as openssl takes it."""
    return f"/O={NODES}/CN={common_name(node)}"


def common_name(node: str) -> str:
    """Return the user that a node is to the API server. Raise CertificateError when no node can be called so."""
    if not NAME.fullmatch(node):
        raise CertificateError(f"no node can be called {node!r}: lower-case letters, digits, - and . only")
    return f"system:node:{node}"


def check_request(pem: str, node: str) -> str:
    """See that a certificate signing request asks for the certificate of *node*, and for nothing else; return it anew.

    What the host sent beside it, which another reader may take for the request, is not in what is returned.
    Raise CertificateError when it asks for something else.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise CertificateError(f"the host made no certificate signing request that can be read: {error}") from error
    wanted = {(NameOID.ORGANIZATION_NAME, NODES), (NameOID.COMMON_NAME, common_name(node))}
    asked = [(attribute.oid, str(attribute.value)) for attribute in request.subject]
    if len(asked) != len(wanted) or set(asked) != wanted:
        raise CertificateError(
            f"the host asks for the certificate of {request.subject.rfc4514_string()}, not for that of node {node}"
        )
    if list(request.extensions):
        raise CertificateError("the host asks for a certificate with extensions; a node's has none")
    try:
        valid = request.is_signature_valid
    except InvalidSignature:
        valid = False
    if not valid or not isinstance(request.public_key(), ec.EllipticCurvePublicKey):
        raise CertificateError("the host's certificate signing request is not signed by the key that it is for")
    if not isinstance(request.signature_hash_algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        raise CertificateError("the host's certificate signing request is signed with a hash that is too weak")
    return request.public_bytes(serialization.Encoding.PEM).decode()


def request_body(pem: str, node: str, expiration_seconds: int | None) -> dict[str, Any]:
    """Return the CertificateSigningRequest, whose name tells the request: the same is asked for once."""
    spec: dict[str, Any] = {
        "request": base64.b64encode(pem.encode()).decode(),
        "signerName": SIGNER,
        "usages": ["digital signature", "client auth"],
    }
    if expiration_seconds:
        spec["expirationSeconds"] = expiration_seconds
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": request_name(pem, node), "labels": {"commissaire.fleet/node": node[:63].rstrip(".-")}},
        "spec": spec,
    }


def request_name(pem: str, node: str) -> str:
    """Return the name of the request of a node."""
    return f"commissaire-{node[:200].rstrip('.-')}-{hashlib.sha256(pem.encode()).hexdigest()[:16]}"


def approved(request: dict[str, Any], pem: str, time: str) -> dict[str, Any]:
    """Return *request*, as it was read, with our approval (at *time*, RFC 3339).

    Raise CertificateError when it is not what we asked for.
    """
    if base64.b64decode(request["spec"]["request"]).decode() != pem or request["spec"]["signerName"] != SIGNER:
        raise CertificateError(f"certificate signing request {request['metadata']['name']} is somebody else's")
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "Bootstrap",
        "message": "this host is being bootstrapped by Commissaire",
        "lastUpdateTime": time,
    }
    status = request.get("status") or {}
    return {**request, "status": {**status, "conditions": [*(status.get("conditions") or []), condition]}}


def is_approved(request: dict[str, Any]) -> bool:
    """Return whether a request is approved already."""
    return any(condition["type"] == "Approved" for condition in (request.get("status") or {}).get("conditions") or [])


def denial(request: dict[str, Any]) -> str:
    """Return why a request will get no certificate; "" when it may."""
    for condition in (request.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("Denied", "Failed"):
            return f"{condition['type'].lower()}: {condition.get('message') or condition.get('reason') or 'no reason'}"
    return ""
