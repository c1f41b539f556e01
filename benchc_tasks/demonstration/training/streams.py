"""Draw endless training data: scenes of the training split, their pictures, and questions packed after each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.demonstration.drawing.questions import (
    CATEGORIES,
    COUNTS,
    Question,
    ask,
    categories_for,
    draw_scene_for,
)
from benchc_tasks.demonstration.drawing.scenes import Scene, Split, render
from benchc_tasks.demonstration.training.architecture import PATCHES
from benchc_tasks.demonstration.training.patches import name_patches
from benchc_tasks.demonstration.training.vocabulary import IMAGE_TOKEN, WORDS, prompt_text, word_id

__all__ = ["Pack", "Stream"]

_CATEGORY_WEIGHTS = {"colour": 1.0, "shape": 1.5, "count": 1.0, "position": 1.0, "digit": 2.0, "relation": 1.5}
_OPTION_NUMBERS = (2, 3, 4, 4, 4, 4, 4, 4, 5, 6)
_CHOICES, _LOOKS = 4, 3


@dataclass(frozen=True)
class _Block:
    """The tokens of one question of a pack; the last two are the reply and the end of turn.

    `end` is the index of the question's last token, `options` are the indices of the options' words.
    """

    ids: list[int]
    question: Question
    end: int
    options: tuple[int, ...]

    @property
    def word(self) -> str:
        return self.question.options[self.question.answer]


@dataclass(frozen=True)
class Pack:
    """A batch with several questions after each picture; a question sees only the picture and itself.

    Attributes
    ----------
    ids, positions
        Token and position of each place, of shape (batch, length).
    mask
        True where a place sees another, of shape (batch, 1, length, length).
    rows, ends, lasts
        For each question its row, the column of its end, and the column that predicts the reply.
    replies
        The token of each question's reply: a letter, or a word for a question without options.
    words
        The token of each question's answer in words.
    subjects
        The token of each question's subject; -1 if it names none.
    patches
        The patches that show the answer to each question, of shape (questions, 49).
    chosen
        The column of each question's right option; -1 without options.
    labels
        Rows and columns of all options, and their letters; of shape (3, options).
    categories
        The category under which each question is counted.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    rows: torch.Tensor
    ends: torch.Tensor
    lasts: torch.Tensor
    replies: torch.Tensor
    words: torch.Tensor
    subjects: torch.Tensor
    patches: torch.Tensor
    chosen: torch.Tensor
    labels: torch.Tensor
    categories: tuple[str, ...]


class Stream:
    """Source of scenes, pictures and questions; the same seed gives the same stream.

    Parameters
    ----------
    tokenizer
        The model's tokenizer.
    seed
        Seed of all random numbers.
    stage
        Number of the training stage; each stage has its own stream.
    noise
        Largest standard deviation of Gaussian noise added to half of the pictures, on a scale from 0 to 1.
    """

    def __init__(self, tokenizer: Any, seed: int, stage: int = 0, noise: float = 0.0) -> None:
        self.tokenizer = tokenizer
        self.rng = np.random.default_rng([Split.TRAINING.value, seed, stage])
        self.noise = noise
        weights = np.array([_CATEGORY_WEIGHTS[category] for category in CATEGORIES])
        self.weights = weights / weights.sum()
        image = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        user = tokenizer.convert_tokens_to_ids("<|user|>")
        self.end = tokenizer.convert_tokens_to_ids("?")
        self.newline, self.dot = (tokenizer.encode(text, add_special_tokens=False)[0] for text in "\n.")
        self.words = {word: word_id(tokenizer, word) for word in WORDS}
        self.prefix = [user, *[image] * PATCHES, *tokenizer.encode("\n", add_special_tokens=False)]

    def scenes(self, number: int) -> list[Scene]:
        """Draw scenes of all kinds."""
        categories = self.rng.choice(CATEGORIES, number, p=self.weights)
        return [draw_scene_for(str(category), Split.TRAINING, self.rng) for category in categories]

    def pixels(self, scenes: list[Scene]) -> torch.Tensor:
        """Paint scenes in the format of the model's image processor, with small changes of brightness and contrast."""
        pictures = np.stack([render(scene, self.rng) for scene in scenes]).astype(np.float32) / 255.0
        contrast = self.rng.uniform(0.92, 1.08, (len(scenes), 1, 1, 1)).astype(np.float32)
        brightness = self.rng.uniform(-0.04, 0.04, (len(scenes), 1, 1, 1)).astype(np.float32)
        pictures = (pictures - 0.5) * contrast + 0.5 + brightness
        if self.noise > 0.0:
            sigma = self.rng.uniform(-self.noise, self.noise, (len(scenes), 1, 1, 1)).clip(0.0).astype(np.float32)
            pictures += sigma * self.rng.standard_normal(pictures.shape, dtype=np.float32)
        return torch.from_numpy((pictures.clip(0.0, 1.0) - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()

    def names(self, scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
        """Name the patches of scenes: their words (batch, 49, words), and a mark for clear ones (batch, 49)."""
        named = [name_patches(scene) for scene in scenes]
        return torch.from_numpy(np.stack([names for names, _ in named])), torch.from_numpy(
            np.stack([clear for _, clear in named])
        )

    def pack(self, scenes: list[Scene]) -> Pack:
        """Ask questions about each scene, with and without options, and pack them after its picture."""
        with_options = [True] * _CHOICES + [False] * _LOOKS
        return self._packed(scenes, [[self._block(scene, has) for has in with_options] for scene in scenes])

    def _block(self, scene: Scene, with_options: bool) -> _Block:
        question = self._question(scene)
        word = question.options[question.answer]
        if with_options:
            prompt = prompt_text(question.text, question.options)
            text = f"{prompt}<|end|><|assistant|>{LETTERS[question.answer]}<|end|>"
        else:
            text = f"{question.text}<|end|><|assistant|> {word}<|end|>"
        ids = list(self.tokenizer.encode(text, add_special_tokens=False))
        # An option is a line with a letter, a dot and a word.
        starts = [index for index in range(len(ids) - 3) if ids[index] == self.newline and ids[index + 2] == self.dot]
        return _Block(ids, question, ids.index(self.end), tuple(start + 3 for start in starts))

    def _question(self, scene: Scene) -> Question:
        categories = categories_for(scene)
        weights = np.array([_CATEGORY_WEIGHTS[category] for category in categories])
        category = str(self.rng.choice(categories, p=weights / weights.sum()))
        number = int(self.rng.choice(_OPTION_NUMBERS))
        number = min(number, len(COUNTS)) if category == "count" else number
        return ask(scene, category, self.rng, options=number, tempting=True)

    def _packed(self, scenes: list[Scene], packs: list[list[_Block]]) -> Pack:
        length = len(self.prefix) + max(sum(len(block.ids) for block in blocks) for blocks in packs)
        ids, positions = np.zeros((2, len(packs), length), np.int64)
        block_of = np.full((len(packs), length), -1, np.int64)
        ids[:, : len(self.prefix)] = self.prefix
        positions[:, : len(self.prefix)] = np.arange(len(self.prefix))
        block_of[:, : len(self.prefix)] = 0
        starts: list[tuple[int, int, _Block]] = []
        for row, blocks in enumerate(packs):
            start = len(self.prefix)
            for number, block in enumerate(blocks, start=1):
                stop = start + len(block.ids)
                ids[row, start:stop] = block.ids
                positions[row, start:stop] = len(self.prefix) + np.arange(len(block.ids))
                block_of[row, start:stop] = number
                starts.append((row, start, block))
                start = stop
        return self._marked(scenes, torch.from_numpy(ids), torch.from_numpy(positions), _block_mask(block_of), starts)

    def _marked(
        self,
        scenes: list[Scene],
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        starts: list[tuple[int, int, _Block]],
    ) -> Pack:
        """Record the places of question ends, options and replies in a batch."""
        names, _ = self.names(scenes)
        rows = torch.tensor([row for row, _, _ in starts])
        lasts = torch.tensor([start + len(block.ids) - 3 for _, start, block in starts])
        subjects = [block.question.subject for _, _, block in starts]
        shown = names[rows, :, [WORDS.index(block.word) for _, _, block in starts]] > 0
        for index, subject in enumerate(subjects):
            if subject is not None:
                shown[index] &= names[rows[index], :, WORDS.index(subject)] > 0
        return Pack(
            ids=ids,
            positions=positions,
            mask=mask,
            rows=rows,
            ends=torch.tensor([start + block.end for _, start, block in starts]),
            lasts=lasts,
            replies=ids[rows, lasts + 1],
            words=torch.tensor([self.words[block.word] for _, _, block in starts]),
            subjects=torch.tensor([-1 if subject is None else self.words[subject] for subject in subjects]),
            patches=shown,
            chosen=torch.tensor(
                [start + block.options[block.question.answer] if block.options else -1 for _, start, block in starts]
            ),
            labels=torch.tensor(
                [
                    (row, start + option, block.ids[option - 2])
                    for row, start, block in starts
                    for option in block.options
                ]
            ).T.contiguous(),
            categories=tuple(block.question.category if block.options else "look" for _, _, block in starts),
        )


def _block_mask(block_of: NDArray[np.int64]) -> torch.Tensor:
    """Let each place see itself, and earlier places of the prefix (block 0) and of its own block."""
    length = block_of.shape[1]
    causal = np.tril(np.ones((length, length), np.bool_))
    keys, queries = block_of[:, None, :], block_of[:, :, None]
    seen = causal & ((keys == 0) | (keys == queries)) & (queries >= 0)
    return torch.from_numpy((seen | np.eye(length, dtype=np.bool_))[:, None])
