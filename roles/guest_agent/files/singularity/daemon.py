"""The daemon: starting it, stopping it, asking for it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Callable, List, NoReturn, Optional

from singularity import __version__, identity, leftovers, log, notify, programs, succession, supervisor
from singularity.agent import Agent, replace_process
from singularity.errors import Refused, SettingsError, reason
from singularity.loop import Loop
from singularity.pidfile import Pidfile
from singularity.program import interpreter, is_one_file

if TYPE_CHECKING:
    from singularity.settings import Settings

_log = logging.getLogger(__name__)
STOP_SECONDS = 70
SUPERVISED_SECONDS = 100
"""Longer than a supervisor waits: 75 s for its end, and then for its start."""
PAUSE_SECONDS = 0.05
DONE, FAILED, NOT_RUNNING, NOTHING_TO_RELOAD = 0, 1, 3, 7
"""Exit codes, those of the Linux Standard Base for init scripts."""
Reread = Callable[[], "Settings"]


def start(settings: Settings, reread: Reread, arguments: List[str]) -> int:
    """Start the daemon, and return the exit code; in the foreground that is when it has ended.

    *arguments* are those of this very start, by which a new version is started.
    """
    pid = Pidfile(settings.pid_path).running()
    if pid:
        print(f"singularity: runs already, as process {pid}")
        return DONE
    folder = os.getcwd()
    if not os.path.isabs(sys.argv[0]) and is_one_file(sys.argv[0]):
        # what is imported later would be looked for in another folder by then
        os.execv(sys.executable, [*interpreter(), os.path.abspath(sys.argv[0]), *sys.argv[1:]])
    if settings.nodaemonize:
        return _run(settings, reread, arguments, folder)
    return _detach(settings, lambda ready: _run(settings, reread, arguments, folder, ready))


def stop(settings: Settings) -> int:
    """Stop the daemon, wait for its end, and return the exit code."""
    pidfile = Pidfile(settings.pid_path)
    pid = pidfile.running()
    if not pid:
        print("singularity: does not run")
        return DONE
    if _by_supervisor(pid, "stop"):
        return DONE
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while pidfile.running() == pid:
        if time.monotonic() > deadline:
            raise Refused(f"Process {pid} did not stop within {STOP_SECONDS} s")
        time.sleep(PAUSE_SECONDS)
    return DONE


def restart(settings: Settings, reread: Reread, arguments: List[str]) -> int:
    """Stop the daemon where it runs, start it, and return the exit code."""
    pid = Pidfile(settings.pid_path).running()
    if pid and _by_supervisor(pid, "restart"):
        return DONE
    if pid:
        stop(settings)
    return start(settings, reread, arguments)


def _by_supervisor(pid: int, action: str) -> bool:
    """Let whoever would start the daemon anew do it; return whether somebody did. Raises Refused."""
    command = supervisor.command(pid, action)
    if command is None:
        return False
    print(f"singularity: process {pid} is supervised; this is for: {' '.join(command)}")
    run_supervisor(command)
    return True


def run_supervisor(command: List[str]) -> None:
    """Let a supervisor do it, and wait for that. Raises Refused."""
    programs.run(command, SUPERVISED_SECONDS)


def reload(settings: Settings) -> int:
    """Let the daemon read its configuration anew, and return the exit code."""
    pid = Pidfile(settings.pid_path).running()
    if not pid:
        print("singularity: does not run", file=sys.stderr)
        return NOTHING_TO_RELOAD
    os.kill(pid, signal.SIGHUP)
    return DONE


def status(settings: Settings) -> int:
    """Say whether the daemon runs, and return the exit code."""
    pid = Pidfile(settings.pid_path).running()
    print(f"singularity: runs as process {pid}" if pid else "singularity: does not run")
    return DONE if pid else NOT_RUNNING


def _run(
    settings: Settings,
    reread: Reread,
    arguments: List[str],
    folder: str,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Be the daemon until it is told to stop."""
    log.configure(settings.log_level, settings.log_handler)
    who = identity.find(settings.uid, settings.gid)
    pidfile = Pidfile(settings.pid_path)
    pidfile.take()
    leftovers.sweep(settings.run)
    loop = Loop()
    agent = Agent(settings, reread, loop)
    try:
        for number, callback in (
            (signal.SIGHUP, agent.reload),
            (signal.SIGTERM, agent.stop),
            (signal.SIGINT, agent.stop),
        ):
            loop.on_signal(number, callback)
        agent.open()
        if who:
            pidfile.give(who.uid, who.gid)
            if os.geteuid() == 0 and os.path.dirname(pidfile.path) == settings.run:
                os.chown(settings.run, who.uid, who.gid)
            if os.geteuid() == 0:
                _give(settings, who.uid, who.gid)
            who.take()
        ready()
        succession.is_up()
        notify.notify("READY=1", f"MAINPID={os.getpid()}")
        _log.info("version %s runs", __version__)
        loop.run()
        notify.notify("STOPPING=1" if agent.successor is None else "STATUS=Another version takes over")
    finally:
        agent.close()
        pidfile.release()
    if agent.successor:
        replace_process(agent.successor, arguments, folder)
    return DONE


def _give(settings: Settings, uid: int, gid: int) -> None:
    """Let another user write the log and the cache, as root has begun them."""
    os.makedirs(settings.cache, mode=0o700, exist_ok=True)
    os.chown(settings.cache, uid, gid)
    if os.path.isabs(settings.log_handler) and os.path.isfile(settings.log_handler):
        os.chown(settings.log_handler, uid, gid)


def _detach(settings: Settings, run: Callable[[Callable[[], None]], int]) -> int:  # noqa: RET503  a child ends in it
    """Run in the background, in a session of its own; return as soon as it is ready, or has said why it isn't."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode("utf-8", "replace")
        if said == "ready":
            return DONE
        raise Refused(said or "The daemon ended at once")
    os.setsid()
    if os.fork():
        os._exit(0)
    _become_daemon(settings, reader, writer, run)


def _become_daemon(settings: Settings, reader: int, writer: int, run: Callable[[Callable[[], None]], int]) -> NoReturn:
    said: Optional[str] = None

    def ready() -> None:
        os.write(writer, b"ready")
        os.close(writer)

    try:
        os.close(reader)
        os.chdir("/")
        os.umask(0o022)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1) if settings.log_handler == "-" else (0, 1, 2):
            os.dup2(nothing, fd)
        os.close(nothing)
        code = run(ready)
    except (Refused, SettingsError) as error:
        said, code = str(error), FAILED
    except BaseException as error:
        said, code = reason(error), FAILED
    if said is not None:
        try:
            os.write(writer, said.encode())
        except OSError:
            _log.error("the daemon ends: %s", said)
    os._exit(code)
