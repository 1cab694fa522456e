"""The numbers that the documents tell are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commissaire import database, requests, scheduler, watcher
from commissaire.dispatch import embedded, workers
from commissaire.fleet import checks, claims, limits, operations
from commissaire.launcher import checks as launcher_checks
from commissaire.launcher.kinds import DEFAULT_REBOOT_TIMEOUT_SECONDS, KINDS
from commissaire.records import Operation
from commissaire.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
WINDOW = limits.Limits(max_unavailable=1000, max_failures=0)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("guide", f"up to {operations.BOOTSTRAP_BATCH} together"),
        ("guide", f"`reboot_timeout_seconds` ({DEFAULT_REBOOT_TIMEOUT_SECONDS})"),
        ("guide", f"| `max_unavailable` | `{limits.DEFAULT_MAX_UNAVAILABLE}` |"),
        ("guide", f"| `max_failures` | `{limits.DEFAULT_MAX_FAILURES}` |"),
        ("guide", f"SQLite was locked for {database.BUSY_TIMEOUT_SECONDS} s"),
        ("architecture", f"waits {operations.BOOTSTRAP_DELAY.total_seconds():g} s for others"),
        ("architecture", f"one each {embedded.HEARTBEAT_SECONDS:g} s; after {claims.EXPIRY_SECONDS:g} s of silence"),
        ("architecture", f"without one for {claims.TRUST_SECONDS:g} s"),
        ("architecture", f"asked each {workers.WISHES_SECONDS:g} s"),
        ("architecture", f"{KINDS['restart'].forks(Operation(kind='restart'), WINDOW)} at most"),
        ("guide", f"each {Settings.model_fields['watch_interval_seconds'].default // 60} minutes"),
        ("guide", f"looks again {checks.CONFIRM_SECONDS:g} s later"),
        ("architecture", f"takes up to {watcher.BATCH} hosts"),
        ("architecture", f"a claim lasts {checks.CLAIM.total_seconds():g} s"),
        ("architecture", f"with {launcher_checks.FORKS} forks at most"),
        ("architecture", f"overdue by more than {checks.LATE.total_seconds():g} s"),
        ("architecture", f"is due, {scheduler.LONGEST_PAUSE_SECONDS:g} s at most"),
        ("architecture", f"for {Settings.model_fields['credential_cache_seconds'].default} s"),
        ("architecture", f"above {requests.MAX_BODY_BYTES // 1024**2} MiB"),
    ],
)
def test_a_number_is_that_of_the_code(document: str, text: str) -> None:
    assert text in re.sub(r"\s+", " ", (DOCS / f"{document}.md").read_text())
