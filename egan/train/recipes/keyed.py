"""Training that both families of EncryptGAN share.

The model with its two discriminators, the pictures and key images of a step, and the
losses that know no lock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.core.encryptgan import EncryptGANNetworks
from egan.core.options import ModelOptions
from egan.core.torch_model import TorchModel
from egan.errors import EganError
from egan.train import losses
from egan.train.critics import augmented, make_critic, noisy, over_scales
from egan.train.options import TrainOptions
from egan.train.recipes.base import CriticLoss, Method, random_window
from egan.train.sampler import Sampler
from egan.train.samples import sample_sheet

# Pixels: corners of windows are at its multiples, so that cells stay whole
GRID = 16
# Pixels of the side that a PatchGAN needs
SMALLEST = 24


@dataclasses.dataclass
class Pairs:
    """Pictures and key images (N, 3, H, W) in [-1, 1], box (N, 1, H, W)."""

    x: Tensor
    y: Tensor
    composite: Tensor
    box: Tensor
    kx: Tensor
    ky: Tensor


class KeyedMethod(Method):
    """A method whose model is an EncryptGAN, with both discriminators and their loss."""

    options: TrainOptions
    model: EncryptGANNetworks

    def __init__(
        self, model_options: ModelOptions, options: TrainOptions, sampler: Sampler
    ) -> None:
        super().__init__(options, sampler)
        self.model = EncryptGANNetworks(model_options).to(self.device)
        width, scales = options.discriminator_width, options.critic_scales
        size = model_options.image_size
        side = min(size, options.crop or size, options.critic_crop or size)
        if side >> (scales - 1) < SMALLEST:
            raise EganError(
                f"critic_scales = {scales} leaves {side >> (scales - 1)} of the {side} "
                "pixels that discriminators see",
                f"the coarsest needs {SMALLEST}: fewer scales, or a larger critic_crop "
                "or image_size",
                2,
            )
        self.critics = nn.ModuleDict(
            {d: make_critic(width, scales) for d in ("d_x", "d_y")}
        )
        for module in (self.model, self.critics):
            module.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # The window of one step
        self.window: Callable[[Tensor], Tensor] = lambda t: t
        self.layers = sorted(
            {*model_options.public_layers, *model_options.private_layers}
        )
        self.critic_loss = CriticLoss(
            self.critics, options.input_noise, options.critic_augment
        )

    def draw_pairs(self) -> Pairs:
        """The pictures of one step."""
        o, s, m = self.options, self.sampler, self.model
        x, y = s.pictures(s.covers, o.batch), s.pictures(s.disguises, o.batch)
        side = x.shape[-1]
        self.window = random_window(side, o.crop, s, GRID)
        kx = self.key_images(x, m.options.private_layers)
        ky = self.key_images(y, m.options.public_layers)
        x, y = self.window(x), self.window(y)
        composite, box = s.composite(x, whole=side)
        return Pairs(x, y, composite, box, kx, ky)

    def key_images(self, pictures: Tensor, layers: Sequence[int]) -> Tensor:
        """This step's window of the key images of whole pictures (N, 3, S, S)."""
        return self.window(self.model.K.key_image(pictures, layers))

    def key_matching(self, fakes: Sequence[Tensor], reals: Sequence[Tensor]) -> Tensor:
        """Equation 1 for F's output against y and G's against x, at the key layers."""
        found = self.model.K.features(torch.cat(list(fakes)), self.layers[-1])
        with torch.no_grad():
            target = self.model.K.features(torch.cat(list(reals)), self.layers[-1])
        return losses.key_matching_loss(
            [found[i - 1] for i in self.layers], [target[i - 1] for i in self.layers]
        )

    def generator_adversarial_loss(self, critic: str, fake: Tensor) -> Tensor:
        """LSGAN's loss of a generator for fakes (N, 3, H, W), a scalar.

        The discriminator sees them augmented and with noise, as it does when it learns.
        """
        d = self.critics[critic].requires_grad_(False)
        seen = noisy(
            augmented(fake, self.options.critic_augment), self.options.input_noise
        )
        loss = over_scales(losses.lsgan_generator_loss, d(seen))
        d.requires_grad_(True)
        return loss

    @staticmethod
    def box_mse(recovered: Tensor, batch: Pairs, right: Tensor) -> Tensor:
        """Mean squared error of decoded messages, in [0, 1] units, with the right key.

        recovered: (N, 3, H, W) in [-1, 1]. right: (N,), 1 where the key fits, else 0.
        """
        inside = (right[:, None, None, None] * batch.box).expand_as(batch.composite)
        error = (
            (recovered.detach().clamp(-1, 1) - batch.composite) / 2
        ).square() * inside
        return error.sum() / inside.sum().clamp_min(1)

    def sheet(self, model: TorchModel) -> NDArray[np.uint8]:
        assert isinstance(model, EncryptGANNetworks)
        return sample_sheet(model, self.sampler)
