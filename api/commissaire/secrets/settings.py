"""The settings of secrets: which backend keeps them, and how it is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from commissaire.secrets.api_id import is_api_id


class SecretSettings(BaseModel):
    """Part of `Settings`. Backends that are not in use are read from, when they are configured."""

    secret_store: Literal["embedded", "custodia", "vault"] = Field(
        "embedded", description="What keeps secrets: the database itself, Custodia, or HashiCorp Vault or OpenBao."
    )
    custodia_socket_path: Path = Field(
        Path("/var/run/custodia/custodia.sock"), description="Unix socket that Custodia listens on."
    )
    custodia_api_id: str | None = Field(None, description="API id that Commissaire has at Custodia.")
    custodia_api_key: SecretStr | None = Field(None, description="Key of this API id.")
    vault_url: str | None = Field(None, description="Where Vault or OpenBao listens: https://HOST:8200.")
    vault_ca_file: Path | None = Field(None, description="PEM file with the authorities that its certificate is of.")
    vault_mount: str = Field("secret", min_length=1, description="Where its KV engine, version 2, is mounted.")
    vault_path: str = Field("commissaire", min_length=1, description="Folder below it for Commissaire alone.")
    vault_token: SecretStr | None = Field(None, description="Token to sign in with.")
    vault_token_file: Path | None = Field(None, description="File with the token; read again when it is refused.")
    vault_role_id: str | None = Field(None, description="Role id (AppRole) to sign in with instead of a token.")
    vault_secret_id: SecretStr | None = Field(None, description="Secret id that belongs to the role id.")
    vault_secret_id_file: Path | None = Field(None, description="File with the secret id.")

    @field_validator("custodia_socket_path", "vault_ca_file", "vault_token_file", "vault_secret_id_file")
    @classmethod
    def _absolute_path(cls, value: Path | None) -> Path | None:
        return None if value is None else Path.cwd() / value.expanduser()

    @model_validator(mode="after")
    def _usable_backends(self) -> SecretSettings:
        if self.secret_store == "custodia" and self.custodia_api_id is None:
            raise ValueError("secret_store custodia needs custodia_api_id and custodia_api_key")
        if (self.custodia_api_id is None) != (self.custodia_api_key is None):
            raise ValueError("custodia_api_id and custodia_api_key belong together; give both or none")
        if self.custodia_api_id is not None and not is_api_id(self.custodia_api_id):
            raise ValueError("custodia_api_id is 1 to 64 letters, digits, - _ and, after the first one, dots")
        if self.secret_store == "vault" and self.vault_url is None:
            raise ValueError("secret_store vault needs vault_url")
        if self.vault_url is not None:
            self._check_vault(self.vault_url)
        return self

    def _check_vault(self, url: str) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("vault_url is no URL, such as https://vault.example.com:8200")
        tokens = [self.vault_token, self.vault_token_file, self.vault_role_id]
        if sum(each is not None for each in tokens) != 1:
            raise ValueError("vault_url needs one of vault_token, vault_token_file and vault_role_id")
        secret_ids = [self.vault_secret_id, self.vault_secret_id_file]
        if sum(each is not None for each in secret_ids) != (self.vault_role_id is not None):
            raise ValueError("vault_role_id goes with either vault_secret_id or vault_secret_id_file")
