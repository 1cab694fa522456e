"""What a hypervisor and the server prove to each other who they are by, and whether it fits the hypervisor's URI."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from commissaire.fleet.addresses import check_host_key
from commissaire.fleet.errors import Invalid
from commissaire.fleet.keys import UnusableKey, check_encoded_key, private_text, public_text
from commissaire.machines.uri import transport_of


@dataclass(frozen=True)
class Credentials:
    """Each "" where there is none. `ssh_host_keys` are lines of `TYPE BASE64`, `tls_…` PEM."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    ssh_priv_key: str = field(default="", repr=False)
    ssh_host_keys: str = field(default="", repr=False)
    tls_ca: str = field(default="", repr=False)
    tls_certificate: str = field(default="", repr=False)
    tls_key: str = field(default="", repr=False)

    def private_key(self) -> str:
        """Return the private key as ssh reads it. Raise UnusableKey when it is none."""
        return private_text(self.ssh_priv_key)

    def known_hosts(self, uri: str) -> str:
        """Return the host's keys as a file known_hosts has them for *uri*."""
        parts = urlsplit(uri)
        host = parts.hostname or ""
        name = host if parts.port in (None, 22) else f"[{host}]:{parts.port}"
        return "".join(f"{name} {line}\n" for line in self.ssh_host_keys.splitlines())

    def certificates(self) -> dict[str, str]:
        """Return the files that libvirt's `pkipath` leads to, by their names."""
        files = {"cacert.pem": self.tls_ca, "clientcert.pem": self.tls_certificate, "clientkey.pem": self.tls_key}
        return {name: text for name, text in files.items() if text}


FIELDS = tuple(each.name for each in fields(Credentials))
_SASL = ("username", "password")
_TAKEN = {
    "ssh": ("ssh_priv_key", "ssh_host_keys"),
    "tls": ("tls_ca", "tls_certificate", "tls_key", *_SASL),
    "tcp": _SASL,
}
"""What can be given for a transport."""
_TOGETHER = (
    ("ssh_priv_key", "ssh_host_keys"),
    ("ssh_host_keys", "ssh_priv_key"),
    ("username", "password"),
    ("password", "username"),
    ("tls_certificate", "tls_key"),
    ("tls_key", "tls_certificate"),
    ("tls_certificate", "tls_ca"),
)
"""Pairs of which the first is nothing without the second."""


def check_credentials(uri: str, credentials: Credentials) -> None:
    """See that a hypervisor can be reached with them. No message tells what they hold.

    Raises:
        Invalid: they don't fit its URI or each other, or one is not what it should be.
    """
    transport = transport_of(uri)
    taken = _TAKEN.get(transport, ())
    given = [name for name in FIELDS if getattr(credentials, name)]
    for name in given:
        if name not in taken:
            kinds = ", ".join(f"+{kind}: {' '.join(names)}" for kind, names in _TAKEN.items())
            raise Invalid(f"{name} is no credential for {uri}; there are {kinds}")
    for name, other in _TOGETHER:
        if name in given and other not in given:
            raise Invalid(f"{name} needs {other}, too; credentials are always given whole")
    if credentials.ssh_priv_key:
        _check_ssh(credentials)
    if credentials.tls_ca:
        _check_tls(credentials)
    if credentials.username:
        _check_sasl(credentials)


def _check_ssh(credentials: Credentials) -> None:
    check_encoded_key(credentials.ssh_priv_key)
    try:
        public_text(credentials.private_key())
    except UnusableKey as error:
        raise Invalid(str(error).removeprefix("its ")) from error
    for line in credentials.ssh_host_keys.splitlines():
        check_host_key(line)


def _check_tls(credentials: Credentials) -> None:
    for name in ("tls_ca", "tls_certificate"):
        text = getattr(credentials, name)
        try:
            certificates = x509.load_pem_x509_certificates(text.encode()) if text else []
        except ValueError as error:
            raise Invalid(f"{name} holds no certificates in PEM") from error
    if not credentials.tls_key:
        return
    try:
        key = load_pem_private_key(credentials.tls_key.encode(), password=None)
    except TypeError as error:
        raise Invalid("tls_key is behind a passphrase; give a key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("tls_key is no private key in PEM") from error
    halves = [one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in certificates]
    if key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != halves[0]:
        raise Invalid("tls_key does not belong to tls_certificate")


def _check_sasl(credentials: Credentials) -> None:
    for name in _SASL:
        if not getattr(credentials, name).isprintable():
            raise Invalid(f"{name} has a character that can't be typed")
    if credentials.password[:1] == " " or credentials.password[-1:] == "\\":
        raise Invalid("password begins with a blank, or ends with a backslash: libvirt's programs can't read it so")
