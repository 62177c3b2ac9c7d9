"""CycleGAN's recipe (Zhu et al. 2017): LSGAN, cycle and identity losses, a pool of
earlier pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egan.baselines.cyclegan import CycleGAN
from egan.core.baseline_options import CycleGANOptions
from egan.core.resnet import PatchGAN
from egan.train.losses import cycle_loss, lsgan_discriminator_loss, lsgan_generator_loss
from egan.train.options import CycleGANTraining
from egan.train.recipes.unkeyed import UnkeyedMethod, constant_then_linear, l1


class ImagePool(nn.Module):
    """The history of generated pictures that a discriminator learns from (Shrivastava
    et al. 2017).

    Until it is full every picture goes in and comes out. Then, with probability 1/2, a
    picture takes the place of a random earlier one, which comes out instead. A module,
    so that checkpoints carry it. The count is no buffer: the CPU would have to wait for
    the GPU to read it.
    """

    pictures: Tensor

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(size, 3, side, side))
        self.count = 0

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.count)

    def set_extra_state(self, state: Tensor) -> None:
        self.count = int(state)

    def forward(self, fakes: Tensor) -> Tensor:
        """Pictures (N, 3, S, S), detached, of now or of earlier."""
        size = len(self.pictures)
        if not size:
            return fakes.detach()
        out = fakes.detach().clone()
        for i, fake in enumerate(fakes.detach().to(self.pictures.dtype)):
            if self.count < size:
                self.pictures[self.count] = fake
                self.count += 1
            elif torch.rand(()) < 0.5:
                k = int(torch.randint(size, ()))
                out[i] = self.pictures[k]
                self.pictures[k] = fake
        return out


class CycleGANMethod(UnkeyedMethod):
    """Equation 3 of the paper and its identity loss (section 5.2), with LSGAN in place
    of the logarithms (section 4).
    """

    model: CycleGAN
    model_options: CycleGANOptions
    options: CycleGANTraining

    def build(self) -> None:
        o = self.options
        self.model = CycleGAN(self.model_options)
        self.critics = nn.ModuleDict(
            {d: PatchGAN(o.discriminator_width) for d in ("x", "y")}
        )
        for domain in ("x", "y"):
            self.critics[f"pool_{domain}"] = ImagePool(
                o.pool, self.model_options.image_size
            )

    def start_optimisers(self) -> None:
        rate = self.options.learning_rate
        for name, module in (
            ("generator", self.model),
            ("discriminator", self.critics),
        ):
            self.optimisers[name] = self.optimiser(
                module.parameters(), rate, (0.5, 0.999)
            )

    def rate(self, progress: float, number: int) -> float:
        return constant_then_linear(progress)

    def step(self, number: int) -> dict[str, Tensor]:
        o, F, G, critics = self.options, self.model.F, self.model.G, self.critics
        x, y, box = self.batch()
        with self.autocast(), self.frozen(critics):
            fake_y, fake_x = F(x), G(y)
            back_x, back_y = G(fake_y), F(fake_x)
            terms = {
                "adversarial": lsgan_generator_loss(critics["y"](fake_y))
                + lsgan_generator_loss(critics["x"](fake_x)),
                "cycle": o.cycle * (cycle_loss(back_x, x) + cycle_loss(back_y, y)),
            }
            if o.identity:
                terms["identity"] = o.identity * o.cycle * (l1(F(y), y) + l1(G(x), x))
            total = torch.stack(list(terms.values())).sum()
        self.update("generator", total)
        old_y, old_x = critics["pool_y"](fake_y), critics["pool_x"](fake_x)
        with self.autocast():
            d_loss = lsgan_discriminator_loss(critics["y"](y), critics["y"](old_y))
            d_loss = d_loss + lsgan_discriminator_loss(
                critics["x"](x), critics["x"](old_x)
            )
        self.update("discriminator", d_loss)
        return self.logged(terms | {"discriminators": d_loss}, back_x, x, box)
