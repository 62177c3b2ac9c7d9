"""The training loop over any Method: budget, rates, moving average, log, sheets, files.

Saved is the moving average of the model. A checkpoint is written only when every loss
since the last one was finite, so a diverged run keeps its last good state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import PARAM_LIST as ParamList
from torch.optim.swa_utils import AveragedModel

from egan import signals
from egan.core.torch_model import TorchModel
from egan.errors import EganError
from egan.pictures import atomic
from egan.pictures.output import png_bytes, write_output
from egan.train.checkpoint import (
    Counters,
    RunState,
    load_checkpoint,
    save_checkpoint,
)
from egan.train.checkpoint_header import RunDescription
from egan.train.distributed import Place, agreed
from egan.train.pace import Pace, duration
from egan.train.recipes.base import Method
from egan.train.run_folder import CHECKPOINT, LOG, WEIGHTS

# Steps
REPORT_EVERY = 50
ALONE = Place()
NO_REQUEST: Mapping[str, Any] = {}
# Columns of a report that are no losses.
COUNTED = ("step", "pairs", "minutes")


class Trainer:
    """A run: a method, its moving average and its counters.

    out: the folder of checkpoint.safetensors, weights.safetensors, log.jsonl, sample
    sheets and, where TensorBoard is installed, its event files. log takes lines; show
    takes the share done, in [0, 1], and a few figures after each step. place: this
    process among several, of which the first writes. clock: seconds, by which a run's
    budget is counted. request: plain data that checkpoints keep, from which the run can
    go on. go_on: the command that does so.
    """

    def __init__(
        self,
        method: Method,
        out: Path,
        log: Callable[[str], None] = print,
        show: Callable[[float, str], None] = lambda share, words: None,
        place: Place = ALONE,
        clock: Callable[[], float] = time.monotonic,
        request: Mapping[str, Any] = NO_REQUEST,
        go_on: str = "",
    ) -> None:
        self.method, self.options = method, method.options
        self.out, self.place, self.clock = out, place, clock
        self.log, self.show = log, show
        self.request, self.go_on = request, go_on
        self.device = method.device
        self.counters = Counters()
        # Seconds of this process's own steps
        self.elapsed = 0.0
        # The record that `prepare` returned.
        self.record: dict[str, Any] = {}
        # Losses since the last report, and how many steps had each
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.pace = Pace()
        self.left: float | None = None
        self.words = ""
        method.log = log

    @property
    def model(self) -> TorchModel:
        """The model as the optimisers leave it."""
        return self.method.model

    @property
    def average(self) -> TorchModel:
        """The moving average of the model."""
        return cast(TorchModel, self.averaged.module)

    @property
    def step(self) -> int:
        return self.counters.step

    @property
    def pairs(self) -> int:
        return self.counters.pairs

    @property
    def seconds(self) -> float:
        """Of steps, by the run's clock, from its first step on."""
        return self.counters.seconds

    @seconds.setter
    def seconds(self, value: float) -> None:
        self.counters.seconds = value

    def prepare(self) -> None:
        """Before the first step; not for a resumed run."""
        with self.nothing_saved():
            self.note(self.method.prepare())
        self.start()

    @contextlib.contextmanager
    def nothing_saved(self) -> Iterator[None]:
        """Tell whoever interrupts the block that there is no checkpoint yet."""
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
        """Begin with the networks of a weights file instead of `prepare`.

        new_keys: all but its K, which is trained anew. Raises EganError where the
        networks do not fit.
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
                "leave out --preset and the settings of the architecture: "
                "the weights file has them",
                2,
            ) from error
        self.note({"started_from": model.id.hex()})
        if new_keys:
            with self.nothing_saved():
                self.note(self.method.make_keys())
        self.start()

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint. Raises EganError for one that does not fit."""
        self.start()
        load_checkpoint(path, self.state(), self.description())
        self.averaged.n_averaged.fill_(self.step)
        self.elapsed = self.seconds

    def start(self) -> None:
        self.note(self.method.facts())
        self.method.start_optimisers()
        self.averaged = AveragedModel(self.model, multi_avg_fn=self.approach)
        self.averaged.eval().requires_grad_(False)

    def approach(self, mean: ParamList, current: ParamList, _: Tensor | int) -> None:
        """Move the average towards the model, fast in the first steps."""
        decay = min(self.options.average, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(mean, current, 1 - decay)

    def state(self) -> RunState:
        return RunState(
            {
                "model": self.model,
                "average": self.average,
                "critics": self.method.critics,
            },
            self.method.optimisers,
            self.method.sampler.random,
            self.counters,
            self.record,
            self.device,
        )

    def description(self) -> RunDescription:
        training = dataclasses.asdict(self.options)
        return RunDescription(self.model.options, training, dict(self.request))

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
        self.averaged.update_parameters(self.model)
        self.counters.step += 1
        self.counters.pairs += self.options.batch

    def run(self) -> None:
        """Train to the end of the budget, from a first checkpoint on.

        Ctrl-C and SIGTERM save before they end it. Raises EganError for a diverged run.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        if self.step == 0:
            # K and the starting codec took a while.
            self.save()
        elif self.progress() >= 1.0:
            self.log(
                f"nothing is left to train after step {self.step}: "
                "--steps and --minutes count from the start"
            )
        with Journal(self.out, self.place.writes, self.step > 0) as journal:
            try:
                self.train(journal)
            except KeyboardInterrupt:
                self.save()
                then = f"; go on with: {self.go_on}" if self.go_on else ""
                self.log(f"stopped at step {self.step}{then}")
                raise
            if self.counts:
                journal.write(self.report())
        self.save()
        self.write_sheet("sample-last.png")

    def train(self, journal: Journal) -> None:
        """All steps, with reports, sheets and checkpoints on the way."""
        last_save = time.monotonic()
        while self.progress() < 1.0:
            begin = self.clock()
            # A step cut in two could not be resumed exactly.
            with signals.uninterrupted():
                self.one_step()
                self.tick(self.clock() - begin)
            self.left = self.pace.left(self.progress())
            self.show(self.progress(), self.words)
            if self.step % REPORT_EVERY == 0:
                journal.write(self.report())
            if self.step % self.options.sample_every == 0:
                self.write_sheet(f"sample-{self.step:06d}.png")
            if time.monotonic() - last_save > 60 * self.options.save_minutes:
                self.save()
                last_save = time.monotonic()

    def tick(self, seconds: float) -> None:
        """Count the time of a step.

        Several processes go by the clock of the first, which they compare now and then.
        """
        self.elapsed += seconds
        if self.place.world == 1:
            self.seconds = self.elapsed
        elif self.step % REPORT_EVERY == 0:
            self.seconds = agreed(self.elapsed, self.device)

    def check(self) -> dict[str, float]:
        """Losses since the last report. Raises EganError where one is not finite."""
        values = {name: float(value) for name, value in self.sums.items()}
        if not all(math.isfinite(v) for v in values.values()):
            raise EganError(
                f"training diverged at step {self.step}",
                f"the last good state is in {self.out}; "
                "go on from it with a lower learning_rate",
            )
        return values

    def report(self) -> dict[str, float]:
        """Means of the losses since the last report, PSNR of messages in dB, and
        counters.
        """
        row = {name: value / self.counts[name] for name, value in self.check().items()}
        self.sums, self.counts = {}, {}
        if "box_mse" in row:
            row["psnr"] = -10 * math.log10(max(row.pop("box_mse"), 1e-10))
        row |= {"step": self.step, "pairs": self.pairs, "minutes": self.seconds / 60}
        rate = self.pairs / max(self.seconds, 1e-9)
        self.words = f"{rate:.1f} pairs/s"
        if "psnr" in row:
            self.words += f", {row['psnr']:.1f} dB"
        left = "" if self.left is None else f", {duration(self.left)} left"
        losses = " ".join(f"{k} {row[k]:.3f}" for k in row if k not in COUNTED)
        self.log(f"step {self.step}, {rate:.1f} pairs/s{left}: {losses}")
        return row

    def write_sheet(self, name: str) -> None:
        if self.place.writes:
            sheet = png_bytes(self.method.sheet(self.average))
            write_output(sheet, str(self.out / name), force=True)

    def save(self) -> None:
        """Checkpoint and weights, each written whole or not at all, and only in a good
        state.
        """
        self.check()
        if self.place.writes:
            self.out.mkdir(parents=True, exist_ok=True)
            with signals.uninterrupted():
                self.write_state()

    def write_state(self) -> None:
        save_checkpoint(self.out / CHECKPOINT, self.state(), self.description())
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
        self.average.save(self.out / WEIGHTS, summary)


class Journal:
    """The figures of a run: lines of log.jsonl and, where TensorBoard is installed, its
    files.

    goes_on: the lines come after those that are there.
    """

    def __init__(self, out: Path, writes: bool, goes_on: bool) -> None:
        if writes:
            atomic.refuse_protected(out / LOG)
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
