# Copyright: (c) 2026, The Commissaire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file by which somebody outside stops a rolling play from starting further hosts."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.commissaire.fleet.plugins.plugin_utils.place import Decision

PAUSE = "pause"
STOP = "stop"


def plan_control(path: str) -> Decision | None:
    """Decide by the first line of the file at *path*: `pause [why]` or `stop [why]`; None when it says neither.

    An unreadable file counts as `pause`: somebody wanted something.
    """
    if not path:
        return None
    try:
        word, _, why = Path(path).read_text(encoding="utf-8").strip().partition("\n")[0].partition(" ")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Decision("pause", f"paused: {path} can't be read: {error}")
    if word == PAUSE:
        return Decision("pause", f"paused: {why or f'{path} says so'}")
    if word == STOP:
        return Decision("refuse", f"not started: {why or f'{path} says stop'}")
    return None
