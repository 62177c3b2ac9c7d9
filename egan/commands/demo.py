"""`egan demo`: the whole trip on built-in pictures, and a contact sheet of all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from egan import terminal
from egan.commands.options import Device, Force, Quiet, Weights
from egan.errors import EganError

if TYPE_CHECKING:
    from pathlib import Path

    from egan.crypto.keys import PrivateKey, PublicKey
    from egan.pictures.files import Loaded, Picture
    from egan.verbs.weights import Weights as WeightsFile

EXAMPLES = (
    "egan demo",
    "egan demo --cover me.jpg --flower rose.jpg --message note.png -d mine",
)
# Takes a name, pixels and PNG text, and returns the picture as a command would read it.
Keep = Callable[..., "Loaded"]
SHEET = "contact-sheet"
SIZE = 256
# Digests of the files that a demo wrote, by which the next one knows them.
RECORD = "demo.json"


def demo(
    directory: Annotated[
        str,
        typer.Option(
            "-d",
            "--directory",
            metavar="DIR",
            help="Where everything goes; made if missing. A second demo reuses the keys there.",
        ),
    ] = "egan-demo",
    cover: Annotated[
        str | None,
        typer.Option(
            "--cover", metavar="FILE", help="Your face instead of the built-in one."
        ),
    ] = None,
    flower: Annotated[
        str | None,
        typer.Option(
            "--flower", metavar="FILE", help="Your flower instead of the built-in one."
        ),
    ] = None,
    message: Annotated[
        str | None,
        typer.Option(
            "--message",
            metavar="FILE",
            help="Your message instead of the built-in one.",
        ),
    ] = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """The whole trip on built-in pictures, ending in a contact sheet to look at."""
    terminal.quiet = quiet
    from pathlib import Path

    from egan.commands import inputs
    from egan.pictures import builtin, files
    from egan.pictures.output import check_made

    folder = Path(directory)
    check_made(directory, "-d")
    old = earlier(folder, force)
    given = {"cover": cover, "flower": flower, "message": message}
    files.one_standard_input(*given.values())
    weights_file = inputs.open_weights(weights, device, keys_needed=True)
    drawn = (builtin.portrait, builtin.flower, builtin.cat)
    sources = {
        name: files.read_picture(path)
        if path
        else files.Loaded(draw(), None, f"{name}.png")
        for (name, path), draw in zip(given.items(), drawn, strict=True)
    }
    write(folder, walk(folder, sources, weights_file, old), old)
    terminal.note(f"look at {folder / SHEET}.png")


def earlier(folder: Path, force: bool) -> dict[str, str]:
    """Names and digests of what an earlier demo wrote into this folder.

    Raises EganError where a file would be overwritten that no demo wrote, or that was
    changed since.
    """
    import json

    try:
        record = json.loads((folder / RECORD).read_text())
        old = {str(name): str(digest) for name, digest in record["files"].items()}
    except FileNotFoundError:
        old = {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EganError(
            f"{folder / RECORD} is no record of a demo", "name another folder with -d"
        ) from error
    for name in NAMES:
        path = folder / f"{name}.png"
        if not path.exists():
            continue
        if path.name not in old:
            raise EganError(
                f"{folder} holds {path.name}, which is not of a demo",
                "name another folder with -d",
            )
        changed = old[path.name] and digest_of(path.read_bytes()) != old[path.name]
        if changed and not force:
            raise EganError(
                f"{path} was changed since the last demo",
                "overwrite it with --force, or name another folder with -d",
            )
    return old


def digest_of(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


KEYS = ("pub", "priv", "other-pub", "other-priv")
NAMES = (
    "cover",
    "flower",
    "message",
    *KEYS,
    "composite",
    "disguise",
    "recovered",
    "found",
    "wrong",
    "signed",
    "verified",
    SHEET,
)


def key_pair(
    folder: Path, prefix: str, weights: WeightsFile, face: Picture, flower: Picture
) -> tuple[PrivateKey, PublicKey]:
    """The key pair in the folder, or a new one, which is written there.

    Raises EganError where only one half is there, or the two do not belong together.
    """
    from egan.verbs import keygen, keys

    pub, priv = (str(folder / f"{prefix}{half}.png") for half in ("pub", "priv"))
    if (folder / f"{prefix}priv.png").exists():
        private, notes = keys.read_private(priv)
        terminal.tell(notes)
        public = keys.read_public(pub)
        if private.fingerprint != public.fingerprint:
            raise EganError(
                f"{pub} and {priv} do not belong together",
                "name another folder with -d",
            )
        return private, public
    private, public = keygen.key_pair(weights, face, flower)
    folder.mkdir(parents=True, exist_ok=True)
    keys.check_key_files(pub, priv, False)
    keys.write_keys(private, public, pub, priv, False)
    return private, public


def walk(
    folder: Path,
    sources: dict[str, Loaded],
    weights: WeightsFile,
    old: dict[str, str],
) -> dict[str, tuple[Picture, dict[str, str]]]:
    """The trip, with the verbs that the commands call; prints the command of each step.

    Returns pixels and PNG text of every picture but the keys, by name.
    """
    from egan.pictures import compose, files

    made: dict[str, tuple[Picture, dict[str, str]]] = {
        name: (files.flatten(loaded), {}) for name, loaded in sources.items()
    }

    def keep(name: str, pixels: Picture, text: dict[str, str] | None = None) -> Loaded:
        made[name] = (pixels, text or {})
        return files.Loaded(pixels, None, f"{name}.png", dict(text or {}))

    square = (SIZE, SIZE)
    cover, flower = (compose.fit_cover(sources[n], square) for n in ("cover", "flower"))
    terminal.note("egan keygen cover.png flower.png")
    private, public = key_pair(folder, "", weights, cover, flower)
    other, _ = key_pair(folder, "other-", weights, flower, cover)
    write_record(folder, {f"{name}.png": "" for name in KEYS} | old)
    if weights.note is not None:
        terminal.tell([weights.note])

    send(sources, weights, keep, (private, public), other)
    sign_and_verify(sources["flower"], weights, keep, (private, public))
    keep(SHEET, contact_sheet(made, private, public))
    return made


def send(
    sources: dict[str, Loaded],
    weights: WeightsFile,
    keep: Keep,
    pair: tuple[PrivateKey, PublicKey],
    other: PrivateKey,
) -> None:
    """Compose, encrypt, and decrypt with the right key and with another one."""
    from egan.pictures import compose
    from egan.pictures.boxes import boxes_text, noted_boxes
    from egan.verbs import hide, unhide

    private, public = pair
    terminal.note("egan compose cover.png message.png --at 144,-8 -o composite.png")
    recipe = compose.Recipe(compose.parse_place("144,-8"), "96")
    pixels, text, _ = recipe.apply(sources["cover"], sources["message"])
    composite = keep("composite", pixels, text)

    terminal.note("egan encrypt --pub pub.png composite.png -o disguise.png")
    job = hide.composite_job(composite, "composite.png", weights)
    (pixels,) = hide.encrypt([job], [public])
    disguise = keep("disguise", pixels)

    terminal.note("egan decrypt --priv priv.png disguise.png -o recovered.png")
    job = unhide.open_disguise(disguise, "disguise.png", private, weights)
    job.boxes = job.boxes or noted_boxes(composite)
    (recovered,) = unhide.decrypt([job], private)
    keep("recovered", recovered, boxes_text(job.boxes, recovered))
    terminal.note("egan decrypt --priv priv.png --message disguise.png -o found.png")
    keep("found", unhide.cut_messages(job, recovered)[0])
    terminal.note(
        "egan decrypt --priv other-priv.png --damaged disguise.png -o wrong.png"
    )
    job = unhide.open_disguise(disguise, "disguise.png", other, weights, damaged=True)
    terminal.tell(job.notes)
    keep("wrong", unhide.decrypt([job], other)[0])


def sign_and_verify(
    secret: Loaded,
    weights: WeightsFile,
    keep: Keep,
    pair: tuple[PrivateKey, PublicKey],
) -> None:
    """Sign the flower, and decode it from the signed picture."""
    from egan.verbs import sign

    private, public = pair
    terminal.note("egan sign flower.png --priv priv.png --size 256 -o signed.png")
    square = (SIZE, SIZE)
    (pixels,) = sign.sign(
        [sign.secret_job(secret, "flower.png", weights, square)], private
    )
    signed = keep("signed", pixels)
    terminal.note("egan verify signed.png --pub pub.png -o verified.png")
    # Without a lock the secret is the only thing to check.
    copy = None if weights.locked else secret
    opened = sign.open_signed(signed, "signed.png", public, weights, copy)
    keep("verified", sign.verify([opened], public)[0].picture)


def contact_sheet(
    made: dict[str, tuple[Picture, dict[str, str]]],
    private: PrivateKey,
    public: PublicKey,
) -> Picture:
    """Captioned pictures in rows, uint8 (H, W, 3); of the private key a sketch alone."""
    from egan.pictures.sheet import contact_sheet as sheet

    shown = {name: pixels for name, (pixels, _) in made.items()}
    shown |= {"priv": private.sketch, "pub": public.picture}
    captions = (
        ("cover", "cover"),
        ("message", "message"),
        ("composite", "composite"),
        ("flower", "flower"),
        ("private key, coarser", "priv"),
        ("public key  K(flower)", "pub"),
        ("DISGUISE  what is sent", "disguise"),
        ("decoded, right key", "recovered"),
        ("message, cut out", "found"),
        ("decoded, wrong key", "wrong"),
        ("flower, signed", "signed"),
        ("signed flower, decoded", "verified"),
    )
    return sheet([(words, shown[name]) for words, name in captions])


def write(
    folder: Path,
    made: dict[str, tuple[Picture, dict[str, str]]],
    old: dict[str, str],
) -> None:
    """Write the pictures and the record of them; keys are in the folder already."""
    from egan.pictures.output import png_bytes, write_output

    record = {f"{name}.png": "" for name in KEYS} | old
    for name, (pixels, text) in made.items():
        data = png_bytes(pixels, text)
        write_output(data, str(folder / f"{name}.png"), force=True)
        record[f"{name}.png"] = digest_of(data)
    write_record(folder, record)


def write_record(folder: Path, record: dict[str, str]) -> None:
    """Names and digests of the demo's files; of keys the names alone."""
    import json

    from egan.pictures.output import write_output

    data = json.dumps({"files": record}, indent=1).encode()
    write_output(data, str(folder / RECORD), force=True)
