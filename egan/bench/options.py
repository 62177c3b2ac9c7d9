"""The request of a bench run: plain data that is checked when it is made, before any
picture is read.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from egan.bench.contestants import parse_methods
from egan.core.options import LARGEST_SEED, LARGEST_SIDE
from egan.errors import EganError
from egan.pictures.sizes import fits

# The columns of the paper's Table 1, and what it lacks: the blind floor, and distances
# by a network that every machine can have.
METRICS = (
    "fid",
    "frechet",
    "kid",
    "encryption",
    "mse",
    "rmse",
    "psnr",
    "ssim",
    "lpips",
    "security",
    "blind",
)
LPIPS_NETS = ("alex", "squeeze", "vgg")

# Pairs in the built-in set of the smoke test.
SMOKE_LIMIT = 24
# Numbers of the attacks that exist.
NINE = tuple(range(1, 10))
BUDGET = "300steps"
# Processor time that --compare gives each method.
COMPARE_BUDGET = "1800s"
# Side of the pictures in --compare, in pixels.
COMPARE_SIDE = 128
ABLATIONS = ("key-layers",)


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """Options of `egan bench`. Without `x`, `y` and `messages` the built-in smoke set
    is used.
    """

    # Weights files, or folders of them. Without any, the installed weights.
    weights: tuple[Path, ...] = ()
    # Families to look for among the weights. Without any, every named file.
    methods: tuple[str, ...] = ()
    # Folder of covers.
    x: Path | None = None
    # Folder of pictures of the disguise's kind.
    y: Path | None = None
    messages: tuple[Path, ...] = ()
    # Number of pairs. None means all of them, or SMOKE_LIMIT.
    limit: int | None = None
    seed: int = 0
    # Side of the pictures in pixels. None means the size of the weights.
    size: int | None = None
    batch: int = 8
    metrics: tuple[str, ...] = ("all",)
    lpips_net: str = "alex"
    lpips_backbone: Path | None = None
    inception: Path | None = None
    # Real pictures of domain Y for fid and frechet. None means those of `y`.
    reference: Path | None = None
    # Wrong keys tried on each picture. None means all the others.
    wrong_limit: int | None = None
    device: str = "auto"
    json: bool = False
    csv: Path | None = None
    # Overwrite existing files.
    force: bool = False
    speed: bool = False
    # Numbers of the attacks to try.
    attacks: tuple[int, ...] = ()
    # Of a learned attack or a set of layers: BUDGET; of a method of `compare`: longer.
    budget: str | None = None
    # Wrong keys that attack 2 tries on each disguise.
    keys: int = 1000
    # Disguises carry a capsule.
    robust: bool = False
    payloads: bool = False
    # Folder for the figures of the paper.
    figures: Path | None = None
    # HTML file that holds everything measured.
    report: Path | None = None
    ablation: str | None = None
    # Folder in which every method is trained and measured.
    compare: Path | None = None

    def __post_init__(self) -> None:
        self.check_numbers()
        self.check_names()
        object.__setattr__(self, "methods", parse_methods(self.methods))
        object.__setattr__(self, "metrics", parse_metrics(self.metrics))
        if self.budget is not None:
            parse_budget(self.budget)
        self.check_together()

    def check_numbers(self) -> None:
        """Raises EganError for a number that is out of its range."""
        least_values = {
            "limit": 1,
            "size": 64,
            "batch": 1,
            "wrong_limit": 1,
            "seed": 0,
            "keys": 1,
        }
        for name, least in least_values.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise EganError(
                    f"--{name.replace('_', '-')} {value} is less than {least}", status=2
                )
        if self.seed > LARGEST_SEED:
            raise EganError(f"--seed {self.seed} is more than {LARGEST_SEED}", status=2)
        if self.size is not None and (not fits(self.size) or self.size > LARGEST_SIDE):
            raise EganError(
                f"--size {self.size} is not a multiple of 16 from 64 to {LARGEST_SIDE}",
                status=2,
            )
        if unknown := sorted(set(self.attacks) - set(NINE)):
            raise EganError(
                f"there is no attack {unknown[0]}", "they are numbered from 1 to 9", 2
            )

    def check_names(self) -> None:
        """Raises EganError for a name that is not known."""
        if self.lpips_net not in LPIPS_NETS:
            raise EganError(
                f"unknown LPIPS network {self.lpips_net!r}",
                f"known: {', '.join(LPIPS_NETS)}",
                2,
            )
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", self.device):
            raise EganError(
                f"unknown device {self.device!r}", "use auto, cpu or cuda", 2
            )
        if self.ablation not in (None, *ABLATIONS):
            raise EganError(
                f"unknown ablation {self.ablation!r}",
                f"known: {', '.join(ABLATIONS)}",
                2,
            )

    def check_together(self) -> None:
        """Raises EganError for options that do not go together, and for no question."""
        given = [self.x is not None, self.y is not None, bool(self.messages)]
        if any(given) and not all(given):
            raise EganError(
                "--x, --y and --messages belong together",
                "give all three, or none for the smoke set",
                2,
            )
        if self.compare is not None and (self.weights or self.ablation):
            raise EganError(
                "--compare trains weights of its own",
                "leave out --weights and --ablation",
                2,
            )
        if not self.metrics and not self.asks_for_more:
            raise EganError(
                "no metrics asked for", f"known: all, {', '.join(METRICS)}", 2
            )

    @property
    def asks_for_more(self) -> bool:
        """Whether something beside the table is wanted, so that the table may be left
        out.
        """
        return bool(
            self.speed or self.attacks or self.payloads or self.figures or self.ablation
        )

    @property
    def wants_lpips(self) -> bool:
        return not {"lpips", "encryption", "security"}.isdisjoint(self.metrics)


def parse_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Metric names in the order of METRICS; each may be a list with commas, or `all`.
    Raises EganError for others.
    """
    split = [
        part.strip().lower()
        for name in names
        for part in name.split(",")
        if part.strip()
    ]
    unknown = sorted(set(split) - {"all", *METRICS})
    if unknown:
        raise EganError(
            f"unknown metric {', '.join(unknown)}",
            f"known: all, {', '.join(METRICS)}",
            2,
        )
    return (
        METRICS if "all" in split else tuple(name for name in METRICS if name in split)
    )


def parse_budget(text: str) -> tuple[int | None, float | None]:
    """`300steps` or `60s` (also `60`, seconds) as (steps, None) or (None, seconds).
    Raises EganError for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|steps|)", text.strip())
    if (
        not match
        or not float(match[1]) > 0
        or (match[2] == "steps" and "." in match[1])
    ):
        raise EganError(
            f"--budget {text!r} is no budget",
            "give seconds, as 60s, or steps, as 300steps",
            2,
        )
    return (int(match[1]), None) if match[2] == "steps" else (None, float(match[1]))
