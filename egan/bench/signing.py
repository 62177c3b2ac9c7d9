"""`egan calibrate`: how well the match of `egan verify` tells secrets apart, the
threshold that follows, and forgeries.

Held-out secrets are signed with several keys, decoded, and compared with their own
secret and with every other one. The threshold is chosen on one half of them and judged
on the other. The score is that of `egan.verbs.sign`, after 8-bit pictures, as `egan
verify` sees it.
"""

from __future__ import annotations

import io
import json as codec
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from egan import terminal
from egan.bench import card
from egan.bench.attacks import forgeries
from egan.bench.attacks.forgeries import Signed
from egan.bench.intervals import rate_interval
from egan.core.options import LARGEST_SEED
from egan.core.weights import read_header, with_header
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.files import Picture
from egan.pictures.metrics import rmse
from egan.pictures.output import check_output, write_output
from egan.pictures.sources import walk
from egan.verbs import sign as signing
from egan.verbs.keygen import key_pair

if TYPE_CHECKING:
    from egan.verbs.weights import Weights

Scores = files.NDArray[np.float64]
# The secrets are signed with this many key pairs in turn.
KEYS = 8
# These figures go into the weights file with the threshold.
KEPT = (
    "threshold",
    "secrets",
    "false_accept",
    "false_reject",
    "genuine",
    "impostor",
)


@dataclass(frozen=True)
class Calibration:
    """The options of `egan calibrate`, under their names on the command line."""

    x: str
    y: str
    limit: int = 400
    seed: int = 0
    forgeries: int = 8
    output: str | None = None
    card: str | None = None
    json: bool = False
    force: bool = False

    def check(self) -> None:
        """Raises EganError for options that cannot work, before anything is measured."""
        if self.output is not None:
            check_output(self.output, self.force, ".safetensors")
        if self.card is not None:
            card.read_card(self.card)
        if self.limit < 8:
            raise EganError("--limit is below 8: there is nothing to measure", status=2)
        if self.forgeries < 0:
            raise EganError(f"--forgeries {self.forgeries} is less than 0", status=2)
        if not 0 <= self.seed <= LARGEST_SEED:
            raise EganError(
                f"--seed {self.seed} is not from 0 to {LARGEST_SEED}", status=2
            )

    def command(self, weights: str) -> str:
        """The command line that measures the same again."""
        words = ["egan", "calibrate", "--x", self.x, "--y", self.y]
        words += ["--limit", str(self.limit), "--seed", str(self.seed)]
        words += ["--forgeries", str(self.forgeries), "--weights", weights]
        return shlex.join(words)


def run_calibrate(asked: Calibration, weights: Weights) -> None:
    """Measure and print; where asked, write weights that carry the threshold, and the
    model card's block.
    """
    asked.check()
    figures = measure_all(asked, weights)
    print(codec.dumps(figures)) if asked.json else show(figures)
    if asked.output is not None:
        data = with_signing(weights.path, {key: figures[key] for key in KEPT})
        write_output(data, asked.output, asked.force)
        terminal.note(
            f"weights with the threshold: {asked.output}; they have another id, so make keys anew"
        )
    if asked.card is not None:
        name = weights.path.name
        block = card.signing_block(figures, name, asked.command(name))
        text = card.with_block(card.read_card(asked.card), block)
        write_output(text.encode(), asked.card, force=True)
        terminal.note(f"figures written into {asked.card}")


def measure_all(asked: Calibration, weights: Weights) -> dict[str, Any]:
    """Everything that `egan calibrate --json` prints."""
    covers, flowers = (
        sampled(folder, asked.limit, asked.seed) for folder in (asked.x, asked.y)
    )
    side = weights.options.image_size
    signed = sign_all(weights, fitted(flowers, side), fitted(covers[: 2 * KEYS], side))
    figures = measure(signed)
    figures |= {"near_copies": near_copies(signed, figures["threshold"])}
    figures |= {
        "forgeries": forgeries.try_all(
            weights, signed, figures["threshold"], asked.forgeries, asked.seed
        )
    }
    return {
        "secrets": len(signed.secrets),
        "image_size": side,
        "family": weights.options.family,
        **figures,
    }


def sampled(folder: str, limit: int, seed: int) -> list[str]:
    """At most `limit` pictures of a folder, in a seeded order."""
    found = walk(Path(folder))
    for skipped in found.skipped:
        terminal.warn(str(skipped))
    paths = [source.path for source in found.sources]
    order = np.random.default_rng(seed).permutation(len(paths))
    return [paths[i] for i in order[:limit]]


def fitted(paths: Sequence[str], side: int) -> list[Picture]:
    return [compose.fit_cover(files.read_picture(path), (side, side)) for path in paths]


def sign_all(weights: Weights, flowers: list[Picture], covers: list[Picture]) -> Signed:
    """Sign every flower but those that keys are made of, and decode it with the
    signer's public key.
    """
    count = min(KEYS, len(covers), len(flowers) // 4)
    if count < 2:
        raise EganError(
            "too few pictures: at least 2 covers and 8 flowers are needed", status=2
        )
    pairs = [
        key_pair(weights, cover, flower)
        for cover, flower in zip(covers, flowers[:count], strict=False)
    ]
    secrets = flowers[count:]
    done = Signed(secrets, [pairs[i % count] for i in range(len(secrets))], [], [])
    for at in terminal.progress(range(len(secrets)), len(secrets), "signing"):
        private, public = done.pairs[at]
        secret = files.Loaded(secrets[at], None, "a secret")
        job = signing.secret_job(secret, "a secret", weights, None)
        (picture,) = signing.sign([job], private)
        loaded = files.Loaded(picture, None, "a signed picture")
        opened = signing.open_signed(
            loaded, "a signed picture", public, weights, secret
        )
        # Anything passes a threshold of 1.
        (verdict,) = signing.verify([opened], public, threshold=1.0)
        done.pictures.append(picture)
        done.decoded.append(verdict.picture)
    return done


def measure(signed: Signed) -> dict[str, Any]:
    """The threshold from every other secret, and its error rates on the rest."""
    scores = all_scores(signed.decoded, signed.secrets)
    own = np.diag(scores)
    others = ~np.eye(len(own), dtype=bool)
    half = np.arange(len(own)) % 2 == 0
    threshold = choose_threshold(
        own[half], scores[np.ix_(half, half)][others[np.ix_(half, half)]]
    )
    genuine, impostor = (
        own[~half],
        scores[np.ix_(~half, ~half)][others[np.ix_(~half, ~half)]],
    )
    return {
        "threshold": round(threshold, 4),
        "genuine": spread(genuine),
        "impostor": spread(impostor),
        "false_reject": rate(genuine > threshold),
        "false_accept": rate(impostor <= threshold),
    }


def all_scores(decoded: Sequence[Picture], secrets: Sequence[Picture]) -> Scores:
    """`rmse` of every decoded picture with every secret, (N, N), through one product of
    matrices.
    """
    a, b = (
        np.stack(list(these)).reshape(len(these), -1).astype(np.float32) - 127.5
        for these in (decoded, secrets)
    )
    squares = [np.square(m, dtype=np.float64).sum(1) for m in (a, b)]
    apart = squares[0][:, None] + squares[1][None] - 2 * (a @ b.T).astype(np.float64)
    return np.sqrt(np.maximum(apart, 0) / a.shape[1]) / 255


def choose_threshold(genuine: Scores, impostor: Scores) -> float:
    """Between the two where they do not overlap (the geometric mean of the gap); else
    where both error rates meet.
    """
    worst, nearest = float(genuine.max()), float(impostor.min())
    if worst < nearest:
        return float(np.sqrt(max(worst, 1e-4) * nearest))
    candidates = np.unique(np.concatenate((genuine, impostor[impostor <= worst])))
    reject = np.array([(genuine > t).mean() for t in candidates])
    accept = np.array([(impostor <= t).mean() for t in candidates])
    return float(candidates[np.argmin(np.maximum(reject, accept))])


def spread(scores: Scores) -> dict[str, float]:
    return {
        name: round(float(f(scores)), 4)
        for name, f in (("min", np.min), ("mean", np.mean), ("max", np.max))
    }


def rate(hits: files.NDArray[np.bool_]) -> dict[str, float]:
    """How often, of how many, and the upper end of the 95 % confidence interval
    (Wilson).
    """
    count = int(hits.sum())
    return {
        "count": count,
        "of": len(hits),
        "rate": round(count / len(hits), 5),
        "at_most": round(rate_interval(count, len(hits))[1], 5),
    }


def near_copies(signed: Signed, threshold: float) -> dict[str, float]:
    """The share of copies of the secret, each changed in one way, that the match takes
    for the secret itself.

    The commitment (`verify --exact`) takes none of them; every one differs in at least
    one sample.
    """
    shares: dict[str, list[bool]] = {}
    for secret, decoded in list(zip(signed.secrets, signed.decoded, strict=True))[:100]:
        for name, copy in changed_copies(secret).items():
            shares.setdefault(name, []).append(rmse(decoded, copy) <= threshold)
    return {name: round(float(np.mean(hits)), 4) for name, hits in shares.items()}


def changed_copies(secret: Picture) -> dict[str, Picture]:
    image = Image.fromarray(secret)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=50)
    patched, side = secret.copy(), min(secret.shape[:2]) // 8
    patched[:side, :side] = 255 - patched[:side, :side]
    shifted = np.roll(secret, 8, axis=1)
    changed = {
        "JPEG of quality 50": np.asarray(Image.open(jpeg).convert("RGB")),
        "a corner of 1/8 of the side inverted": patched,
        "10 % brighter": np.asarray(ImageEnhance.Brightness(image).enhance(1.1)),
        "moved by 8 pixels": shifted,
        "mirrored": np.asarray(ImageOps.mirror(image)),
    }
    return {
        name: copy for name, copy in changed.items() if not np.array_equal(copy, secret)
    }


def with_signing(path: Path, signing: dict[str, Any]) -> bytes:
    """The bytes of a weights file with this under "signing" in its training summary,
    its tensors untouched.
    """
    data = path.read_bytes()
    header = read_header(io.BytesIO(data), len(data), str(path))
    training = codec.loads(header["__metadata__"].get("training", "{}"))
    header["__metadata__"]["training"] = codec.dumps(
        training | {"signing": signing}, sort_keys=True
    )
    return with_header(data, header)


def show(figures: dict[str, Any]) -> None:
    """The figures for a person."""
    from rich.console import Console
    from rich.table import Table

    print(
        f"secrets: {figures['secrets']} of {figures['image_size']}x{figures['image_size']} pixels, half to choose by"
    )
    print(f"threshold: {figures['threshold']} (RMSE on RGB in [0, 1])")
    for name, words in (
        ("genuine", "score of the secret itself"),
        ("impostor", "score of other secrets"),
    ):
        low, mean, high = (figures[name][key] for key in ("min", "mean", "max"))
        print(f"{words}: {mean} on average, {low} to {high}")
    print(f"false rejects: {card.rate_words(figures['false_reject'])}")
    print(f"false accepts: {card.rate_words(figures['false_accept'])}")
    table = Table("attempt", "passes the match", "passes verify", title=None)
    for name, found in figures["forgeries"].items():
        cells = (
            "-" if found[key] is None else f"{found[key]} of {found['of']}"
            for key in ("match", "verify")
        )
        table.add_row(name, *cells)
    for name, share in figures["near_copies"].items():
        table.add_row(
            f"another secret: {name}",
            f"{100 * share:.0f} %",
            "the same; with --exact none",
        )
    Console().print(table)
