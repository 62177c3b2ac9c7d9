"""What sessions have beside egan: tools in the manner of ImageMagick, and small weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from conftest import make_weights, psnr, smooth
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def magick(arguments: list[str], _data: bytes) -> tuple[int, bytes]:
    """`magick -size WxH plasma:SEED|xc:COLOUR OUT`, or `magick IN OPERATION... OUT`.

    A plasma is a smooth picture. Text of a PNG is kept, but for -strip.
    """
    *words, out = arguments
    options: dict[str, Any] = {}
    text: dict[str, str] = {}
    if words[0] == "-size":
        width, height = map(int, words[1].split("x"))
        kind, value = words[2].split(":")
        if kind == "plasma":
            picture = Image.fromarray(smooth(height, width, int(value)))
        else:
            picture = Image.new("RGB", (width, height), value)
        words = []
    else:
        picture = Image.open(words.pop(0))
        picture.load()
        text = {k: v for k, v in getattr(picture, "text", {}).items()}
    while words:
        operation = words.pop(0)
        if operation == "-strip":
            text = {}
        elif operation == "-flop":
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        elif operation == "-resize":
            width, height = map(int, words.pop(0).rstrip("!").split("x"))
            picture = picture.resize((width, height))
        elif operation == "-crop":
            size, x, y = words.pop(0).split("+")
            width, height = map(int, size.split("x"))
            box = (int(x), int(y), int(x) + width, int(y) + height)
            picture = picture.crop(box)
        elif operation == "-rotate":
            picture = picture.rotate(-int(words.pop(0)), expand=True)
        elif operation == "-colorspace":
            picture = picture.convert("L")
            words.pop(0)
        elif operation == "-brightness-contrast":
            shift = int(words.pop(0))
            picture = picture.point(
                [min(255, max(0, v + shift)) for v in range(256)] * 3
            )
        elif operation == "-draw":  # 'point X,Y', in black or, where it is that, white
            x, y = map(int, words.pop(0).removeprefix("point ").split(","))
            black = picture.getpixel((x, y)) == (0, 0, 0)
            picture.putpixel((x, y), (255, 255, 255) if black else (0, 0, 0))
        elif operation == "-quality":
            options["quality"] = int(words.pop(0))
        elif operation == "-set":
            name, value = words.pop(0), words.pop(0)
            text[name] = value
        else:
            raise ValueError(f"this magick has no {operation}")
    if out.endswith(".png"):
        info = PngInfo()
        for name, value in text.items():
            info.add_text(name, value)
        options["pnginfo"] = info
    elif out.endswith(".webp"):
        options |= {"lossless": True, "exact": True}
    picture.save(out, **options)
    return 0, b""


def identify(arguments: list[str], _data: bytes) -> tuple[int, bytes]:
    """`identify FILE...`: the name and size of each picture."""
    lines = []
    for name in arguments:
        width, height = Image.open(name).size
        lines.append(f"{name} {width}x{height}\n")
    return 0, "".join(lines).encode()


def looks_like(arguments: list[str], _data: bytes) -> tuple[int, bytes]:
    """`looks-like [DB] A B`: whether the PSNR is more than 20 dB, or than DB."""
    *least, one, other = arguments
    a, b = (np.asarray(Image.open(name).convert("RGB")) for name in (one, other))
    near = a.shape == b.shape and psnr(a, b) > float(least[0] if least else 20)
    return int(not near), b""


TOOLS: dict[str, Callable[[list[str], bytes], tuple[int, bytes]]] = {
    "identify": identify,
    "looks-like": looks_like,
    "magick": magick,
}


# Weights that sessions name


def paper(path: Path) -> None:
    import torch

    from egan.core.encryptgan import EncryptGANNetworks
    from egan.core.options import ModelOptions

    torch.manual_seed(0)
    options = ModelOptions(
        family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=1
    )
    EncryptGANNetworks(options).save(path, {})


def baseline(family: str, **options: int) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        import torch

        from egan.core.baseline_options import BASELINE_OPTIONS
        from egan.core.load import model_class

        torch.manual_seed(0)
        chosen = BASELINE_OPTIONS[family](image_size=64, width=6, **options)
        model_class(family)(chosen).save(path, {"step": 0})

    return save


MADE: dict[str, Callable[[Path], object]] = {
    "other.safetensors": lambda path: make_weights(path, 1),
    "paper.safetensors": paper,
    "cyclegan.safetensors": baseline("cyclegan", blocks=1),
    "munit.safetensors": baseline("munit", blocks=1, mlp=16),
    "drit.safetensors": baseline("drit", blocks=1),
    "baluja.safetensors": baseline("baluja", depth=2),
}
