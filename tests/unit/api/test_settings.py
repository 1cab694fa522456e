"""The settings: a file, the environment, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commissaire import configuration
from commissaire.configuration import SettingsError
from commissaire.server import settings_from
from commissaire.settings import Settings, load_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "commissaire.conf"


def write(path: Path, **document: Any) -> Path:
    path.write_text(json.dumps({key.replace("_", "-"): value for key, value in document.items()}))
    return path


@pytest.mark.parametrize("key", ["listen-port", "listen_port"])
def test_keys_may_have_hyphens_or_underscores(config: Path, key: str) -> None:
    config.write_text(json.dumps({key: 1234}))
    assert load_settings(config, {}, environ={}).listen_port == 1234


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(config: Path) -> None:
    write(config, listen_port=1, workers=1, listen_interface="10.0.0.1", debug=True)
    environ = {"COMMISSAIRE_LISTEN_PORT": "2", "COMMISSAIRE_WORKERS": "2", "OTHER": "x"}
    settings = settings_from(["-c", str(config), "--listen-port", "3"], environ)
    assert (settings.listen_port, settings.workers, settings.listen_interface, settings.debug) == (
        3,
        2,
        "10.0.0.1",
        True,
    )


def test_the_file_in_etc_is_read_unless_another_is_named(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "DIRECTORY", tmp_path)
    assert settings_from([], {}).listen_port == 8000
    write(config, listen_port=1)
    assert settings_from([], {}).listen_port == 1
    assert settings_from(["--no-config-file"], {}).listen_port == 8000
    assert settings_from(["-c", str(write(tmp_path / "other.conf", listen_port=2))], {}).listen_port == 2


def test_no_configuration_file_is_read_when_none_is_wanted(config: Path) -> None:
    write(config, listen_port=1)
    assert settings_from(["-c", str(config), "--no-config-file"], {}).listen_port == 8000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("", "is not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"listen-prot": 1}', "unknown setting 'listen_prot'; known are: .*listen_port"),
        ('{"listen-port": 1, "listen_port": 2}', "twice"),
        ('{"listen-port": 65536}', "setting 'listen_port'"),
        ('{"listen-port": "http"}', "setting 'listen_port'"),
        ('{"workers": -1}', "setting 'workers'"),
        ('{"credential-cache-seconds": -1}', "setting 'credential_cache_seconds'"),
        ('{"authentication-plugins": [{}]}', "authentication_plugins.0.name"),
        ('{"authentication-plugins": [{"name": "x", "role": "root"}]}', "authentication_plugins.0.role"),
        ('{"authentication-plugins": [{"name": "x", "roles": {"a": "root"}}]}', "authentication_plugins.0.roles.a"),
        ('{"authentication-plugins": "httpbasicauth"}', "authentication_plugins"),
        ('{"database-url": "nonsense"}', "setting 'database_url'.*no SQLAlchemy URL"),
        ('{"database-url": "mysql://root:CANARY@x/y"}', "setting 'database_url'.*mysql is not supported"),
        ('{"database-url": "sqlite://"}', "SQLite needs a file"),
        ('{"database-url": "sqlite:///:memory:"}', "SQLite needs a file"),
        ('{"tls-pemfile": "/nowhere/x.pem"}', "there is no file /nowhere/x.pem"),
        ('{"secret-store": "nonsense"}', "setting 'secret_store'"),
        ('{"secret-store": "custodia"}', "needs custodia_api_id and custodia_api_key"),
        ('{"custodia-api-key": "CANARY"}', "belong together"),
        ('{"custodia-api-id": "../x", "custodia-api-key": "CANARY"}', "custodia_api_id is 1 to 64 letters"),
        ('{"secret-store": "vault"}', "needs vault_url"),
        ('{"vault-url": "x", "vault-token": "CANARY"}', "vault_url is no URL"),
        ('{"vault-url": "https://x"}', "needs one of vault_token, vault_token_file and vault_role_id"),
        ('{"vault-url": "https://x", "vault-token": "CANARY", "vault-role-id": "x"}', "needs one of vault_token"),
        ('{"vault-url": "https://x", "vault-role-id": "x"}', "goes with either vault_secret_id or"),
        ('{"vault-url": "https://x", "vault-token": "x", "vault-secret-id": "CANARY"}', "goes with either"),
        ('{"tls-clientverifyfile": "/etc/hostname"}', "of no use without tls_pemfile"),
        ('{"listen-interface": "8000"}', "8000 is a port, not an address; say --listen-port 8000"),
        ('{"authentication-plugin": [], "authentication-plugins": []}', "the same setting; give one"),
        ('{"bus-uri": "CANARY"}', "setting 'bus_uri'.*no URI, such as redis://"),
        ('{"bus-exchange": ""}', "setting 'bus_exchange'"),
        ('{"guest-file-limit-mb": 0}', "setting 'guest_file_limit_mb'"),
        ('{"xenstore-socket": "socket"}', "setting 'xenstore_socket'"),
        ('{"logging": []}', "setting 'logging'"),
    ],
)
def test_a_mistake_in_the_file_is_told(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(config, {}, environ={})
    assert "CANARY" not in str(caught.value)


def test_a_file_that_can_not_be_read_is_told(config: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(config, {}, environ={})
    config.write_bytes(b'{"listen-interface": "\xff"}')
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(config, {}, environ={})


def test_plugins_come_from_file_environment_and_command_line(config: Path) -> None:
    plugin = {"name": "httpbasicauth", "filepath": "/etc/users.json"}
    write(config, authentication_plugins=[plugin])
    environ = {"COMMISSAIRE_AUTHENTICATION_PLUGINS": json.dumps([plugin])}
    argument = ["--authentication-plugin", "httpbasicauth:filepath=/etc/users.json"]
    for settings in (
        load_settings(config, {}, environ={}),
        load_settings(None, {}, environ=environ),
        settings_from([*argument, "--no-config-file"], {}),
    ):
        assert [(each.name, each.options) for each in settings.authentication_plugins] == [
            ("httpbasicauth", {"filepath": "/etc/users.json"})
        ]


@pytest.mark.parametrize("key", ["authentication-plugin", "authentication_plugin", "authentication-plugins"])
def test_one_plugin_needs_no_list_and_the_old_name_of_the_setting_is_known(config: Path, key: str) -> None:
    config.write_text(json.dumps({key: {"name": "httpbasicauth", "filepath": "users.json"}}))
    (plugin,) = load_settings(config, {}, environ={}).authentication_plugins
    assert (plugin.name, plugin.options) == ("httpbasicauth", {"filepath": "users.json"})


def test_the_options_of_the_documents_are_known_short_and_abbreviated(config: Path, tmp_path: Path) -> None:
    write(config, listen_port=1)
    pem = tmp_path / "server.pem"
    pem.touch()
    words = ["-c", str(config), "--no-config", "-i", "10.0.0.1", "-p", "2", "--bus-uri", "redis://127.0.0.1:6379/"]
    words += ["--bus-exchange", "fleet", "--tls-pemfile", str(pem), "--tls-clientverifyfile", str(pem), "--debug"]
    settings = settings_from(words, {})
    assert (settings.listen_interface, settings.listen_port, settings.debug) == ("10.0.0.1", 2, True)
    assert (settings.bus_uri, settings.bus_exchange) == ("redis://127.0.0.1:6379/", "fleet")
    assert settings.tls_pemfile == settings.tls_clientverifyfile == pem
    assert settings_from(["--no-config"], {}).bus_exchange == "commissaire"


def test_a_port_in_place_of_the_address_is_told_from_the_command_line_too() -> None:
    """The documents' own example says `--listen-interface 8000`."""
    with pytest.raises(SettingsError, match="8000 is a port, not an address; say --listen-port 8000"):
        settings_from(["--no-config", "--listen-interface", "8000"], {})


def test_a_password_in_the_bus_uri_is_not_shown() -> None:
    assert "CANARY" not in repr(Settings(bus_uri="redis://:CANARY@127.0.0.1/"))


def test_a_mistake_in_the_environment_is_told() -> None:
    for name, text in (("AUTHENTICATION_PLUGINS", "{"), ("LISTEN_PORT", "x"), ("DEBUG", "perhaps")):
        with pytest.raises(SettingsError, match=name.lower() if text != "{" else f"COMMISSAIRE_{name} is not valid"):
            load_settings(None, {}, environ={f"COMMISSAIRE_{name}": text})


def test_every_setting_can_come_from_the_environment() -> None:
    values = {
        "LISTEN_INTERFACE": "::1", "LISTEN_PORT": "0", "TLS_PEMFILE": "/etc/hostname", "WORKERS": "0", "DEBUG": "true",
        "TLS_CLIENTVERIFYFILE": "/etc/hostname", "AUTHENTICATION_PLUGINS": "[]", "DATA_DIR": "/x", "DATABASE_URL":
        "postgresql://u:p@h/n", "CREDENTIAL_CACHE_SECONDS": "1.5", "BUS_URI": "redis://h/", "BUS_EXCHANGE": "x",
        "REFUSAL_DELAY_SECONDS": "2", "LOGGING": "{}", "SELF_AUTHS": "[]", "SECRET_STORE": "custodia",
        "WATCH_INTERVAL_SECONDS": "60", "SOURCES": "{}",
        "CUSTODIA_SOCKET_PATH": "/x", "CUSTODIA_API_ID": "x", "CUSTODIA_API_KEY": "x", "VAULT_URL": "https://x",
        "VAULT_CA_FILE": "/x", "VAULT_MOUNT": "x", "VAULT_PATH": "x", "VAULT_TOKEN": "x", "VAULT_TOKEN_FILE": "/x",
        "ANNOUNCED_HYPERVISORS": "[]", "ANNOUNCEMENT_INTERFACES": "[]",
        "LOCAL_HYPERVISOR": "test:///default", "COMPUTE_AGENT_HYPERVISOR": "x",
        "VAULT_ROLE_ID": "x", "VAULT_SECRET_ID": "x", "VAULT_SECRET_ID_FILE": "/x",
        "VIRT_MODE": "read-only", "VIRT_STYLESHEET": "/virt.xsl",
        "GUEST_FILE_LIMIT_MB": "1", "XENSTORE_SOCKET": "/run/xenstored/socket",
    }  # fmt: skip
    assert {name.lower() for name in values} == set(Settings.model_fields)
    for other in ("VAULT_TOKEN_FILE", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_SECRET_ID_FILE"):
        del values[other]  # they stand in place of VAULT_TOKEN
    settings = load_settings(None, {}, environ={f"COMMISSAIRE_{name}": text for name, text in values.items()})
    assert (settings.workers, settings.debug, settings.credential_cache_seconds) == (0, True, 1.5)


def test_relative_paths_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Settings(data_dir=Path("x")).data_dir == tmp_path / "x"
    assert Settings(data_dir=Path("~/x")).data_dir == Path("/home/somebody/x")
    assert Settings(data_dir=Path("/x")).sqlalchemy_url == "sqlite:////x/commissaire.db"


def test_self_auths_come_from_file_environment_and_command_line(config: Path) -> None:
    paths = ["/api/v0/secrets/a", "/api/v0/secrets/b"]
    config.write_text(json.dumps({"self-auths": paths}))
    arguments = [word for path in paths for word in ("--self-auth", path)]
    assert settings_from(["--no-config-file"], {}).self_auths == ["/api/v0/secrets"]
    for settings in (
        load_settings(config, {}, environ={}),
        load_settings(None, {}, environ={"COMMISSAIRE_SELF_AUTHS": json.dumps(paths)}),
        settings_from([*arguments, "--no-config-file"], {}),
    ):
        assert settings.self_auths == paths
