"""Private keys, as clients send them and ssh needs them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from commissaire.fleet.errors import Invalid
from commissaire.fleet.keys import UnusableKey, check_encoded_key, fingerprint, private_text, public_text

KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
FORMATS = {"openssh": PrivateFormat.OpenSSH, "pkcs8": PrivateFormat.PKCS8, "pem": PrivateFormat.TraditionalOpenSSL}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("form", FORMATS)
def test_the_public_half_of_every_kind_of_key_is_found(kind: str, form: str) -> None:
    if (kind, form) == ("ed25519", "pem"):
        form = "pkcs8"  # the old form does not know this kind
    key = KEYS[kind]
    text = key.private_bytes(Encoding.PEM, FORMATS[form], NoEncryption()).decode()
    expected = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    for sent in (text, text.strip(), text.replace("\n", "\r\n"), f"\n{text}\n"):
        private = private_text(base64.b64encode(sent.encode()).decode())
        assert public_text(private) == expected
        assert fingerprint(private) == fingerprint(text.strip() + "\n")


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_key_behind_a_passphrase_is_told(form: PrivateFormat) -> None:
    text = KEYS["ed25519"].private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")).decode()
    with pytest.raises(UnusableKey, match="passphrase"):
        public_text(text)


@pytest.mark.parametrize("text", ["", "test\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\n", "CANARY"])
def test_what_is_no_key_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(UnusableKey, match="no private key") as caught:
        public_text(text)
    assert "CANARY" not in str(caught.value)


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(UnusableKey, match="not even text"):
        private_text(base64.b64encode(b"\xff\xfe").decode())


@pytest.mark.parametrize(
    "value", ["x", "dGVzdA", "dGVz dAo=", "dGVz\ndAo=", "dGVzdAo=\n", "ключ", "\ud800", None, 5, b"x"]
)
def test_what_is_not_base64_on_one_line_is_refused(value: object) -> None:
    with pytest.raises(Invalid, match="base64 -w0 FILE"):
        check_encoded_key(value)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=200))
def test_base64_of_anything_is_accepted_and_its_use_ends_as_expected(data: bytes) -> None:
    encoded = base64.b64encode(data).decode()
    assert check_encoded_key(encoded) == encoded
    with pytest.raises(UnusableKey, match="its ssh_priv_key"):
        public_text(private_text(encoded))
