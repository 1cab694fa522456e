"""What is kept for `apply` has an end."""

from __future__ import annotations

from pathlib import Path

from singularity import cache


def test_what_does_not_fit_is_not_kept_and_what_was_kept_stays(tmp_path: Path) -> None:
    kept = cache.Cache(str(tmp_path))
    kept.update("file", "/first", "x")
    kept.update("file", "/large", "x" * cache.MOST_TOGETHER)
    assert kept.read("file") == {"/first": "x"}
    kept.update("file", "/second", "y")
    assert kept.read("file") == {"/first": "x", "/second": "y"}
