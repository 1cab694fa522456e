"""AES-128-CBC by what the guest has: libcrypto, else python3-cryptography, else the program openssl."""

from __future__ import annotations

import os
from typing import Any, Callable, Tuple

from singularity.errors import Refused

LIBRARIES = (
    "libcrypto.so.3",
    "libcrypto.so.1.1",
    "libcrypto.so.10",
    "libcrypto.so.1.0.2",
    "libcrypto.so.1.0.0",
    "libcrypto.so",
)
NOTHING = "No AES in this guest: install OpenSSL's libcrypto, python3-cryptography or the program openssl"
SECONDS = 10


class Unavailable(Exception):
    """The guest doesn't have this."""


def decrypt(phrase: bytes, digest: str, data: bytes) -> bytes:
    """Return the plain text, with its padding, of what `openssl enc -aes-128-cbc -nosalt -md DIGEST` made of it.

    *phrase* is the pass phrase, *digest* md5 or sha256, *data* whole blocks. Raises Refused where the guest has no AES.
    """
    for backend in (by_libcrypto, by_cryptography, by_openssl):
        try:
            return backend(phrase, digest, data)
        except Unavailable:
            continue
    raise Refused(NOTHING)


def derive(phrase: bytes, digest: str) -> Tuple[bytes, bytes]:
    """Return key and initialization vector as EVP_BytesToKey(3) makes them, without a salt."""
    first = _hash(digest, phrase)
    second = _hash(digest, first + phrase)
    return (first + second)[:16], (first + second)[16:32]


def by_libcrypto(phrase: bytes, digest: str, data: bytes) -> bytes:
    """Decrypt by the library that the system's own programs use. Raises Unavailable."""
    import ctypes

    library = libcrypto()
    try:
        library.EVP_CIPHER_CTX_new.restype = library.EVP_aes_128_cbc.restype = ctypes.c_void_p
        context = ctypes.c_void_p(library.EVP_CIPHER_CTX_new())
        cipher = ctypes.c_void_p(library.EVP_aes_128_cbc())
        key, vector = derive(phrase, digest)
        plain = ctypes.create_string_buffer(len(data) + 32)
        size = ctypes.c_int(0)
        try:
            done = (
                library.EVP_DecryptInit_ex(context, cipher, None, key, vector)
                and library.EVP_CIPHER_CTX_set_padding(context, 0)
                and library.EVP_DecryptUpdate(context, plain, ctypes.byref(size), data, len(data))
            )
        finally:
            library.EVP_CIPHER_CTX_free(context)
    except AttributeError as error:
        raise Unavailable from error
    if not done or size.value != len(data):
        raise Unavailable
    return plain.raw[: len(data)]


def by_cryptography(phrase: bytes, digest: str, data: bytes) -> bytes:
    """Decrypt by python3-cryptography. Raises Unavailable."""
    try:
        from cryptography.hazmat.backends import default_backend
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except Exception as error:  # an installation that is broken raises what it likes
        raise Unavailable from error
    key, vector = derive(phrase, digest)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector), default_backend()).decryptor()
    return bytes(decryptor.update(data) + decryptor.finalize())


def by_openssl(phrase: bytes, digest: str, data: bytes) -> bytes:
    """Decrypt by the program. The pass phrase goes through a pipe, as all can see arguments. Raises Unavailable."""
    import subprocess

    reader, writer = os.pipe()
    try:
        os.write(writer, phrase + b"\n")
        os.close(writer)
        command = ["openssl", "enc", "-d", "-aes-128-cbc", "-nosalt", "-nopad", "-md", digest, "-pass", f"fd:{reader}"]
        done = subprocess.run(
            command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(reader,), timeout=SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable from error
    finally:
        os.close(reader)
    if done.returncode or len(done.stdout) != len(data):
        raise Unavailable
    return done.stdout


def libcrypto() -> Any:
    """Return OpenSSL's libcrypto. Raises Unavailable where there is none."""
    import ctypes

    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise Unavailable


def hasher(digest: str) -> Any:
    """Return a new hash object; MD5, too, where that is forbidden for security (FIPS): none rests on it here."""
    import hashlib

    make: Callable[..., Any] = getattr(hashlib, digest)
    try:
        return make(usedforsecurity=False)
    except TypeError:  # Python 3.8
        return make()


def _hash(digest: str, data: bytes) -> bytes:
    made = hasher(digest)
    made.update(data)
    return bytes(made.digest())
