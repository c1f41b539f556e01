"""Describe in words what each patch of a picture shows: the target of the vision tower.

A patch that a thing covers is named by the thing's colour, kind and place; a blank patch by the word "background"
and by how many shapes the picture has. The ideal image token of a patch is the sum of the embeddings of its words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchc_tasks.demonstration.drawing.questions import COUNTS
from benchc_tasks.demonstration.drawing.scenes import COLOURS, DIGITS, PLACES, Scene, Thing
from benchc_tasks.demonstration.drawing.shapes import SHAPES
from benchc_tasks.demonstration.training.architecture import PATCHES, PATCHES_ACROSS
from benchc_tasks.demonstration.training.vocabulary import BLANK, PATCH_SIZE, WORDS, word_id

__all__ = ["FAMILIES", "PatchNames", "name_patches", "word_embeddings"]

_INDEX = {word: index for index, word in enumerate(WORDS)}

FAMILIES: tuple[tuple[int, ...], ...] = tuple(
    tuple(_INDEX[word] for word in family) for family in ((*COLOURS, BLANK), (*SHAPES, *DIGITS), COUNTS, PLACES)
)
"""Words that exclude each other on a patch, as indices into `WORDS`: colours, kinds, counts and places."""

PatchNames = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""(49, words) which words name each patch; (49,) whether the patch is clear: neither covered nor blank is a border."""


def _reach(thing: Thing) -> NDArray[np.float64]:
    """Return how far each patch's centre lies from a thing's, by the larger of the two axes, in pixels."""
    middles = (np.arange(PATCHES_ACROSS) + 0.5) * PATCH_SIZE
    across = np.abs(middles - thing.centre[0])[None, :]
    down = np.abs(middles - thing.centre[1])[:, None]
    return np.asarray(np.maximum(across, down).reshape(PATCHES))


def name_patches(scene: Scene) -> PatchNames:
    """Name each patch of a scene.

    A patch whose centre a thing's square covers is the thing's; a patch that the square only touches is a border,
    named as blank and marked as not clear.
    """
    names = np.zeros((PATCHES, len(WORDS)), np.float32)
    names[:, _INDEX[BLANK]] = 1.0
    if scene.shapes:
        names[:, _INDEX[COUNTS[len(scene.shapes) - 1]]] = 1.0
    clear = np.ones(PATCHES, np.bool_)
    for thing in scene.things:
        reach = _reach(thing)
        clear &= (reach <= thing.half) | (reach >= thing.half + PATCH_SIZE / 2)
    for thing in scene.things:
        covered = _reach(thing) <= thing.half
        names[covered] = 0.0
        for word in (thing.colour, thing.kind, thing.place):
            names[covered, _INDEX[word]] = 1.0
    return names, clear


def word_embeddings(model: Any, tokenizer: Any) -> torch.Tensor:
    """Return half the language model's embeddings of `WORDS`, of shape (words, 128): a patch has up to three words."""
    table: torch.Tensor = model.get_input_embeddings().weight
    return 0.5 * table[[word_id(tokenizer, word) for word in WORDS]]
