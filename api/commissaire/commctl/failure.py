"""Why a host can't be used, which v0's answers don't tell, said on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commissaire.commctl.errors import CommctlError
from commissaire.commctl.output import tell
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from commissaire.commctl.client import Client


def tell_reason(client: Client, address: str, host: Any) -> None:
    """Say why *host*, a record with its status, failed; nothing when it didn't, or when that can't be learnt."""
    if not _failed(host):
        return
    try:
        record = client.get(f"/api/v1/hosts/{segment(address)}").body
    except CommctlError:
        return
    if isinstance(record, dict) and record.get("message"):
        tell(f"{address} failed: {record['message']}")


def tell_number(hosts: Any) -> None:
    """Say how many of *hosts* failed, if any, and how to learn why."""
    failed = sum(map(_failed, hosts)) if isinstance(hosts, list) else 0
    if failed:
        tell(f"{failed} of {len(hosts)} hosts failed; commctl host get ADDRESS tells why")


def tell_retry(address: str, host: Any) -> None:
    """Say how to try *host*, a record with its status, again if it failed."""
    if _failed(host):
        tell(f"{address} is still failed; try it again: commctl host bootstrap --wait {address}")


def _failed(host: Any) -> bool:
    return isinstance(host, dict) and host.get("status") == "failed"
