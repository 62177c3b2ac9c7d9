"""Which processor torch computes on."""

from __future__ import annotations

import torch

from egan.errors import EganError


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one. Raises EganError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (colon and not number.isdecimal())):
        raise EganError(f"unknown device {name!r}", "use auto, cpu or cuda", 2)
    if kind == "cuda" and not torch.cuda.is_available():
        raise EganError("no CUDA device here", "use --device cpu", 2)
    if number and int(number) >= torch.cuda.device_count():
        raise EganError(
            f"no device {name} here",
            f"there are {torch.cuda.device_count()}, counted from cuda:0",
            2,
        )
    return torch.device(name)
