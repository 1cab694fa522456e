"""The key exchange and the password, held against the seed's printed exchange and against openssl."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest

from singularity import crypto
from singularity.errors import Refused
from singularity.key_exchange import BASE, PRIME, KeyExchange, decrypt

HOST_PUBLIC = 126190143978468524724357084322869
SHARED = 103859746398541129756514778887743
CIPHER_TEXT = base64.b64decode("YXazuqvtFdagFYrwKoYhWAbaJoW9eB7f+ju7GSwhBh4=")
PASSWORD = b"3JMxMps62singularity-test"
BACKENDS = [crypto.by_libcrypto, crypto.by_cryptography, crypto.by_openssl]

if not shutil.which("openssl"):
    pytest.skip("install the program openssl", allow_module_level=True)


def encrypted(shared: int, text: bytes, digest: str) -> bytes:
    """Encrypt as a host does, which pipes the text through the program openssl."""
    command = ["openssl", "enc", "-aes-128-cbc", "-nosalt", "-md", digest, "-pass", f"pass:{shared}"]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout


def agreed() -> tuple[KeyExchange, int]:
    """Return the agent's side of an exchange, and what both sides know then."""
    exchange, private = KeyExchange(), 987654321
    return exchange, pow(exchange.begin(pow(BASE, private, PRIME)), private, PRIME)


def test_the_group_is_novas() -> None:
    assert (PRIME, BASE) == (162259276829213363391578010288127, 5)


def test_the_seeds_password_is_read() -> None:
    assert decrypt(SHARED, CIPHER_TEXT) == PASSWORD


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_reads_the_seeds_password(backend: type) -> None:
    padding = bytes([6]) * 6
    assert backend(str(SHARED).encode(), "md5", CIPHER_TEXT) == PASSWORD + b"\n" + padding


@pytest.mark.parametrize("digest", ["md5", "sha256"])
def test_a_password_is_read_whichever_digest_the_host_has(digest: str) -> None:
    exchange, shared = agreed()
    assert exchange.decrypt(encrypted(shared, "pässword\n".encode(), digest)) == "pässword".encode()


def test_trailing_newlines_do_not_belong_to_it_but_all_else_does() -> None:
    exchange, shared = agreed()
    assert exchange.decrypt(encrypted(shared, b" a \tb \n\n", "md5")) == b" a \tb "


def test_a_key_serves_for_one_password() -> None:
    exchange, shared = agreed()
    text = encrypted(shared, b"once\n", "md5")
    assert exchange.decrypt(text) == b"once"
    with pytest.raises(Refused, match="Password without key exchange"):
        exchange.decrypt(text)


def test_a_key_is_forgotten_when_the_password_was_wrong() -> None:
    exchange, _ = agreed()
    with pytest.raises(Refused, match="Invalid password data received"):
        exchange.decrypt(b"x" * 15)
    with pytest.raises(Refused, match="Password without key exchange"):
        exchange.decrypt(b"x" * 16)


def test_every_exchange_has_another_key() -> None:
    exchange = KeyExchange()
    assert len({exchange.begin(HOST_PUBLIC) for _ in range(20)}) == 20


@pytest.mark.parametrize("public", [-1, 0, 1, PRIME - 1, PRIME, PRIME + 5])
def test_a_public_key_that_hides_nothing_is_refused(public: int) -> None:
    exchange, _ = agreed()
    with pytest.raises(Refused, match="Invalid public key"):
        exchange.begin(public)
    with pytest.raises(Refused, match="Password without key exchange"):
        exchange.decrypt(b"x" * 16)


@pytest.mark.parametrize("padding", [b"\0" * 16, b"\x11" * 17 + b"\0" * 15, b"a" * 13 + b"\1\2\3", b"a" * 15 + b"\x20"])
def test_the_whole_padding_is_checked(padding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "decrypt", lambda *_: padding)
    with pytest.raises(Refused, match="Invalid password data received"):
        decrypt(SHARED, b"x" * 16)


def test_of_two_texts_that_are_padded_well_the_one_that_ends_as_hosts_do_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = {"md5": b"\xff\xfejunk" + b"\1", "sha256": b"password\n" + b"\7" * 7}
    monkeypatch.setattr(crypto, "decrypt", lambda phrase, digest, data: texts[digest])
    assert decrypt(SHARED, b"x" * 16) == b"password"


def test_the_next_backend_is_tried_and_their_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> bytes:
        raise crypto.Unavailable

    monkeypatch.setattr(crypto, "by_libcrypto", absent)
    assert decrypt(SHARED, CIPHER_TEXT) == PASSWORD
    monkeypatch.setattr(crypto, "by_cryptography", absent)
    assert decrypt(SHARED, CIPHER_TEXT) == PASSWORD
    monkeypatch.setattr(crypto, "by_openssl", absent)
    with pytest.raises(Refused, match="install OpenSSL's libcrypto, python3-cryptography or the program openssl"):
        decrypt(SHARED, CIPHER_TEXT)


def test_a_guest_without_libcrypto_is_told_from_one_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "LIBRARIES", ("libnone.so",))
    with pytest.raises(crypto.Unavailable):
        crypto.by_libcrypto(b"1", "md5", b"x" * 16)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(crypto.Unavailable):
        crypto.by_openssl(b"1", "md5", b"x" * 16)
