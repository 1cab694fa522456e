"""Hashes of passwords as the system itself would make them: by its crypt(3), else by the program openssl.

The work is done in a child, which goes: yescrypt takes 16 MB, and libcrypt keeps what it was given.
"""

from __future__ import annotations

import os
import re
from typing import Any

from singularity import programs
from singularity.child import in_child
from singularity.errors import Refused

SECONDS = 60.0
PREFIXES = {"YESCRYPT": "$y$", "SHA512": "$6$", "SHA256": "$6$"}
"""How a hash of a method of login.defs begins; a weaker method becomes SHA512."""
_SALT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LIBRARIES = ("libcrypt.so.2", "libcrypt.so.1", None)  # None: a C library that has crypt(3) in itself, musl
_METHOD = re.compile(rb"^[ \t]*ENCRYPT_METHOD[ \t]+(\w+)", re.MULTILINE)
_HASH = re.compile(r"(\$[0-9a-z]+\$[^:\s]{20,}|[./0-9A-Za-z]{13}|_[./0-9A-Za-z]{19}|[!*][^:\s]*)", re.ASCII)


def method(login_defs: bytes | None) -> str:
    """Return the method that login.defs names: YESCRYPT or SHA512."""
    found = _METHOD.findall(login_defs or b"")
    name = found[-1].decode("ascii", "replace").upper() if found else ""
    return "YESCRYPT" if name == "YESCRYPT" else "SHA512"


def hashed(password: bytes, wanted: str = "SHA512") -> str:
    """Return the hash of a password, by the method `wanted` or by SHA512 where the system can't do that.

    Raise Refused for a password that no system can have, and where there is neither libcrypt nor openssl.
    """
    if not password or b"\0" in password or b"\n" in password or len(password) > 511:
        raise Refused("a password has 1 to 511 bytes, none of them NUL or a line break")
    made = in_child(lambda: _by_libcrypt(password, wanted).encode("ascii"), SECONDS).decode("ascii")
    if not made:
        openssl = programs.find("openssl")
        if not openssl:
            raise Refused("a password can not be hashed: install libcrypt (libcrypt1, libxcrypt) or openssl")
        said = programs.run([openssl, "passwd", "-6", "-stdin"], given=password + b"\n")
        made = said.decode("ascii", "replace").strip()
        if not made.startswith("$6$"):
            raise Refused("openssl does not hash by SHA512: it is too old")
    return made


def is_hash(text: str) -> bool:
    """Tell whether `text` can stand in shadow for a password: a hash, or one that is locked by ! or *."""
    return len(text) <= 511 and _HASH.fullmatch(text) is not None


def _by_libcrypt(password: bytes, wanted: str) -> str:
    """Return what crypt(3) makes of a password; "" where there is none."""
    import ctypes

    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            crypt = library.crypt
        except (OSError, AttributeError):
            continue
        crypt.restype = ctypes.c_char_p
        crypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        for setting in _settings(library, wanted):
            made = crypt(password, setting)
            if made and made.startswith(setting[:3]) and len(made) > len(setting) + 20:
                return str(made.decode("ascii"))
    return ""


def _settings(library: Any, wanted: str) -> list[bytes]:
    """Return the settings to try, the wanted method's first."""
    import ctypes

    settings = [b"$6$" + "".join(_SALT[byte & 63] for byte in os.urandom(16)).encode()]
    gensalt = getattr(library, "crypt_gensalt", None)
    if wanted == "YESCRYPT" and gensalt:
        gensalt.restype = ctypes.c_char_p
        gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]
        made = gensalt(PREFIXES[wanted].encode(), 0, None, 0)
        if made and made.startswith(b"$y$"):
            settings.insert(0, bytes(made))
    return settings
