"""A training step as a GPU would run it, on a machine without one: on fake CUDA tensors, which have shapes and devices, not values.

An operation on tensors of two devices fails, and so does whatever reads a value back: that would stop the CPU until the
GPU has caught up. What this cannot see: kernels, speed, memory, and the backward pass, which follows the forward one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.recipes.base import Method
from egan.train.sampler import Sampler
from egan.train.trainer import Trainer

pytestmark = pytest.mark.skipif(
    not torch.backends.cuda.is_built(),
    reason="this build of torch has no CUDA devices, not even fake ones",
)
GPU = torch.device("cuda", 0)
SMALL = ["image_size=64", "batch=2", "bf16=true"]
KEYED = [*SMALL, "key_width=4", "discriminator_width=4"]
CRITICS = ["critic_scales=2", "critic_augment=color,translation,cutout"]


def move(
    module: nn.Module,
    change: Callable[[torch.Tensor], torch.Tensor],
    recurse: bool = True,
) -> nn.Module:
    """`Module._apply` by replacing the parameters: torch's own swaps tensors in place, which fake ones do not allow."""
    for part in module.modules():
        for name, p in part._parameters.items():
            if p is not None:
                part._parameters[name] = nn.Parameter(
                    change(p.detach()), p.requires_grad
                )
        for name, b in part._buffers.items():
            if b is not None:
                part._buffers[name] = change(b)
    return module


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything made inside is fake; autocast takes CUDA for present; there is no backward pass, only its gradients."""

    def update(
        self: Method, name: str, loss: torch.Tensor, clip: float = 0.0
    ) -> torch.Tensor:
        for group in self.optimisers[name].param_groups:
            for p in group["params"]:
                p.grad = torch.zeros_like(p)
        return real_update(self, name, loss, clip)

    def autocast(self: Method) -> torch.autocast:
        with pytest.MonkeyPatch.context() as present:
            present.setattr(torch.cuda, "is_available", lambda: True)
            return real_autocast(self)

    real_update, real_autocast = Method.update, Method.autocast
    monkeypatch.setattr(nn.Module, "_apply", move)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: None)
    monkeypatch.setattr(torch.optim.Adam, "zero_grad", lambda *_, **__: None)
    monkeypatch.setattr(Method, "update", update)
    monkeypatch.setattr(Method, "autocast", autocast)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def fake_trainer(
    name: str, preset: str, settings: list[str], tmp_path: Path
) -> Trainer:
    def pictures(count: int, side: int) -> torch.Tensor:
        return torch.empty(count, side, side, 3, dtype=torch.uint8, device=GPU)

    sampler = Sampler(pictures(12, 64), pictures(12, 64), [pictures(8, 32)], 0, GPU)
    trainer = Trainer(
        make_method(*parse_options(preset, settings, name), sampler), tmp_path
    )
    trainer.start()
    return trainer


RUNS = {
    "egan": ("egan", "tiny", [*KEYED, "width=8"]),
    "paper": ("egan", "paper", [*KEYED, "resnet_width=4"]),
    "critics": ("egan", "tiny", [*KEYED, *CRITICS, "width=8"]),
    "cyclegan": ("cyclegan", "tiny", [*SMALL, "width=4"]),
    "munit": ("munit", "tiny", [*SMALL, "width=4"]),
    "drit": ("drit", "tiny", [*SMALL, "width=4"]),
    "baluja": ("baluja", "tiny", [*SMALL, "width=4"]),
}


@pytest.mark.filterwarnings("ignore:Accessing the data pointer")
@pytest.mark.parametrize("run", RUNS)
def test_a_step_stays_on_the_gpu(run: str, fake_gpu: None, tmp_path: Path) -> None:
    trainer = fake_trainer(*RUNS[run], tmp_path)
    for _ in range(4):  # of which one has the backward cycle of family egan
        trainer.one_step()
    assert trainer.sums
    assert {v.device for v in trainer.sums.values()} == {GPU}
    assert {p.device for p in trainer.average.parameters()} == {GPU}
    with pytest.raises(DataDependentOutputException):
        trainer.check()  # a report does read values


@pytest.mark.filterwarnings("ignore:Accessing the data pointer")
def test_what_would_stop_a_gpu_is_seen(
    fake_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = fake_trainer(*RUNS["egan"], tmp_path)
    step = trainer.method.step
    monkeypatch.setattr(
        trainer.method, "step", lambda n: {"a": step(n)["cycle"] + torch.ones(3)}
    )
    with pytest.raises(RuntimeError, match="devices"):
        trainer.one_step()
    monkeypatch.setattr(
        trainer.method, "step", lambda n: {"a": step(n)["cycle"].item()}
    )
    with pytest.raises(DataDependentOutputException):
        trainer.one_step()
