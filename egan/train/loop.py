"""The training loop: K first, then F, G and the discriminators with every loss of the paper.

One step: compose, encrypt to a disguise rounded to 8 bits, decrypt with the right or a wrong keystream, losses of
`egan.train.losses`, one optimiser step for the generators and one for the discriminators. An exponential moving
average of the generators is what gets saved.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.core import EncryptGAN
from egan.networks import PatchGAN, quantise_phases, rotate_phases
from egan.options import ModelOptions
from egan.train import losses
from egan.train.checkpoint import load_checkpoint, save_checkpoint
from egan.train.data import Sampler
from egan.train.start import start_codec


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How to train. Loss weights are relative; times in minutes; noise in units of the [-1, 1] range."""

    steps: int = 20_000
    minutes: float = 0.0  # where positive, stop after this time; the learning rate follows the clock
    batch: int = 4
    crop: int = 0  # train on random crops of this size; 0: whole pictures
    critic_crop: int = (
        128  # discriminators, K and LPIPS look at one random window of this size a step; 0: all
    )
    learning_rate: float = 8e-4
    discriminator_rate: float = 3e-4
    warmup: int = 200
    clip: float = 1.0  # of the generators' gradient norm
    average: float = 0.999  # decay of the moving average
    cycle: float = 10.0
    information: float = 10.0
    key_matching: float = 1.0
    adversarial: float = 0.2
    adversarial_x: float = 0.1
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
    sample_every: int = 500
    save_every_minutes: float = 5.0


def gauss(like: Tensor) -> Tensor:
    """Standard normal noise, contiguous whatever the layout of `like` (strided filling is ten times slower on a CPU)."""
    return torch.randn(like.shape, device=like.device)


def round8(picture: Tensor) -> Tensor:
    """Clamp to [-1, 1] and round to 8 bits, with a straight-through gradient inside the range."""
    clamped = picture.clamp(-1, 1)
    return clamped + (torch.round((clamped + 1) * 127.5) / 127.5 - 1 - clamped).detach()


def train_key_network(
    model: EncryptGAN, sampler: Sampler, options: TrainOptions, log: Callable[[str], None]
) -> float:
    """Cross-entropy of K on X against Y, then frozen. Returns the accuracy over the last tenth of the steps."""
    network = model.K.train()
    for p in network.parameters():
        p.requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), 5e-4)
    right: list[float] = []
    half = 8
    labels = torch.tensor([0] * half + [1] * half, device=sampler.device)
    for step in range(options.key_steps):
        x, y = (
            sampler.pictures(sampler.covers, half),
            sampler.pictures(sampler.disguises, half),
        )
        logits = network(torch.cat((x, y)) + 0.02 * torch.randn_like(torch.cat((x, y))))
        loss = nnf.cross_entropy(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step >= options.key_steps * 0.9:
            right.append((logits.argmax(1) == labels).float().mean().item())
    for p in network.parameters():
        p.requires_grad_(False)
    network.eval()
    accuracy = sum(right) / max(len(right), 1)
    log(f"K: accuracy {accuracy:.3f} after {options.key_steps} steps")
    return accuracy


class Trainer:
    """State of a run: model, moving average, discriminators, optimisers, sampler, counters."""

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        sampler: Sampler,
        out: Path,
        perceptual: nn.Module | None = None,
        log: Callable[[str], None] = print,
    ) -> None:
        self.options, self.sampler, self.out, self.log = options, sampler, out, log
        self.device = sampler.device
        torch.manual_seed(options.seed)
        self.model = EncryptGAN(model_options).to(self.device)
        self.model.to(memory_format=torch.channels_last)
        self.perceptual = perceptual
        w = options.discriminator_width
        self.d_x = PatchGAN(w).to(self.device, memory_format=torch.channels_last)
        self.d_y = PatchGAN(w).to(self.device, memory_format=torch.channels_last)
        self.step = 0
        self.seconds = 0.0
        self.history: dict[str, float] = {}

    def prepare(self) -> None:
        """Train K and set the starting codec; not for a resumed run."""
        train_key_network(self.model, self.sampler, self.options, self.log)
        covers = self.sampler.pictures(self.sampler.covers, 64)
        composites, _ = self.sampler.composite(covers, 3)
        start_codec(self.model.F, self.model.G, composites, self.options.amplitude)
        self.start_optimisers()

    def start_optimisers(self) -> None:
        generators = [*self.model.F.parameters(), *self.model.G.parameters()]
        self.optimiser = torch.optim.Adam(generators, self.options.learning_rate, (0.9, 0.99))
        self.d_optimiser = torch.optim.Adam(
            [*self.d_x.parameters(), *self.d_y.parameters()],
            self.options.discriminator_rate, (0.5, 0.99),
        )  # fmt: skip
        self.average = copy.deepcopy(self.model).eval()

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.bf16)

    def batch(self) -> tuple[Tensor, ...]:
        """Covers, flowers, composites, boxes and both key images; cut to random crops where asked."""
        o, s = self.options, self.sampler
        x, y = s.pictures(s.covers, o.batch), s.pictures(s.disguises, o.batch)
        composite, box = s.composite(x)
        with torch.no_grad(), self.autocast():
            kx = self.model.K.key_image(x, self.model.options.private_layers)
            ky = self.model.K.key_image(y, self.model.options.public_layers)
        parts = (x, y, composite, box, kx, ky)
        if o.crop and o.crop < x.shape[-1]:
            spots = s.random.integers(0, (x.shape[-1] - o.crop) // 4 + 1, size=2) * 4
            i, j = int(spots[0]), int(spots[1])
            parts = tuple(p[..., i : i + o.crop, j : j + o.crop] for p in parts)  # type: ignore[assignment]
        return tuple(p.contiguous() for p in parts)

    def window(self, side: int) -> Callable[[Tensor], Tensor]:
        """One random square window, the same for every tensor it is applied to."""
        size = min(self.options.critic_crop or side, side)
        i, j = (int(v) for v in self.sampler.random.integers(0, side - size + 1, size=2))
        return lambda t: t[..., i : i + size, j : j + size].contiguous()

    def progress(self) -> float:
        o = self.options
        if o.minutes > 0:
            return min(1.0, self.seconds / (60 * o.minutes))
        return min(1.0, self.step / o.steps)

    def one_step(self) -> dict[str, Tensor]:
        o, model = self.options, self.model
        rate = min(1.0, (self.step + 1) / o.warmup) * (
            0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress()))
        )
        for optimiser, base in (
            (self.optimiser, o.learning_rate),
            (self.d_optimiser, o.discriminator_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = base * rate
        x, y, composite, box, kx, ky = self.batch()
        n = len(x)
        wrong = (torch.rand(n, device=self.device) < o.wrong_key).float()
        right = 1 - wrong
        terms: dict[str, Tensor] = {}
        with self.autocast():
            sent = quantise_phases(model.F.encode(composite, ky))
            k = torch.randint(0, 256, sent[:, 0].shape, device=self.device)
            painted = model.F.decode(rotate_phases(sent, k, +1), ky)
            disguise = round8(painted)
            noisy = disguise + o.noise * gauss(disguise)
            other = torch.randint(0, 256, k.shape, device=self.device)
            measured = model.G.encode(noisy, kx)
            used = torch.where(wrong[:, None, None, None] > 0, other, k)
            recovered = model.G.decode(rotate_phases(measured, used, -1), kx)
            with torch.no_grad():
                locked = rotate_phases(sent, k, +1)
            terms["phase"] = o.phase * losses.phase_loss(measured, locked)
            if o.wrap:
                terms["wrap"] = o.wrap * losses.wrap_loss(sent)
            terms["cycle"] = o.cycle * losses.cycle_loss(recovered, composite, right)
            terms["information"] = o.information * losses.information_loss(recovered, composite, box, right)
            terms["disguise"] = o.disguise * (painted - y).abs().mean()
            window = self.window(x.shape[-1])
            fake_x, fake_y = window(recovered).clamp(-1, 1), window(painted).clamp(-1, 1)
            real_x, real_y = window(x), window(y)
            if self.perceptual is not None and o.perceptual:
                terms["perceptual"] = o.perceptual * self.perceptual(fake_y, real_y).mean()
            if o.key_matching:
                layers = sorted({*model.options.public_layers, *model.options.private_layers})
                found = model.K.features(torch.cat((fake_y, fake_x)), layers[-1])
                with torch.no_grad():
                    target = model.K.features(torch.cat((real_y, real_x)), layers[-1])
                terms["key_matching"] = o.key_matching * losses.key_matching_loss(
                    [found[i - 1] for i in layers], [target[i - 1] for i in layers]
                )
            grain = o.input_noise
            for d in (self.d_x, self.d_y):
                d.requires_grad_(False)
            terms["adversarial"] = o.adversarial * losses.lsgan_generator_loss(
                self.d_y(fake_y + grain * gauss(fake_y))
            )
            if o.adversarial_x:
                terms["adversarial_x"] = o.adversarial_x * losses.lsgan_generator_loss(
                    self.d_x(fake_x + grain * gauss(fake_x))
                )
            total = sum(terms.values())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[union-attr]
        parameters = self.optimiser.param_groups[0]["params"]
        norm = nn.utils.clip_grad_norm_(parameters, o.clip)
        self.optimiser.step()
        with self.autocast():
            for d in (self.d_x, self.d_y):
                d.requires_grad_(True)
            d_loss = 0.0
            pairs = [(self.d_y, real_y, fake_y)]
            if o.adversarial_x:
                pairs.append((self.d_x, window(composite), fake_x))
            for d, real, fake in pairs:
                both = torch.cat((real, fake.detach()))
                scores = d(both + grain * gauss(both))
                d_loss = d_loss + losses.lsgan_discriminator_loss(scores[:n], scores[n:])
        self.d_optimiser.zero_grad(set_to_none=True)
        d_loss.backward()  # type: ignore[union-attr]
        self.d_optimiser.step()
        self.update_average()
        terms["discriminators"] = d_loss.detach()  # type: ignore[union-attr]
        terms["gradient"] = norm
        with torch.no_grad():
            inside = (right[:, None, None, None] * box).expand_as(composite)
            mse = ((recovered.clamp(-1, 1) - composite) / 2).square()
            terms["box_mse"] = (mse * inside).sum() / inside.sum().clamp_min(1)
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def update_average(self) -> None:
        decay = min(self.options.average, (self.step + 1) / (self.step + 10))
        for module, mean in ((self.model.F, self.average.F), (self.model.G, self.average.G)):
            torch._foreach_lerp_(list(mean.parameters()), list(module.parameters()), 1 - decay)

    def run(self) -> None:
        o = self.options
        self.out.mkdir(parents=True, exist_ok=True)
        journal = (self.out / "log.jsonl").open("a")
        last_save = time.monotonic()
        sums: dict[str, Tensor] = {}
        counted = 0
        while self.progress() < 1.0:
            begin = time.monotonic()
            for name, value in self.one_step().items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
            counted += 1
            self.step += 1
            self.seconds += time.monotonic() - begin
            if self.step % 50 == 0:
                row = {name: float(value) / counted for name, value in sums.items()}
                row["psnr"] = -10 * math.log10(max(row.pop("box_mse"), 1e-10))
                row |= {"step": self.step, "minutes": self.seconds / 60}
                self.history = row
                journal.write(json.dumps(row) + "\n")
                journal.flush()
                self.log(" ".join(f"{k} {v:.4g}" for k, v in row.items()))
                sums, counted = {}, 0
            if self.step % o.sample_every == 0:
                self.sample_sheet()
            if time.monotonic() - last_save > 60 * o.save_every_minutes:
                self.save()
                last_save = time.monotonic()
        self.save()
        self.sample_sheet()
        journal.close()

    def save(self) -> None:
        save_checkpoint(self, self.out / "checkpoint.safetensors")
        self.average.save(self.out / "weights.safetensors", {"step": self.step})

    def resume(self, path: Path) -> None:
        self.start_optimisers()
        load_checkpoint(self, path)

    @torch.no_grad()
    def sample_sheet(self) -> None:
        """Rows of cover, composite, key image, flower, disguise, decode, decode with a wrong keystream."""
        from PIL import Image

        state = copy.deepcopy(self.sampler.random.bit_generator.state)
        self.sampler.random.bit_generator.state = np.random.default_rng(1).bit_generator.state
        random = torch.get_rng_state()
        crop = self.options.crop
        model, s = self.average, self.sampler
        x, y = s.pictures(s.covers, 4), s.pictures(s.disguises, 4)
        composite, _ = s.composite(x)
        kx = model.K.key_image(x, model.options.private_layers)
        ky = model.K.key_image(y, model.options.public_layers)
        sent = quantise_phases(model.F.encode(composite, ky))
        k = torch.randint(0, 256, sent[:, 0].shape, device=self.device)
        disguise = round8(model.F.decode(rotate_phases(sent, k, +1), ky))
        measured = model.G.encode(disguise, kx)
        decode = round8(model.G.decode(rotate_phases(measured, k, -1), kx))
        wrong = round8(model.G.decode(measured, kx))
        rows = torch.cat((composite, kx, ky, y, disguise, decode, wrong), 3)
        sheet = torch.cat(tuple(rows), 1)
        array = ((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(array).save(self.out / f"sample-{self.step:06d}.png")
        self.sampler.random.bit_generator.state = state
        torch.set_rng_state(random)
        del crop


def load_perceptual(backbone: str | Path, device: torch.device) -> nn.Module:
    """LPIPS with the SqueezeNet backbone from a safetensors file (torchvision's names), frozen."""
    import lpips
    from safetensors.torch import load_file

    metric = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    weights = load_file(str(backbone))
    state = metric.net.state_dict()
    metric.net.load_state_dict({k: weights["features." + k.split(".", 1)[1]] for k in state})
    for p in metric.parameters():
        p.requires_grad_(False)
    return metric.to(device)


def make_sampler(
    covers: Sequence[np.ndarray],
    disguises: Sequence[np.ndarray],
    messages: Sequence[Sequence[np.ndarray]],
    seed: int,
    device: str | torch.device,
) -> Sampler:
    return Sampler(np.stack(covers), np.stack(disguises), messages, seed, torch.device(device))
