"""The command `commissaire-server`: its options, its first start, its run."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from commissaire import configuration, logs
from commissaire.app import create_app, make_data_dir, users_file
from commissaire.auth import administrator
from commissaire.auth.virt_mode import VirtMode
from commissaire.configuration import SettingsError
from commissaire.secrets.errors import SecretError
from commissaire.settings import AuthenticationPlugin, Settings, load_settings
from commissaire.tls import ClientCertificateProtocol

log = structlog.get_logger(__name__)
CLIENT_CONFIGURATION = Path("~/.commissaire.json")
_GRACE_SECONDS = 5


def main() -> None:
    """Start the server; on a mistake in the settings say which, and exit with 2."""
    try:
        settings = settings_from(sys.argv[1:], dict(os.environ))
        serve(settings)
    except (SettingsError, SecretError) as error:
        print(f"commissaire-server: {error}", file=sys.stderr)  # noqa: T201  said to whoever started it
        sys.exit(2)


def settings_from(arguments: list[str], environ: dict[str, str]) -> Settings:
    """Read the settings from the command line, the environment and the configuration file.

    Raises:
        SettingsError: they can't be used.
    """
    options = vars(_parser().parse_args(arguments))
    config_file: Path | None = options.pop("config_file")
    if options.pop("no_config_file"):
        config_file = None
    elif config_file is None:
        config_file = configuration.default_file("commissaire")
    given = {name: value for name, value in options.items() if value is not None}
    return load_settings(config_file, given, environ=environ)


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop.

    Raises:
        SettingsError, SecretError: something it needs can't be used.
    """
    logs.configure(debug=settings.debug, more=settings.logging)
    listener = _listen(settings)
    _first_start(settings, listener.getsockname()[1])
    app = create_app(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises them again after a clean shutdown, which is no failure
    asyncio.run(_serve(app, _uvicorn(app, settings), listener, _url(settings, listener.getsockname()[1])))


async def _serve(app: FastAPI, config: uvicorn.Config, listener: socket.socket, url: str) -> None:
    async with app.router.lifespan_context(app):
        log.info("listening", url=url)
        await _Server(config, app.state.services.announce_stop).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says that it stops before it waits for its connections: streams end only when they are told to."""

    def __init__(self, config: uvicorn.Config, announce_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce_stop = announce_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; called by the signals' handler."""
        self._announce_stop()
        super().handle_exit(sig, frame)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="commissaire-server",
        description="Serve Commissaire's REST interfaces and carry out the operations that are asked for.",
        epilog="Every option can stand in the JSON configuration file, and in the environment as COMMISSAIRE_<OPTION>.",
    )
    text: dict[str, Any] = {name: field.description for name, field in Settings.model_fields.items()}

    def option(*names: str, **kwargs: Any) -> None:
        name = names[0].removeprefix("--").replace("-", "_")
        parser.add_argument(*names, dest=name, default=None, help=text[name], **kwargs)

    file_help = f"JSON file; default {configuration.DIRECTORY / 'commissaire.conf'}."
    parser.add_argument("--config-file", "-c", type=Path, metavar="FILE", help=file_help)
    parser.add_argument("--no-config-file", action="store_true", help="Read no configuration file.")
    option("--listen-interface", "-i", metavar="ADDRESS")
    option("--listen-port", "-p", type=int, metavar="PORT")
    option("--tls-pemfile", type=Path, metavar="FILE")
    option("--tls-clientverifyfile", type=Path, metavar="FILE")
    parser.add_argument(
        "--authentication-plugin",
        dest="authentication_plugins",
        action="append",
        type=_plugin,
        metavar="NAME:KEY=VALUE,…",
        help="Authentication plugin and its options; repeatable. Default: the users in the data folder.",
    )
    parser.add_argument(
        "--self-auth", dest="self_auths", action="append", metavar="PATH", help=f"Repeatable. {text['self_auths']}"
    )
    option("--data-dir", type=Path, metavar="DIR")
    option("--database-url", metavar="URL")
    option("--workers", type=int, metavar="N")
    parser.add_argument(
        "--source",
        dest="sources",
        action=_AddSource,
        metavar="NAME=INVENTORY",
        help=f"Repeatable. {text['sources']}",
    )
    option("--watch-interval-seconds", type=float, metavar="SECONDS")
    option("--credential-cache-seconds", type=float, metavar="SECONDS")
    option("--bus-uri", metavar="URI")
    option("--bus-exchange", metavar="NAME")
    option("--refusal-delay-seconds", type=float, metavar="SECONDS")
    option("--secret-store", choices=("embedded", "custodia", "vault"))
    option("--custodia-socket-path", type=Path, metavar="SOCKET")
    option("--custodia-api-id", metavar="ID")
    option("--vault-url", metavar="URL")
    option("--vault-ca-file", type=Path, metavar="FILE")
    option("--vault-mount", metavar="MOUNT")
    option("--vault-path", metavar="PATH")
    option("--vault-token-file", type=Path, metavar="FILE")
    option("--vault-role-id", metavar="ID")
    option("--vault-secret-id-file", type=Path, metavar="FILE")
    option("--virt-mode", choices=[mode.value for mode in VirtMode])
    option("--virt-stylesheet", metavar="URL")
    option("--debug", action="store_const", const=True)
    return parser


class _AddSource(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        name, equals, inventory = values.partition("=")
        if not equals:
            raise argparse.ArgumentError(self, f"{values!r} is not NAME=INVENTORY")
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), name: {"inventory": inventory}})


def _plugin(text: str) -> AuthenticationPlugin:
    name, _, options = text.partition(":")
    pairs = dict(pair.split("=", 1) for pair in options.split(",") if "=" in pair)
    if options and len(pairs) != len(options.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:KEY=VALUE,KEY=VALUE")
    return AuthenticationPlugin.model_validate({"name": name, **pairs})


def _first_start(settings: Settings, port: int) -> None:
    """Make an administrator when nobody could sign in otherwise; the password is shown this once."""
    if settings.authentication_plugins is not None:
        return
    make_data_dir(settings)
    password = administrator.create(users_file(settings))
    if password is None:
        return
    path = CLIENT_CONFIGURATION.expanduser()
    said = [f"administrator {administrator.NAME}, password {password}"]
    try:
        written = administrator.write_client_configuration(path, _url(settings, port), password)
        said.append(f"commctl is ready: {path} has these credentials" if written else f"{path} was there: unchanged")
    except OSError as error:
        said.append(f"commctl is not set up: can't write {path}: {error.strerror}")
    print(*said, sep="\n", file=sys.stderr, flush=True)  # noqa: T201  shown this once, never logged


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.listen_interface}]" if ":" in settings.listen_interface else settings.listen_interface
    return f"{'https' if settings.tls_pemfile else 'http'}://{host}:{port}"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen_interface else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # by it asyncio knows to set TCP_NODELAY
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.listen_interface, settings.listen_port))
    except OSError as error:
        raise SettingsError(
            f"can't listen on {settings.listen_interface} port {settings.listen_port}: {error.strerror}; "
            "choose others with --listen-interface and --listen-port"
        ) from error
    listener.set_inheritable(False)
    return listener


def _uvicorn(app: FastAPI, settings: Settings) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if settings.tls_pemfile:
        tls["ssl_certfile"] = settings.tls_pemfile
    if settings.tls_clientverifyfile:
        tls["ssl_ca_certs"] = str(settings.tls_clientverifyfile)
        tls["ssl_cert_reqs"] = ssl.CERT_OPTIONAL
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
        lifespan="off",
        http=ClientCertificateProtocol,
        ws="websockets-sansio",
        **tls,
    )
