"""Remove the lab NAME when its owner is gone: `warden.py NAME`, with the owner at the other end of its input."""

import sys


def main() -> None:
    sys.stdin.buffer.read()
    from .command import LabError  # the owner is gone: only now is there anything to load
    from .laboratory import Lab

    try:
        Lab.find(sys.argv[1]).down()
    except LabError as error:
        if Lab(sys.argv[1]).directory.exists():
            sys.exit(f"lab {sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
