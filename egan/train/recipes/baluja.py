"""Deep steganography's recipe (Baluja 2017): one squared error for the container, one
for the secret.
"""

from __future__ import annotations

from torch import Tensor

from egan.baselines.baluja import Baluja
from egan.core.baseline_options import BalujaOptions
from egan.train.options import BalujaTraining
from egan.train.recipes.unkeyed import UnkeyedMethod


class BalujaMethod(UnkeyedMethod):
    """Equation 1, all three networks at once."""

    model: Baluja
    model_options: BalujaOptions
    options: BalujaTraining

    def build(self) -> None:
        self.model = Baluja(self.model_options)

    def start_optimisers(self) -> None:
        rate = self.options.learning_rate
        self.optimisers["networks"] = self.optimiser(
            self.model.parameters(), rate, (0.9, 0.999)
        )

    def step(self, number: int) -> dict[str, Tensor]:
        o, m = self.options, self.model
        secret, cover, box = self.batch()
        with self.autocast():
            container = m.hide(secret, cover)
            noise = o.noise * self.sampler.normal((o.batch, *container.shape[1:]))
            revealed = m.reveal(container + noise, None)
            loss = hiding_loss(cover, container, secret, revealed, o.secret)
            terms = {
                "cover": squared_error(cover, container),
                "secret": o.secret * squared_error(secret, revealed),
            }
        self.update("networks", loss)
        return self.logged(terms, revealed, secret, box)


def hiding_loss(
    cover: Tensor, container: Tensor, secret: Tensor, revealed: Tensor, beta: float
) -> Tensor:
    """Equation 1 of the paper: MSE(cover, container) + beta MSE(secret, revealed)."""
    return squared_error(cover, container) + beta * squared_error(secret, revealed)


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """The mean squared difference, in float32."""
    return (a.float() - b.float()).square().mean()
