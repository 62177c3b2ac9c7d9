"""Entry point of the `egan` command and of `python -m egan`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    if sys.argv[1:] == ["--version"]:  # before anything that takes time to import
        from egan import __version__

        print(f"egan {__version__}")
        sys.exit(0)
    from egan import terminal
    from egan.cli import start

    sys.exit(terminal.run(start))


if __name__ == "__main__":
    main()
