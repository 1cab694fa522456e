"""Stores of secrets that take connections and never answer: only the first one to ask waits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commissaire.records import Secret
from commissaire.secrets import custodia, kv, silence
from commissaire.secrets.backend import Backend
from commissaire.secrets.custodia import CustodiaBackend, CustodiaClient
from commissaire.secrets.errors import StoreUnavailable
from commissaire.secrets.kv import KvBackend
from commissaire.secrets.settings import SecretSettings

PATIENCE_SECONDS = 0.5


@pytest.fixture(params=["custodia", "vault"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setattr(custodia, "_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(kv, "_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    family = socket.AF_UNIX if request.param == "custodia" else socket.AF_INET
    with socket.socket(family) as silent:
        silent.bind(str(tmp_path / "socket") if request.param == "custodia" else ("127.0.0.1", 0))
        silent.listen()
        made: Backend
        if request.param == "custodia":
            made = CustodiaBackend(CustodiaClient(tmp_path / "socket"), "commissaire", "key")
        else:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            made = KvBackend(SecretSettings(vault_url=url, vault_token="token"))  # type: ignore[arg-type]
        yield made
        made.close()


def waited(backend: Backend, match: str) -> float:
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match):
        backend.seal(Secret(owner="host/1", field="ssh_priv_key"), "value")
    return time.monotonic() - begin


def test_a_store_that_hangs_lets_one_wait_and_refuses_the_others_for_a_while(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "PAUSE_SECONDS", 1)
    assert waited(backend, "does not answer") >= PATIENCE_SECONDS
    assert waited(backend, "gave no answer in time a moment ago") < PATIENCE_SECONDS / 2
    time.sleep(1)
    assert waited(backend, "does not answer") >= PATIENCE_SECONDS
