# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a password gets past who reads xenstore in passing: the key exchange of OpenStack's XenAPI hosts.

It is Diffie-Hellman with 107 bits, of a modulus less one that is smooth. Whoever wants to reads what is sent this way.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess

PRIME = 162259276829213363391578010288127  # 2**107 - 1
BASE = 5


class KeyExchangeError(Exception):
    """No password can be sent; the message says why."""


class KeyExchange:
    """One exchange, for one password."""

    def __init__(self, private: int | None = None) -> None:
        self._private = private if private is not None else secrets.randbelow(PRIME - 3) + 2

    @property
    def public(self) -> str:
        """What the other side is told, as a decimal number."""
        return str(pow(BASE, self._private, PRIME))

    def encrypt(self, password: str, public: str) -> str:
        """Return the password for the other side, whose public number this is, in base64. Raise KeyExchangeError."""
        try:
            number = int(public)
        except ValueError:
            raise KeyExchangeError("the guest agent's public key is no number") from None
        if not 1 < number < PRIME - 1:
            raise KeyExchangeError("the guest agent's public key is out of range")
        return encrypt(password, str(pow(number, self._private, PRIME)))


def encrypt(password: str, phrase: str) -> str:
    """Return the password and a newline as `openssl enc -aes-128-cbc -nosalt -a -md md5` encrypts them, on one line."""
    command = ["openssl", "enc", "-e", "-aes-128-cbc", "-nosalt", "-md", "md5", "-pass"]
    reading, writing = os.pipe()
    try:
        os.write(writing, phrase.encode() + b"\n")  # a pipe, for arguments and environments can be seen by others
        os.close(writing)
        done = subprocess.run(
            [*command, f"fd:{reading}"],
            input=password.encode() + b"\n",
            pass_fds=[reading],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise KeyExchangeError(f"the program openssl can't be run here: {error}; install openssl") from error
    finally:
        os.close(reading)
    if done.returncode:
        raise KeyExchangeError(f"openssl can't encrypt: {done.stderr.decode(errors='replace').strip()}")
    return base64.b64encode(done.stdout).decode()
