"""DRIT (Lee et al. 2018, "Diverse Image-to-Image Translation via Disentangled Representations"), as published.

Both domains share a content space, which a content discriminator keeps free of either domain; attributes (8 numbers,
variational) are a domain's own. A disguise is the composite's content with the attribute of a flower. The composite's
own attribute does not travel in the disguise: the way back takes it from a cover picture that the receiver has, or
from the prior's mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.baselines.base import (
    Baseline,
    BaselineMethod,
    BaselineTraining,
    constant_then_linear,
    l1,
)
from egan.baselines.layers import MultiScaleCritic, attach, layer_norm
from egan.core.options import DRITOptions
from egan.core.resnet import ResidualBlock, conv, init_normal

SLOPE = 0.01  # of the leaky rectifiers of content encoder and discriminators


class ContentEncoder(nn.Module):
    """A domain's own 7x7, two stride-2 3x3 and residual blocks: (N, 3, H, W) -> (N, 4w, H/4, W/4)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv(3, width, 7, slope=SLOPE),
            *conv(width, 2 * width, 3, 2, norm=True),
            *conv(2 * width, 4 * width, 3, 2, norm=True),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class SharedContent(nn.Module):
    """The residual block in which both content encoders end; in training Gaussian noise is added to what it gives."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = ResidualBlock(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x + torch.randn(x.shape, device=x.device) if self.training else x


class PoolingBlock(nn.Module):
    """A pre-activation residual block that halves the map by averaging: (N, a, H, W) -> (N, b, H/2, W/2)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2),
            *conv(a, a, 3, slope=0.2),
            *conv(a, b, 3, slope=None),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(a, b, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.shortcut(x)


class AttributeEncoder(nn.Module):
    """Mean and log-variance (N, K) each of a picture's attribute: a stride-2 4x4, three pooling blocks, two linear maps."""

    def __init__(self, width: int, attribute: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            *conv(3, w, 4, 2, slope=None),
            PoolingBlock(w, 2 * w),
            PoolingBlock(2 * w, 3 * w),
            PoolingBlock(3 * w, 4 * w),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean, self.log_variance = (
            nn.Linear(4 * w, attribute),
            nn.Linear(4 * w, attribute),
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        h = self.layers(picture)
        return self.mean(h), self.log_variance(h)


class Generator(nn.Module):
    """A domain's own residual blocks and two upsamplings with layer norm, the attribute attached before each part."""

    def __init__(self, width: int, blocks: int, attribute: int) -> None:
        super().__init__()
        k, deep = attribute, 4 * width + attribute
        self.blocks = nn.Sequential(*(ResidualBlock(deep) for _ in range(blocks)))

        def up(a: int) -> nn.Sequential:
            return nn.Sequential(
                nn.ConvTranspose2d(a, a // 2, 3, 2, 1, output_padding=1),
                layer_norm(a // 2),
                nn.ReLU(),
            )

        self.up1, self.up2 = up(deep + k), up((deep + k) // 2 + k)
        self.last = nn.Conv2d(((deep + k) // 2 + k) // 2 + k, 3, 1)

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        h = self.blocks(attach(content, attribute))
        for layer in (self.up1, self.up2, self.last):
            h = layer(attach(h, attribute))
        return torch.tanh(h)


class DRIT(Baseline):
    """Contents, attributes and generators of both domains, "x" and "y"; `share_in` and `share_out` belong to both."""

    def __init__(self, options: DRITOptions) -> None:
        super().__init__(options)
        o, domains = options, ("x", "y")
        self.content = nn.ModuleDict(
            {d: ContentEncoder(o.width, o.blocks) for d in domains}
        )
        self.share_in = SharedContent(o.width)
        self.attribute = nn.ModuleDict(
            {d: AttributeEncoder(o.width, o.attribute) for d in domains}
        )
        self.share_out = ResidualBlock(4 * o.width)
        self.generator = nn.ModuleDict(
            {d: Generator(o.width, o.blocks, o.attribute) for d in domains}
        )
        init_normal(self)

    def encode(self, domain: str, picture: Tensor) -> Tensor:
        return self.share_in(self.content[domain](picture))

    def decode(self, domain: str, content: Tensor, attribute: Tensor) -> Tensor:
        return self.generator[domain](self.share_out(content), attribute)

    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """The composite's content with the mean attribute of a picture of domain Y."""
        return self.decode(
            "y", self.encode("x", composite), self.attribute["y"](disguise)[0]
        )

    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        """The disguise's content with the attribute of a picture of domain X; without one, with the prior's mean."""
        content = self.encode("y", disguise)
        if cover is None:
            attribute = content.new_zeros(len(content), self.options.attribute)
        else:
            attribute = self.attribute["x"](cover)[0]
        return self.decode("x", content, attribute)

    def parts(self) -> dict[str, list[nn.Module]]:
        shared = [self.share_in, self.share_out]
        return {
            "encrypt": [
                self.content["x"],
                self.attribute["y"],
                self.generator["y"],
                *shared,
            ],
            "decrypt": [
                self.content["y"],
                self.attribute["x"],
                self.generator["x"],
                *shared,
            ],
        }


class ContentCritic(nn.Module):
    """Which domain a content (N, C, h, w) is of: up to three stride-2 7x7, a 4x4 and a 1x1; scores (N, 1, ...).

    As many stride-2 layers as leave the 4x4 something to look at: three for pictures of 216 pixels and more, as
    published, two for 128, one for 64.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        c = 4 * width
        layers: list[nn.Module] = []
        for _ in range(3):
            if (side - 5) // 2 + 1 < 4:
                break
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(c, c, 7, 2),
                nn.InstanceNorm2d(c),
                nn.LeakyReLU(SLOPE),
            ]
            side = (side - 5) // 2 + 1
        layers += [nn.Conv2d(c, c, 4), nn.LeakyReLU(SLOPE), nn.Conv2d(c, 1, 1)]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, content: Tensor) -> Tensor:
        return self.layers(content)


def cross_entropy(scores: Tensor | Sequence[Tensor], target: float) -> Tensor:
    """Binary cross-entropy of scores before the sigmoid against one target in [0, 1], summed over scales."""
    maps = [scores] if isinstance(scores, Tensor) else scores
    return torch.stack(
        [
            nnf.binary_cross_entropy_with_logits(
                s.float(), torch.full_like(s.float(), target)
            )
            for s in maps
        ]
    ).sum()


def kl_loss(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)), summed over the numbers of an attribute, averaged over the batch."""
    m, v = mean.float(), log_variance.float()
    return 0.5 * (m.square() + v.exp() - v - 1).sum(1).mean()


@dataclasses.dataclass(frozen=True)
class DRITTraining(BaselineTraining):
    """The published recipe: Adam 1e-4 (0.5, 0.999), constant for half of the run and then linear to 0, batch 1."""

    LEAST: ClassVar[dict[str, float]] = BaselineTraining.LEAST | {"content_updates": 1}

    steps: int = 400_000  # 400 epochs of a thousand pictures
    content_adversarial: float = 1.0
    adversarial: float = 1.0
    cross_cycle: float = 10.0
    self_reconstruction: float = 10.0
    latent: float = 10.0  # an attribute drawn from the prior, encoded again
    kl: float = 0.01
    content_size: float = 0.01  # on the square of the content
    content_updates: int = (
        3  # steps of the content discriminator for one of everything else
    )
    content_rate: float = 0.4  # its rate, as a share
    content_clip: float = 5.0
    discriminator_width: int = 64


class DRITMethod(BaselineMethod):
    """Equation 10 of the paper: content and domain adversarial, cross-cycle, self, latent and KL losses."""

    model: DRIT
    options: DRITTraining

    def build(self) -> None:
        w = self.options.discriminator_width
        self.model = DRIT(self.model_options)
        # One pair judges translations with encoded attributes, the other those with attributes from the prior.
        self.critics = nn.ModuleDict(
            {d: MultiScaleCritic(w, slope=SLOPE) for d in ("x", "y", "x2", "y2")}
        )
        self.critics["content"] = ContentCritic(
            self.model_options.width, self.model_options.image_size // 4
        )

    def start_optimisers(self) -> None:
        o, betas = self.options, (0.5, 0.999)
        domain = [
            p
            for name in ("x", "y", "x2", "y2")
            for p in self.critics[name].parameters()
        ]
        content = self.critics["content"].parameters()
        self.optimisers["generator"] = self.optimiser(
            self.model.parameters(), o.learning_rate, betas
        )
        self.optimisers["domain"] = self.optimiser(domain, o.learning_rate, betas)
        self.optimisers["content"] = self.optimiser(
            content, o.learning_rate * o.content_rate, betas
        )

    def rate(self, progress: float, number: int) -> float:
        return constant_then_linear(progress)

    def train_content_critic(self, content_x: Tensor, content_y: Tensor) -> Tensor:
        critic = self.critics["content"]
        with self.autocast():
            loss = cross_entropy(critic(content_x.detach()), 0) + cross_entropy(
                critic(content_y.detach()), 1
            )
        self.update("content", loss, self.options.content_clip)
        return loss

    def step(self, number: int) -> dict[str, Tensor]:
        o, m, critics = self.options, self.model, self.critics
        for _ in range(o.content_updates - 1):
            x, y, _ = self.batch()
            with torch.no_grad(), self.autocast():
                contents = m.encode("x", x), m.encode("y", y)
            self.train_content_critic(*contents)
        x, y, box = self.batch()
        with self.autocast():
            content_x, content_y = m.encode("x", x), m.encode("y", y)
            moments = {"x": m.attribute["x"](x), "y": m.attribute["y"](y)}
            own_x, own_y = (
                mean + torch.randn_like(mean) * (v / 2).exp()
                for mean, v in moments.values()
            )
            fake_x, fake_y = (
                m.decode("x", content_y, own_x),
                m.decode("y", content_x, own_y),
            )
            drawn = self.sampler.normal((o.batch, self.model_options.attribute))
            random_x, random_y = (
                m.decode("x", content_y, drawn),
                m.decode("y", content_x, drawn),
            )
        fakes = {"x": fake_x, "y": fake_y, "x2": random_x, "y2": random_y}
        with self.autocast():
            losses = [
                cross_entropy(critics[k](fake.detach()), 0)
                + cross_entropy(critics[k](x if k[0] == "x" else y), 1)
                for k, fake in fakes.items()
            ]
            d_loss = torch.stack(losses).sum()
        self.update("domain", d_loss)
        c_loss = self.train_content_critic(content_x, content_y)
        with self.autocast(), self.frozen(critics):
            back_x, back_y = self.cross_cycle(fake_x, fake_y)
            own = l1(m.decode("x", content_x, own_x), x) + l1(
                m.decode("y", content_y, own_y), y
            )
            with self.frozen(
                m.attribute
            ):  # the latent loss teaches the generators alone
                latent = l1(m.attribute["x"](random_x)[0], drawn) + l1(
                    m.attribute["y"](random_y)[0], drawn
                )
            terms = {
                "content_adversarial": o.content_adversarial
                * (
                    cross_entropy(critics["content"](content_x), 0.5)
                    + cross_entropy(critics["content"](content_y), 0.5)
                ),
                "adversarial": o.adversarial
                * torch.stack(
                    [cross_entropy(critics[k](fake), 1) for k, fake in fakes.items()]
                ).sum(),
                "cross_cycle": o.cross_cycle * (l1(back_x, x) + l1(back_y, y)),
                "self": o.self_reconstruction * own,
                "latent": o.latent * latent,
                "kl": o.kl * (kl_loss(*moments["x"]) + kl_loss(*moments["y"])),
                "content_size": o.content_size
                * (
                    content_x.float().square().mean()
                    + content_y.float().square().mean()
                ),
            }
            total = torch.stack(list(terms.values())).sum()
        self.update("generator", total)
        return self.logged(
            terms | {"discriminators": d_loss, "content_critic": c_loss}, back_x, x, box
        )

    def cross_cycle(self, fake_x: Tensor, fake_y: Tensor) -> tuple[Tensor, Tensor]:
        """Both translations translated back: contents from the one, attributes from the other (section 3.2)."""
        m = self.model
        (mean_x, v_x), (mean_y, v_y) = (
            m.attribute["x"](fake_x),
            m.attribute["y"](fake_y),
        )
        own_x = mean_x + torch.randn_like(mean_x) * (v_x / 2).exp()
        own_y = mean_y + torch.randn_like(mean_y) * (v_y / 2).exp()
        return m.decode("x", m.encode("y", fake_y), own_x), m.decode(
            "y", m.encode("x", fake_x), own_y
        )
