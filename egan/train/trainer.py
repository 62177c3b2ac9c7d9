"""The training loop over any Method: budget, learning rate, moving average, log, sample sheets, checkpoints, weights.

What gets saved is the exponential moving average of the model. A checkpoint is written only when every loss since the last
one was finite, so a diverged run keeps its last good state.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor, nn

from egan import signals
from egan.core.torch_model import TorchModel
from egan.errors import EganError
from egan.train.checkpoint import load_checkpoint, save_checkpoint
from egan.train.distributed import Place, agreed
from egan.train.recipes.base import Method
from egan.train.run_folder import CHECKPOINT, LOG, WEIGHTS

REPORT_EVERY = 50  # steps
ALONE = Place()


class Trainer:
    """State of a run: a method, its moving average, counters.

    out: the folder of checkpoint.safetensors, weights.safetensors, log.jsonl, sample sheets, and TensorBoard's event files
    where that is installed. log takes lines, show the share done and some words. place: this process among several; the
    first alone writes. clock: seconds, of which a run's budget is counted.
    """

    def __init__(
        self,
        method: Method,
        out: Path,
        log: Callable[[str], None] = print,
        show: Callable[[float, str], None] = lambda share, words: None,
        place: Place = ALONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.method, self.options, self.out, self.place = (
            method,
            method.options,
            out,
            place,
        )
        self.log, self.show = log, show
        method.log = log
        self.clock = clock
        self.words = ""  # the figures of the last report, for `show`
        self.device = method.device
        self.step = 0
        self.pairs = 0  # seen so far
        self.seconds = 0.0  # of steps, as the run's clock has it
        self.elapsed = 0.0  # of this process's steps
        self.record: dict[str, Any] = {}  # what `prepare` found out
        self.sums: dict[str, Tensor] = {}  # of the losses since the last report
        self.counts: dict[str, int] = {}  # of the steps that had each loss

    @property
    def model(self) -> nn.Module:
        return self.method.model

    def prepare(self) -> None:
        """Before the first step; not for a resumed run."""
        with self.nothing_saved():
            self.note(self.method.prepare())
        self.start()

    @contextlib.contextmanager
    def nothing_saved(self) -> Iterator[None]:
        """What there is no checkpoint of yet: whoever interrupts it is told."""
        try:
            yield
        except KeyboardInterrupt:
            self.log("stopped before the first step: nothing was saved")
            raise

    def note(self, found: dict[str, Any]) -> None:
        """Into the record and the log."""
        self.record |= found
        for name, value in found.items():
            self.log(f"{name.replace('_', ' ')}: {value}")

    def start_from(self, model: TorchModel, new_keys: bool = False) -> None:
        """Begin with the networks of a weights file instead of `prepare`: with its K, or with new_keys with a K of one's own.

        Raises EganError where they do not fit.
        """
        taken = {
            name: value
            for name, value in model.state_dict().items()
            if not (new_keys and name.startswith("K."))
        }
        try:
            self.model.load_state_dict(self.model.state_dict() | taken)
        except RuntimeError as error:
            raise EganError(
                f"the networks of {model.id.hex()} are not of this architecture",
                "leave out --preset and the settings of the architecture: the weights file has them",
                2,
            ) from error
        self.note({"started_from": model.id.hex()})
        if new_keys:
            with self.nothing_saved():
                self.note(self.method.make_keys())
        self.start()

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint: weights, moving average, optimisers, random state and counters."""
        self.start()
        load_checkpoint(self, path)

    def start(self) -> None:
        self.note(self.method.facts())
        self.method.start_optimisers()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)

    def progress(self) -> float:
        """The share of the run that is done, by steps or by the clock."""
        o = self.options
        return min(
            1.0,
            self.seconds / (60 * o.minutes) if o.minutes > 0 else self.step / o.steps,
        )

    def one_step(self) -> None:
        share = self.method.rate(self.progress(), self.step)
        for optimiser in self.method.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * share
        for name, value in self.method.step(self.step).items():
            self.sums[name] = (
                self.sums.get(name, torch.zeros((), device=self.device)) + value
            )
            self.counts[name] = self.counts.get(name, 0) + 1
        self.update_average()
        self.step += 1
        self.pairs += self.options.batch

    @torch.no_grad()
    def update_average(self) -> None:
        decay = min(self.options.average, (self.step + 1) / (self.step + 10))
        for name in self.method.averaged:
            mean, module = (
                self.average.get_submodule(name),
                self.model.get_submodule(name),
            )
            torch._foreach_lerp_(
                list(mean.parameters()), list(module.parameters()), 1 - decay
            )

    def run(self) -> None:
        """Train to the end of the budget, from a first checkpoint on; Ctrl-C and SIGTERM save before they end it.

        Raises EganError for a diverged run.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if self.step == 0:
            self.save()  # K and the starting codec took a while
        elif self.progress() >= 1.0:
            self.log(
                f"nothing is left to train after step {self.step}: --steps and --minutes count from the start"
            )
        last_save = time.monotonic()
        with Journal(self.out, self.place.writes, self.step > 0) as journal:
            try:
                while self.progress() < 1.0:
                    begin = self.clock()
                    with (
                        signals.uninterrupted()
                    ):  # a step cut in two could not be resumed exactly
                        self.one_step()
                        self.tick(self.clock() - begin)
                    self.show(self.progress(), self.words)
                    if self.step % REPORT_EVERY == 0:
                        journal.write(self.report())
                    if self.step % self.options.sample_every == 0:
                        self.write_sheet(f"sample-{self.step:06d}.png")
                    if time.monotonic() - last_save > 60 * self.options.save_minutes:
                        self.save()
                        last_save = time.monotonic()
            except KeyboardInterrupt:
                self.save()
                self.log(
                    f"stopped at step {self.step}; go on with --resume {self.out / CHECKPOINT}"
                )
                raise
            if self.counts:
                journal.write(self.report())
        self.save()
        self.write_sheet("sample-last.png")

    def tick(self, seconds: float) -> None:
        """Count the time of a step. Several processes go by the clock of the first, which they compare now and then."""
        self.elapsed += seconds
        if self.place.world == 1:
            self.seconds = self.elapsed
        elif self.step % REPORT_EVERY == 0:
            self.seconds = agreed(self.elapsed, self.device)

    def check(self) -> dict[str, float]:
        """The losses since the last report. Raises EganError where one is not finite."""
        values = {name: float(value) for name, value in self.sums.items()}
        if not all(math.isfinite(v) for v in values.values()):
            raise EganError(
                f"training diverged at step {self.step}",
                f"the last good state is in {self.out}; go on from it with a lower learning_rate",
            )
        return values

    def report(self) -> dict[str, float]:
        row = {name: value / self.counts[name] for name, value in self.check().items()}
        self.sums, self.counts = {}, {}
        if "box_mse" in row:
            row["psnr"] = -10 * math.log10(max(row.pop("box_mse"), 1e-10))
        row |= {"step": self.step, "pairs": self.pairs, "minutes": self.seconds / 60}
        left = self.seconds * (1 / max(self.progress(), 1e-9) - 1) / 60
        words = " ".join(
            f"{k} {row[k]:.3f}" for k in row if k not in ("step", "pairs", "minutes")
        )
        rate = self.pairs / max(self.seconds, 1e-9)
        self.words = (
            f"{rate:.1f} pairs/s, {row['psnr']:.1f} dB"
            if "psnr" in row
            else f"{rate:.1f} pairs/s"
        )
        self.log(f"step {self.step}, {rate:.1f} pairs/s, {left:.0f} min left: {words}")
        return row

    def write_sheet(self, name: str) -> None:
        if self.place.writes:
            Image.fromarray(self.method.sheet(self.average)).save(self.out / name)

    def save(self) -> None:
        """Checkpoint and weights, each written whole or not at all, and only in a good state."""
        self.check()
        if self.place.writes:
            self.out.mkdir(parents=True, exist_ok=True)
            with signals.uninterrupted():
                self.write_state()

    def write_state(self) -> None:
        save_checkpoint(self, self.out / CHECKPOINT)
        summary = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "pairs": self.pairs,
            "processes": self.place.world,
            "device": torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else "cpu",
            **self.record,
            "options": dataclasses.asdict(self.options),
        }
        self.average.save(self.out / WEIGHTS, summary)  # type: ignore[operator]


class Journal:
    """The figures of a run, in log.jsonl, after the earlier ones where it goes on, and in TensorBoard's files where it is installed."""

    def __init__(self, out: Path, writes: bool, goes_on: bool) -> None:
        self.file = (out / LOG).open("a" if goes_on else "w") if writes else None
        self.board: Any = None
        if writes:
            with contextlib.suppress(ImportError):
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(out))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for thing in (self.file, self.board):
            if thing is not None:
                thing.close()

    def write(self, row: dict[str, float]) -> None:
        if self.file is not None:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()
        if self.board is not None:
            for name, value in row.items():
                if name != "step":
                    self.board.add_scalar(name, value, row["step"])
