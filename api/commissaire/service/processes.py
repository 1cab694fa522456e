"""Several processes of one service."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import Any

import structlog

_PAUSE_SECONDS = 1.0
log = structlog.get_logger(__name__)


def run_processes(target: Callable[..., None], arguments: tuple[Any, ...], count: int) -> None:
    """Call *target* in *count* processes until SIGTERM or SIGINT; one that ends is replaced a second later.

    A single one runs in this process. *target* must be found by its module and name.
    """
    if count == 1:
        target(*arguments)
        return
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    running: list[SpawnProcess] = []
    context = multiprocessing.get_context("spawn")  # a fork would share connections
    while True:
        for process in [process for process in running if not process.is_alive()]:
            log.warning("process_ended", pid=process.pid, exit_code=process.exitcode)
            running.remove(process)
        while len(running) < count:
            process = context.Process(target=target, args=arguments)
            process.start()
            running.append(process)
        if stopping.wait(_PAUSE_SECONDS):
            break
    for process in running:
        process.terminate()
    for process in running:
        process.join()
