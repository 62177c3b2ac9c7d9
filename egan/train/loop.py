"""The training loop: K first, then F, G and the discriminators.

One step: compose, encrypt to a disguise rounded to 8 bits, decrypt with the right or a wrong keystream, the losses of
`egan.train.losses`, one optimiser step for the generators and one for the discriminators. An exponential moving
average of the generators is what gets saved.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from egan.core import EncryptGAN
from egan.errors import EganError
from egan.networks import LockedGenerator, PatchGAN, quantise_phases, rotate_phases
from egan.options import ModelOptions
from egan.train import losses
from egan.train.checkpoint import load_checkpoint, save_checkpoint
from egan.train.data import Sampler
from egan.train.keynet import train_key_network
from egan.train.samples import sample_sheet
from egan.train.start import start_codec

REPORT_EVERY = 50  # steps
FLOOR_RATE = 0.02  # the learning rate decays to this share of itself


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How to train. Loss weights are relative; noise is in units of the [-1, 1] range."""

    steps: int = 20_000
    minutes: float = 0.0  # where positive, stop after this time instead; the learning rate follows the clock
    batch: int = 4
    critic_crop: int = (
        128  # discriminators, K and LPIPS look at one random window of this size a step; 0: all
    )
    learning_rate: float = 8e-4
    discriminator_rate: float = 3e-4
    warmup: int = 200  # steps
    clip: float = 1.0  # of the generators' gradient norm
    average: float = 0.999  # decay of the moving average
    cycle: float = 10.0
    information: float = 10.0
    key_matching: float = 1.0
    adversarial: float = 0.2  # LSGAN on the disguise
    adversarial_x: float = 0.1  # LSGAN on the decode, all that a wrong key gets
    disguise: float = 4.0  # L1 between the disguise and the flower whose key was used
    perceptual: float = 2.0  # LPIPS-squeeze between the same two; needs a backbone file
    phase: float = 2.0  # between the phases that F sent and G measured
    wrap: float = 20.0  # on phases close to the wrap at pi
    wrong_key: float = 0.5  # the share of samples that get a wrong keystream (equations 3 to 5)
    noise: float = 0.004  # on the disguise, after rounding
    input_noise: float = 0.02  # on what the discriminators see
    discriminator_width: int = 32
    key_steps: int = 400
    amplitude: float = 5.0  # starting size of the payload, in 8-bit levels per carrier
    seed: int = 0
    bf16: bool = True
    sample_every: int = 500  # steps
    save_minutes: float = 5.0

    def __post_init__(self) -> None:
        if self.critic_crop and self.critic_crop < 64:
            raise EganError(
                "critic_crop is less than the 64 pixels that K needs", "0 shows whole pictures", 2
            )
        if self.batch < 1 or self.steps < 1 or self.minutes < 0:
            raise EganError("batch and steps must be positive, and minutes not negative", status=2)
        if not 0 <= self.wrong_key <= 1:
            raise EganError("wrong_key is a share from 0 to 1", status=2)


def round8(picture: Tensor) -> Tensor:
    """Clamp to [-1, 1] and round to 8 bits, with a straight-through gradient inside the range."""
    clamped = picture.clamp(-1, 1)
    return clamped + (torch.round((clamped + 1) * 127.5) / 127.5 - 1 - clamped).detach()


def gauss(like: Tensor) -> Tensor:
    """Standard normal noise, contiguous whatever the layout of `like` (strided filling is ten times slower on a CPU)."""
    return torch.randn(like.shape, device=like.device)


@dataclasses.dataclass
class Pass:
    """The pictures of one forward pass; all (N, 3, H, W) in [-1, 1] but box (N, 1, H, W) and right (N,)."""

    x: Tensor
    y: Tensor
    composite: Tensor
    box: Tensor
    kx: Tensor
    ky: Tensor
    right: Tensor
    sent: Tensor
    locked: Tensor
    measured: Tensor
    painted: Tensor  # the disguise before rounding
    recovered: Tensor


class Trainer:
    """State of a run: model, moving average, discriminators, optimisers, sampler, counters.

    out: the folder of checkpoint.safetensors, weights.safetensors, log.jsonl and sample sheets.
    """

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        sampler: Sampler,
        out: Path,
        perceptual: nn.Module | None = None,
        log: Callable[[str], None] = print,
    ) -> None:
        if model_options.family != "egan":
            raise EganError("only the family egan can be trained so far", status=2)
        self.options, self.sampler, self.out, self.log = options, sampler, out, log
        self.device = sampler.device
        torch.manual_seed(options.seed)
        self.model = EncryptGAN(model_options).to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.perceptual = perceptual
        self.d_x, self.d_y = (
            PatchGAN(options.discriminator_width).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for _ in "xy"
        )
        self.step = 0
        self.seconds = 0.0
        self.accuracy = math.nan  # of K

    @property
    def generators(self) -> tuple[LockedGenerator, LockedGenerator]:
        f, g = self.model.F, self.model.G
        assert isinstance(f, LockedGenerator)
        assert isinstance(g, LockedGenerator)
        return f, g

    def prepare(self) -> None:
        """Train K and set the starting codec; not for a resumed run."""
        self.accuracy = train_key_network(self.model.K, self.sampler, self.options.key_steps)
        self.log(f"K tells X from Y with accuracy {self.accuracy:.3f}")
        composites, _ = self.sampler.composite(self.sampler.pictures(self.sampler.covers, 64), 3)
        start_codec(*self.generators, composites, self.options.amplitude)
        self.start_optimisers()

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: weights, moving average, optimisers, random state and counters."""
        self.start_optimisers()
        load_checkpoint(self, path)

    def start_optimisers(self) -> None:
        o = self.options
        self.model.K.requires_grad_(False)
        parameters = [*self.model.F.parameters(), *self.model.G.parameters()]
        self.optimiser = torch.optim.Adam(parameters, o.learning_rate, (0.9, 0.99))
        critics = [*self.d_x.parameters(), *self.d_y.parameters()]
        self.d_optimiser = torch.optim.Adam(critics, o.discriminator_rate, (0.5, 0.99))
        self.average = copy.deepcopy(self.model).eval()

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16)

    def progress(self) -> float:
        """The share of the run that is done, by steps or by the clock."""
        o = self.options
        return min(1.0, self.seconds / (60 * o.minutes) if o.minutes > 0 else self.step / o.steps)

    def set_rates(self) -> None:
        """Linear warm-up, then a cosine down to FLOOR_RATE."""
        o = self.options
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress()))
        rate = min(1.0, (self.step + 1) / o.warmup) * (FLOOR_RATE + (1 - FLOOR_RATE) * cosine)
        for optimiser, base in ((self.optimiser, o.learning_rate), (self.d_optimiser, o.discriminator_rate)):
            for group in optimiser.param_groups:
                group["lr"] = base * rate

    def forward(self) -> Pass:
        """One batch through F, the lock, 8-bit rounding and G, with a wrong keystream for some samples."""
        o, s, model = self.options, self.sampler, self.model
        f, g = self.generators
        x, y = s.pictures(s.covers, o.batch), s.pictures(s.disguises, o.batch)
        composite, box = s.composite(x)
        with torch.no_grad():
            kx = model.K.key_image(x, model.options.private_layers)
            ky = model.K.key_image(y, model.options.public_layers)
        wrong = torch.rand(len(x), device=self.device) < o.wrong_key
        sent = quantise_phases(f.encode(composite, ky))
        k = torch.randint(0, 256, sent[:, 0].shape, device=self.device)
        locked = rotate_phases(sent, k, +1)
        painted = f.decode(locked, ky)
        disguise = round8(painted)
        measured = g.encode(disguise + o.noise * gauss(disguise), kx)
        used = torch.where(wrong[:, None, None, None], torch.randint_like(k, 0, 256), k)
        recovered = g.decode(rotate_phases(measured, used, -1), kx)
        right = 1 - wrong.float()
        return Pass(x, y, composite, box, kx, ky, right, sent, locked.detach(), measured, painted, recovered)

    def window(self, side: int) -> Callable[[Tensor], Tensor]:
        """One random square window, the same for every tensor it is applied to."""
        size = min(self.options.critic_crop or side, side)
        i, j = (int(v) for v in self.sampler.random.integers(0, side - size + 1, size=2))
        return lambda t: t[..., i : i + size, j : j + size].contiguous()

    def terms(
        self, p: Pass, fake_x: Tensor, fake_y: Tensor, real_x: Tensor, real_y: Tensor
    ) -> dict[str, Tensor]:
        """The generators' losses, weighted. fake and real are windows, fakes clamped to [-1, 1]."""
        o, model = self.options, self.model
        out = {
            "phase": o.phase * losses.phase_loss(p.measured, p.locked),
            "wrap": o.wrap * losses.wrap_loss(p.sent),
            "cycle": o.cycle * losses.cycle_loss(p.recovered, p.composite, p.right),
            "information": o.information * losses.information_loss(p.recovered, p.composite, p.box, p.right),
            "disguise": o.disguise * (p.painted - p.y).abs().mean(),
        }
        if self.perceptual is not None and o.perceptual:
            out["perceptual"] = o.perceptual * self.perceptual(fake_y, real_y).mean()
        if o.key_matching:
            layers = sorted({*model.options.public_layers, *model.options.private_layers})
            found = model.K.features(torch.cat((fake_y, fake_x)), layers[-1])
            with torch.no_grad():
                target = model.K.features(torch.cat((real_y, real_x)), layers[-1])
            out["key_matching"] = o.key_matching * losses.key_matching_loss(
                [found[i - 1] for i in layers], [target[i - 1] for i in layers]
            )
        for name, weight, critic, fake in (
            ("adversarial", o.adversarial, self.d_y, fake_y),
            ("adversarial_x", o.adversarial_x, self.d_x, fake_x),
        ):
            if weight:
                critic.requires_grad_(False)
                scores = critic(fake + o.input_noise * gauss(fake))
                out[name] = weight * losses.lsgan_generator_loss(scores)
                critic.requires_grad_(True)
        return out

    def discriminator_loss(self, pairs: list[tuple[nn.Module, Tensor, Tensor]]) -> Tensor:
        """LSGAN over (discriminator, real, fake), both noisy and in one pass each."""
        total = torch.zeros((), device=self.device)
        for critic, real, fake in pairs:
            both = torch.cat((real, fake.detach()))
            scores = critic(both + self.options.input_noise * gauss(both))
            total = total + losses.lsgan_discriminator_loss(scores[: len(real)], scores[len(real) :])
        return total

    def one_step(self) -> dict[str, Tensor]:
        """One step of everything; returns detached losses and the mean squared error in the boxes, in [0, 1] units."""
        o = self.options
        self.set_rates()
        with self.autocast():
            p = self.forward()
            window = self.window(p.x.shape[-1])
            fake_x, fake_y = window(p.recovered).clamp(-1, 1), window(p.painted).clamp(-1, 1)
            real_x, real_y = window(p.x), window(p.y)
            terms = self.terms(p, fake_x, fake_y, real_x, real_y)
            total = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.optimiser.param_groups[0]["params"], o.clip)
        self.optimiser.step()
        with self.autocast():
            pairs: list[tuple[nn.Module, Tensor, Tensor]] = []
            if o.adversarial:
                pairs.append((self.d_y, real_y, fake_y))
            if o.adversarial_x:
                pairs.append((self.d_x, window(p.composite), fake_x))
            d_loss = self.discriminator_loss(pairs)
        if pairs:
            self.d_optimiser.zero_grad(set_to_none=True)
            d_loss.backward()
            self.d_optimiser.step()
        self.update_average()
        inside = (p.right[:, None, None, None] * p.box).expand_as(p.composite)
        error = ((p.recovered.detach().clamp(-1, 1) - p.composite) / 2).square() * inside
        terms |= {"discriminators": d_loss, "gradient": norm}
        terms["box_mse"] = error.sum() / inside.sum().clamp_min(1)
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def update_average(self) -> None:
        decay = min(self.options.average, (self.step + 1) / (self.step + 10))
        for module, mean in ((self.model.F, self.average.F), (self.model.G, self.average.G)):
            torch._foreach_lerp_(list(mean.parameters()), list(module.parameters()), 1 - decay)

    def run(self) -> None:
        """Train to the end of the budget; Ctrl-C and SIGTERM save first. Raises EganError for a diverged run."""
        self.out.mkdir(parents=True, exist_ok=True)
        last_save = time.monotonic()
        sums: dict[str, Tensor] = {}
        try:
            with (self.out / "log.jsonl").open("a") as journal:
                while self.progress() < 1.0:
                    begin = time.monotonic()
                    for name, value in self.one_step().items():
                        sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
                    self.step += 1
                    self.seconds += time.monotonic() - begin
                    if self.step % REPORT_EVERY == 0:
                        journal.write(json.dumps(self.report(sums)) + "\n")
                        journal.flush()
                        sums = {}
                    if self.step % self.options.sample_every == 0:
                        sample_sheet(self.average, self.sampler, self.out / f"sample-{self.step:06d}.png")
                    if time.monotonic() - last_save > 60 * self.options.save_minutes:
                        self.save()
                        last_save = time.monotonic()
        except KeyboardInterrupt:
            self.save()
            self.log(
                f"stopped at step {self.step}; go on with --resume {self.out / 'checkpoint.safetensors'}"
            )
            raise
        self.save()
        sample_sheet(self.average, self.sampler, self.out / "sample-last.png")

    def report(self, sums: dict[str, Tensor]) -> dict[str, float]:
        row = {name: float(value) / REPORT_EVERY for name, value in sums.items()}
        if not all(math.isfinite(v) for v in row.values()):
            raise EganError(
                f"training diverged at step {self.step}",
                f"the last good state is in {self.out}; lower the rate",
            )
        row["psnr"] = -10 * math.log10(max(row.pop("box_mse"), 1e-10))
        row |= {"step": self.step, "minutes": self.seconds / 60}
        left = self.seconds * (1 / max(self.progress(), 1e-9) - 1) / 60
        words = " ".join(f"{k} {row[k]:.3f}" for k in row if k not in ("step", "minutes"))
        rate = self.step * self.options.batch / max(self.seconds, 1e-9)
        self.log(f"step {self.step}, {rate:.1f} pairs/s, {left:.0f} min left: {words}")
        return row

    def save(self) -> None:
        """Checkpoint and weights, each written whole or not at all."""
        save_checkpoint(self, self.out / "checkpoint.safetensors")
        summary = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "pairs": self.step * self.options.batch,
            "key_network_accuracy": None if math.isnan(self.accuracy) else round(self.accuracy, 4),
            "options": dataclasses.asdict(self.options),
        }
        self.average.save(self.out / "weights.safetensors", summary)
