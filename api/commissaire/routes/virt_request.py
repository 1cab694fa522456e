"""What a request to /virt asks: who, of which hypervisors, with which parameters; in its query, a form, or XML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Query, Request

from commissaire.auth.virt_mode import Caller
from commissaire.fleet.errors import Invalid, NotAllowed, NotFound
from commissaire.fleet.hypervisors import hypervisors_to_ask
from commissaire.machines.link import Link
from commissaire.services import Parts, Services

FORM = "application/x-www-form-urlencoded"
XML = ("application/xml", "text/xml")
_FIELDS = 16


@dataclass(frozen=True)
class Asked:
    """A request to /virt. `given` are the parameters of its command, each once."""

    request: Request
    parts: Services
    caller: Caller
    given: dict[str, str]
    hypervisor: str | None

    def links(self) -> list[Link]:
        """Return the connections to the hypervisors that are asked.

        Raises:
            NotFound: it names one that is not there.
        """
        with self.parts.database.read() as session:
            known = hypervisors_to_ask(session, self.parts.announced())
        if self.hypervisor is not None and self.hypervisor not in known:
            raise NotFound(f"there is no hypervisor {self.hypervisor}")
        read_only, link = not self.caller.mode.changes, self.parts.hypervisors.link
        return [link(name, uri, read_only=read_only) for name, uri in known.items() if self.hypervisor in (None, name)]


async def _asked(
    request: Request,
    parts: Parts,
    hypervisor: Annotated[str | None, Query(max_length=64, description="Ask this hypervisor only.")] = None,
) -> Asked:
    found = [pair for pair in request.query_params.multi_items() if pair[0] != "hypervisor"]
    if request.method == "POST":
        _refuse_other_sites(request)
        found += _in_body(await request.body(), request.headers.get("content-type", ""))
    given = dict(found)
    if len(given) != len(found):
        raise Invalid("a parameter is given twice; give each once, in the query or in the body")
    caller = Caller(parts.settings.virt_mode, request.state.user, request.state.role)
    return Asked(request, parts, caller, given, hypervisor)


Asking = Annotated[Asked, Depends(_asked)]


def _in_body(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the parameters in a body: a form, or the XML of a device."""
    try:
        text = body.decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is no UTF-8: {error}") from error
    media_type = content_type.partition(";")[0].strip().lower()
    if not text.strip():
        return []
    if media_type in XML or text.lstrip().startswith("<"):  # curl calls everything a form
        return [("xml", text)]
    if media_type != FORM:
        raise Invalid(f"send the parameters as {FORM}, or a device's XML as {XML[0]}")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise Invalid(f"the form has more than {_FIELDS} fields") from error


def _refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site lets a browser send, which adds the credentials that it has."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None:  # a browser of before 2023, or none: a proxy may have changed `host`, so this comes second
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    else:
        foreign = site not in ("none", "same-origin")
    if foreign:
        raise NotAllowed("a page of another site sent this; nothing is changed by those")
