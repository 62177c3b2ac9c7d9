"""What a header costs the picture that is decoded, with the weights that ship."""

import numpy as np

from egan.crypto import envelope, header
from egan.crypto.keystream import keystream
from egan.pictures import builtin
from egan.pictures.metrics import mse, psnr
from egan.verbs.weights import Weights, find_weights

SIDE = 256


def worst_block(one: np.ndarray, two: np.ndarray) -> float:
    """PSNR of the worst block of 16x16 pixels, in dB."""
    blocks = [
        mse(one[y : y + 16, x : x + 16], two[y : y + 16, x : x + 16])
        for y in range(0, SIDE, 16)
        for x in range(0, SIDE, 16)
    ]
    return -10 * float(np.log10(max(blocks)))


def test_a_hybrid_header_costs_a_decibel_at_most_and_no_block_more_than_two() -> None:
    """The header of format 1, 361 bytes in the first rows, cost the worst block 10 dB."""
    weights = Weights(find_weights("egan"))
    model, options = weights.gan, weights.options
    face, flower = builtin.portrait(SIDE)[None], builtin.flower(SIDE)[None]
    key = model.key_images(flower, options.public_layers)  # type: ignore[union-attr]
    private = model.key_images(face, options.private_layers)  # type: ignore[union-attr]
    stream = keystream(bytes(range(32)), weights.keystream_shape(SIDE, SIDE))[None]
    even = header.mask((SIDE, SIDE, 3), envelope.plan((SIDE, SIDE, 3), 1).body)
    painted = model.paint("F", face, key, stream)
    plain, ready = (model.levels("F", painted, m)[0] for m in (None, even))
    assert not (ready[even] & 1).any()
    bits = np.random.default_rng(1).integers(0, 2, int(even.sum()), dtype=np.uint8)
    sent = ready.copy()
    sent[even] |= bits
    without, with_header = (
        model.decrypt(one[None], private, stream)[0] for one in (plain, sent)
    )
    assert psnr(with_header, face[0]) > psnr(without, face[0]) - 1
    assert worst_block(with_header, face[0]) > worst_block(without, face[0]) - 2
