"""How to train: one frozen dataclass that is the command line's settings, the log's and the weights file's record."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from egan.core.options import Described
from egan.errors import EganError
from egan.pictures.sizes import fits

ROBUST = ("jpeg", "noise", "resize")  # the channels of `egan.train.channels`
AUGMENT = ("color", "translation", "cutout")  # the changes of `egan.train.critics`
LARGEST = 2**31 - 1  # whole number


@dataclasses.dataclass(frozen=True)
class RunOptions(Described):
    """What the Trainer needs to know of any method's run.

    Every number is finite and not negative. Raises EganError for others, for less than LEAST and for more than MOST.
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
    minutes: float = 0.0  # where positive, stop after this time instead; the learning rate follows the clock
    batch: int = 4  # pairs a step, over all processes
    average: float = 0.999  # decay of the moving average
    seed: int = 0
    bf16: bool = True
    compile: bool = (
        False  # both passes through torch.compile: slow to start, faster after
    )
    sample_every: int = 500  # steps
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
    """Families egan and paper. Loss weights are relative; noise is in units of the [-1, 1] range."""

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

    crop: int = 0  # all networks but K train on one random window of this size a step; 0: on whole pictures
    critic_crop: int = 128  # discriminators, K and LPIPS see one random window of this size a step; 0: all
    learning_rate: float = 6e-4
    discriminator_rate: float = 2e-4
    warmup: int = 200  # steps
    hold: float = 0.0  # the share of the run at the full rate, before it falls
    clip: float = 1.0  # of the generators' gradient norm
    cycle: float = 5.0
    information: float = 8.0
    key_matching: float = 1.0
    adversarial: float = 0.5  # LSGAN on the disguise
    adversarial_x: float = (
        0.1  # LSGAN on the decode, all that a wrong key gets, and on signed pictures
    )
    disguise: float = 6.0  # L1 between the disguise and the flower whose key was used
    detail: float = (
        6.0  # L1 between the differences of neighbouring pixels of the same two
    )
    perceptual: float = 10.0  # LPIPS-squeeze between the same two
    perceptual_x: float = 1.0  # and between decode and composite
    phase: float = 2.0  # between the phases that were sent and measured
    grain: float = 12.0  # on what the keystream changes in a disguise
    wrong_key: float = (
        0.15  # the share of samples that get a wrong keystream (equations 3 to 5)
    )
    backward_every: int = (
        3  # steps: how often the cycle Y-X-Y, which signs, is trained as well; 0: never
    )
    noise: float = 0.002  # on the disguise, after rounding
    robust: tuple[
        str, ...
    ] = ()  # channels that a disguise should survive: jpeg, noise, resize
    input_noise: float = 0.03  # on what the discriminators see
    grain_on_real: bool = (
        True  # real pictures get a payload too, so that D judges the painting
    )
    discriminator_width: int = 32
    critic_scales: int = (
        1  # PatchGANs at 1, 1/2, 1/4 of the resolution for each discriminator
    )
    critic_augment: tuple[
        str, ...
    ] = ()  # what discriminators see is changed by: color, translation, cutout
    key_steps: int = 800
    key_painting: float = 5.0  # what painting counts against cross-entropy while K learns; 0: as published
    key_size: int = 128  # pictures that K learns from are made this small where they are larger; 0: none are
    amplitude: float = 4.0  # starting size of the payload, in 8-bit levels per carrier

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
        for channel in self.robust:
            if channel not in ROBUST:
                raise EganError(
                    f"unknown channel {channel!r}", f"known: {', '.join(ROBUST)}", 2
                )


@dataclasses.dataclass(frozen=True)
class BaselineTraining(RunOptions):
    """What every compared method's recipe says; the defaults are those of most of the papers."""

    batch: int = 1
    average: float = 0.0  # none of them keeps a moving average
    bf16: bool = False
    learning_rate: float = 1e-4


@dataclasses.dataclass(frozen=True)
class CycleGANTraining(BaselineTraining):
    """The published recipe: Adam 2e-4 (0.5, 0.999), constant for half of the run and then linear to 0, batch 1."""

    steps: int = 200_000  # 200 epochs of a thousand pictures
    learning_rate: float = 2e-4
    cycle: float = 10.0
    identity: float = 0.5  # times the cycle weight
    pool: int = 50  # pictures
    discriminator_width: int = 64


@dataclasses.dataclass(frozen=True)
class MUNITTraining(BaselineTraining):
    """The published recipe: Adam 1e-4 (0.5, 0.999), halved every tenth of the run, weight decay 1e-4, batch 1."""

    steps: int = 1_000_000
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    adversarial: float = 1.0
    image: float = 10.0  # a picture from its own content and style
    style: float = 1.0  # a style drawn from the prior, encoded again
    content: float = 1.0  # a content, encoded again after translation
    discriminator_width: int = 64


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


@dataclasses.dataclass(frozen=True)
class BalujaTraining(BaselineTraining):
    """Adam at 1e-3, constant. The noise on the container flips its lowest bits, so that they are not all it uses."""

    batch: int = 4
    learning_rate: float = 1e-3
    secret: float = 0.75  # beta
    noise: float = 0.01  # Gaussian, on the container, in units of the [-1, 1] range: 1.3 levels of 8 bits


BASELINE_TRAINING: dict[str, type[BaselineTraining]] = {
    "cyclegan": CycleGANTraining,
    "munit": MUNITTraining,
    "drit": DRITTraining,
    "baluja": BalujaTraining,
}
