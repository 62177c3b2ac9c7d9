"""`egan bench --figures DIR`: every figure of every method that has it, as files by
name, then written in one go.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from egan.bench.attacks.scene import Scene
from egan.bench.figures.pictures import (
    activations,
    large_messages,
    methods,
    positions,
    wrong_keys,
)
from egan.bench.figures.plot import Sweep, plot
from egan.bench.figures.sweeps import disguise_noise, key_noise
from egan.core.model import Pictures
from egan.errors import EganError
from egan.pictures.output import check_output, png_bytes, write_output
from egan.terminal import note

# Each point of a sweep is averaged over this many pictures.
PAIRS = 12

Files = dict[str, bytes]


def draw_figures(scenes: Mapping[str, Scene]) -> tuple[Files, list[str]]:
    """PNG and CSV files by name, and the figures that could not be drawn with the
    reason. Names carry the method where there are several.
    """
    files: Files = {"figure-3-methods.png": png_bytes(methods(scenes))}
    missing: list[str] = []
    for name, whole in scenes.items():
        scene = whole.first(PAIRS)
        tail = f"-{name.replace('/', '_')}" if len(scenes) > 1 else ""

        def keep(
            figure: str,
            drawn: tuple[Pictures, list[Sweep]] | Pictures,
            tail: str = tail,
        ) -> None:
            picture, sweeps = drawn if isinstance(drawn, tuple) else (drawn, [])
            files[f"{figure}{tail}.png"] = png_bytes(picture)
            if not sweeps:
                return
            for sweep, part in zip(sweeps, ("", "-key"), strict=False):
                files[f"{figure}{tail}{part}.csv"] = sweep.csv().encode()
            try:
                files[f"{figure}{tail}-plot.png"] = plot(sweeps)
            except EganError as error:
                missing.append(f"plot of {figure}: {error} ({error.hint})")

        keyed = getattr(scene.scheme.model, "keyed", True)
        if keyed:
            keep("figure-4a-activations", activations(scene))
            keep("figure-4b-wrong-keys", wrong_keys(scene))
            keep("figure-4c-key-noise", key_noise(scene))
        else:
            missing.append(f"figures 4a, 4b and 4c of {name}: the method has no keys")
        keep("figure-4d-disguise-noise", disguise_noise(scene))
        keep("figure-4e-positions", positions(scene))
        keep("figure-6-large-messages", large_messages(scene))
    return files, sorted(set(missing))


def write_figures(files: Files, folder: Path, force: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EganError(
            f"cannot make {folder}: {(error.strerror or '').lower()}"
        ) from error
    for name, data in files.items():
        check_output(str(folder / name), force, suffix=Path(name).suffix)
        write_output(data, str(folder / name), force)
    note(f"{len(files)} files in {folder}")
