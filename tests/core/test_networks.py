"""The networks against published sizes, the budgets of the default family, and the lock
in the middle of F.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import psnr
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from egan.core.encryptgan import EncryptGANNetworks
from egan.core.load import load_model
from egan.core.lock import lock
from egan.core.networks import HIDE, REVEAL, Encoder, KeyNetwork
from egan.core.options import ModelOptions
from egan.core.phases import (
    REACH,
    VERNIER,
    components_of,
    phases_of,
    quantise_phases,
    room_beside,
    rotate_phases,
    round_against,
)
from egan.core.resnet import PatchGAN, ResNetGenerator
from egan.core.tensors import to_bytes, unit_phases
from egan.crypto.keystream import keystream
from egan.errors import EganError


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def gmac(function, *inputs) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*inputs)
    return counter.get_total_flops() / 2e9


def test_resnet_generator_has_the_published_size() -> None:
    # CycleGAN's ResNet-9 with biases: 11.378 M parameters for 3 channels in
    with torch.device("meta"):
        assert parameters(ResNetGenerator(3)) == 11_378_179
        generator = ResNetGenerator(6)
    picture = torch.empty(1, 6, 256, 256, device="meta")
    assert generator(picture).shape == (1, 3, 256, 256)
    assert 49 < gmac(generator, picture) < 60


def test_patchgan_has_the_published_size() -> None:
    with torch.device("meta"):
        critic = PatchGAN()
        assert parameters(critic) == 2_764_737
        assert critic(torch.empty(1, 3, 256, 256)).shape == (1, 1, 30, 30)


def test_paper_family_is_two_resnets_and_their_output_is_a_picture() -> None:
    model = EncryptGANNetworks(
        ModelOptions(
            family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=9
        )
    )
    assert (
        len([m for m in model.F.modules() if type(m).__name__ == "ResidualBlock"]) == 9
    )
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    out = model.eval().encrypt(picture, picture, None)
    assert out.shape == (1, 64, 64, 3)
    assert out.dtype == np.uint8


def test_default_family_keeps_its_budget() -> None:
    model = EncryptGANNetworks(ModelOptions())
    picture = torch.zeros(1, 3, 256, 256)
    for generator, other in ((model.F, model.G), (model.G, model.F)):
        assert parameters(generator) <= 4_000_000
        z = generator.encode(picture, picture)
        assert (
            gmac(generator.encode, picture, picture)
            + gmac(generator.decode, z, picture, HIDE)
            <= 12
        )
        cost = gmac(generator.measure, picture, picture, other) + gmac(
            generator.decode, z, picture, REVEAL
        )
        assert cost <= 12
    assert 2 * sum(parameters(m) for m in (model.F, model.G, model.K)) < 15 * 2**20


def test_key_network_halves_six_times() -> None:
    features = KeyNetwork(4).features(torch.zeros(1, 3, 256, 256))
    assert [f.shape[-1] for f in features] == [128, 64, 32, 16, 8, 4]


def test_key_images_span_the_range_and_are_8_bit() -> None:
    torch.manual_seed(0)
    key = KeyNetwork(4).key_image(torch.rand(2, 3, 64, 64) * 2 - 1, (1, 2, 3))
    levels = (key + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert key.shape == (2, 3, 64, 64)
    assert key.min() >= -1
    assert key.max() <= 1


def test_a_key_image_with_levels_holds_how_light_a_picture_is() -> None:
    picture = torch.rand(1, 3, 64, 64) * 0.2 - 0.1
    for levels in (False, True):
        network = KeyNetwork(4, levels)
        for conv in network.convs:
            torch.nn.init.zeros_(conv.bias)
            torch.nn.init.constant_(conv.weight, 0.1)
        dark, light = (
            network.key_image(p, (1, 1, 1)) for p in (picture + 0.3, picture + 0.6)
        )
        if levels:
            assert light.mean() - dark.mean() > 0.1
            assert light.max() < 0.6, "sums are at most 48 * 0.1 * 0.7"
        else:
            assert all(k.min() < -0.9 and k.max() > 0.9 for k in (dark, light))


def test_the_curve_of_key_images_with_levels() -> None:
    network = KeyNetwork(4, levels=True)
    # 255 m / (1 + m), halves to even.
    for bias, level in (
        (0.0, 0),
        (1.0, 128),
        (4.0, 204),
    ):
        torch.nn.init.zeros_(network.convs[0].weight)
        torch.nn.init.constant_(network.convs[0].bias, bias)
        key = network.key_image(torch.rand(1, 3, 64, 64), (1, 1, 1))
        assert ((key + 1) * 127.5).round().unique().tolist() == [level]


def test_encoder_gives_unit_magnitudes() -> None:
    torch.manual_seed(1)
    encoder = Encoder(3, 5, 2, 8, 1)
    for p in encoder.parameters():
        torch.nn.init.normal_(p, 0, 0.3)
    for role in (HIDE, REVEAL):
        z = encoder(torch.rand(2, 3, 32, 32) * 2 - 1, role)
        assert z.shape == (2, 2, 5, 8, 8)
        assert (z.square().sum(1) - 1).abs().max() < 1e-3


def test_components_come_back_from_their_phases() -> None:
    torch.manual_seed(2)
    components = torch.cat(
        (torch.rand(2, 2, 8, 8) * 2 - 1, torch.randn(2, 5, 8, 8) * 3), 1
    )
    phases = phases_of(components, 2)
    assert phases.shape == (2, 2, 9, 8, 8)
    assert torch.allclose(components_of(phases, 2), components, atol=1e-4)
    assert torch.allclose(
        components_of(phases_of(components, 0), 0)[:, 2:], components[:, 2:], atol=1e-4
    )


def test_a_turn_misread_beside_its_neighbours_is_put_right() -> None:
    """Noise that takes a coarse phase past pi, and one that takes it three quarters of
    a fine turn off.
    """
    components = torch.full((1, 1, 8, 8), 0.98)
    angle = torch.cat((REACH * components, VERNIER * REACH * components), 1)
    angle[0, 0, 2, 2] += 0.7
    angle[0, 0, 5, 5] -= 0.75 * 2 * math.pi / VERNIER
    found = components_of(torch.stack((torch.cos(angle), torch.sin(angle)), 1), 1)
    assert torch.allclose(found, components, atol=1e-4)


def test_a_vernier_makes_a_component_four_times_as_exact() -> None:
    torch.manual_seed(3)
    components = torch.linspace(-0.9, 0.9, 64).expand(4, 1, 64, 64)
    angle = torch.cat((REACH * components, VERNIER * REACH * components), 1)
    angle = angle + 0.1 * torch.randn(angle.shape)
    noisy = torch.stack((torch.cos(angle), torch.sin(angle)), 1)
    error = (components_of(noisy, 1) - components).square().mean().sqrt().item()
    assert error == pytest.approx(0.1 / (VERNIER * REACH), rel=0.05)


def test_unit_phases_are_the_roots_of_unity_to_the_last_bit() -> None:
    z = unit_phases(torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16))
    angle = np.arange(256) * (2 * math.pi / 256)
    assert z[0, 0, 0].numpy().ravel().tolist() == np.float32(np.cos(angle)).tolist()
    assert z[0, 1, 0].numpy().ravel().tolist() == np.float32(np.sin(angle)).tolist()


def test_rotation_in_training_is_the_lock_on_bytes() -> None:
    rng = np.random.default_rng(0)
    a, k = (rng.integers(0, 256, (1, 3, 4, 4), dtype=np.uint8) for _ in range(2))
    turned = rotate_phases(unit_phases(torch.from_numpy(a)), torch.from_numpy(k), +1)
    assert torch.allclose(turned, unit_phases(torch.from_numpy(lock(a, k))), atol=1e-6)
    back = rotate_phases(turned, torch.from_numpy(k), -1)
    assert torch.allclose(back, unit_phases(torch.from_numpy(a)), atol=1e-6)


def test_quantised_phases_are_bytes_with_a_gradient() -> None:
    z = torch.nn.functional.normalize(
        torch.randn(1, 2, 3, 4, 4), dim=1
    ).requires_grad_()
    q = quantise_phases(z)
    steps = torch.atan2(q[:, 1], q[:, 0]) / (2 * math.pi / 256)
    assert (steps - steps.round()).abs().max() < 1e-3
    q.sum().backward()
    assert z.grad is not None
    assert (z.grad == 1).all()


def test_disguise_is_a_function_of_locked_bytes_and_public_key_alone(
    tiny_model: EncryptGANNetworks,
) -> None:
    """Two messages, with keystreams that make their locked bytes equal, give one
    disguise, bit for bit.
    """
    rng = np.random.default_rng(3)
    one, two = (rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8) for _ in range(2))
    key = rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    a1, a2 = tiny_model.phase_bytes(one, key), tiny_model.phase_bytes(two, key)
    assert (a1 != a2).mean() > 0.5
    k1 = keystream(bytes(32), a1.shape)
    k2 = lock(a1, k1) - a2
    first, second = tiny_model.encrypt(one, key, k1), tiny_model.encrypt(two, key, k2)
    assert (first == second).all()
    painted = tiny_model.render(lock(a1, k1), key)
    assert (first == tiny_model.levels("F", painted)).all()
    # The control: without that, they differ.
    assert (tiny_model.encrypt(two, key, k1) != first).any()


def test_no_gradient_goes_round_the_lock(tiny_model: EncryptGANNetworks) -> None:
    """With the phases cut, nothing of the composite reaches the disguise."""
    composite = torch.rand(1, 3, 64, 64, requires_grad=True)
    key = torch.rand(1, 3, 64, 64)
    z = tiny_model.F.encode(composite, key)
    assert not tiny_model.F.decode(z.detach(), key, HIDE).requires_grad
    assert tiny_model.F.decode(z, key, HIDE).requires_grad


def test_encrypt_takes_any_multiple_of_16_and_refuses_the_rest(
    tiny_model: EncryptGANNetworks,
) -> None:
    key = np.zeros((1, 64, 64, 3), np.uint8)
    for height, width in ((64, 80), (96, 64)):
        picture = np.full((1, height, width, 3), 90, np.uint8)
        k = keystream(bytes(32), (1, *tiny_model.keystream_shape(height, width)))
        disguise = tiny_model.encrypt(picture, key, k)
        assert disguise.shape == picture.shape
        assert tiny_model.decrypt(disguise, key, k).shape == picture.shape
    with pytest.raises(EganError, match="multiples of 16|does not fit"):
        tiny_model.encrypt(np.zeros((1, 72, 64, 3), np.uint8), key, k)


def test_the_backward_cycle_signs_and_its_keystream_matters(
    tiny_model: EncryptGANNetworks, here: Path
) -> None:
    secret = np.stack([np.array(Image.open(here / "composite.png").convert("RGB"))])
    key = np.zeros((1, 64, 64, 3), np.uint8)
    k, other = (
        keystream(bytes([i]) * 32, (1, *tiny_model.keystream_shape(64, 64)))
        for i in (1, 2)
    )
    signed = tiny_model.sign(secret, key, k)
    assert psnr(tiny_model.unsign(signed, key, k), secret) > 25
    assert psnr(tiny_model.unsign(signed, key, other), secret) < 12


def test_a_batch_is_the_same_as_one_by_one(tiny_model: EncryptGANNetworks) -> None:
    rng = np.random.default_rng(5)
    pictures, keys = (
        rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8) for _ in range(2)
    )
    k = keystream(bytes(32), (3, *tiny_model.keystream_shape(64, 64)))
    together = tiny_model.encrypt(pictures, keys, k).astype(int)
    for i in range(3):
        alone = tiny_model.encrypt(pictures[i : i + 1], keys[i : i + 1], k[i : i + 1])[
            0
        ]
        assert np.abs(together[i] - alone).max() <= 1


def test_to_bytes_rounds_and_clamps() -> None:
    values = (
        torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    )
    assert to_bytes(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(tiny_model: EncryptGANNetworks) -> None:
    rng = np.random.default_rng(7)
    picture, key = (
        rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8) for _ in range(2)
    )
    k = keystream(bytes(32), (1, *tiny_model.keystream_shape(64, 64)))
    cpu = tiny_model.encrypt(picture, key, k).astype(int)
    cuda = tiny_model.to("cuda").encrypt(picture, key, k).astype(int)
    tiny_model.to("cpu")
    assert np.abs(cpu - cuda).mean() < 0.5


def test_painting_is_scaled_into_the_room_that_the_carriers_leave() -> None:
    painted = torch.tensor([1.25, -0.5, 0.0]).view(1, 3, 1, 1)
    base = torch.tensor([0.0, 0.0, 0.9]).view(1, 3, 1, 1)
    # 0.8 x 1.25 = 1.
    assert room_beside(base, painted).item() == pytest.approx(0.8)
    base = torch.tensor([-0.25, -0.75, 0.0]).view(1, 3, 1, 1)
    # -0.75 - 0.5 x 0.5 = -1.
    assert room_beside(base, painted).item() == pytest.approx(0.5)
    assert room_beside(0 * base, painted / 2).item() == 1


def test_what_f_paints_fits_into_8_bits_and_stays_beside_the_carriers(
    tiny_model: EncryptGANNetworks,
) -> None:
    decoder = tiny_model.F.decoder
    with torch.no_grad():
        head = decoder.head[HIDE]
        # Far brighter and darker than any picture.
        head.weight.mul_(40)
        z = unit_phases(torch.randint(0, 256, (2, tiny_model.options.phases, 16, 16)))
        picture = decoder(z, torch.rand(2, 3, 64, 64) * 2 - 1, HIDE)
        carriers = decoder.payload(torch.cat((z[:, 0], z[:, 1]), 1))
        on = torch.eye(48) - decoder.beside_carriers()
        cells = torch.nn.functional.pixel_unshuffle(picture, 4)
    assert 0.99 < picture.abs().max() <= 1 + 1e-6
    assert torch.allclose(torch.einsum("ij,njhw->nihw", on, cells), carriers, atol=1e-5)


def test_rounding_against_a_weight() -> None:
    values = torch.tensor([[0.4, 9.6], [0.4, -3.0], [200.7, 300.0]])
    plain = torch.tensor([[0.0, 10.0], [0.0, 0.0], [201.0, 255.0]])
    assert torch.equal(round_against(values, torch.eye(3)), plain)
    # Almost only the sum of both errors counts: one takes up the other's.
    sums = torch.ones(2, 2) + 1e-3 * torch.eye(2)
    assert round_against(torch.tensor([[0.4], [0.4]]), sums).flatten().tolist() == [
        0,
        1,
    ]


def test_rounding_keeps_off_the_carriers(tiny_model: EncryptGANNetworks) -> None:
    picture = (
        torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9
    )
    decoder = tiny_model.F.decoder
    levels = tiny_model.F.levels(picture)
    exact = (picture + 1) * 127.5
    assert torch.equal(levels, levels.round())
    assert 0 <= levels.min() <= levels.max() <= 255

    def on_carriers(rounded: torch.Tensor) -> float:
        cells = torch.nn.functional.pixel_unshuffle(rounded - exact, 4)
        on = torch.eye(48) - decoder.beside_carriers()
        return torch.einsum("ij,njhw->nihw", on, cells).square().sum().item()

    # 1/12 a dimension is what rounding one by one leaves; measured on the default
    # weights: 0.39 of it
    assert on_carriers(levels) < 0.6 * on_carriers(exact.round())
    # Plain rounding: 0.25.
    assert (levels - exact).abs().mean() < 0.6
    assert np.array_equal(
        to_bytes(levels / 127.5 - 1), levels.permute(0, 2, 3, 1).byte().numpy()
    )


def test_exact_measuring_finds_every_phase_whatever_is_painted(
    tiny_model: EncryptGANNetworks, tmp_path: Path
) -> None:
    """Carriers that moved, a painter gone wild: the inverse of the carriers reads them,
    and training sees that at once.
    """
    model = EncryptGANNetworks(
        dataclasses.replace(tiny_model.options, exact_measuring=True)
    )
    model.load_state_dict(tiny_model.state_dict())
    torch.manual_seed(3)
    for hider, revealer in ((model.F, model.G), (model.G, model.F)):
        with torch.no_grad():
            hider.decoder.head[HIDE].weight.mul_(40)
            carriers = hider.decoder.direct[HIDE].weight
            carriers.add_(0.2 * carriers.std() * torch.randn(carriers.shape))
        key = torch.rand(2, 3, 64, 64) * 2 - 1
        sent = unit_phases(torch.randint(0, 256, (2, model.options.phases, 16, 16)))
        picture = hider.decode(sent, key, HIDE)
        learned = revealer.encoder(revealer.seen(picture, key), REVEAL)
        assert (learned - sent).abs().max() > 0.1, (
            "an encoder knows the carriers that it learned by"
        )
        measured = revealer.measure(picture, key, hider)
        assert torch.allclose(measured, sent, atol=1e-3)
        # Measured and sent are the same for any carriers, so there is nothing to gain
        # by moving them.
        (slope,) = torch.autograd.grad(
            (measured - sent.roll(1, 0)).square().sum(), carriers
        )
        assert slope.abs().max() < 1e-2
    model.save(tmp_path / "w.safetensors", {})
    loaded = load_model(tmp_path / "w.safetensors")
    assert loaded.options.exact_measuring
    with torch.no_grad():
        picture = loaded.F.decode(sent, key, HIDE)
        assert torch.allclose(loaded.G.measure(picture, key, loaded.F), sent, atol=1e-3)
        rounded = loaded.F.levels(picture) / 127.5 - 1
        through = loaded.G.measure(rounded, key, loaded.F)
    assert (through * sent).sum(1).min() > 0.5, (
        "no phase is off by as much as 60 degrees"
    )
