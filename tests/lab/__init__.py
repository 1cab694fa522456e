"""A laboratory of real machines on one computer: systemd, sshd and real reboots, in a network of their own."""

from .command import LabError
from .host import LabHost
from .laboratory import Lab, labs, obstacle, sweep

__all__ = ["Lab", "LabError", "LabHost", "labs", "obstacle", "sweep"]
