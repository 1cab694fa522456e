"""Values kept by HashiCorp Vault or OpenBao, in their KV engine, version 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, Unauthorized, VaultError
from requests.adapters import HTTPAdapter

from commissaire.records import Secret
from commissaire.secrets.backend import Opened
from commissaire.secrets.errors import SecretError, StoreUnavailable
from commissaire.secrets.reference import is_unused, new_reference
from commissaire.secrets.settings import SecretSettings
from commissaire.secrets.silence import Silence

_AT_ONCE = 16
_TIMEOUT_SECONDS = 5
_Answer = TypeVar("_Answer")


class KvBackend:
    """Keeps each value under a path of its own; records have the last part of it.

    A token that is refused is read, or asked for, once more: tokens end, and agents renew them in their file.
    """

    def __init__(self, settings: SecretSettings) -> None:
        self._settings = settings
        self._silence = Silence()
        session = requests.Session()
        session.trust_env = False  # else REQUESTS_CA_BUNDLE or ~/.netrc would have a say
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=_AT_ONCE))
        self._client = hvac.Client(
            settings.vault_url,
            token="",
            verify=str(settings.vault_ca_file) if settings.vault_ca_file else True,
            timeout=_TIMEOUT_SECONDS,
            session=session,
        )
        self._threads = ThreadPoolExecutor(_AT_ONCE, "vault")

    def seal(self, secret: Secret, value: str) -> None:
        """See `Backend.seal`."""
        reference = new_reference()
        try:
            self._ask(
                lambda kv: kv.create_or_update_secret(
                    self._path(reference), {"value": value}, cas=0, mount_point=self._settings.vault_mount
                )
            )
        except InvalidPath as error:
            raise self._no_engine(error) from error
        secret.key_id, secret.wrapped_key, secret.sealed = "", b"", reference.encode()

    def open(self, secrets: Sequence[Secret]) -> list[Opened]:
        """See `Backend.open`. KV has no request for many: some are under way at the same time."""
        return list(self._threads.map(self._open, secrets))

    def delete(self, references: Iterable[bytes]) -> None:
        """See `Backend.delete`: all versions of them."""
        list(self._threads.map(self._delete, references))

    def unused(self, used: set[bytes]) -> list[bytes]:
        """See `Backend.unused`."""
        settings = self._settings
        try:
            answer = self._ask(lambda kv: kv.list_secrets(settings.vault_path, mount_point=settings.vault_mount))
        except InvalidPath:
            return []
        return [name.encode() for name in answer["data"]["keys"] if is_unused(name, used)]

    def close(self) -> None:
        """See `Backend.close`."""
        self._threads.shutdown()
        self._client.adapter.close()

    def _open(self, secret: Secret) -> Opened:
        path = self._path(secret.sealed.decode())
        try:
            answer = self._ask(
                lambda kv: kv.read_secret_version(
                    path, mount_point=self._settings.vault_mount, raise_on_deleted_version=True
                )
            )
        except InvalidPath:
            return SecretError(
                f"{secret.field} of {secret.owner} is not in {self._settings.vault_url} any more; "
                "record it anew, or undelete or restore it there"
            )
        return str(answer["data"]["data"]["value"])

    def _delete(self, reference: bytes) -> None:
        path = self._path(reference.decode())
        with suppress(InvalidPath):
            self._ask(lambda kv: kv.delete_metadata_and_all_versions(path, mount_point=self._settings.vault_mount))

    def _path(self, reference: str) -> str:
        return f"{self._settings.vault_path.strip('/')}/{reference}"

    def _ask(self, question: Callable[[Any], _Answer]) -> _Answer:
        """Ask the engine.

        Raises:
            InvalidPath: the engine has nothing at that path, or had.
            StoreUnavailable: any other error.
        """
        where = str(self._settings.vault_url)
        self._silence.check(where)
        try:
            if not self._client.token:
                self._sign_in()
            try:
                return question(self._client.secrets.kv.v2)
            except (Forbidden, Unauthorized):
                self._sign_in()
                return question(self._client.secrets.kv.v2)
        except InvalidPath as error:
            if not isinstance(error.json, dict) or error.errors:
                raise self._no_engine(error) from error
            raise
        except (Forbidden, Unauthorized) as error:
            raise StoreUnavailable(
                f"{where} refuses: {_told(error)}; see the vault_ settings, and that the token's policy allows "
                f"create, read, list and delete below {self._settings.vault_mount}/data and /metadata"
            ) from error
        except VaultError as error:
            raise StoreUnavailable(f"{where} answers: {_told(error)}; see its log, and that it is unsealed") from error
        except requests.RequestException as error:
            if isinstance(error, requests.Timeout):
                self._silence.note()
            raise StoreUnavailable(
                f"{where} does not answer: {type(error).__name__}; see vault_url and vault_ca_file, and that it runs"
            ) from error

    def _sign_in(self) -> None:
        settings = self._settings
        if settings.vault_role_id is None:
            token = settings.vault_token
            self._client.token = token.get_secret_value() if token else _content(settings.vault_token_file)
            return
        secret_id = settings.vault_secret_id
        given = secret_id.get_secret_value() if secret_id else _content(settings.vault_secret_id_file)
        try:
            self._client.auth.approle.login(settings.vault_role_id, given)
        except InvalidPath as error:
            raise StoreUnavailable(
                f"{settings.vault_url} has no AppRole at auth/approle ({_told(error)}); enable it, or see vault_url"
            ) from error

    def _no_engine(self, error: InvalidPath) -> StoreUnavailable:
        """Say why a path is none: Vault answers 404 with reasons then, and without any when a value is not there."""
        return StoreUnavailable(
            f"{self._settings.vault_url} has no KV engine, version 2, at {self._settings.vault_mount} "
            f"({_told(error)}); see vault_mount"
        )


def _told(error: VaultError) -> str:
    return ", ".join(str(each) for each in error.errors or []) or type(error).__name__


def _content(path: Path | None) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"can't read {path}: {error}; see the vault_ settings") from error
