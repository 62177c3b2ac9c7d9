"""Entry point of the `egan` command and of `python -m egan`."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

signal.signal(
    signal.SIGINT, signal.SIG_DFL
)  # until egan.terminal has something to say about it


def main() -> NoReturn:
    from egan import terminal

    sys.exit(terminal.run(command))


def command() -> None:
    if sys.argv[1:] == ["--version"]:  # before anything that takes time to import
        from egan import __version__

        print(f"egan {__version__}")
        return
    if not {"train", "bench", "calibrate"} & set(sys.argv[1:2]):
        # What the others compute with numpy is too little to wait for its threads.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from egan.commands.app import start

    start()


if __name__ == "__main__":
    main()
