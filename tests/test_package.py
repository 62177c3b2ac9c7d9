"""The built wheel: what it carries, and the main job from it, away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egan.bench.contestants import chosen_weights
from egan.errors import EganError
from egan.verbs.weights import SHIPPED, find_weights

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(out),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(out / "site")
    return out / "site"


def test_wheel_carries_weights_man_pages_and_completion(wheel: Path) -> None:
    for name in SHIPPED:
        assert (wheel / f"egan/weights/{name}.safetensors").stat().st_size <= 15 * 2**20
    assert (wheel / "egan/weights/SHA256SUMS").is_file()
    (data,) = wheel.glob("*.data/data/share")
    pages = {page.name for page in (data / "man/man1").iterdir()}
    assert {"egan.1", "egan-encrypt.1", "egan-keygen.1"} <= pages
    assert all(page.endswith(".1") for page in pages)
    for path in ("bash-completion/completions/egan", "zsh/site-functions/_egan"):
        assert (data / path).stat().st_size > 0


@pytest.mark.long
def test_the_main_job_runs_from_the_wheel_with_its_own_weights(
    wheel: Path, tmp_path: Path
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "EGAN_WEIGHTS"} | {
        "PYTHONPATH": str(wheel)
    }
    command = [sys.executable, "-m", "egan", "demo", "-d", "out"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = {
        path.stem: np.asarray(Image.open(path)).astype(float)
        for path in (tmp_path / "out").glob("*.png")
    }

    def psnr(one: str, two: str) -> float:
        return float(-10 * np.log10(np.mean(((made[one] - made[two]) / 255) ** 2)))

    assert psnr("recovered", "composite") > 28
    assert psnr("wrong", "composite") < 14
    assert psnr("disguise", "composite") < 14
    assert made["found"].shape == (96, 96, 3)
    assert made["contact-sheet"].std() > 30


def test_shipped_weights_go_by_their_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [find_weights(name).name for name in SHIPPED] == [
        f"{name}.safetensors" for name in SHIPPED
    ]
    assert find_weights("egan") == find_weights(None)
    for name in SHIPPED:
        assert chosen_weights([Path(name)], []) == {name: find_weights(name)}
    # A folder without weights, as the source code's in a checkout, hides nothing.
    (tmp_path / "egan").mkdir()
    assert chosen_weights([Path("egan")], []) == {"egan": find_weights("egan")}
    (tmp_path / "mine").mkdir()
    alone = shutil.copy(find_weights("egan"), tmp_path / "mine/other.safetensors")
    assert chosen_weights([tmp_path / "mine"], []) == {"egan": alone}
    monkeypatch.setenv("EGAN_WEIGHTS", "paper")
    # Without a name: all that lie beside the installed weights.
    assert chosen_weights([], ["egan", "paper"]) == {
        name: find_weights(name) for name in ("egan", "paper")
    }
    with pytest.raises(EganError, match="no weights file papers"):
        find_weights("papers")
