"""Attempts to pass `egan verify` without the private key.

The rule: every forger has the public key, the weights, the source code and any number
of genuine signed pictures. "match" counts forgeries that decode to the secret within
the threshold, and the paper's own scheme asks for no more; "verify" counts those that
pass the signature as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from egan.crypto import header, keys, signatures
from egan.crypto.keystream import keystream
from egan.errors import EganError
from egan.pictures import files
from egan.pictures.files import Picture
from egan.verbs import sign as signing
from egan.verbs.job import Job

if TYPE_CHECKING:
    from egan.verbs.weights import Weights

# Steps of the gradient search.
STEPS = 80

SEARCH = "gradient search through F from the public key alone"


@dataclass(frozen=True)
class Signed:
    """Lists of one order: the secrets, the key pair, the signed picture and the decode
    of each. Pictures are uint8 (H, W, 3).
    """

    secrets: list[Picture]
    # The key pair that signs each secret.
    pairs: list[tuple[keys.PrivateKey, keys.PublicKey]]
    pictures: list[Picture]
    decoded: list[Picture]


# A forger makes picture i: the forged picture, with public key i, and the secret that
# it is to show.
Forger = Callable[[int], tuple[Picture, Picture]]


def try_all(
    weights: Weights, signed: Signed, threshold: float, tries: int, seed: int
) -> dict[str, Any]:
    """By attempt: how many of how many pass the match, and how many pass verify.

    None means that there is no signature to pass. tries: of the gradient search.
    """
    random = np.random.default_rng(seed)
    count = min(len(signed.secrets) - 1, 20)
    found: dict[str, Any] = {}
    for name, forge in forgers(weights, signed, random).items():
        of = min(tries, count) if name == SEARCH else count
        match = full = 0
        for i in range(of):
            picture, secret = forge(i)
            public = signed.pairs[i][1]
            full += passes(weights, picture, public, secret, threshold)
            match += shows(weights, picture, public, secret, threshold)
        verified = full if weights.locked else None
        found[name] = {"of": of, "match": match, "verify": verified}
    return found


def forgers(
    weights: Weights, signed: Signed, random: np.random.Generator
) -> dict[str, Forger]:
    """The forgers by name; those that forge signatures only where there are some."""
    secrets, pictures = signed.secrets, signed.pictures

    def own_key(i: int) -> tuple[Picture, Picture]:
        other = signed.pairs[(i + 1) % len(signed.pairs)][0]
        return sign(weights, other, secrets[i]), secrets[i]

    def searched(i: int) -> tuple[Picture, Picture]:
        public = signed.pairs[i][1]
        found = search(weights, public, secrets[i], pictures[i], random)
        return found, secrets[i]

    found: dict[str, Forger] = {
        "the signer's own, shown again (replay)": lambda i: (pictures[i], secrets[i]),
        "signed with the forger's own private key": own_key,
        SEARCH: searched,
    }
    if weights.locked:
        found |= {
            "a genuine signature on another signed picture (splice)": lambda i: (
                graft(pictures[i], pictures[i + 1]),
                secrets[i + 1],
            ),
            "two genuine pictures, half of each": lambda i: (
                halves(pictures[i], pictures[i + 1]),
                secrets[i],
            ),
            "one sample changed by one level": lambda i: (
                nudged(pictures[i], random),
                secrets[i],
            ),
        }
    return found


def passes(
    weights: Weights,
    picture: Picture,
    public: keys.PublicKey,
    secret: Picture,
    threshold: float,
) -> bool:
    """Whether `egan verify --secret` accepts the picture."""
    copy = files.Loaded(secret, None, "the secret")
    try:
        job = signing.open_signed(
            files.Loaded(picture, None, "a picture"), "a picture", public, weights, copy
        )
        return signing.verify([job], public, threshold)[0].verified
    except EganError:
        return False


def shows(
    weights: Weights,
    picture: Picture,
    public: keys.PublicKey,
    secret: Picture,
    threshold: float,
) -> bool:
    """Whether a picture decodes to the secret, with the keystream that its header asks
    for, valid or not.
    """
    seed = seed_of(picture) if weights.locked else b""
    job = Job("a picture", picture, weights, seed=seed, secret=secret)
    return signing.verify([job], public, threshold)[0].verified


def seed_of(picture: Picture) -> bytes:
    """The keystream seed in a header, whose checksum and signature are not asked."""
    where = header.positions(picture.shape, signatures.BODY.size)
    everything = header.bytes_at(picture, where)
    body = everything[header.PREFIX.size :][: signatures.BODY.size]
    weights, salt, _, signer, _ = signatures.BODY.unpack(body)
    return signatures.keystream_seed(signer, weights, salt)


def sign(weights: Weights, private: keys.PrivateKey, secret: Picture) -> Picture:
    job = signing.secret_job(
        files.Loaded(secret, None, "a secret"), "a secret", weights, None
    )
    return signing.sign([job], private)[0]


def graft(source: Picture, onto: Picture) -> Picture:
    """The header of one signed picture on another, with a checksum that fits."""
    found = header.find(source)
    assert found is not None
    return header.embed(onto, *found)


def halves(one: Picture, two: Picture) -> Picture:
    joined = one.copy()
    joined[len(joined) // 2 :] = two[len(two) // 2 :]
    return graft(one, joined)


def nudged(picture: Picture, random: np.random.Generator) -> Picture:
    """One sample outside of the header changed by one level, and a checksum that fits."""
    changed = picture.copy()
    outside = ~header.mask(picture.shape, signatures.BODY.size).reshape(-1)
    changed.reshape(-1)[random.choice(np.flatnonzero(outside))] ^= 1
    return graft(picture, changed)


def search(
    weights: Weights,
    public: keys.PublicKey,
    secret: Picture,
    genuine: Picture,
    random: np.random.Generator,
) -> Picture:
    """A picture that F decodes to the secret, by gradient descent (Adam) on its pixels
    from noise, then 8 bits.

    The forger takes salt and signer from a genuine picture's header, so the keystream
    is known, and puts that header on.
    """
    import torch
    import torch.nn.functional as nnf

    from egan.core.networks import REVEAL
    from egan.core.phases import rotate_phases
    from egan.core.tensors import fit_keys, to_bytes, to_unit

    model = weights.networks
    target = to_unit(secret[None], model.device)
    key = fit_keys(public.picture[None], secret.shape[:2], model.device)
    start = (
        torch.from_numpy(random.normal(0, 0.3, target.shape)).float().to(model.device)
    )
    pixels = start.requires_grad_(True)
    f: Any = model.F
    if weights.locked:
        shape = weights.keystream_shape(*secret.shape[:2])
        k = torch.from_numpy(keystream(seed_of(genuine), shape).copy())[None].to(
            model.device
        )
    optimiser = torch.optim.Adam([pixels], 0.05)
    for _ in range(STEPS):
        if weights.locked:
            decoded = f.decode(
                rotate_phases(f.measure(pixels, key, model.G), k, -1),
                key,
                REVEAL,
            )
        else:
            decoded = f(torch.cat((pixels, key), 1))
        loss = nnf.mse_loss(decoded, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            pixels.clamp_(-1, 1)
    forged = to_bytes(pixels.detach())[0]
    return graft(genuine, forged) if weights.locked else forged
