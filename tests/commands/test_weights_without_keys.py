"""Methods without keys on the command line: trained, saved, inspected, used and measured as a person would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PATIENCE, Run, pixels, psnr, smooth
from PIL import Image
from safetensors.torch import load_file

from egan.core.baseline_options import BASELINE_OPTIONS
from egan.core.load import load_model, model_class
from egan.core.tensors import to_unit
from egan.errors import EganError
from egan.train.options import BASELINE_TRAINING
from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.sampler import Sampler
from egan.train.trainer import Trainer

TINY = ["image_size=64", "width=6", "batch=2", "steps=4", "sample_every=100"]
SMALLER = {
    "cyclegan": ["blocks=1", "discriminator_width=4"],
    "munit": ["blocks=1", "mlp=16", "discriminator_width=4"],
    "drit": ["blocks=1", "discriminator_width=4"],
    "baluja": ["depth=2"],
}
FAMILIES = tuple(BASELINE_OPTIONS)


def options(family: str, *extra: str):
    return parse_options("tiny", [*TINY, *SMALLER[family], *extra], family)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with untrained weights of every method without keys."""
    folder = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        torch.manual_seed(0)
        model_class(family)(options(family)[0]).save(
            folder / f"{family}.safetensors", {"step": 0}
        )
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for j, kind in enumerate(("faces", "flowers", "digits")):
        (root / kind).mkdir()
        for i in range(8):
            Image.fromarray(smooth(64, 64, 20 * j + i)).save(root / kind / f"{i}.png")
    return root


def sampler(seed: int = 0) -> Sampler:
    kinds = [np.stack([smooth(64, 64, 20 * j + i) for i in range(8)]) for j in range(3)]
    return Sampler(kinds[0], kinds[1], [list(kinds[2])], seed, torch.device("cpu"))


def trainer(family: str, out: Path, seed: int = 0, *extra: str) -> Trainer:
    return Trainer(
        make_method(*options(family, *extra), sampler(seed)), out, log=lambda _: None
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_save_and_load_round_trip(family: str, models: Path) -> None:
    path = models / f"{family}.safetensors"
    torch.manual_seed(0)
    made = model_class(family)(options(family)[0]).half().float().eval()
    model = load_model(path)
    assert model.options == made.options
    assert not model.keyed
    assert not model.locked
    composite, flower = smooth(64, 80, 1)[None], smooth(64, 64, 2)[None]
    disguise = model.encrypt(composite, flower, None)
    # a level of difference, because loading orders the weights in memory so that they run faster
    assert np.abs(disguise.astype(int) - made.encrypt(composite, flower)).max() <= 1
    found = model.decrypt(disguise, composite, None)
    assert np.abs(found.astype(int) - made.decrypt(disguise, composite)).max() <= 1


@pytest.mark.parametrize("family", ["cyclegan", "drit"])
def test_a_resumed_run_is_the_run_that_never_stopped(
    family: str, tmp_path: Path
) -> None:
    """Image pool, several optimisers and noise included."""
    extra = ("pool=3",) if family == "cyclegan" else ()
    whole = trainer(family, tmp_path / "whole", 0, *extra)
    whole.prepare()
    whole.run()
    half = trainer(family, tmp_path / "half", 0, *extra)
    half.prepare()
    for _ in range(2):
        half.one_step()
    half.out.mkdir()
    half.save()
    rest = trainer(family, tmp_path / "half", 99, *extra)
    rest.resume(tmp_path / "half" / "checkpoint.safetensors")
    rest.run()
    first, second = (
        load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "half")
    )
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert (tmp_path / "whole" / "sample-last.png").exists()


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    one = trainer("baluja", tmp_path)
    one.prepare()
    one.save()
    with pytest.raises(EganError, match="another method"):
        trainer("munit", tmp_path).resume(tmp_path / "checkpoint.safetensors")


@pytest.mark.long
def test_two_processes_train_what_one_trains(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    settings = [*TINY[1:2], *SMALLER["baluja"], "bf16=false"]
    words = "train --method baluja --preset tiny --x faces --y flowers --messages digits --steps 3 --cache cache -q"
    found = {}
    for out, batch in (("one", 4), ("two", 4), ("half", 2)):
        command = [
            *words.split(),
            *(w for s in settings for w in ("--set", s)),
            "--batch",
            str(batch),
        ]
        command += ["--runs", f"{out}-runs", "--out", f"{out}.safetensors"]
        if out == "two":
            start = [
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                "2",
                "-m",
                "egan",
            ]
            done = subprocess.run(
                [sys.executable, "-m", *start, *command],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        else:
            assert run(*command).status == 0
        weights = load_file(f"{out}.safetensors")
        found[out] = torch.cat([w.double().flatten() for w in weights.values()])
    error, control = (
        (found["one"] - found[n]).square().mean().sqrt() for n in ("two", "half")
    )
    assert error < 0.1 * control


@pytest.mark.parametrize("family", FAMILIES)
def test_train_inspect_encrypt_decrypt(
    family: str,
    run: Run,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trip from folders to a recovered picture; sizes that are no squares, and pipes, work."""
    monkeypatch.chdir(tmp_path)
    settings = [w for s in (*TINY[1:2], *SMALLER[family]) for w in ("--set", s)]
    trained = run(
        "train",
        "--method",
        family,
        "--preset",
        "tiny",
        *settings,
        "--steps",
        2,
        "--batch",
        2,
        "-q",
        *(
            w
            for kind, name in (
                ("--x", "faces"),
                ("--y", "flowers"),
                ("--messages", "digits"),
            )
            for w in (kind, pictures / name)
        ),
        "--cache",
        tmp_path / "cache",
        "--out",
        "w.safetensors",
    )
    assert trained.status == 0, trained.err
    facts = json.loads(run("inspect", "--json", "w.safetensors").out)
    assert facts["family"] == facts["options"]["family"] == family
    assert facts["training"]["step"] == 2
    assert sum(facts["parameters"].values()) > 1000
    Image.fromarray(smooth(64, 96, 5)).save("composite.png")
    Image.fromarray(smooth(70, 90, 6)).save("flower.png")
    cls = BASELINE_OPTIONS[family]
    look = ["--flower", "flower.png"] if cls.uses_disguise else []
    disguise = run("encrypt", "--weights", "w.safetensors", *look, "composite.png")
    assert disguise.status == 0, disguise.err
    assert disguise.err.count("\n") == 1
    assert (
        "has no keys: anyone who has these weights can read the message" in disguise.err
    )
    assert disguise.picture.shape == (64, 96, 3)
    found = run("decrypt", "--weights", "w.safetensors", "-q", stdin=disguise.out)
    assert found.status == 0 and "has no keys" in found.err, "also with -q"
    assert found.picture.shape == (64, 96, 3)
    if cls.uses_cover:
        with_cover = run(
            "decrypt",
            "--weights",
            "w.safetensors",
            "--cover",
            "composite.png",
            stdin=disguise.out,
        )
        assert (with_cover.picture != found.picture).any()
    (tmp_path / "out").mkdir()
    many = run(
        "encrypt",
        "--weights",
        "w.safetensors",
        *look,
        "composite.png",
        "-d",
        "out",
        "-q",
    )
    assert many.status == 0, many.err
    assert (pixels("out/composite.png") == disguise.picture).all()


def test_the_flower_and_the_cover_are_what_gives_the_look(models: Path) -> None:
    composite, one, two = (to_unit(smooth(64, 64, seed)[None]) for seed in (1, 7, 8))
    for family, cls in BASELINE_OPTIONS.items():
        model = load_model(models / f"{family}.safetensors")
        assert (
            torch.equal(model.hide(composite, one), model.hide(composite, two))
            != cls.uses_disguise
        )
        assert (
            torch.equal(model.reveal(composite, one), model.reveal(composite, two))
            != cls.uses_cover
        )
        if cls.uses_disguise:
            with pytest.raises(EganError, match="needs a picture"):
                model.encrypt(smooth(64, 64, 1)[None], None, None)  # type: ignore[arg-type]
        if cls.uses_cover:
            assert not torch.equal(
                model.reveal(composite, one), model.reveal(composite, None)
            )


def test_bench_puts_all_methods_into_one_table(
    run: Run,
    models: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all").mkdir()
    for path in (*models.iterdir(), weights):
        (tmp_path / "all" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "all" / "no-weights.safetensors").write_bytes(b"not weights at all")
    measures = ("--limit", 3, "--metrics", "encryption,mse,psnr,security,blind")
    result = run("bench", "--weights", "all", "--methods", "all", "--json", *measures)
    assert result.status == 0, result.err
    assert "no weights of paper: left out" in result.err
    found = json.loads(result.out)
    assert list(found) == ["egan", *FAMILIES]
    assert (
        len({figures["blind"]["psnr"] for figures in found.values()}) == 1
    )  # the same pairs for all
    assert found["egan"]["security"]["psnr_mean"] is not None
    for family in FAMILIES:
        assert found[family]["security"]["psnr_mean"] is None
        assert "no keys" in found[family]["notes"]["security.psnr_mean"]
        assert found[family]["gmac"] > 0
    table = run(
        "bench", "--weights", "all", "--methods", "munit,drit", *measures
    ).out.decode()
    assert "MUNIT, paper's data" in table
    assert "DRIT, paper's data" in table
    assert "12.62" in table
    assert "Deep steganography" not in table
    missing = run("bench", "--weights", "all", "--methods", "paper", *measures)
    assert missing.status == 1
    assert "egan train --preset paper" in missing.err
    (tmp_path / "all" / "munit2.safetensors").write_bytes(
        (models / "munit.safetensors").read_bytes()
    )
    assert (
        "two weights files of the method munit"
        in run("bench", "--weights", "all", "--methods", "all").err
    )


def test_a_cycle_of_nothing_is_measured_as_perfect(models: Path) -> None:
    """A planted answer for the protocol: a method that changes nothing decodes without error and disguises nothing."""
    from egan.bench.data import load_smoke
    from egan.bench.protocol import make_pairs, measure

    model = load_model(models / "cyclegan.safetensors")
    model.F = model.G = torch.nn.Identity()
    model.register_parameter(
        "unused", torch.nn.Parameter(torch.zeros(1))
    )  # it says where the model is
    rows, disguises = measure(
        model, make_pairs(load_smoke(64, 3, 0), 0), with_security=False
    )
    assert all(
        row.message_mse == 0 and row.encryption_mse == 0 and row.security_mse is None
        for row in rows
    )
    assert disguises.shape == (3, 64, 64, 3)
    assert psnr(disguises[0], disguises[0]) > 100


def test_recipes_are_those_of_the_papers() -> None:
    published = {family: BASELINE_TRAINING[family]() for family in FAMILIES}
    assert (
        published["cyclegan"].cycle,
        published["cyclegan"].identity,
        published["cyclegan"].pool,
    ) == (
        10,
        0.5,
        50,
    )  # type: ignore[attr-defined]
    m, d = published["munit"], published["drit"]
    assert (m.adversarial, m.image, m.style, m.content) == (1, 10, 1, 1)  # type: ignore[attr-defined]
    assert (d.cross_cycle, d.self_reconstruction, d.latent, d.kl) == (10, 10, 10, 0.01)  # type: ignore[attr-defined]
    assert published["baluja"].secret == 0.75  # type: ignore[attr-defined]
    assert {f: p.batch for f, p in published.items()} == {
        "cyclegan": 1,
        "munit": 1,
        "drit": 1,
        "baluja": 4,
    }
