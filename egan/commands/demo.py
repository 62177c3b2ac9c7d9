"""`egan demo`: keygen, compose, encrypt, decrypt, sign and verify on built-in pictures, and a contact sheet of all of it."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from egan import terminal
from egan.crypto import keys
from egan.errors import EganError
from egan.pictures import builtin as pictures
from egan.pictures import compose, files
from egan.verbs import intake, pipeline
from egan.verbs import keygen as keyfiles

SHEET = "contact-sheet.png"
NAMES = (
    "cover",
    "flower",
    "message",
    "pub",
    "priv",
    "other-pub",
    "other-priv",
    "composite",
    "disguise",
    "recovered",
    "found",
    "wrong",
    "signed",
    "verified",
    "contact-sheet",
)
TILE, MARGIN, CAPTION = 256, 16, 26


def run_demo(
    folder: Path,
    given: dict[str, str | None],
    force: bool,
    weights: str | None,
    device: str,
) -> None:
    """Make every file of the trip in `folder` and print where the contact sheet is.

    given: paths of cover, flower and message, or None for the built-in ones.
    """
    if folder.exists() and not folder.is_dir():
        raise EganError(f"{folder} is no folder", status=2)
    check_folder(folder, force)
    sources = {
        name: files.flatten(files.read_picture(path)) if path else draw()
        for (name, path), draw in zip(
            given.items(),
            (pictures.portrait, pictures.flower, pictures.cat),
            strict=True,
        )
    }
    with tempfile.TemporaryDirectory(prefix="egan-demo-") as place:
        made = Path(place)
        for name, pixels in sources.items():
            (made / f"{name}.png").write_bytes(files.png_bytes(pixels))
        walk(made, weights, device)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(made.iterdir()):
                write(path.read_bytes(), folder / path.name)
        except OSError as error:
            raise EganError(f"cannot write {folder}: {files.reason(error)}") from error
    terminal.note(f"look at {folder / SHEET}")


def write(data: bytes, path: Path) -> None:
    """One file of the demo, in place of an earlier demo's, whose keys are thrown away: nobody was given them."""
    if path.stem.endswith("priv"):
        path.unlink(missing_ok=True)
        files.write_private(data, str(path))
    else:
        files.write_output(data, str(path), force=True)


def check_folder(folder: Path, force: bool) -> None:
    """Refuse to touch what is there; --force replaces an earlier demo, which a contact sheet tells, and nothing else."""
    taken = [name for name in NAMES if (folder / f"{name}.png").exists()]
    if not taken:
        return
    if not (folder / SHEET).exists():
        raise EganError(
            f"{folder} holds {taken[0]}.png, which is not of a demo",
            "name another folder with -d",
        )
    if not force:
        raise EganError(
            f"{folder} holds a demo already",
            "replace it with --force, or name another with -d",
        )


def walk(here: Path, weights: str | None, device: str) -> None:
    """The trip, with the functions that the commands call; prints the command of each step."""

    def path(name: str) -> str:
        return str(here / f"{name}.png")

    terminal.note("egan keygen cover.png flower.png")
    size = 256
    keyfiles.make_keys(
        path("cover"),
        path("flower"),
        path("pub"),
        path("priv"),
        size,
        False,
        weights,
        device,
    )
    keyfiles.make_keys(
        path("flower"),
        path("cover"),
        path("other-pub"),
        path("other-priv"),
        size,
        False,
        weights,
        device,
    )

    terminal.note("egan compose cover.png message.png --at 144,-8 -o composite.png")
    cover = compose.fit_cover(files.read_picture(path("cover")), (size, size))
    message = compose.fit_message(files.read_picture(path("message")), "96")
    composite, box = compose.paste(cover, message, compose.parse_place("144,-8"))
    files.write_output(
        files.png_bytes(composite, compose.boxes_text((box,))), path("composite")
    )

    terminal.note("egan encrypt --pub pub.png composite.png -o disguise.png")
    model = pipeline.load_model(weights, device)
    public = keys.read_public(files.read_picture(path("pub")).pixels, "pub.png")
    (disguise,) = pipeline.encrypt_batch(
        model, public, [intake.read_composite(path("composite"))]
    )
    files.write_output(files.png_bytes(disguise), path("disguise"))

    def decrypt(key: str, force: bool) -> tuple[intake.Job, files.Picture]:
        private = keys.read_private(files.read_picture(path(key)).pixels, key)
        loaded = dataclasses.replace(
            files.read_picture(path("disguise")), name="disguise.png"
        )
        job = intake.open_disguise(loaded, path("disguise"), private, model, force)
        return job, pipeline.decrypt_batch(model, private, [job])[0]

    terminal.note("egan decrypt --priv priv.png disguise.png -o recovered.png")
    job, recovered = decrypt("priv", False)
    files.write_output(files.png_bytes(recovered), path("recovered"))
    terminal.note("egan decrypt --priv priv.png --message disguise.png -o found.png")
    found = intake.cut_messages(job, recovered)[0] if job.boxes else recovered
    files.write_output(files.png_bytes(found), path("found"))
    terminal.note(
        "egan decrypt --priv other-priv.png --force disguise.png -o wrong.png"
    )
    files.write_output(files.png_bytes(decrypt("other-priv", True)[1]), path("wrong"))

    terminal.note("egan sign flower.png --priv priv.png --size 256 -o signed.png")
    private = keyfiles.read_private(path("priv"))
    secret = intake.secret_job(
        files.read_picture(path("flower")), path("flower"), (size, size)
    )
    (signed,) = pipeline.sign_batch(model, private, [secret])
    files.write_output(files.png_bytes(signed), path("signed"))
    terminal.note("egan verify signed.png --pub pub.png -o verified.png")
    copy = (
        None if model.locked else files.read_picture(path("flower"))
    )  # then the only thing to check
    opened = intake.open_signed(
        files.read_picture(path("signed")), path("signed"), public, model, copy
    )
    (verdict,) = pipeline.verify_batch(model, public, [opened])
    files.write_output(files.png_bytes(verdict.picture), path("verified"))

    tiles = [
        ("cover", "cover"),
        ("message", "message"),
        ("composite", "composite"),
        ("flower", "flower"),
        ("private key  K(cover)", "priv"),
        ("public key  K(flower)", "pub"),
        ("DISGUISE  what is sent", "disguise"),
        ("decoded, right key", "recovered"),
        ("message, cut out", "found"),
        ("decoded, wrong key", "wrong"),
        ("flower, signed", "signed"),
        ("signed flower, decoded", "verified"),
    ]
    sheet = contact_sheet(
        [(words, files.read_picture(path(name)).pixels) for words, name in tiles]
    )
    files.write_output(files.png_bytes(sheet), str(here / SHEET))


def contact_sheet(
    tiles: list[tuple[str, files.Picture]], columns: int = 6
) -> files.Picture:
    """Captioned pictures in rows on white, each fitted into a square of 256 pixels."""
    rows = -(-len(tiles) // columns)
    width = columns * (TILE + MARGIN) + MARGIN
    height = rows * (TILE + CAPTION + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for index, (words, pixels) in enumerate(tiles):
        x = MARGIN + index % columns * (TILE + MARGIN)
        y = MARGIN + index // columns * (TILE + CAPTION + MARGIN)
        picture = Image.fromarray(pixels)
        if max(picture.size) > TILE:
            picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y + CAPTION))
        draw.text((x, y + 2), words, "black", font)
    return np.asarray(sheet)
