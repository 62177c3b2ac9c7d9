"""The compared methods share this: a model without keys behind EncryptGAN's two verbs.

Everything is trained as its own paper has it, in float32 pictures, and measured after 8
bits, like everything else here. Domain X is the input: covers with messages already
pasted on.
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor

from egan.core.model import Floats, Pictures, Progress, Side, check_sides
from egan.core.tensors import fit_keys, to_bytes, to_unit
from egan.core.torch_model import TorchModel
from egan.errors import EganError


class Baseline(TorchModel):
    """A compared method's networks. It has no keys: where EncryptGAN takes key images,
    it takes the pictures themselves.

    `encrypt` gets pictures of domain Y, for the look of the disguise, and `decrypt`
    pictures of domain X, for the look of the cover; a method that does not need them
    ignores them. Nothing here is secret from a holder of the weights.
    """

    keyed = False

    @abc.abstractmethod
    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """Disguises of composites, with pictures of domain Y, ignored where it uses
        none; all (N, 3, H, W) in [-1, 1].
        """

    @abc.abstractmethod
    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        """Recovered composites with pictures of domain X, if the receiver has any."""

    def key_images(self, pictures: Pictures, layers: object = ()) -> Pictures:
        """The pictures themselves, in the place of EncryptGAN's key images."""
        return pictures

    @torch.inference_mode()
    def paint(
        self,
        side: Side,
        pictures: Pictures,
        keys: Pictures | None,
        keystreams: Pictures | None = None,
        progress: Progress | None = None,
    ) -> Floats:
        """Disguises of composites before rounding; keys: pictures of domain Y, resized
        to them where they differ.

        None will do for a method that uses none. Raises EganError for one that does.
        Only side F hides.
        """
        if side != "F":
            raise ValueError("a method without keys does not sign")
        size = check_sides(pictures)
        if keys is None and self.options.uses_disguise:
            raise EganError(
                f"{self.options.TITLE} needs a picture that the disguise is to look like"
            )
        composite = to_unit(pictures, self.device)
        like = composite if keys is None else fit_keys(keys, size, self.device)
        painted = (self.hide(composite, like) + 1) * 127.5
        return painted.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    @torch.inference_mode()
    def decrypt(
        self,
        disguises: Pictures,
        keys: Pictures | None,
        keystreams: Pictures | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        """Recovered composites of uint8 disguises (N, H, W, 3); keys: covers, or None
        for an unknown one.
        """
        size = check_sides(disguises)
        cover = None if keys is None else fit_keys(keys, size, self.device)
        return to_bytes(self.reveal(to_unit(disguises, self.device), cover))
