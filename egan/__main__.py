"""Entry point of the `egan` command and of `python -m egan`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Until egan.terminal has something to say about it
signal.signal(signal.SIGINT, signal.SIG_DFL)

# Objects made before Python looks for garbage among them
RARELY = 200_000
# Address space of a process, in bytes, below which no library loads.
LEAST_MEMORY = 176 << 20


def main() -> NoReturn:
    if sys.argv[1:] == ["--version"] and print_version():
        sys.exit(0)
    from egan import terminal

    # Looking for garbage among what was imported takes a third of a short command's
    # time: an eighth on the way, the rest when the process ends.
    often = gc.get_threshold()
    gc.set_threshold(RARELY)
    atexit.register(gc.freeze)
    try:
        status = terminal.run(command)
    finally:
        gc.set_threshold(*often)
    sys.exit(status)


def print_version() -> bool:
    """Before anything is imported. What goes wrong goes wrong once more, in words."""
    from egan import __version__

    try:
        print(f"egan {__version__}")
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def check_memory() -> None:
    """Raises EganError where OpenBLAS would end the process with words of its own."""
    import resource

    from egan.errors import EganError

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY and most < LEAST_MEMORY:
        raise EganError(
            f"not enough memory: this process may address {most >> 20} MiB",
            f"`ulimit -v {2 * LEAST_MEMORY >> 10}` or more is enough for small pictures",
        )


def command() -> None:
    check_memory()
    if not {"train", "bench", "calibrate"} & set(sys.argv[1:2]):
        # What the others compute with numpy is too little to wait for its threads.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from egan.commands.app import start

    start()


if __name__ == "__main__":
    main()
