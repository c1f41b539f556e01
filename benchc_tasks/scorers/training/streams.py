"""Endless training data: scenes of the training split, their pictures, and questions packed behind each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchc_tasks.datasets.demonstration.questions import CATEGORIES, Question, ask, categories_for, draw_scene_for
from benchc_tasks.datasets.demonstration.scenes import Scene, Split, render
from benchc_tasks.prompting import LETTERS, question_with_options
from benchc_tasks.scorers.training.architecture import PATCHES
from benchc_tasks.scorers.training.patches import name_patches
from benchc_tasks.scorers.training.vocabulary import IMAGE_TOKEN, WORDS, prompt_text, word_id

__all__ = ["Block", "Mix", "Pack", "Stream"]

_CATEGORY_WEIGHTS = {"colour": 1.0, "shape": 1.5, "count": 1.0, "position": 1.0, "digit": 2.0, "relation": 1.5}
_OPTION_NUMBERS = (2, 3, 4, 4, 4, 4, 4, 4, 5, 6)


@dataclass(frozen=True)
class Mix:
    """What the questions of a batch look like.

    Attributes
    ----------
    drills
        Share of questions that are a statement and lettered words only: the shortest that binds a word to its letter.
    hints
        Share of the other questions whose text already contains the answer.
    open
        Share of questions without options, answered by a word.
    looks
        How many questions without options or hints are asked about each picture besides.
    tempting
        Whether what else a picture shows stands among the options.
    """

    drills: float = 0.0
    hints: float = 0.0
    open: float = 0.0
    looks: int = 0
    tempting: bool = False


@dataclass(frozen=True)
class Block:
    """One question of a pack.

    Attributes
    ----------
    ids
        Its tokens; the last two are the answer and the end of turn.
    category
        What it is counted as.
    mark
        Index of the token that ends the question, if there is one; from here on the answer can be known.
    word
        Token of the answer in words.
    """

    ids: list[int]
    category: str
    mark: int | None = None
    word: int = 0


@dataclass(frozen=True)
class Pack:
    """A batch: several questions behind one picture, each of which sees the picture and itself only.

    Attributes
    ----------
    ids, positions
        Token and position of each place, of shape (batch, length).
    mask
        Which place sees which, of shape (batch, 1, length, length).
    rows, columns, targets
        Where a token is to be predicted, and which one.
    answers
        Which of the predictions are answers (the others are ends of turn).
    categories
        What each answer is counted as.
    marks
        For each question its row, the column where it ends, the column that is answered from, and the word of the
        answer; of shape (4, questions).
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor
    answers: torch.Tensor
    marks: torch.Tensor
    categories: tuple[str, ...]


class Stream:
    """Source of scenes, pictures and questions; the same seed gives the same stream.

    Parameters
    ----------
    tokenizer
        The model's tokenizer.
    seed
        Seed of everything drawn.
    stage
        Number of the stage that the stream is for; each stage has its own.
    questions
        How many questions are packed behind each picture.
    noise
        Largest standard deviation of Gaussian noise added to half of the pictures, on a scale from 0 to 1.
    """

    def __init__(self, tokenizer: Any, seed: int, stage: int = 0, questions: int = 4, noise: float = 0.0) -> None:
        self.tokenizer = tokenizer
        self.rng = np.random.default_rng([Split.TRAINING.value, seed, stage])
        self.questions = questions
        self.noise = noise
        weights = np.array([_CATEGORY_WEIGHTS[category] for category in CATEGORIES])
        self.weights = weights / weights.sum()
        image = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        user = tokenizer.convert_tokens_to_ids("<|user|>")
        self.mark = tokenizer.convert_tokens_to_ids("?")
        self.words = {word: word_id(tokenizer, word) for word in WORDS}
        self.prefix = [user, *[image] * PATCHES, *tokenizer.encode("\n", add_special_tokens=False)]

    def scenes(self, number: int, single: float = 0.0) -> list[Scene]:
        """Draw scenes; a share of `single` of them have one thing only."""
        return [self._scene(self.rng.random() < single) for _ in range(number)]

    def _scene(self, single: bool) -> Scene:
        while True:
            category = str(self.rng.choice(CATEGORIES, p=self.weights))
            scene = draw_scene_for(category, Split.TRAINING, self.rng)
            if not single or len(scene.things) == 1:
                return scene

    def pixels(self, scenes: list[Scene]) -> torch.Tensor:
        """Paint scenes as the model's image processor would hand them over, brightness and contrast varied mildly."""
        pictures = np.stack([render(scene, self.rng) for scene in scenes]).astype(np.float32) / 255.0
        contrast = self.rng.uniform(0.92, 1.08, (len(scenes), 1, 1, 1)).astype(np.float32)
        brightness = self.rng.uniform(-0.04, 0.04, (len(scenes), 1, 1, 1)).astype(np.float32)
        pictures = (pictures - 0.5) * contrast + 0.5 + brightness
        if self.noise > 0.0:
            sigma = self.rng.uniform(-self.noise, self.noise, (len(scenes), 1, 1, 1)).clip(0.0).astype(np.float32)
            pictures += sigma * self.rng.standard_normal(pictures.shape, dtype=np.float32)
        return torch.from_numpy((pictures.clip(0.0, 1.0) - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()

    def names(self, scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
        """Name the patches of scenes: (batch, 49, words) and, where they are clear, (batch, 49)."""
        named = [name_patches(scene) for scene in scenes]
        return torch.from_numpy(np.stack([names for names, _ in named])), torch.from_numpy(
            np.stack([clear for _, clear in named])
        )

    def pack(self, scenes: list[Scene], mix: Mix) -> Pack:
        """Ask questions about each scene and pack them behind its picture."""
        return _pack(self.prefix, self._blocks(scenes, mix))

    def pack_text(self, scenes: list[Scene], mix: Mix) -> Pack:
        """Ask questions about each scene and pack them without its picture."""
        return _pack(self.prefix[:1], self._blocks(scenes, mix))

    def _blocks(self, scenes: list[Scene], mix: Mix) -> list[list[Block]]:
        return [
            [self._block(scene, mix) for _ in range(self.questions)] + [self._look(scene) for _ in range(mix.looks)]
            for scene in scenes
        ]

    def _block(self, scene: Scene, mix: Mix) -> Block:
        if self.rng.random() < mix.drills:
            return self._drill()
        question = self._question(scene, mix.tempting)
        is_open = self.rng.random() < mix.open
        text = self._turns(question, is_open, self.rng.random() < mix.hints)
        return self._encoded(text, question, "open" if is_open else question.category)

    def _look(self, scene: Scene) -> Block:
        question = self._question(scene)
        return self._encoded(self._turns(question, is_open=True, hinted=False), question, "look")

    def _encoded(self, text: str, question: Question, category: str) -> Block:
        ids = list(self.tokenizer.encode(text, add_special_tokens=False))
        return Block(ids, category, ids.index(self.mark), self.words[question.options[question.answer]])

    def _question(self, scene: Scene, tempting: bool = False) -> Question:
        categories = categories_for(scene)
        weights = np.array([_CATEGORY_WEIGHTS[category] for category in categories])
        category = str(self.rng.choice(categories, p=weights / weights.sum()))
        number = int(self.rng.choice(_OPTION_NUMBERS))
        number = min(number, 5) if category == "count" else number
        return ask(scene, category, self.rng, options=number, tempting=tempting)

    def _drill(self) -> Block:
        words = [str(word) for word in self.rng.choice(WORDS, int(self.rng.choice(_OPTION_NUMBERS)), replace=False)]
        answer = int(self.rng.integers(len(words)))
        statement = question_with_options(f"It is {words[answer]}.", words)
        text = f"{statement}<|end|><|assistant|>{LETTERS[answer]}<|end|>"
        return Block(list(self.tokenizer.encode(text, add_special_tokens=False)), "drill")

    def _turns(self, question: Question, is_open: bool, hinted: bool) -> str:
        word = question.options[question.answer]
        hint = f"It is {word}. " if hinted else ""
        if is_open:
            return f"{hint}{question.text}<|end|><|assistant|> {word}<|end|>"
        prompt = prompt_text(question.text, question.options)
        return f"{hint}{prompt}<|end|><|assistant|>{LETTERS[question.answer]}<|end|>"


def _pack(prefix: list[int], packs: list[list[Block]]) -> Pack:
    length = len(prefix) + max(sum(len(block.ids) for block in blocks) for blocks in packs)
    shape = (len(packs), length)
    ids = np.zeros(shape, np.int64)
    positions = np.zeros(shape, np.int64)
    block_of = np.full(shape, -1, np.int64)
    places: list[tuple[int, int]] = []
    marks: list[tuple[int, int, int, int]] = []
    ids[:, : len(prefix)] = prefix
    positions[:, : len(prefix)] = np.arange(len(prefix))
    block_of[:, : len(prefix)] = 0
    for row, blocks in enumerate(packs):
        start = len(prefix)
        for number, block in enumerate(blocks, start=1):
            stop = start + len(block.ids)
            ids[row, start:stop] = block.ids
            positions[row, start:stop] = len(prefix) + np.arange(len(block.ids))
            block_of[row, start:stop] = number
            places += [(row, stop - 3), (row, stop - 2)]
            if block.mark is not None:
                marks.append((row, start + block.mark, stop - 3, block.word))
            start = stop
    rows, columns = np.array(places).T
    return Pack(
        ids=torch.from_numpy(ids),
        positions=torch.from_numpy(positions),
        mask=torch.from_numpy(_block_mask(block_of)),
        rows=torch.from_numpy(rows),
        columns=torch.from_numpy(columns),
        targets=torch.from_numpy(ids[rows, columns + 1]),
        answers=torch.arange(len(rows)) % 2 == 0,
        marks=torch.tensor(marks, dtype=torch.int64).reshape(-1, 4).T,
        categories=tuple(block.category for blocks in packs for block in blocks),
    )


def _block_mask(block_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Let each place see what comes before it of the prefix (block 0) and of its own block, and always itself."""
    length = block_of.shape[1]
    causal = np.tril(np.ones((length, length), np.bool_))
    keys, queries = block_of[:, None, :], block_of[:, :, None]
    seen = causal & ((keys == 0) | (keys == queries)) & (queries >= 0)
    return np.asarray(seen | np.eye(length, dtype=np.bool_))[:, None]
