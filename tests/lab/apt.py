"""Where this machine's own apt gets Debian from: the mirror the lab's machines are built from, too."""

import re
from collections.abc import Iterable
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = re.compile(r"^(?P<codename>[a-z]+)(?P<pocket>-updates|-security)?$")


def debian_sources(codename: str, etc: Path = Path("/etc")) -> str:
    """Return one-line apt sources of Debian `codename` from the mirrors `etc` names; empty when this is not Debian."""
    os_release = _read(etc / "os-release")
    own = re.search(r'^VERSION_CODENAME="?(\w+)', os_release, re.MULTILINE)
    debian = re.search(r'^ID="?debian"?$', os_release, re.MULTILINE)
    if not own or not debian:
        return ""
    lines = []
    for uri, suite in _entries(etc / "apt"):
        match = SUITES.match(suite)
        if match and match["codename"] in (own[1], "stable", "oldstable"):
            lines.append(f"deb [signed-by={KEYRING}] {uri} {codename}{match['pocket'] or ''} main\n")
    return "".join(dict.fromkeys(lines))


def _entries(apt: Path) -> Iterable[tuple[str, str]]:
    """Yield (URI, suite) of every enabled binary source whose components include main."""
    folder = apt / "sources.list.d"
    for path in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        for line in _read(path).splitlines():
            match = re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+(.*)", line.strip())
            if match and "main" in match[3].split():
                yield match[1], match[2]
    for path in sorted(folder.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", _read(path)):
            fields = _fields(stanza)
            wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
            if wanted and fields.get("enabled") != ["no"]:
                yield from ((uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", []))


def _fields(stanza: str) -> dict[str, list[str]]:
    """Return a deb822 stanza's fields as lists of words, by lower-case name."""
    text = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
    text = re.sub(r"\n[ \t]+", " ", text)
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.split() for name, _, value in pairs}


def _read(path: Path) -> str:
    return path.read_text() if path.is_file() else ""
