"""The command `commissaire-secrets`: what an administrator does with secrets on the server's own machine."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from commissaire.app import make_data_dir
from commissaire.configuration import SettingsError
from commissaire.database import Database
from commissaire.fleet.errors import FleetError
from commissaire.lock import lock_data_dir
from commissaire.secrets import api_keys, migration
from commissaire.secrets.embedded import EmbeddedBackend
from commissaire.secrets.errors import SecretError
from commissaire.secrets.factory import key_file, master_key, open_store
from commissaire.secrets.master_key import make_key_file
from commissaire.secrets.rotation import check_no_rotation, finish_rotation, rewrap_all, rotate_file
from commissaire.secrets.store import SecretStore
from commissaire.server import settings_from
from commissaire.settings import Settings

app = typer.Typer(
    help="Look after the secrets of commissaire-server, on its own machine and with its own settings.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="API ids and keys, for programs that use /api/v0/secrets.", no_args_is_help=True)
app.add_typer(keys, name="key")


def main() -> None:
    """Run a command; on a refusal say why, and exit with 2."""
    try:
        app()
    except (SettingsError, SecretError, FleetError) as error:
        print(f"commissaire-secrets: {error}", file=sys.stderr)  # noqa: T201  said to whoever started it
        sys.exit(2)


@app.callback()
def _options(
    ctx: typer.Context,
    config_file: Annotated[Path | None, typer.Option("--config-file", "-c", help="The server's file.")] = None,
    no_config_file: Annotated[bool, typer.Option("--no-config-file", help="Read no configuration file.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="The server's data folder.")] = None,
) -> None:
    given = [f"--config-file={config_file}"] if config_file else []
    given += ["--no-config-file"] if no_config_file else []
    given += [f"--data-dir={data_dir}"] if data_dir else []
    ctx.obj = settings_from(given, dict(os.environ))


@app.command()
def status(ctx: typer.Context) -> None:
    """Show where secrets lie, and by which master key they are sealed."""
    with _opened(ctx.obj) as (database, store):
        typer.echo(f"new secrets go to: {store.used}")
        embedded = store.backends["embedded"]
        if isinstance(embedded, EmbeddedBackend):
            typer.echo(f"master key: {embedded.master_key.id} from {embedded.master_key.source}")
        for name, number in sorted(migration.count(database).items()):
            typer.echo(f"{name}: {number} secrets" + ("" if name in store.backends else ", and it is not configured"))


@app.command()
def rotate(
    ctx: typer.Context,
    new_key_file: Annotated[
        Path | None,
        typer.Option(help="Where the new key is, or is made, when the present one is not a file of the server's."),
    ] = None,
) -> None:
    """Make another master key; the server must not run."""
    settings: Settings = ctx.obj
    with _alone(settings, server_too=True), _database(settings) as database:
        finish_rotation(database, key_file(settings))
        old = master_key(settings, database, os.environ)
        if new_key_file is not None:
            new = make_key_file(new_key_file)
            number = rewrap_all(database, old, new)
            typer.echo(f"{number} secrets are sealed with master key {new.id} now, which is in {new_key_file}:")
            typer.echo(f"put it where the server finds it, in the place of {old.source}, before you start it")
            return
        if old.file is None:
            raise SecretError(f"the master key comes from {old.source}; say where the new one goes: --new-key-file")
        new, number = rotate_file(database, old, old.file)
        typer.echo(f"{number} secrets were sealed with master key {old.id}, and are with {new.id} now")
        typer.echo(f"back up {old.file}; backups of the database from before need the key of before")


@app.command()
def migrate(ctx: typer.Context, to: Annotated[str, typer.Option(help="embedded, custodia or vault.")]) -> None:
    """Bring all secrets to another backend; the server may run, if it has both configured."""
    with _alone(ctx.obj), _opened(ctx.obj) as (database, store):
        total = sum(migration.migrate(database, store, to))
        typer.echo(f"{total} secrets were brought to {to}")


@app.command()
def sweep(ctx: typer.Context) -> None:
    """Delete values that failures left behind at Custodia or Vault, and no record refers to."""
    with _opened(ctx.obj) as (database, store):
        for name, number in migration.sweep(database, store).items():
            typer.echo(f"{name}: {number} values deleted")


@keys.command("create")
def create_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="API_ID")],
    replace: Annotated[bool, typer.Option(help="Give an API id that exists another key.")] = False,
) -> None:
    """Make an API id; its key is shown this once."""
    if ctx.obj.secret_store == "custodia":
        raise SecretError("with secret_store custodia, API ids and keys are Custodia's own; make them there")
    with _database(ctx.obj) as database, database.write() as session:
        typer.echo(api_keys.create_api_key(session, name, replace=replace))


@keys.command("list")
def list_keys(ctx: typer.Context) -> None:
    """Show all API ids."""
    with _database(ctx.obj) as database, database.read() as session:
        for name in api_keys.list_api_ids(session):
            typer.echo(name)


@keys.command("delete")
def delete_key(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="API_ID")]) -> None:
    """Delete an API id, and all secrets that it keeps."""
    with _opened(ctx.obj) as (database, store), database.write() as session:
        number = api_keys.delete_api_key(session, store, name)
    typer.echo(f"API id {name} is gone, and {number} secrets with it")


@contextmanager
def _alone(settings: Settings, *, server_too: bool = False) -> Iterator[None]:
    """Hold off other commands: what one seals, another may be rotating the key of."""
    make_data_dir(settings)
    with ExitStack() as stack:
        stack.callback(os.close, lock_data_dir(settings.data_dir, "secrets.lock", "commissaire-secrets"))
        if server_too:
            stack.callback(os.close, lock_data_dir(settings.data_dir))
        yield


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, SecretStore]]:
    check_no_rotation(key_file(settings))
    with _database(settings) as database:
        store = open_store(settings, database)
        try:
            yield database, store
        finally:
            store.close()


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    make_data_dir(settings)
    database = Database(settings.sqlalchemy_url)
    try:
        database.migrate()
        yield database
    finally:
        database.close()
