"""Drive a target by atheris: `python -m fuzz.guest_agent.coverage TARGET SECONDS GUEST FOLDER`.

It lays the guest into the empty folder GUEST; what finds something stays in FOLDER.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import atheris

MOST_BYTES = 4096
SLOWEST_SECONDS = 30


def main() -> None:
    name, seconds, guest, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    with atheris.instrument_imports(include=["singularity"]):
        import singularity

        for module in pkgutil.walk_packages(singularity.__path__, "singularity."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    from .seeds import seeds, words
    from .targets import TARGETS

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words(name)))
    target = TARGETS[name](guest)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        f"-timeout={SLOWEST_SECONDS}",
        f"-dict={dictionary}",
    ]
    options += [f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
