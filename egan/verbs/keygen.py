"""Key pairs from a face and a flower."""

from __future__ import annotations

from egan.crypto.keys import PrivateKey, PublicKey, make_pair
from egan.pictures.files import Picture
from egan.verbs.weights import Weights


def key_pair(
    weights: Weights, face: Picture, flower: Picture
) -> tuple[PrivateKey, PublicKey]:
    """A fresh key pair, private half first.

    face, flower: uint8 (H, W, 3) of the two domains, of any size that the networks
    take.
    """
    o = weights.options
    return make_pair(
        weights.model.key_images(face[None], o.private_layers)[0],  # type: ignore[union-attr]
        weights.model.key_images(flower[None], o.public_layers)[0],  # type: ignore[union-attr]
        weights.key_network,
    )
