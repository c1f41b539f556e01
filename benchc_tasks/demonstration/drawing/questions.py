"""Ask multiple-choice questions of six types about a scene, each with one right option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchc_tasks.demonstration.drawing.scenes import COLOURS, DIGITS, PLACES, Scene, Split, Thing, draw_scene
from benchc_tasks.demonstration.drawing.shapes import SHAPES

__all__ = ["CATEGORIES", "COUNTS", "Question", "ask", "categories_for", "draw_scene_for", "phrases"]

COUNTS = ("one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Question:
    """A multiple-choice question.

    Attributes
    ----------
    text
        The question.
    options
        The options in the order shown.
    answer
        Index of the right one.
    category
        The question's type, one of `CATEGORIES`.
    subject
        The word for the thing that the question asks about, if it names one.
    """

    text: str
    options: tuple[str, ...]
    answer: int
    category: str
    subject: str | None = None


PHRASES: dict[str, tuple[str, ...]] = {
    "colour": ("What colour is the {}?", "Which colour does the {} have?"),
    "shape": ("Which shape is {}?", "What is the {} shape?"),
    "count": ("How many shapes are there?", "How many shapes are in the picture?"),
    "position": ("Where is the {}?", "In which part of the picture is the {}?"),
    "digit": ("Which digit is in the picture?", "Which digit is written here?"),
    "relation": ("Which shape is {}?", "What shape stands {}?"),
}
"""The wordings of each question type; `{}` stands for the subject."""


@dataclass(frozen=True)
class _Asked:
    """A question's text, its right answer, the words for options, and tempting wrong answers.

    Tempting answers are other things in the scene, such as the colours of the other shapes for a question about a
    colour.
    """

    text: str
    right: str
    words: tuple[str, ...]
    lures: tuple[str, ...] = ()
    subject: str | None = None


def _pick(things: tuple[Thing, ...], rng: np.random.Generator) -> Thing:
    return things[int(rng.integers(len(things)))]


def _phrase(category: str, rng: np.random.Generator) -> str:
    wordings = PHRASES[category]
    return wordings[int(rng.integers(len(wordings)))]


def _colour(scene: Scene, rng: np.random.Generator) -> _Asked:
    thing = _pick(scene.shapes, rng)
    others = tuple(other.colour for other in scene.shapes if other is not thing)
    return _Asked(_phrase("colour", rng).format(thing.kind), thing.colour, tuple(COLOURS), others, thing.kind)


def _shape(scene: Scene, rng: np.random.Generator) -> _Asked:
    thing = _pick(scene.shapes, rng)
    others = tuple(other.kind for other in scene.shapes if other is not thing)
    return _Asked(_phrase("shape", rng).format(thing.colour), thing.kind, tuple(SHAPES), others, thing.colour)


def _count(scene: Scene, rng: np.random.Generator) -> _Asked:
    return _Asked(_phrase("count", rng), COUNTS[len(scene.shapes) - 1], COUNTS)


def _position(scene: Scene, rng: np.random.Generator) -> _Asked:
    thing = _pick(scene.shapes, rng)
    name = thing.kind if rng.random() < 0.5 else f"{thing.colour} {thing.kind}"
    others = tuple(other.place for other in scene.things if other is not thing)
    return _Asked(_phrase("position", rng).format(name), thing.place, PLACES, others, thing.kind)


def _digit(scene: Scene, rng: np.random.Generator) -> _Asked:
    if scene.digit is None:
        raise ValueError("a question about the digit needs a scene with a digit")
    return _Asked(_phrase("digit", rng), scene.digit.kind, DIGITS)


def _relation(scene: Scene, rng: np.random.Generator) -> _Asked:
    directions = [direction for direction in _DIRECTIONS if _furthest(scene, direction) is not None]
    direction = directions[int(rng.integers(len(directions)))]
    furthest = _furthest(scene, direction)
    if furthest is None:
        raise ValueError("a question about a relation needs shapes in different rows or columns")
    others = tuple(other.kind for other in scene.shapes if other is not furthest)
    return _Asked(_phrase("relation", rng).format(direction), furthest.kind, tuple(SHAPES), others)


_DIRECTIONS: dict[str, tuple[int, int]] = {
    "further left": (0, -1),
    "further right": (0, 1),
    "higher up": (1, -1),
    "lower down": (1, 1),
}
"""Each comparison's axis (columns, rows) and sign."""


def _furthest(scene: Scene, direction: str) -> Thing | None:
    """Return the shape that is furthest in a direction, if it leads by at least one row or column."""
    axis, sign = _DIRECTIONS[direction]
    reach = [sign * (thing.cell // 3 if axis else thing.cell % 3) for thing in scene.shapes]
    if len(reach) < 2 or reach.count(max(reach)) != 1:
        return None
    return scene.shapes[reach.index(max(reach))]


_ASK: dict[str, Callable[[Scene, np.random.Generator], _Asked]] = {
    "colour": _colour,
    "shape": _shape,
    "count": _count,
    "position": _position,
    "digit": _digit,
    "relation": _relation,
}
CATEGORIES = tuple(_ASK)
"""The question types."""

_THINGS: dict[str, tuple[tuple[int, ...], bool]] = {
    "colour": ((1, 2, 3), False),
    "shape": ((1, 2, 3), False),
    "count": ((1, 2, 3, 4, 5), False),
    "position": ((1, 2, 3), False),
    "digit": ((0, 1, 2), True),
    "relation": ((2,), False),
}
"""For each type, the possible numbers of shapes in its scenes, and True if the scenes have a digit."""


def draw_scene_for(category: str, split: Split, rng: np.random.Generator) -> Scene:
    """Compose a scene that fits questions of a type."""
    numbers, with_digit = _THINGS[category]
    return draw_scene(int(rng.choice(numbers)), with_digit, split, rng)


def phrases() -> tuple[str, ...]:
    """Return every wording with the directions of relations filled in; other gaps stay open."""
    fixed = [phrase for category in CATEGORIES if category != "relation" for phrase in PHRASES[category]]
    relations = [phrase.format(direction) for phrase in PHRASES["relation"] for direction in _DIRECTIONS]
    return (*fixed, *relations)


def categories_for(scene: Scene) -> tuple[str, ...]:
    """Return the question types that can be asked about a scene."""
    if scene.digit is not None:
        return ("digit", "colour", "shape", "position") if scene.shapes else ("digit",)
    general = ("colour", "shape", "position", "count") if len(scene.shapes) <= 3 else ("count",)
    return (*general, "relation") if len(scene.shapes) == 2 else general


def ask(
    scene: Scene,
    category: str,
    rng: np.random.Generator,
    options: int = 4,
    answer: int | None = None,
    tempting: bool = False,
) -> Question:
    """Ask a question about a scene.

    Parameters
    ----------
    scene
        What the picture shows.
    category
        The question's type, one of `CATEGORIES`.
    rng
        Source of the wording, of the wrong options and of the order.
    options
        The number of options.
    answer
        Index of the right option; by default random.
    tempting
        True to include other things of the scene as wrong options, such as another shape's colour for a question about
        a colour. Questions about relations always have such options.

    Returns
    -------
    Question
        With `options` different options, one of them right.
    """
    asked = _ASK[category](scene, rng)
    lures = list(asked.lures[: options - 1]) if tempting or category == "relation" else []
    others = [word for word in asked.words if word != asked.right and word not in lures]
    shown = lures + [str(word) for word in rng.choice(others, options - 1 - len(lures), replace=False)]
    rng.shuffle(shown)
    place = int(rng.integers(options)) if answer is None else answer
    shown.insert(place, asked.right)
    return Question(asked.text, tuple(shown), place, category, asked.subject)
