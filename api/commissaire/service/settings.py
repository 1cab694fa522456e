"""A service's settings: etcd, `/etc/commissaire/NAME.conf` and the command line, the later ones winning."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commissaire import configuration
from commissaire.configuration import SettingsError


class ServiceSettings(BaseModel):
    """What every service knows; members of its own are kept as they are, in `options`."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    bus_uri: str = Field(repr=False, description="Message bus, such as redis://HOST:6379/ (kombu).")
    bus_exchange: str = Field("commissaire", min_length=1, description="Exchange on the message bus.")
    processes: int = Field(1, ge=1, le=256, description="Processes that share the work.")
    endpoint: str | None = Field(None, description="URL of commissaire-server, for reading and writing records.")
    username: str = ""
    password: str = Field("", repr=False)
    cafile: Path | None = Field(None, description="PEM file with the authorities of the server's certificate.")
    logging: dict[str, Any] | None = None
    debug: bool = Field(False, description="Log at debug level.")

    @property
    def options(self) -> dict[str, Any]:
        """The service's own members."""
        return dict(self.model_extra or {})


def load(name: str, arguments: argparse.Namespace, environ: Mapping[str, str]) -> ServiceSettings:
    """Merge the sources of service *name*.

    Raises:
        SettingsError: they can't be used.
    """
    values = configuration.read(name, arguments.config or configuration.default_file(name), environ)
    given = {key: value for key, value in vars(arguments).items() if key in ServiceSettings.model_fields}
    values.update({key: value for key, value in given.items() if value is not None})
    try:
        return ServiceSettings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(name, error)) from error


def parse(name: str, description: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read a service's command line."""
    parser = argparse.ArgumentParser(prog=name, description=description)
    text: dict[str, Any] = {key: field.description for key, field in ServiceSettings.model_fields.items()}
    default = configuration.DIRECTORY / f"{name}.conf"
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help=f"JSON file; default {default}.")
    parser.add_argument("--bus-uri", metavar="URI", help=text["bus_uri"])
    parser.add_argument("--bus-exchange", metavar="NAME", help=text["bus_exchange"])
    parser.add_argument("--processes", type=int, metavar="N", help=text["processes"])
    parser.add_argument("--debug", action="store_const", const=True, help=text["debug"])
    parser.add_argument(
        "--delete-queues", action="store_true", help="Delete the service's queues with what waits in them, and end."
    )
    return parser.parse_args(arguments)


def _explain(name: str, error: ValidationError) -> str:
    problems = [
        f"setting {problem['loc'][0] if problem['loc'] else ''!r}: {problem['msg']}" for problem in error.errors()
    ]
    sources = f"{configuration.DIRECTORY / name}.conf, --config, etcd"
    return f"{'; '.join(problems)} (settings come from {sources} and the command line)"
