"""How to train: one frozen dataclass that is the command line's settings, the log's and
the weights file's record.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from egan.core.options import Described
from egan.errors import EganError
from egan.pictures.sizes import fits

# The changes of `egan.train.critics`.
AUGMENT = ("color", "translation", "cutout")
# Largest whole number of an option.
LARGEST = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class RunOptions(Described):
    """The options that the Trainer needs of any method.

    Every number is finite and not negative. Raises EganError for others, for less than
    LEAST and for more than MOST.
    """

    ONE: ClassVar[str] = "training option"
    LEAST: ClassVar[dict[str, float]] = {
        "steps": 1,
        "batch": 1,
        "sample_every": 1,
        "discriminator_width": 1,
    }
    MOST: ClassVar[dict[str, float]] = {"average": 1, "discriminator_width": 512}

    steps: int = 20_000
    # If positive, the run stops after this time, and the learning rate follows the
    # clock.
    minutes: float = 0.0
    # Pairs in one step, over all processes.
    batch: int = 4
    # Decay of the moving average of the weights.
    average: float = 0.999
    seed: int = 0
    bf16: bool = True
    # Compile both passes with torch.compile: a slow start, and faster steps.
    compile: bool = False
    # A sample sheet is written every so many steps.
    sample_every: int = 500
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            least = self.LEAST.get(field.name, 0)
            most = self.MOST.get(
                field.name, LARGEST if isinstance(value, int) else math.inf
            )
            if not (math.isfinite(value) and least <= value <= most):
                limits = (
                    f"from {least:g} to {most}"
                    if math.isfinite(most)
                    else f"finite and from {least:g} up"
                )
                raise EganError(
                    f"{field.name} cannot be {value}",
                    f"it has to be {limits}; its default is {field.default}",
                    2,
                )


@dataclasses.dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Families egan and paper. Loss weights are relative; noise is in units of the [-1,
    1] range.
    """

    LEAST: ClassVar[dict[str, float]] = RunOptions.LEAST | {
        "warmup": 1,
        "critic_scales": 1,
        "amplitude": 0.1,
        "key_steps": 1,
    }
    MOST: ClassVar[dict[str, float]] = RunOptions.MOST | {
        "hold": 1,
        "wrong_key": 1,
        "critic_scales": 3,
        "amplitude": 128,
    }

    # All networks but K train on one random window of this size in each step. 0: on
    # whole pictures.
    crop: int = 0
    # Discriminators, K and LPIPS see one random window of this size in each step. 0:
    # all.
    critic_crop: int = 128
    learning_rate: float = 6e-4
    discriminator_rate: float = 2e-4
    # Steps until the learning rate is full.
    warmup: int = 200
    # Share of the run at the full learning rate, before it falls.
    hold: float = 0.0
    # Largest norm of the generators' gradient.
    clip: float = 1.0
    cycle: float = 5.0
    information: float = 8.0
    key_matching: float = 1.0
    # Weight of LSGAN on the disguise.
    adversarial: float = 0.5
    # Weight of LSGAN on decodes and signed pictures. A wrong key gets no other loss.
    adversarial_x: float = 0.1
    # Weight of L1 between the disguise and the flower whose key was used.
    disguise: float = 6.0
    # Weight of L1 between their differences of neighbouring pixels.
    detail: float = 6.0
    # Weight of LPIPS-squeeze between disguise and flower.
    perceptual: float = 10.0
    # Weight of LPIPS-squeeze between decode and composite.
    perceptual_x: float = 1.0
    # Weight of the distance between sent and measured phases.
    phase: float = 2.0
    # Weight of the loss on what the keystream changes in a disguise.
    grain: float = 12.0
    # Share of samples that get a wrong keystream (equations 3 to 5).
    wrong_key: float = 0.15
    # The cycle Y-X-Y, which signs, is trained every so many steps. 0: never.
    backward_every: int = 3
    # Standard deviation of the noise on the disguise, after rounding.
    noise: float = 0.002
    # Standard deviation of the noise on the input of discriminators.
    input_noise: float = 0.03
    # Real pictures get a payload too, so that D judges the painting alone.
    grain_on_real: bool = True
    discriminator_width: int = 32
    # A discriminator is this many PatchGANs, at 1, 1/2 and 1/4 of the resolution.
    critic_scales: int = 1
    # Random changes of the input of discriminators.
    critic_augment: tuple[str, ...] = ()
    key_steps: int = 400
    # Weight of painting beside cross-entropy while K learns. 0: as published.
    key_painting: float = 5.0
    # K learns from pictures that are reduced to this size. 0: from pictures as they
    # are.
    key_size: int = 64
    # Size of the payload at the start, in 8-bit levels a carrier.
    amplitude: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.critic_crop and self.critic_crop < 64:
            raise EganError(
                "critic_crop is less than the 64 pixels that K needs",
                "0 shows whole pictures",
                2,
            )
        if self.crop and not fits(self.crop):
            raise EganError(
                "crop is not a multiple of 16 from 64 up",
                "0 trains on whole pictures",
                2,
            )
        if self.key_size and not fits(self.key_size):
            raise EganError(
                "key_size is not a multiple of 16 from 64 up",
                "0 takes pictures as they are",
                2,
            )
        for name in self.critic_augment:
            if name not in AUGMENT:
                raise EganError(
                    f"unknown augmentation {name!r}", f"known: {', '.join(AUGMENT)}", 2
                )


@dataclasses.dataclass(frozen=True)
class BaselineTraining(RunOptions):
    """The options that every compared method has; the defaults are those of most of the
    papers.
    """

    batch: int = 1
    # None of these methods keeps a moving average.
    average: float = 0.0
    bf16: bool = False
    learning_rate: float = 1e-4


@dataclasses.dataclass(frozen=True)
class CycleGANTraining(BaselineTraining):
    """The published recipe: Adam 2e-4 (0.5, 0.999), constant for half of the run and
    then linear to 0, batch 1.
    """

    # 200 epochs of a thousand pictures.
    steps: int = 200_000
    learning_rate: float = 2e-4
    cycle: float = 10.0
    # Weight of the identity loss, as a multiple of the cycle weight.
    identity: float = 0.5
    # Number of earlier pictures that the discriminators see.
    pool: int = 50
    discriminator_width: int = 64


@dataclasses.dataclass(frozen=True)
class MUNITTraining(BaselineTraining):
    """The published recipe: Adam 1e-4 (0.5, 0.999), halved every tenth of the run,
    weight decay 1e-4, batch 1.
    """

    steps: int = 1_000_000
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    adversarial: float = 1.0
    # Weight of a picture's reconstruction from its own content and style.
    image: float = 10.0
    # Weight of the reconstruction of a style that is drawn from the prior.
    style: float = 1.0
    # Weight of the reconstruction of a content after translation.
    content: float = 1.0
    discriminator_width: int = 64


@dataclasses.dataclass(frozen=True)
class DRITTraining(BaselineTraining):
    """The published recipe: Adam 1e-4 (0.5, 0.999), constant for half of the run and
    then linear to 0, batch 1.
    """

    LEAST: ClassVar[dict[str, float]] = BaselineTraining.LEAST | {"content_updates": 1}

    # 400 epochs of a thousand pictures.
    steps: int = 400_000
    content_adversarial: float = 1.0
    adversarial: float = 1.0
    cross_cycle: float = 10.0
    self_reconstruction: float = 10.0
    # Weight of the reconstruction of an attribute that is drawn from the prior.
    latent: float = 10.0
    kl: float = 0.01
    # Weight of the square of the content.
    content_size: float = 0.01
    # The content discriminator makes this many steps for one of everything else.
    content_updates: int = 3
    # Learning rate of the content discriminator, as a share of the others'.
    content_rate: float = 0.4
    content_clip: float = 5.0
    discriminator_width: int = 64


@dataclasses.dataclass(frozen=True)
class BalujaTraining(BaselineTraining):
    """Adam at 1e-3, constant. The noise on the container flips its lowest bits, so that
    they are not all it uses.
    """

    batch: int = 4
    learning_rate: float = 1e-3
    # Weight of the secret's error (beta in the paper).
    secret: float = 0.75
    # Standard deviation of the noise on the container: 1.3 levels of 8 bits.
    noise: float = 0.01


BASELINE_TRAINING: dict[str, type[BaselineTraining]] = {
    "cyclegan": CycleGANTraining,
    "munit": MUNITTraining,
    "drit": DRITTraining,
    "baluja": BalujaTraining,
}
