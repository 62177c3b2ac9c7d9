"""CycleGAN (Zhu et al. 2017, "Unpaired Image-to-Image Translation using
Cycle-Consistent Adversarial Networks").

F turns composites into disguises and G turns them back: X to Y to X. There is no key,
so whoever has G reads every disguise; that a cycle hides information in the picture was
seen by Chu et al. 2017.
"""

from __future__ import annotations

from torch import Tensor, nn

from egan.baselines.base import (
    Baseline,
)
from egan.core.baseline_options import CycleGANOptions
from egan.core.resnet import ResNetGenerator


class CycleGAN(Baseline):
    """`F`: X to Y, `G`: Y to X, each the ResNet generator with 3 channels in."""

    def __init__(self, options: CycleGANOptions) -> None:
        super().__init__(options)
        self.F = ResNetGenerator(3, options.width, options.blocks)
        self.G = ResNetGenerator(3, options.width, options.blocks)

    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        return self.F(composite)

    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        return self.G(disguise)

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encrypt": [self.F], "decrypt": [self.G]}
