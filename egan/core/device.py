"""The device of the networks: CUDA, on torch, or the CPU."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from egan.errors import EganError

if TYPE_CHECKING:
    import torch


def device_name(name: str) -> str:
    """`auto` is cuda where torch can use one, else cpu; without torch on machines that
    have no NVIDIA driver.

    Raises EganError for a name that is no device's.
    """
    kind, colon, number = name.partition(":")
    if name not in ("auto", "cpu") and (
        kind != "cuda" or (colon and not number.isdecimal())
    ):
        raise EganError(f"unknown device {name!r}", "use auto, cpu or cuda", 2)
    if name != "auto":
        return name
    if not has_driver() or importlib.util.find_spec("torch") is None:
        return "cpu"
    return pick_device("auto").type


def has_driver() -> bool:
    """Whether this machine has an NVIDIA driver with a device that may be used."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        count = ctypes.c_int()
        ready = driver.cuInit(0) == 0
        return (
            ready
            and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            and count.value > 0
        )
    except (OSError, AttributeError):
        return False


def pick_device(name: str) -> torch.device:
    """The torch device of a name. Raises EganError for a device that is not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device_name(name)
    kind, _, number = name.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise EganError("no CUDA device here", "use --device cpu", 2)
    if number and int(number) >= torch.cuda.device_count():
        raise EganError(
            f"no device {name} here",
            f"there are {torch.cuda.device_count()}, counted from cuda:0",
            2,
        )
    return torch.device(name)
