"""Tell whether a model sees its pictures, from its answers to one question with different pictures."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image

__all__ = ["Difference", "contrast", "difference", "largest_difference", "pictures"]

PROBABILITY = 1e-2
"""A difference of probabilities that is more than computing in half precision and in batches makes."""
NATS = 1e-1
"""The same of log-probabilities, for tokens that are not negligible."""
NEGLIGIBLE = 1e-3
"""Probability of a token below which its log-probability says nothing."""
NOISE_FACTOR = 3.0
"""How much more different pictures have to change than asking again does."""

Answer = Mapping[Hashable, float]
"""Tokens and their log-probabilities; the most probable ones."""


@dataclass(frozen=True)
class Difference:
    """The largest differences between two answers, in probability and in nats."""

    probability: float
    nats: float

    def exceeds(self, noise: Difference) -> bool:
        """Tell whether it is more than rounding, and more than `noise`, which asking again makes."""
        return self.probability > max(PROBABILITY, NOISE_FACTOR * noise.probability) or self.nats > max(
            NATS, NOISE_FACTOR * noise.nats
        )


def difference(first: Answer, second: Answer) -> Difference:
    """Compare two answers token by token.

    A token that one of them does not show is at most as probable there as the least probable one that it shows.

    Parameters
    ----------
    first, second : mapping of token to float
        Log-probabilities, at least one each.
    """
    least = (min(first.values()), min(second.values()))
    pairs = []
    for token in {*first, *second}:
        one, other = first.get(token), second.get(token)
        # Where it is hidden, the smallest difference that is possible.
        one = min(least[0], other if other is not None else least[0]) if one is None else one
        other = min(least[1], one) if other is None else other
        pairs.append((one, other))
    probabilities = [abs(math.exp(one) - math.exp(other)) for one, other in pairs]
    nats = [abs(one - other) for one, other in pairs if max(one, other) > math.log(NEGLIGIBLE)]
    return Difference(max(probabilities), max(nats, default=0.0))


def largest_difference(answers: Sequence[Answer]) -> Difference:
    """Compare all pairs of answers, of which there are two or more."""
    found = [difference(*pair) for pair in combinations(answers, 2)]
    return Difference(max(each.probability for each in found), max(each.nats for each in found))


def contrast(image: Image.Image) -> Image.Image:
    """Return a picture of the same size that is clearly another one: all black, or all white where it is dark."""
    dark = float(np.asarray(image.convert("L")).mean()) < 128
    return Image.new("RGB", image.size, "white" if dark else "black")


def pictures(size: tuple[int, int] = (64, 64)) -> list[Image.Image]:
    """Return clearly different pictures of one size: a red one, a blue one, a black one with a white square, noise."""
    width, height = size
    framed = np.zeros((height, width, 3), dtype=np.uint8)
    framed[height // 4 : -height // 4, width // 4 : -width // 4] = 255
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    solid = [Image.new("RGB", size, colour) for colour in ((200, 30, 30), (30, 30, 200))]
    return [*solid, Image.fromarray(framed), Image.fromarray(noise)]
