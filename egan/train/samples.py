"""Sample sheets: the same few pictures through the moving average, to look at while it
trains.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from egan.core.encryptgan import EncryptGANNetworks
from egan.core.tensors import to_bytes
from egan.train.sampler import Sampler

ROWS = 4


@torch.no_grad()
def sample_sheet(model: EncryptGANNetworks, sampler: Sampler) -> NDArray[np.uint8]:
    """Rows of composite, private key, public key, flower, disguise, decode, and decode
    with a wrong key: one uint8 picture (H, W, 3).

    The pictures and keystreams are the same at every call; the sampler's own random
    state is not touched.
    """
    fixed = Sampler(
        sampler.covers, sampler.disguises, sampler.messages, 1, sampler.device
    )
    x, y = fixed.pictures(fixed.covers, ROWS), fixed.pictures(fixed.disguises, ROWS)
    composite = to_bytes(fixed.composite(x)[0])
    faces, flowers = to_bytes(x), to_bytes(y)
    private = model.key_images(faces, model.options.private_layers)
    public = model.key_images(flowers, model.options.public_layers)
    right, wrong = None, None
    if model.locked:
        shape = (ROWS, *model.keystream_shape(*faces.shape[1:3]))
        right, wrong = (
            fixed.random.integers(0, 256, shape, dtype=np.uint8) for _ in range(2)
        )
    disguise = model.encrypt(composite, public, right)
    columns = (
        composite,
        private,
        public,
        flowers,
        disguise,
        model.decrypt(disguise, private, right),
        model.decrypt(disguise, private[::-1].copy(), wrong),
    )
    return cast(
        np.ndarray,
        np.concatenate([np.concatenate(list(column), 0) for column in columns], 1),
    )
