"""Muon in float32 for the hidden matrices, AdamW for everything else.

torch's own Muon orthogonalises in bfloat16, which is very slow on a CPU without bfloat16 arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

__all__ = ["MuonAdamW"]

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def _orthogonalise(matrix: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Approximate the orthogonal factor of `matrix` by Newton-Schulz iteration."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x: torch.Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class _Muon:
    """Use orthogonalised momentum, so that every direction of a matrix learns at the same rate.

    The inverse of the decay bounds a matrix's spectral norm; without decay, attention saturates and stops learning.
    """

    def __init__(
        self, matrices: list[torch.nn.Parameter], rate: float, decay: float = 0.5, momentum: float = 0.95
    ) -> None:
        self.matrices = matrices
        self.rate = rate
        self.decay = decay
        self.momentum = momentum
        self.moments = [torch.zeros_like(matrix) for matrix in matrices]

    @torch.no_grad()
    def step(self, scale: float) -> None:
        for matrix, moment in zip(self.matrices, self.moments, strict=True):
            if matrix.grad is None:
                continue
            moment.lerp_(matrix.grad, 1.0 - self.momentum)
            update = _orthogonalise(matrix.grad.lerp(moment, self.momentum))
            size = math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1]))
            matrix.mul_(1.0 - self.rate * scale * self.decay)
            matrix.add_(update, alpha=-self.rate * scale * size)


class MuonAdamW:
    """Combine Muon and AdamW in one optimiser with one schedule: a short warm-up, then a cosine down to 2 %.

    Parameters
    ----------
    named_parameters
        The parameters to train; matrices of hidden layers go to Muon.
    steps
        Length of the schedule.
    muon_rate, adam_rate
        Peak learning rates.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, torch.nn.Parameter]],
        steps: int,
        muon_rate: float,
        adam_rate: float,
    ) -> None:
        matrices: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in named_parameters:
            hidden = parameter.ndim == 2 and "embed" not in name
            (matrices if hidden else others).append(parameter)
        self.muon = _Muon(matrices, muon_rate)
        self.adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.adam_rate = adam_rate
        self.parameters = matrices + others
        self.steps = steps
        self.done = 0

    def _scale(self) -> float:
        warm = min(1.0, (self.done + 1) / 20)
        return warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.done / self.steps))))

    def step(self, loss: torch.Tensor) -> None:
        """Take one step that reduces the loss."""
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        scale = self._scale()
        self.muon.step(scale)
        self.adam.param_groups[0]["lr"] = self.adam_rate * scale
        self.adam.step()
        self.done += 1
