"""TLS client certificates. The handshake has verified them against `tls_clientverifyfile`."""

from __future__ import annotations

from typing import ClassVar

from cryptography.x509 import Certificate
from cryptography.x509.oid import NameOID, ObjectIdentifier

from commissaire.auth.plugin import Identity, SignIn
from commissaire.clock import now


class HttpAuthClientCert:
    """Lets in who has a certificate; with *cn* only that common name. Its organisational units are groups."""

    cacheable = True
    security: ClassVar = {"type": "mutualTLS"}

    def __init__(self, cn: str | None = None) -> None:
        self._cn = cn

    def authenticate(self, sign_in: SignIn) -> Identity | None:
        """See `Authenticator.authenticate`."""
        certificate = sign_in.certificate
        if certificate is None:
            return None
        if not certificate.not_valid_before_utc <= now() <= certificate.not_valid_after_utc:
            return None  # it has expired since the handshake
        names = _values(certificate, NameOID.COMMON_NAME)
        if self._cn is not None and names != [self._cn]:
            return None
        name = names[0] if len(names) == 1 else certificate.subject.rfc4514_string()
        return Identity(name, frozenset(_values(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME))) if name else None


PluginClass = HttpAuthClientCert


def _values(certificate: Certificate, kind: ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(kind)]
