"""The job a supervisor carries out: one playbook on some hosts. It crosses a pipe as one line of JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

LET_GO = b"let go"
"""The line that tells a supervisor after its job, when it is to stop it, to give the leases on its hosts back."""
KUBECONFIG = "kubeconfig"
"""The variable by which playbooks know where a host's container manager is."""
UNTIL = b"until "
"""What begins a line that tells a supervisor until when its playbook may run; a `time.monotonic` of this machine."""


def until_line(until: float) -> bytes:
    """Tell a supervisor that its playbook may run until then, unless it is told a later time before."""
    return b"%s%.3f\n" % (UNTIL, until)


@dataclass(frozen=True)
class PrivateKey:
    """A private key for the ssh agent (OpenSSH or PEM text), and its public half, which ssh chooses it by."""

    name: str
    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class Private:
    """What a playbook is told, and answers, without a trace on a disk or in the journal; see `launcher.private`.

    The answer is the result of the tasks of `module`. `content` (base64) is put into a file, whose path the playbook
    has as the variable `content_as`; the file that it fetches to the path in `fetched_as` belongs to the answer.
    """

    module: str
    variables: dict[str, Any] = field(repr=False)
    content: str | None = field(default=None, repr=False)
    content_as: str = ""
    fetched_as: str = ""
    most_bytes: int = 0
    """How large that file may be."""
    most_seconds: int = 0
    """How long one task may take; 0: as long as it takes."""


@dataclass(frozen=True)
class Job:
    """Everything a supervisor needs. Secrets are in `keys`, `kubeconfigs`, `private`, `secret_files`, on no disk.

    A host whose variable KUBECONFIG names one of `kubeconfigs` (JSON) finds the path of a file there instead.
    `files` are texts by the names of files in `directory`, `secret_files` by those below `runtime_directory`.
    """

    operation_id: int
    playbook: str
    directory: str
    runtime_directory: str
    inventory: dict[str, Any]
    extra_vars: dict[str, Any]
    known_hosts: str
    keys: list[PrivateKey]
    forks: int
    dry_run: bool = False
    kubeconfigs: dict[str, str] = field(default_factory=dict, repr=False)
    private: Private | None = None
    files: dict[str, str] = field(default_factory=dict)
    secret_files: dict[str, str] = field(default_factory=dict, repr=False)

    def to_line(self) -> bytes:
        """Write the job as one line."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        """Read what `to_line` wrote."""
        fields = orjson.loads(line)
        fields["keys"] = [PrivateKey(**key) for key in fields["keys"]]
        fields["private"] = Private(**fields["private"]) if fields["private"] else None
        return cls(**fields)
