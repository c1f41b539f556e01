"""Describe the content of each patch of a picture in words, as the target of the vision tower.

If a thing covers a patch, the words are the thing's colour, kind and place. A blank patch has the word "background" and
the number of shapes in the picture. The ideal image token of a patch is the sum of the embeddings of its words.
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
"""Families of words that exclude each other on a patch, as indices into `WORDS`: colours, kinds, counts, places."""

PatchNames = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""(49, words) the words of each patch; (49,) True for a clear patch: a border is neither covered nor blank."""


def _reach(thing: Thing) -> NDArray[np.float64]:
    """Return the distance of each patch's centre from a thing's centre, along the larger axis, in pixels."""
    middles = (np.arange(PATCHES_ACROSS) + 0.5) * PATCH_SIZE
    across = np.abs(middles - thing.centre[0])[None, :]
    down = np.abs(middles - thing.centre[1])[:, None]
    return np.asarray(np.maximum(across, down).reshape(PATCHES))


def name_patches(scene: Scene) -> PatchNames:
    """Name each patch of a scene.

    If a thing's square covers the centre of a patch, the patch belongs to the thing. If the square only touches the
    patch, the patch is a border: its words are those of a blank patch, and it is marked as not clear.
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
    """Return the language model's embeddings of `WORDS` times 0.5, shape (words, 128); a patch has up to 3 words."""
    table: torch.Tensor = model.get_input_embeddings().weight
    return 0.5 * table[[word_id(tokenizer, word) for word in WORDS]]
