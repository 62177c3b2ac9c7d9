"""K is trained first, by cross-entropy to tell X from Y, and then frozen (DESIGN 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf

from egan.networks import KeyNetwork
from egan.train.sampler import Sampler

HALF_BATCH = 8
RATE = 5e-4
NOISE = 0.02  # Gaussian, on the inputs, in units of the [-1, 1] range


def train_key_network(network: KeyNetwork, sampler: Sampler, steps: int) -> float:
    """Train in place and freeze. Returns the accuracy over the last tenth of the steps."""
    network.train().requires_grad_(True)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    labels = torch.tensor([0] * HALF_BATCH + [1] * HALF_BATCH, device=sampler.device)
    right: list[float] = []
    for step in range(steps):
        x = sampler.pictures(sampler.covers, HALF_BATCH)
        y = sampler.pictures(sampler.disguises, HALF_BATCH)
        both = torch.cat((x, y))
        logits = network(both + NOISE * torch.randn(both.shape, device=both.device))
        optimiser.zero_grad(set_to_none=True)
        nnf.cross_entropy(logits, labels).backward()
        optimiser.step()
        if step >= steps * 0.9:
            right.append((logits.argmax(1) == labels).float().mean().item())
    network.eval().requires_grad_(False)
    return sum(right) / max(len(right), 1)
