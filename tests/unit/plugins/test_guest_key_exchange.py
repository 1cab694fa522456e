"""The key exchange of passwords, against the exchange that singularity's documentation prints."""

import pytest
from ansible_collections.commissaire.fleet.plugins.module_utils.guest_key_exchange import (
    KeyExchange,
    KeyExchangeError,
    encrypt,
)

from unit.plugins.nova_agent import decrypt

HOST, AGENT = "126190143978468524724357084322869", "152515189133785336521547047713056"
PRIVATE = 9530448330368883879408831954422  # the host's, which is no secret with so small a key
SHARED = 103859746398541129756514778887743
PASSWORD, ENCRYPTED = "3JMxMps62singularity-test", "YXazuqvtFdagFYrwKoYhWAbaJoW9eB7f+ju7GSwhBh4="


def test_the_exchange_that_is_printed_comes_out_again():
    exchange = KeyExchange(PRIVATE)
    assert exchange.public == HOST
    assert exchange.encrypt(PASSWORD, AGENT) == ENCRYPTED
    assert encrypt(PASSWORD, str(SHARED)) == ENCRYPTED
    assert decrypt(ENCRYPTED, SHARED) == PASSWORD + "\n"


def test_each_exchange_has_a_key_of_its_own():
    assert len({KeyExchange().public for _ in range(50)}) == 50


def test_a_long_password_is_on_one_line():
    password = "grüße" * 50
    encrypted = encrypt(password, "1")
    assert "\n" not in encrypted
    assert decrypt(encrypted, 1) == password + "\n"


@pytest.mark.parametrize("public", ["0", "1", str(2**107 - 2), str(2**107 - 1), "-5", "", "abc"])
def test_a_key_that_gives_the_password_away_is_refused(public):
    with pytest.raises(KeyExchangeError, match="the guest agent's public key is"):
        KeyExchange().encrypt("x", public)


def test_a_missing_openssl_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KeyExchangeError, match=r"the program openssl can't be run here: .*; install openssl"):
        encrypt("x", "1")
