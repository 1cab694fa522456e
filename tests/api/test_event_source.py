"""The event source for rulebooks, loaded as ansible-rulebook loads it, against a server on a real port."""

from __future__ import annotations

import asyncio
import logging
import runpy
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from api.conftest import PASSWORD, USER, Fleet, checkpoint
from api.serving import PATIENCE_SECONDS, serving
from commissaire.records import OperationState
from commissaire.settings import Settings
from ports import free_port
from unit.commctl.certificates import Authority

SOURCE = Path(__file__).parents[2] / "extensions/eda/plugins/event_source/operations.py"
PLUGIN = runpy.run_path(str(SOURCE))
Told = list[dict[str, Any]]


class Listener:
    """Runs the source; `until` waits for what it tells."""

    def __init__(self, **arguments: Any) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.told: Told = []
        self.log: list[str] = []
        self._log: logging.Logger = PLUGIN["logger"]
        self._handler = logging.Handler()
        self._handler.emit = lambda record: self.log.append(record.getMessage())  # type: ignore[method-assign]
        self._arguments = {"username": USER, "password": PASSWORD, "poll_seconds": 0.1, **arguments}

    async def __aenter__(self) -> Listener:
        self._log.addHandler(self._handler)
        self._log.setLevel(logging.INFO)
        self.task = asyncio.create_task(PLUGIN["main"](self.queue, self._arguments))
        return self

    async def listening(self) -> Listener:
        """Wait until everything that happens from now on will be told."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.task.done() and not any("listening" in line for line in self.log):
                await asyncio.sleep(0.02)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._log.removeHandler(self._handler)
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await asyncio.sleep(0.05)  # a connection is closed some turns of the loop after its session

    async def until(self, what: str, **wanted: Any) -> dict[str, Any]:
        """Return the next event of that sort, whose parts have the values wanted."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                news = asyncio.ensure_future(self.queue.get())
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                if not news.done():
                    self.task.result()
                told = (await news)["commissaire"]
                self.told.append(told)
                part = told[what if what in ("host", "event") else "operation"] if told["what"] == what else {}
                if part and all(part[name] == value for name, value in wanted.items()):
                    return told


@pytest.fixture
def served(settings: Settings) -> Iterator[tuple[str, Fleet]]:
    with serving(settings) as (url, fleet):
        fleet.cluster("web", "10.0.0.1", "10.0.0.2")
        fleet.cluster("db", "10.0.0.3")
        yield url, fleet


def restart(fleet: Fleet, cluster: str = "web", state: OperationState = OperationState.FAILED) -> int:
    """Run a restart from its beginning to its end."""
    operation = fleet.restart(cluster)
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1" if cluster == "web" else "10.0.0.3", "rebooting", str(state), "no answer")])
    fleet.end(operation, state)
    return operation


async def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


def test_an_operation_is_told_of_from_its_beginning_to_its_end(served: tuple[str, Fleet]) -> None:
    url, fleet = served

    async def test() -> None:
        async with Listener(endpoint=f"{url}/", what=["operation", "host", "event", "end"]) as listener:
            await listener.listening()
            operation = await apart(restart, fleet)
            end = await listener.until("end", id=operation)
        assert end["operation"]["state"] == "failed"
        assert end["operation"]["cluster"] == "web"
        events = [told["event"] for told in listener.told if told["what"] == "event"]
        assert events == fleet.client.get(f"/api/v1/operations/{operation}/events").json()["items"]
        host = next(told["host"] for told in reversed(listener.told) if told["what"] == "host")
        assert (host["address"], host["message"]) == ("10.0.0.1", "no answer")

    asyncio.run(test())


def test_only_what_is_asked_for_is_told(served: tuple[str, Fleet]) -> None:
    url, fleet = served

    async def test() -> None:
        async with Listener(endpoint=url, clusters=["db"], kinds=["restart"], what=["end"]) as listener:
            await listener.listening()
            await apart(restart, fleet, "web")
            operation = await apart(restart, fleet, "db", OperationState.FINISHED)
            await listener.until("end")
        assert [(told["what"], told["operation"]["id"]) for told in listener.told] == [("end", operation)]
        async with Listener(endpoint=url, kinds=["upgrade"], clusters=["db"]) as listener:
            await listener.listening()
            await apart(restart, fleet, "db")
            asked = fleet.client.post("/api/v1/operations", json={"kind": "upgrade", "cluster": "db"}).json()["id"]
            assert (await listener.until("operation"))["operation"]["id"] == asked

    asyncio.run(test())


def test_the_past_is_not_told_and_what_runs_is_followed_from_now_on(served: tuple[str, Fleet]) -> None:
    url, fleet = served
    restart(fleet, "db")
    operation = fleet.restart()
    journal = fleet.claim()
    journal.write([checkpoint("10.0.0.1", "done", "finished")])

    async def test() -> None:
        async with Listener(endpoint=url, kinds=["restart"], what=["operation", "event", "host"]) as listener:
            await listener.until("operation", id=operation)
            await apart(journal.write, [checkpoint("10.0.0.2", "rebooting")])
            await listener.until("event", host="10.0.0.2")
            told = await listener.until("host")
        assert told["host"]["address"] == "10.0.0.2"
        assert {one["operation"]["id"] for one in listener.told} == {operation}
        assert [one["event"]["phase"] for one in listener.told if one["what"] == "event"] == ["rebooting"]

    asyncio.run(test())


def test_a_server_that_comes_back_is_heard_again_without_a_gap(settings: Settings) -> None:
    port = free_port()

    async def test() -> None:
        async with Listener(endpoint=f"http://127.0.0.1:{port}", kinds=["restart"], what=["event"]) as listener:
            with serving(settings, port) as (_, fleet):
                await listener.listening()
                await apart(fleet.cluster, "web", "10.0.0.1")
                operation = await apart(fleet.restart)
                journal = await apart(fleet.claim)
                await apart(journal.write, [checkpoint("10.0.0.1", "checking")])
                await listener.until("event", phase="checking")
            with serving(settings, port) as (_, fleet):
                journal = await apart(fleet.claim)
                await apart(journal.write, [checkpoint("10.0.0.1", "rebooting")])
                await listener.until("event", phase="rebooting")
                everything = await apart(fleet.client.get, f"/api/v1/operations/{operation}/events")
                written = [event["seq"] for event in everything.json()["items"]]
                while listener.told[-1]["event"]["seq"] < written[-1]:  # one more was written meanwhile
                    await listener.until("event")
                assert [told["event"]["seq"] for told in listener.told] == written

    asyncio.run(test())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": None}, "endpoint is missing"),
        ({"endpoint": "ftp://x"}, "no URL"),
        ({"colour": "blue"}, "there is no argument 'colour'"),
        ({"what": ["gossip"]}, "what has 'gossip'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PLUGIN["check"]({"endpoint": "https://x", **arguments})


def test_wrong_credentials_end_the_source(served: tuple[str, Fleet]) -> None:
    async def test() -> None:
        with pytest.raises(PLUGIN["Refused"], match="401"):
            await asyncio.wait_for(
                PLUGIN["main"](asyncio.Queue(), {"endpoint": served[0], "username": USER, "password": "no"}),
                PATIENCE_SECONDS,
            )

    asyncio.run(test())


def test_a_certificate_that_nobody_vouches_for_is_not_believed(settings: Settings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def test(url: str, fleet: Fleet) -> None:
        async with Listener(endpoint=url) as listener:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not any("certificate verify failed" in line.lower() for line in listener.log):
                    await asyncio.sleep(0.05)
            assert listener.queue.empty()
        async with Listener(endpoint=url, certificate_authority=str(authority.path), what=["end"]) as listener:
            await listener.listening()
            operation = await apart(restart, fleet)
            await listener.until("end", id=operation)

    with serving(settings, certificate=authority.sign("server")) as (url, fleet):
        fleet.cluster("web", "10.0.0.1", "10.0.0.2")
        asyncio.run(test(url, fleet))
