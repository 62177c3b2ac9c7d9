"""egan in Python: `from egan import EncryptGAN`, the commands' verbs on pictures in
memory, for notebooks and programs.

Pictures go in as Pillow images, uint8 arrays (H, W, 3) or (H, W), or paths, and come
out as Pillow images. Every verb is a few lines over `egan.verbs`, as the commands are,
so both do the same. What goes wrong is an EganError with a hint.

    gan = EncryptGAN.load()
    private, public = gan.keygen("face.png", "flower.png")
    composite = gan.compose("cover.png", "message.png", at=(40, 80))
    disguise = gan.encrypt(composite, public)
    gan.decrypt(disguise, private).messages[0]

A process that used it cannot fork: the threads of the networks do not come along, and
the child waits for ever. Start workers first, or with multiprocessing's "spawn".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egan.crypto import keys as crypto_keys
from egan.crypto.envelope import Signing
from egan.crypto.keys import PrivateKey, PublicKey
from egan.errors import EganError
from egan.pictures import atomic, files
from egan.pictures import compose as composing
from egan.pictures.boxes import CHUNK, Box, boxes_text, noted_boxes
from egan.pictures.output import check_output, png_bytes, write_output
from egan.pictures.sizes import parse_size
from egan.verbs import hide, keys, unhide
from egan.verbs import sign as signing
from egan.verbs.batching import batches
from egan.verbs.capsules import Robust
from egan.verbs.job import Job
from egan.verbs.keygen import key_pair
from egan.verbs.weights import Weights, find_weights

atomic.protected = keys.holds_private_key

Picture = Image.Image | NDArray[np.uint8] | str | os.PathLike[str]


@dataclass(frozen=True)
class Decrypted:
    """The decode of a disguise.

    picture: the composite. messages: cut out of it, in the order of boxes. sender: the
    fingerprint of the signer; None means that anyone may have sent it. note: the bytes
    that travelled with it. seconds, comment: the time of signing, since 1970 (UTC) by
    the sender's clock, and the signed words. authentic: it is proven to be as it was
    sealed for this key. notes: further facts for a user. source: "network", or
    "capsule" where the disguise was re-encoded on its way; capsule: facts about that.
    """

    picture: Image.Image
    messages: list[Image.Image]
    boxes: tuple[Box, ...]
    sender: str | None
    authentic: bool = True
    notes: tuple[str, ...] = ()
    note: bytes = b""
    seconds: int | None = None
    comment: str = ""
    source: str = "network"
    capsule: dict[str, Any] | None = None


@dataclass(frozen=True)
class Verified:
    """The result of `verify`: true where the signature is valid and the secret, if any,
    matches.

    reason: why not, in words; empty where verified. score, threshold: RMSE on RGB in
    [0, 1]; None without a secret. exact: whether the very same secret was signed, to
    the last bit. picture: the decoded secret image.
    """

    verified: bool
    reason: str
    fingerprint: str
    score: float | None = None
    threshold: float | None = None
    exact: bool | None = None
    picture: Image.Image | None = None
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.verified


class EncryptGAN:
    """A model with its verbs. notes: what a user of these weights should know, in
    words.
    """

    def __init__(self, weights: Weights, named: bool = True) -> None:
        self.weights = weights
        self.named = named

    @classmethod
    def load(
        cls, weights: str | os.PathLike[str] | None = None, device: str = "auto"
    ) -> EncryptGAN:
        """The model of a weights file: the one given, else $EGAN_WEIGHTS, else egan's
        own.

        device: "auto" (CUDA where there is one), "cpu" or "cuda". Raises EganError for
        weights that cannot be used, and for such without a lock that are not given
        here.
        """
        found = Weights(find_weights(None if weights is None else os.fspath(weights)))
        found.device = device
        if not found.keyed:
            raise EganError(f"{found.path} holds weights of a method without keys")
        if found.note is not None and weights is None:
            raise EganError(
                f"EGAN_WEIGHTS names {found.path}, which keeps nothing secret: {found.note}",
                "to use such weights all the same, name them in load()",
            )
        # Refuse what cannot be loaded here, and not at the first picture.
        _ = found.model
        return cls(found, weights is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        return () if self.weights.note is None else (str(self.weights.note),)

    @property
    def size(self) -> int:
        """The side of the pictures that the networks were trained on, in pixels."""
        return self.weights.options.image_size

    def keygen(
        self, face: Picture, flower: Picture, size: int | None = None
    ) -> tuple[PrivateKey, PublicKey]:
        """A fresh key pair, private first; `save_keys` writes it.

        The pictures are cut to squares of `size` pixels.
        """
        side = (size or self.size,) * 2
        x, y = (
            composing.fit_cover(loaded(one), side, "size") for one in (face, flower)
        )
        return key_pair(self.weights, x, y)

    @staticmethod
    def compose(
        cover: Picture,
        message: Picture,
        at: tuple[int, int] | None = None,
        size: int | tuple[int, int] | None = None,
        cover_size: int | tuple[int, int] | None = 256,
    ) -> Image.Image:
        """Paste a message on a cover; its box is noted in `info`, where `encrypt` finds
        it.

        at: margins in pixels, negative from the right or bottom; None is the middle.
        size: the message's longer side, or width and height. cover_size: the cover is
        cut and resized to it; None leaves it as it is.
        """
        place = None
        if at is not None:
            place = composing.Place(abs(at[0]), abs(at[1]), at[0] < 0, at[1] < 0)
        under = loaded(cover)
        wanted: str | None = measure(cover_size) or "keep"
        if noted_boxes(under):
            wanted = None
        recipe = composing.Recipe(place, measure(size), cover_size=wanted)
        pixels, text, _notes = recipe.apply(under, loaded(message))
        return image_of(pixels, text)

    @overload
    def encrypt(
        self,
        composite: Picture,
        public: PublicKey | Picture | Sequence[PublicKey | Picture],
        sign: PrivateKey | Picture | None = None,
        flower: Picture | None = None,
        note: str | bytes = b"",
        comment: str = "",
        size: int | tuple[int, int] | None = None,
        robust: str | None = None,
    ) -> Image.Image: ...
    @overload
    def encrypt(
        self,
        composite: list[Any],
        public: PublicKey | Picture | Sequence[PublicKey | Picture],
        sign: PrivateKey | Picture | None = None,
        flower: Picture | None = None,
        note: str | bytes = b"",
        comment: str = "",
        size: int | tuple[int, int] | None = None,
        robust: str | None = None,
    ) -> list[Image.Image]: ...
    def encrypt(
        self,
        composite: Any,
        public: Any,
        sign: Any = None,
        flower: Any = None,
        note: str | bytes = b"",
        comment: str = "",
        size: int | tuple[int, int] | None = None,
        robust: str | None = None,
    ) -> Any:
        """The disguise of a composite, or of each of a list; of any size from 64 pixels
        up.

        public: the receiver's public key, or several receivers'. sign: the sender's
        private key, for the receiver to know; comment: a short text that is signed too.
        flower: what disguises are to look like instead of the flower of the public key;
        the receiver needs nothing of it. note: text or bytes that travel exactly. size:
        the longer side, or width and height, to resize to first. robust: "any" adds a
        capsule that JPEG and resizing leave readable, "jpeg" one with better copies for
        JPEG alone. Raises EganError where a picture has too little room for all that.
        """
        keyed = [public_key(one) for one in several(public)]
        signer = Signing(private_key(sign), comment) if sign is not None else None
        look = None if flower is None else loaded(flower)
        exact = note.encode() if isinstance(note, str) else note
        survives = None if robust is None else Robust.named(robust)

        def read(one: Picture) -> Job:
            picture = loaded(one)
            job = hide.composite_job(
                picture, picture.name, self.weights, signer, measure(size), exact
            )
            if self.weights.locked:
                hide.body_of([job], keyed, signer)
            return job

        return each(
            composite,
            read,
            lambda jobs: hide.encrypt(jobs, keyed, signer, look, survives),
            lambda _job, pixels: image_of(pixels),
        )

    @overload
    def decrypt(
        self,
        disguise: Picture,
        private: PrivateKey | Picture,
        sender: PublicKey | Picture | Sequence[PublicKey | Picture] = (),
        damaged: bool = False,
    ) -> Decrypted: ...
    @overload
    def decrypt(
        self,
        disguise: list[Any],
        private: PrivateKey | Picture,
        sender: PublicKey | Picture | Sequence[PublicKey | Picture] = (),
        damaged: bool = False,
    ) -> list[Decrypted]: ...
    def decrypt(
        self, disguise: Any, private: Any, sender: Any = (), damaged: bool = False
    ) -> Any:
        """What a disguise, or each of a list, decodes to.

        sender: refuse what none of these public keys signed. damaged: decode also what
        does not authenticate; nobody vouches for that, and `authentic` is false. Raises
        EganError for what does not open.
        """
        key = private_key(private)
        known = [public_key(one) for one in several(sender)]

        def read(one: Picture) -> Job:
            picture = loaded(one, exact=True, lossy=True)
            return unhide.open_disguise(
                picture,
                picture.name,
                key,
                self.weights,
                named=self.named,
                damaged=damaged,
                senders=known,
            )

        def made(job: Job, pixels: NDArray[np.uint8]) -> Decrypted:
            pasted = job.boxes and job.boxes != ((0, 0, *job.shown_size),)
            text = boxes_text(job.boxes, pixels) if pasted else {}
            cut = [image_of(part) for part in unhide.cut_messages(job, pixels)]
            notes = tuple(map(str, job.notes))
            picture = image_of(pixels, text)
            sender = job.sender
            return Decrypted(
                picture,
                cut,
                job.boxes,
                sender.fingerprint if sender else None,
                job.authentic,
                notes,
                job.note,
                sender.seconds if sender else None,
                sender.comment if sender else "",
                "network" if job.found is None else "capsule",
                job.found.facts() if job.found else None,
            )

        return each(disguise, read, lambda jobs: unhide.decrypt(jobs, key), made)

    @overload
    def sign(
        self,
        secret: Picture,
        private: PrivateKey | Picture,
        size: int | tuple[int, int] | None = None,
    ) -> Image.Image: ...
    @overload
    def sign(
        self,
        secret: list[Any],
        private: PrivateKey | Picture,
        size: int | tuple[int, int] | None = None,
    ) -> list[Image.Image]: ...
    def sign(
        self,
        secret: Any,
        private: Any,
        size: int | tuple[int, int] | None = None,
    ) -> Any:
        """The signed picture of a secret image, or of each of a list.

        size: what the secret is cut and resized to, where it is given.
        """
        key, text = private_key(private), measure(size)
        wanted = None if text is None else parse_size(text, "size")

        def read(one: Picture) -> Job:
            picture = loaded(one)
            return signing.secret_job(picture, picture.name, self.weights, wanted)

        return each(
            secret,
            read,
            lambda jobs: signing.sign(jobs, key),
            lambda _job, pixels: image_of(pixels),
        )

    def verify(
        self,
        signed: Picture,
        public: PublicKey | Picture,
        secret: Picture | None = None,
        threshold: float | None = None,
        exact: bool = False,
    ) -> Verified:
        """Whether a picture is signed with the private half of `public`, and shows
        `secret`.

        Does not raise for a picture that is not verified: the answer is false and says
        why.
        """
        key = public_key(public)
        picture = loaded(signed, True, not self.weights.locked)
        copy = None if secret is None else loaded(secret)
        try:
            job = signing.open_signed(
                picture, picture.name, key, self.weights, copy, named=self.named
            )
        except EganError as error:
            return Verified(False, str(error), key.fingerprint)
        (found,) = signing.verify([job], key, threshold)
        failure = found.failure(exact)
        return Verified(
            failure is None,
            str(failure or ""),
            key.fingerprint,
            found.score,
            found.threshold,
            found.exact,
            image_of(found.picture),
            tuple(map(str, job.notes)),
        )


def each(
    inputs: Any,
    read: Callable[[Picture], Job],
    work: Callable[[Sequence[Job]], Sequence[NDArray[np.uint8]]],
    made: Callable[[Job, NDArray[np.uint8]], Any],
) -> Any:
    """One input to one result, a list to a list, in batches of one size; order is kept."""
    jobs = map(read, inputs if isinstance(inputs, list) else [inputs])
    results = [
        made(job, pixels)
        for run in batches(jobs)
        for job, pixels in zip(run, work(run), strict=True)
    ]
    return results if isinstance(inputs, list) else results[0]


def several(given: Any) -> list[Any]:
    """Public keys from none, one or several."""
    if given is None:
        return []
    if isinstance(given, list | tuple):
        return list(given)
    return [given]


def loaded(picture: Picture, exact: bool = False, lossy: bool = False) -> files.Loaded:
    """A picture of any kind as 8-bit RGB and alpha, with egan's note of boxes where it
    has one.

    exact: it carries bits in its pixels; lossy: also where it comes from a lossy
    format.
    """
    if isinstance(picture, str | os.PathLike):
        if exact:
            return files.read_exact(os.fspath(picture), lossy)
        return files.read_picture(os.fspath(picture))
    if isinstance(picture, np.ndarray):
        if (
            picture.dtype != np.uint8
            or picture.ndim not in (2, 3)
            or picture.ndim == 3
            and picture.shape[2] not in (3, 4)
        ):
            raise EganError(
                f"an array of {picture.dtype} and shape {picture.shape} is no picture",
                "use uint8 of shape (height, width, 3)",
            )
        picture = Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        raise EganError(
            f"{type(picture).__name__} is no picture",
            "use a Pillow image, an array or a path",
        )
    with files.decoding("the picture"):
        found = files.decode(picture, "the picture", exact)
    note = picture.info.get(CHUNK)
    if isinstance(note, str):
        found.text[CHUNK] = note
    return found


def image_of(
    pixels: NDArray[np.uint8], text: dict[str, str] | None = None
) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.info.update(text or {})
    return image


def measure(size: int | tuple[int, int] | None) -> str | None:
    """A size as the command line writes it."""
    return (
        None
        if size is None
        else str(size)
        if isinstance(size, int)
        else f"{size[0]}x{size[1]}"
    )


def private_key(key: PrivateKey | Picture) -> PrivateKey:
    """A private key, or the one in a picture or file, which has no passphrase."""
    if isinstance(key, PrivateKey):
        return key
    if isinstance(key, str | os.PathLike):
        return keys.read_private(os.fspath(key))[0]
    return crypto_keys.read_private(loaded(key, exact=True).pixels, "the private key")


def unlock(path: str | os.PathLike[str], passphrase: str) -> PrivateKey:
    """The private key in a file with a passphrase. Raises EganError for a wrong one."""
    return keys.read_private(os.fspath(path), lambda _words: passphrase)[0]


def public_key(key: PublicKey | Picture) -> PublicKey:
    """A public key, or the one in a picture or file."""
    if isinstance(key, PublicKey):
        return key
    if isinstance(key, str | os.PathLike):
        return keys.read_public(os.fspath(key))
    return crypto_keys.read_public(loaded(key, exact=True).pixels, "the public key")


def save(
    picture: Image.Image, path: str | os.PathLike[str], force: bool = False
) -> None:
    """Write an image as PNG, whole or not at all, with egan's note of boxes and no
    other metadata.

    Raises EganError for another ending than .png and, without `force`, for a file that
    exists.
    """
    name = os.fspath(path)
    check_output(name, force)
    note = picture.info.get(CHUNK)
    text = {CHUNK: note} if isinstance(note, str) else {}
    write_output(png_bytes(np.asarray(picture.convert("RGB")), text), name, force)


def save_keys(
    private: PrivateKey,
    public: PublicKey,
    folder: str | os.PathLike[str] = ".",
    passphrase: str | None = None,
) -> None:
    """Write pub.png, and priv.png with mode 0600, into a folder.

    passphrase: without it nobody can use priv.png; see `unlock`. A private key is never
    overwritten.
    """
    pub, priv = (str(Path(folder) / name) for name in ("pub.png", "priv.png"))
    keys.check_key_files(pub, priv, force=False)
    keys.write_keys(private, public, pub, priv, force=False, words=passphrase)


__all__ = [
    "Decrypted",
    "EncryptGAN",
    "PrivateKey",
    "PublicKey",
    "Verified",
    "save",
    "save_keys",
    "unlock",
]
