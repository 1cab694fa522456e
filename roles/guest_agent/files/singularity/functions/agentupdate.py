"""agentupdate: replace the agent by another version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple

from singularity import base64_text, update
from singularity.errors import Refused

if TYPE_CHECKING:
    from singularity.channels import Channel
    from singularity.guest import Guest

NAME = "agentupdate"
ITEM = "update"
DIGESTS = ("md5sum", "md5", "sha256", "sha512")


def answer(value: Any, guest: Guest, channel: Optional[Channel]) -> str:
    """Fetch the new version, try it, and let it take over. Raises Refused.

    *value*: "url,digest", or an object with url, md5sum (or md5, sha256, sha512) and, in base64, a signature.
    """
    take(guest, value)
    return ""


def take(guest: Guest, value: Any) -> str:
    """Do what `answer` does, and return the new version's number. Raises Refused."""
    url, digest, signature = _parts(value)
    version = update.update(guest, url, digest, signature)
    guest.cache.write(ITEM, value)
    return version


def apply(guest: Guest) -> None:
    """Fetch the version anew that was asked for last, unless it is the present one. Raises Refused."""
    value = guest.cache.read(ITEM)
    if value is None:
        return
    url, digest, signature = _parts(value)
    if update.is_present(digest):
        return
    if guest.settings.noop:
        guest.files.diffs.append(f"the agent would be replaced by {url}\n")
    else:
        update.update(guest, url, digest, signature)


def _parts(value: Any) -> Tuple[str, str, Optional[bytes]]:
    signature = None
    if isinstance(value, dict):
        url = value.get("url")
        digest = next((value[name] for name in DIGESTS if name in value), None)
        if value.get("signature") is not None:
            signature = base64_text.decode(value["signature"], "The signature is no base64")
    elif isinstance(value, str):
        url, _, digest = value.strip().rpartition(",")
    else:
        url = digest = None
    if not (isinstance(url, str) and isinstance(digest, str) and url.strip() and digest.strip()):
        raise Refused("agentupdate needs a URL and a digest")
    return url.strip(), digest.strip().lower(), signature
