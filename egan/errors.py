"""What reaches the user: errors with a cause, a hint and an exit status, and notes
about work that goes on.
"""

from __future__ import annotations

from typing import NamedTuple

# Words of torch, ONNX Runtime and the system for a lack of memory.
NO_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "failed to allocate memory",
)


class EganError(Exception):
    """Something the user can act on. Raised where the fact is known, printed in
    `egan.terminal`.

    `status` is the exit status: 1 failed or not verified, 2 wrong usage.
    """

    def __init__(self, message: str, hint: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


class Note(NamedTuple):
    """Something to tell the user about work that goes on.

    A warning is printed as such. An urgent note is about secrecy or authenticity, so
    nothing hushes it.
    """

    text: str
    warning: bool = False
    urgent: bool = False

    def __str__(self) -> str:
        return self.text


def out_of_memory(error: BaseException) -> bool:
    """Whether a computation failed for want of memory.

    Python says so by a type of its own, torch by a RuntimeError.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in NO_MEMORY)
    )


def reason_of(error: OSError) -> str:
    """The system's words for an error, in lower case, without number and file name."""
    return (error.strerror or str(error)).lower()
