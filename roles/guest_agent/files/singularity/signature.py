"""Signatures by a public key: RSA or EC with SHA-256, or Ed25519, by what the guest has for it."""

from __future__ import annotations

import os
from typing import Any

from singularity.crypto import Unavailable, libcrypto
from singularity.errors import Refused

SECONDS = 10


def verify(key: str, signature: bytes, path: str) -> bool:
    """Return whether *signature* is one of the file at *path*, by the public key in the PEM file *key*.

    What `openssl dgst -sha256 -sign` makes (RSA, EC), or `openssl pkeyutl -sign -rawin` (Ed25519). Raises Refused where
    that can't be told.
    """
    with open(key, "rb") as file:
        pem = file.read()
    with open(path, "rb") as file:
        data = file.read()
    for backend in (by_libcrypto, by_cryptography):
        try:
            return backend(pem, signature, data)
        except Unavailable:
            continue
    return by_openssl(key, signature, path)


def by_libcrypto(pem: bytes, signature: bytes, data: bytes) -> bool:
    """Verify by OpenSSL's library, 1.1.1 or newer. Raises Unavailable, and Refused where the key is none."""
    import ctypes

    library = libcrypto()
    pointer = ctypes.c_void_p
    try:
        for name in ("BIO_new_mem_buf", "PEM_read_bio_PUBKEY", "EVP_MD_CTX_new", "EVP_sha256"):
            getattr(library, name).restype = pointer
        verify = library.EVP_DigestVerify
        verify.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    except AttributeError as error:
        raise Unavailable from error
    source = pointer(library.BIO_new_mem_buf(pem, len(pem)))
    key = pointer(library.PEM_read_bio_PUBKEY(source, None, None, None))
    library.BIO_free(source)
    if not key:
        raise Refused("The key that signs updates is no public key in PEM form")
    try:
        for digest in (pointer(library.EVP_sha256()), None):  # Ed25519 takes none
            context = pointer(library.EVP_MD_CTX_new())
            try:
                if library.EVP_DigestVerifyInit(context, None, digest, None, key) == 1:
                    return bool(verify(context, signature, len(signature), data, len(data)) == 1)
            finally:
                library.EVP_MD_CTX_free(context)
    finally:
        library.EVP_PKEY_free(key)
    raise Refused("The key that signs updates is of a kind that can't be used")


def by_cryptography(pem: bytes, signature: bytes, data: bytes) -> bool:
    """Verify by python3-cryptography. Raises Unavailable, and Refused where the key is none."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.backends import default_backend
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
    except Exception as error:  # an installation that is broken raises what it likes
        raise Unavailable from error
    try:
        key: Any = serialization.load_pem_public_key(pem, default_backend())
    except ValueError as error:
        raise Refused("The key that signs updates is no public key in PEM form") from error
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def by_openssl(key: str, signature: bytes, path: str) -> bool:
    """Verify by the program openssl. Raises Refused where there is none."""
    import subprocess

    beside = f"{path}.sig"
    with open(beside, "wb") as file:
        file.write(signature)
    commands = (
        ["openssl", "dgst", "-sha256", "-verify", key, "-signature", beside, path],
        ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", key, "-sigfile", beside, "-in", path],
    )
    try:
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": SECONDS}
        return any(subprocess.run(command, **quiet).returncode == 0 for command in commands)
    except (OSError, subprocess.SubprocessError) as error:
        raise Refused(
            "Signatures can't be verified in this guest: install OpenSSL's libcrypto, python3-cryptography or "
            "the program openssl"
        ) from error
    finally:
        os.unlink(beside)
