"""What the fleet's rules refuse. The routes turn each into a problem document with its status."""

from __future__ import annotations


class FleetError(Exception):
    """A request that can't be carried out; the message names the thing, the cause and the next step."""

    status = 400


class Invalid(FleetError):
    """The request itself is wrong."""

    status = 400


class Refused(FleetError):
    """Nobody knows the credentials."""

    status = 403


class NotFound(FleetError):
    """The thing it names does not exist."""

    status = 404


class NotReady(FleetError):
    """The thing is in no state to do that (Commissaire 0.0.6 answers 405)."""

    status = 405


class NotThisVerb(FleetError):
    """It is done with another method, which `allow` names."""

    status = 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class NotAllowed(FleetError):
    """The user, or everybody, is kept from it."""

    status = 403


class NotAcceptable(FleetError):
    """It is there, and not in the form that is asked for."""

    status = 406


class Conflict(FleetError):
    """It contradicts what is recorded."""

    status = 409


class Unprocessable(FleetError):
    """It is well-formed, and contradicts an earlier request."""

    status = 422
