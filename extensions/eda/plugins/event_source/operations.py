# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens in a Commissaire server's operations, as events for rulebooks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
short_description: Events of the operations of a Commissaire server
description:
  - An ansible-rulebook event source that follows the operations of a Commissaire server by their live streams.
  - Operations that are running when the source starts are followed from then on, later ones from their beginning.
  - A stream that breaks is taken up again after its last event. A host or an operation may be told of twice; each event
    has its whole present state.
  - An event is C(commissaire), a dictionary with C(what) (C(operation), C(host), C(event) or C(end)), C(operation), and
    where they are told of C(host) or C(event), all as REST v1 shows them.
options:
  endpoint:
    description: The server's URL, like C(https://commissaire.example.com).
    type: str
    required: true
  username:
    description: Who signs in; the role viewer is enough.
    type: str
  password:
    description: Their password.
    type: str
  headers:
    description: Sent with each request, for servers that know their users by a token, like C(X-Auth-Token).
    type: dict
    default: {}
  client_certificate:
    description: A certificate to sign in with (PEM).
    type: path
  client_key:
    description: Its key (PEM), unless that is in the same file.
    type: path
  certificate_authority:
    description: Certificates (PEM) of those who may have signed the server's; without it, those trusted here.
    type: path
  what:
    description: What is told of. C(event) are the lines of the journal, of which there are many.
    type: list
    elements: str
    choices: [operation, host, event, end]
    default: [operation, host, end]
  clusters:
    description: Only operations on these clusters; all without it.
    type: list
    elements: str
    default: []
  kinds:
    description: Only operations of these kinds, like C(restart); all without it.
    type: list
    elements: str
    default: []
  poll_seconds:
    description: How often it is looked for new operations.
    type: float
    default: 5
"""

EXAMPLES = r"""
- commissaire.fleet.operations:
    endpoint: https://commissaire.example.com
    username: eda
    password: "{{ commissaire_password }}"
    clusters: [web]
    what: [end]
"""

import asyncio
import base64
import json
import logging
import ssl
from contextlib import suppress
from itertools import count
from typing import Any, AsyncIterator

import aiohttp

OPTIONS = {
    "endpoint", "username", "password", "headers", "client_certificate", "client_key", "certificate_authority", "what",
    "clusters", "kinds", "poll_seconds",
}  # fmt: skip
WHAT = ("operation", "host", "event", "end")
OPEN = ("queued", "running", "paused")
PATH = "/api/v1/operations"
PAGE = 100
SILENCE_SECONDS = 40  # the server sends a comment every 15 s
LONGEST_PAUSE_SECONDS = 30.0
LARGEST_LINE = 8 << 20  # a host's last report may list its packages

logger = logging.getLogger(__name__)


class Refused(Exception):
    """The server refuses the request, and will do so again."""


async def main(queue: asyncio.Queue, args: dict[str, Any]) -> None:
    """Follow operations until cancelled. Raises ValueError for wrong arguments, Refused for wrong credentials."""
    check(args)
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=SILENCE_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)  # one for each operation that is followed
    async with aiohttp.ClientSession(
        headers=signed(args), timeout=timeout, read_bufsize=1 << 16, connector=connector
    ) as session:
        await Source(queue, session, args).run()


def check(args: dict[str, Any]) -> None:
    """Raise ValueError for an argument that is missing, unknown or wrong."""
    unknown = sorted(set(args) - OPTIONS)
    if unknown:
        raise ValueError(f"there is no argument {unknown[0]!r}; there are {', '.join(sorted(OPTIONS))}")
    if not str(args.get("endpoint", "")).startswith(("http://", "https://")):
        raise ValueError("endpoint is missing, or no URL; give one like https://commissaire.example.com")
    wrong = [one for one in args.get("what", WHAT) if one not in WHAT]
    if wrong:
        raise ValueError(f"what has {wrong[0]!r}; there are {', '.join(WHAT)}")


def signed(args: dict[str, Any]) -> dict[str, str]:
    """Return the headers that sign a request in."""
    headers = {str(name): str(value) for name, value in (args.get("headers") or {}).items()}
    if args.get("username"):
        pair = f"{args['username']}:{args.get('password') or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def trust(args: dict[str, Any]) -> ssl.SSLContext:
    """Return whom to believe, and the certificate to sign in with."""
    context = ssl.create_default_context(cafile=args.get("certificate_authority"))
    if args.get("client_certificate"):
        context.load_cert_chain(args["client_certificate"], args.get("client_key"))
    return context


class Source:
    """Looks for operations, and follows each in a task of its own."""

    def __init__(self, queue: asyncio.Queue, session: aiohttp.ClientSession, args: dict[str, Any]) -> None:
        self._queue = queue
        self._session = session
        self._base = str(args["endpoint"]).rstrip("/")
        self._ssl = trust(args) if self._base.startswith("https:") else True
        self._what = set(args.get("what") or ("operation", "host", "end"))
        self._clusters = set(args.get("clusters") or ())
        self._kinds = set(args.get("kinds") or ())
        self._poll_seconds = float(args.get("poll_seconds", 5))
        self._known: set[int] = set()
        self._newest = 0

    async def run(self) -> None:
        """Look for operations again and again; end with the first task that fails."""
        followers: set[asyncio.Task] = set()
        first, pause = True, 1.0
        try:
            while True:
                try:
                    found = await self._look(first)
                    pause, wait = 1.0, self._poll_seconds
                    followers |= {asyncio.create_task(self._follow(operation, from_now=first)) for operation in found}
                    if first:
                        logger.info("listening to the operations of %s", self._base)
                    first = False
                except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                    logger.warning("commissaire at %s can't be asked: %s; trying again", self._base, _words(error))
                    wait, pause = pause, min(pause * 2, LONGEST_PAUSE_SECONDS)
                if followers:
                    done, followers = await asyncio.wait(followers, timeout=wait, return_when=asyncio.FIRST_EXCEPTION)
                    for task in done:
                        task.result()
                else:
                    await asyncio.sleep(wait)
        finally:
            for task in followers:
                task.cancel()
            await asyncio.gather(*followers, return_exceptions=True)

    async def _look(self, first: bool) -> list[dict[str, Any]]:
        """Return the operations that are to be followed from now on, oldest first."""
        found = {one["id"]: one for one in await self._newer_than(self._newest - PAGE, pages=1 if first else None)}
        if first:
            for state in OPEN:
                found.update({one["id"]: one for one in await self._newer_than(0, {"state": state})})
        new = [one for _, one in sorted(found.items()) if one["id"] not in self._known]
        self._newest = max(self._newest, *found, 0)
        self._known = {known for known in {*self._known, *found} if known > self._newest - PAGE}
        return [one for one in new if self._wants(one) and not (first and one["state"] not in OPEN)]

    async def _newer_than(
        self, oldest: int, query: dict[str, str] | None = None, pages: int | None = None
    ) -> list[dict[str, Any]]:
        """Page through operations down to *oldest*.

        Ids come in the order of requests, but those of servers side by side may be seen out of it: hence a page back.
        """
        found: list[dict[str, Any]] = []
        before = ""
        for _ in range(pages) if pages else count():
            page = await self._get(
                PATH, {"limit": str(PAGE), **(query or {}), **({"before": before} if before else {})}
            )
            found += [one for one in page["items"] if one["id"] > oldest]
            if page["next"] is None or page["next"] <= oldest:
                break
            before = str(page["next"])
        return found

    def _wants(self, operation: dict[str, Any]) -> bool:
        return (not self._clusters or operation["cluster"] in self._clusters) and (
            not self._kinds or operation["kind"] in self._kinds
        )

    async def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        async with self._session.get(
            f"{self._base}{path}", params=query, ssl=self._ssl, allow_redirects=False
        ) as answer:
            await _accepted(answer)
            return await answer.json()

    async def _follow(self, operation: dict[str, Any], *, from_now: bool) -> None:
        """Tell of one operation until it has ended, across broken connections."""
        last, pause = "", 1.0
        while True:
            query = {"from": "now"} if from_now and not last else {}
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            try:
                path = f"{self._base}{PATH}/{operation['id']}/events/stream"
                async with self._session.get(
                    path, params=query, headers=headers, ssl=self._ssl, allow_redirects=False
                ) as answer:
                    if answer.status == 404:
                        return
                    await _accepted(answer)
                    async for name, data, event_id in messages(answer.content.iter_any()):
                        pause, last = 1.0, event_id or last
                        operation = data if name in ("operation", "end") else operation
                        if name in self._what:
                            await self._tell(name, operation, data)
                        if name == "end":
                            return
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                logger.warning("the stream of operation %s broke: %s; trying again", operation["id"], _words(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _tell(self, name: str, operation: dict[str, Any], data: dict[str, Any]) -> None:
        told = {"what": name, "operation": operation, **({name: data} if name in ("host", "event") else {})}
        await self._queue.put({"commissaire": told})


async def messages(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, dict[str, Any], str]]:
    """Decode server-sent events (WHATWG HTML, section 9.2): yield the name, the data and the id of each."""
    name, data, event_id, rest = "", [], "", b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LARGEST_LINE:
            raise aiohttp.ClientError(f"a line of the stream is longer than {LARGEST_LINE} bytes")
        for line in lines:
            key, _, value = line.removesuffix(b"\r").decode(errors="replace").partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "data":
                data.append(value)
            elif key == "id":
                event_id = value
            elif not key and not value and data:
                with suppress(ValueError):
                    decoded = json.loads("\n".join(data))
                    if isinstance(decoded, dict):
                        yield name, decoded, event_id
                name, data = "", []


async def _accepted(answer: aiohttp.ClientResponse) -> None:
    """Raise Refused for an answer that stays the same, ClientError for one that may change."""
    if answer.status == 200:
        return
    text = (await answer.text())[:500]
    if answer.status == 429 or answer.status >= 500:
        raise aiohttp.ClientError(f"{answer.status} {answer.reason}: {text}")
    raise Refused(
        f"GET {answer.url.path} was refused: {answer.status} {answer.reason}: {text}; check the source's arguments"
    )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
