"""What hypervisors refuse, or can't be asked."""

from __future__ import annotations

from commissaire.fleet.errors import FleetError


class HypervisorFailed(FleetError):
    """A hypervisor does not answer, or answers with an error of its own; the message has libvirt's words."""

    status = 502


class NotSupported(FleetError):
    """The hypervisor's driver has no such function."""

    status = 501


class GuestSilent(FleetError):
    """A machine's guest agent does not answer in time."""

    status = 504


class TooLarge(FleetError):
    """The way to a machine's guest agent does not carry as much."""

    status = 413
