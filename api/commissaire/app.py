"""The application: its parts, put together from the settings it is given."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from fastapi import Depends, FastAPI
from sqlalchemy.exc import OperationalError

from commissaire import openapi, problems
from commissaire.auth.administrator import write_once
from commissaire.auth.authorisation import check_role
from commissaire.auth.entry import load, security_schemes
from commissaire.auth.gate import Gate
from commissaire.auth.self_auth import check_self_auths
from commissaire.auth.throttle import Throttle
from commissaire.auth.virt_mode import VirtMode
from commissaire.bus import outbox
from commissaire.configuration import SettingsError
from commissaire.database import Database
from commissaire.dispatch.embedded import EmbeddedDispatcher
from commissaire.dispatch.workers import Workers
from commissaire.fleet.hypervisor_credentials import ways_of
from commissaire.fleet.hypervisors import list_hypervisors, record_local
from commissaire.launcher.checks import Checks
from commissaire.launcher.launcher import Launcher
from commissaire.launcher.orphans import kill_orphans
from commissaire.launcher.supervisors import Supervisors
from commissaire.lock import lock_data_dir
from commissaire.machines.events import MachineEvents
from commissaire.machines.hypervisors import Hypervisors
from commissaire.machines.link import Link
from commissaire.metrics import Metrics
from commissaire.node_watcher import NodeWatcher
from commissaire.notices import Notices
from commissaire.old_answers import OldAnswers
from commissaire.requests import RequestRecorder
from commissaire.routes import compute_agent, health, virt
from commissaire.routes.v0 import clusters, container_managers, hosts, networks, secrets
from commissaire.routes.v0 import operations as operations_v0
from commissaire.routes.v1 import (
    audit,
    guests,
    inventory,
    machine_attach,
    machine_console,
    machine_events,
    machine_snapshots,
    machines,
    operations,
    schedules,
    sources,
    stream,
    timeline,
    vm_networks,
)
from commissaire.routes.v1 import container_managers as container_managers_v1
from commissaire.routes.v1 import hosts as hosts_v1
from commissaire.routes.v1 import hypervisors as hypervisors_v1
from commissaire.routes.v1.query import check_query
from commissaire.scheduler import Scheduler
from commissaire.secrets.factory import key_file, open_store, open_tree
from commissaire.secrets.rotation import finish_rotation
from commissaire.services import Services
from commissaire.settings import AuthenticationPlugin, Settings
from commissaire.shared_memory import shared_folder
from commissaire.sources.refresher import Refresher
from commissaire.watcher import Watcher

if TYPE_CHECKING:
    from commissaire.bus.publisher import Publisher

log = structlog.get_logger(__name__)
_ROUTES = (
    clusters,
    operations_v0,
    hosts,
    networks,
    container_managers,
    secrets,
    operations,
    stream,
    timeline,
    schedules,
    hosts_v1,
    container_managers_v1,
    inventory,
    sources,
    audit,
    hypervisors_v1,
    machine_events,
    machine_console,
    machine_attach,
    machine_snapshots,
    machines,
    vm_networks,
    guests,
    compute_agent,
    virt,
    health,
)
_STOP_SECONDS = 15
_SOCKET_PARENT_LENGTH = 40
"""A Unix socket's path has 107 bytes; below this folder ours add up to 65."""


def create_app(settings: Settings) -> FastAPI:
    """Make the application. Nothing is opened before it starts, but the data folder is made and the users are read.

    Raises:
        SettingsError: something in the settings can't be used.
    """
    make_data_dir(settings)
    plugins = settings.authentication_plugins
    if plugins == []:
        log.warning("nobody_can_sign_in", message="authentication-plugins is empty, so every request is refused")
    entries = load([default_authentication(settings)] if plugins is None else plugins)
    if settings.tls_clientverifyfile is None and any(entry.security == {"type": "mutualTLS"} for entry in entries):
        raise SettingsError("httpauthclientcert needs tls_clientverifyfile, which says whose certificates are good")
    database = Database(settings.sqlalchemy_url)
    metrics = Metrics(database, watches=settings.watch_interval_seconds > 0)
    app = FastAPI(
        title="Commissaire",
        description="Rolling operations on fleets of Linux hosts.",
        version=importlib.metadata.version("commissaire"),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_role), Depends(check_query)],
    )
    app.state.settings = settings
    app.state.database = database
    app.state.metrics = metrics
    app.state.publisher = _publisher(settings, metrics)
    if app.state.publisher is not None:
        outbox.watch(database.sessions, app.state.publisher.send)
    app.state.security = security_schemes(entries)
    check_self_auths(settings.self_auths)
    if settings.virt_mode is VirtMode.INSECURE:
        log.warning(
            "virt_is_insecure",
            message="virt_mode is insecure: whoever reaches this server sees and changes all virtual machines at /virt",
        )
    app.add_middleware(
        Gate,
        entries=entries,
        cache_seconds=settings.credential_cache_seconds,
        refusal_delay_seconds=settings.refusal_delay_seconds,
        self_auths=[*settings.self_auths, *settings.virt_mode.open_paths],
    )
    app.add_middleware(RequestRecorder, database=database, metrics=metrics, file_bytes=settings.guest_file_limit_bytes)
    problems.install(app)
    openapi.install(app)
    for module in _ROUTES:
        app.include_router(module.router)
    app.include_router(metrics.router())
    return app


def make_data_dir(settings: Settings) -> None:
    """Make the data folder, for this user only.

    Raises:
        SettingsError: it can't be made.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"can't make the data folder {settings.data_dir}: {error.strerror}; choose another one with --data-dir"
        ) from error


def default_authentication(settings: Settings) -> AuthenticationPlugin:
    """Return what is used when no plugin is configured: the users in the data folder."""
    return AuthenticationPlugin.model_validate({"name": "httpbasicauth", "filepath": str(users_file(settings))})


def users_file(settings: Settings) -> Path:
    """Return where the users are that Commissaire keeps itself."""
    return settings.data_dir / "users.json"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    database: Database = app.state.database
    with ExitStack() as stack:
        stack.callback(os.close, lock_data_dir(settings.data_dir))
        owner = _owner(settings.data_dir)
        kill_orphans(settings.data_dir)
        _migrate(database)
        stack.callback(database.close)
        finish_rotation(database, key_file(settings))
        store = open_store(settings, database)
        stack.callback(store.close)
        if app.state.publisher is not None:
            stack.enter_context(app.state.publisher.running())
        runtime = stack.enter_context(_runtime_directory(settings.data_dir))
        notices = Notices()
        dispatcher = EmbeddedDispatcher(database, owner)
        supervisors = Supervisors()
        launcher = Launcher(database, store, notices, supervisors, settings.data_dir, runtime)
        dispatcher.on_control(launcher.obey)
        workers = Workers(dispatcher, launcher, threads_per_lane=settings.workers)
        tree = open_tree(settings, database, store)
        stack.callback(tree.close)
        checks = Checks(database, store, supervisors, settings.data_dir, runtime)
        watcher = Watcher(database, dispatcher, checks, app.state.metrics, settings.watch_interval_seconds)
        node_watcher = NodeWatcher(database, store, app.state.metrics, settings.watch_interval_seconds)
        scheduler = Scheduler(database, dispatcher)
        old_answers = OldAnswers(database, store)
        throttle = Throttle(settings.refusal_delay_seconds)
        hypervisors = Hypervisors(ways_of(database, store, (runtime, shared_folder(runtime), settings.data_dir)))
        stack.callback(hypervisors.close)
        events = MachineEvents(hypervisors, lambda: _links(database, hypervisors))
        app.state.services = services = Services(
            settings,
            database,
            store,
            tree,
            notices,
            dispatcher,
            throttle,
            watcher.wake,
            scheduler.wake,
            hypervisors,
            events,
        )
        if settings.announced_hypervisors:
            services.announced = stack.enter_context(_listening(settings))
        with database.write() as session:
            record_local(session, store, settings.local_hypervisor)
        refresher = Refresher(database, settings.sources, runtime)
        recovered = dispatcher.recover(at_start=True)
        if recovered:
            log.warning("operations_recovered", operations=recovered)
        if settings.workers:
            supervisors.warm_up()
            refresher.start()
            scheduler.start()
            if settings.watch_interval_seconds:
                watcher.start()
                node_watcher.start()
        old_answers.start()
        workers.start()
        log.info("started", database=_shown(database), data_dir=str(settings.data_dir))
        try:
            yield
        finally:
            services.announce_stop()
            workers.stop_claiming()
            watcher.stop()
            node_watcher.stop()
            refresher.stop()
            scheduler.stop()
            old_answers.stop()
            supervisors.stop_all()
            workers.join(_STOP_SECONDS)
            watcher.join(_STOP_SECONDS)
            node_watcher.join(_STOP_SECONDS)
            scheduler.join(_STOP_SECONDS)
            old_answers.join(_STOP_SECONDS)
    log.info("stopped")


def _links(database: Database, hypervisors: Hypervisors) -> list[Link]:
    with database.read() as session:
        return [hypervisors.link(each.name, each.uri) for each in list_hypervisors(session, allowed=True)]


def _publisher(settings: Settings, metrics: Metrics) -> Publisher | None:
    if settings.bus_uri is None:
        return None
    try:
        from commissaire.bus.publisher import Publisher  # and kombu, for those who have a bus
    except ImportError as error:
        raise SettingsError(f"bus_uri is set, but {error}; pip install 'commissaire[bus]'") from error
    return Publisher(settings.bus_uri, settings.bus_exchange, metrics.notifications)


@contextmanager
def _listening(settings: Settings) -> Iterator[Callable[[], list[str]]]:
    """Listen for announced machines; give what tells the URIs of their hypervisors."""
    try:
        from commissaire.machines.announcements import Announcements, AnnouncementsError, allowed_by
    except ImportError as error:
        raise SettingsError(f"announced_hypervisors is set, but {error}; pip install 'commissaire[mdns]'") from error
    announcements = Announcements(allowed_by(settings.announced_hypervisors), settings.announcement_interfaces)
    try:
        announcements.start()
    except AnnouncementsError as error:
        raise SettingsError(str(error)) from error
    try:
        yield lambda: [announcement.uri for announcement in announcements.machines()]
    finally:
        announcements.stop()


def _migrate(database: Database) -> None:
    try:
        database.migrate()
    except OperationalError as error:
        raise SettingsError(f"can't use the database {_shown(database)}: {error.orig}") from error


def _shown(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=True)


def _owner(data_dir: Path) -> str:
    """Return the name under which servers on this data folder own operations."""
    path = data_dir / "owner"
    write_once(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()


@contextmanager
def _runtime_directory(data_dir: Path) -> Iterator[Path]:
    """Make a folder for sockets, whose paths must be short; a link in the data folder leads to it."""
    candidates = (os.environ.get("XDG_RUNTIME_DIR", ""), "/run" if os.geteuid() == 0 else "", tempfile.gettempdir())
    short = (path for path in candidates if path and len(path) <= _SOCKET_PARENT_LENGTH)
    parent = next((path for path in short if os.access(path, os.W_OK)), None)
    runtime = Path(tempfile.mkdtemp(prefix="commissaire-", dir=parent))
    link = data_dir / "runtime"
    link.symlink_to(runtime)
    with suppress(OSError):
        shared_folder(runtime).mkdir(mode=0o700)
    try:
        yield runtime
    finally:
        for folder in (runtime, shared_folder(runtime)):
            shutil.rmtree(folder, ignore_errors=True)
        link.unlink(missing_ok=True)
