"""Where a thing of a hypervisor's is: HYPERVISOR/NAME, or its NAME alone where no other is called so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commissaire.commctl.errors import CommctlError, NoServerError
from commissaire.commctl.output import tell
from commissaire.commctl.session import segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from commissaire.commctl.client import Client

MACHINES = "/api/v1/machines"
Machine = Annotated[
    str,
    typer.Argument(metavar="MACHINE", help="HYPERVISOR/NAME, or NAME where only one is called so.", show_default=False),
]
Machines = Annotated[
    list[str],
    typer.Argument(metavar="MACHINE", help="HYPERVISOR/NAME, or NAME where only one is called so.", show_default=False),
]


def full_place(folder: str, text: str) -> str:
    """Return the path below *folder* of what HYPERVISOR/NAME names. Raises BadParameter for a name alone."""
    hypervisor, slash, name = text.partition("/")
    if not slash:
        raise typer.BadParameter(f"{text!r} names no hypervisor: write HYPERVISOR/NAME")
    return f"{folder}/{segment(hypervisor)}/{segment(name)}"


def machine(client: Client, text: str) -> str:
    """Return the path of the machine that *text* names.

    Raises CommctlError when no machine or several are called so, or a hypervisor that may have one does not answer.
    """
    if "/" in text:
        return full_place(MACHINES, text)
    page = client.get(MACHINES, {"name": text}).body
    found = [f"{one['hypervisor']}/{one['name']}" for one in page["items"] if one["name"] == text]
    silent = [one["hypervisor"] for one in page["silent"]]
    if len(found) == 1 and not silent:
        return full_place(MACHINES, found[0])
    if silent:
        raise CommctlError(f"{', '.join(silent)} did not answer, and may have a {text}, too: write HYPERVISOR/{text}")
    if found:
        raise CommctlError(f"there are several: {', '.join(found)}; name one of them")
    raise CommctlError(f"no hypervisor has a machine {text}")


def each(texts: list[str], ask: Callable[[str], Any]) -> list[Any]:
    """Return what *ask* gives for each; what is refused is told, and doesn't keep the others."""
    answers = []
    for text in texts:
        try:
            answers.append(ask(text))
        except NoServerError:
            raise
        except CommctlError as error:
            tell(f"{text}: {error}")
    return answers


def tell_silent(page: dict[str, Any]) -> None:
    """Tell which hypervisors did not answer, so that what they have is missing."""
    for one in page["silent"]:
        tell(f"missing: what {one['hypervisor']} has: {one['reason']}")
