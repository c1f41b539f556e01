"""Draw scenes: up to five coloured shapes, or a handwritten digit with shapes, over a textured background.

A scene is drawn in two steps: `draw_scene` composes it from things and places, and `render` paints it. Both take all
randomness from a generator argument. Evaluation and training never share a scene: the hash of its composition decides
to which of the two it belongs (`Split`). They also have different digit glyphs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.demonstration.drawing.shapes import SHAPES, digit_mask, glyph_indices, shape_mask
from benchc_tasks.demonstration.drawing.textures import TEXTURES, background

__all__ = ["COLOURS", "DIGITS", "IMAGE_SIZE", "PLACES", "Scene", "Split", "Thing", "draw_scene", "render", "split_of"]

IMAGE_SIZE = 112
GRID = 3
CELL = IMAGE_SIZE / GRID

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.11, 0.11),
    "orange": (0.98, 0.55, 0.05),
    "yellow": (0.98, 0.90, 0.15),
    "green": (0.08, 0.60, 0.16),
    "blue": (0.10, 0.25, 0.88),
    "purple": (0.55, 0.12, 0.66),
    "white": (0.97, 0.97, 0.97),
    "black": (0.05, 0.05, 0.05),
}
PLACES = ("northwest", "north", "northeast", "west", "centre", "east", "southwest", "south", "southeast")
"""The nine cells of a picture, row by row."""
DIGITS = tuple(str(digit) for digit in range(10))

_HELD_OUT_SHARE = 8  # one composition in eight belongs to evaluation


class Split(Enum):
    """The scenes for evaluation, or those for training."""

    EVALUATION = 0
    TRAINING = 1


@dataclass(frozen=True)
class Thing:
    """A shape or a digit in a scene.

    Attributes
    ----------
    kind
        A key of `SHAPES`, or a digit ``"0"`` to ``"9"``.
    colour
        A key of `COLOURS`.
    cell
        Index into `PLACES`.
    centre
        Column and row in pixels.
    half
        Half of its size in pixels.
    turn
        Rotation in radians.
    glyph
        Index of the handwritten glyph, for a digit.
    """

    kind: str
    colour: str
    cell: int
    centre: tuple[float, float]
    half: float
    turn: float
    glyph: int | None = None

    @property
    def place(self) -> str:
        """The compass word of its cell."""
        return PLACES[self.cell]


@dataclass(frozen=True)
class Scene:
    """The content of a picture: its things and the texture behind them."""

    things: tuple[Thing, ...]
    texture: str

    @property
    def shapes(self) -> tuple[Thing, ...]:
        """The things that are shapes."""
        return tuple(thing for thing in self.things if thing.glyph is None)

    @property
    def digit(self) -> Thing | None:
        """The thing that is a digit, if there is one."""
        return next((thing for thing in self.things if thing.glyph is not None), None)

    @property
    def composition(self) -> str:
        """The things and their places in words; two scenes with the same composition count as the same scene."""
        return " ".join(sorted(f"{thing.colour}-{thing.kind}-{thing.place}" for thing in self.things))


def split_of(scene: Scene) -> Split:
    """Return the split of a scene's composition."""
    held_out = zlib.crc32(scene.composition.encode()) % _HELD_OUT_SHARE == 0
    return Split.EVALUATION if held_out else Split.TRAINING


def _draw_thing(kind: str, colour: str, cell: int, split: Split, rng: np.random.Generator) -> Thing:
    row, column = divmod(cell, GRID)
    is_digit = kind in DIGITS
    half = rng.uniform(16.5, 18.0) if is_digit else rng.uniform(13.0, 16.5)
    turn = rng.uniform(-0.12, 0.12)
    slack = CELL / 2 - half
    centre = (
        (column + 0.5) * CELL + rng.uniform(-slack, slack),
        (row + 0.5) * CELL + rng.uniform(-slack, slack),
    )
    glyph = int(rng.choice(glyph_indices(int(kind), split is Split.EVALUATION))) if is_digit else None
    return Thing(kind, colour, cell, centre, half, turn, glyph)


def draw_scene(shapes: int, with_digit: bool, split: Split, rng: np.random.Generator) -> Scene:
    """Compose a scene.

    Parameters
    ----------
    shapes
        The number of shapes, 0 to 5; their names and their colours all differ.
    with_digit
        True to add a digit.
    split
        The split that the scene must belong to.
    rng
        Source of all random numbers.

    Returns
    -------
    Scene
        A scene of `split`; the function repeats the composition until it finds one.
    """
    while True:
        kinds = [str(kind) for kind in rng.choice(list(SHAPES), shapes, replace=False)]
        if with_digit:
            kinds.append(str(rng.choice(DIGITS)))
        colours = rng.choice(list(COLOURS), len(kinds), replace=False)
        cells = rng.choice(GRID * GRID, len(kinds), replace=False)
        texture = str(rng.choice(list(TEXTURES)))
        things = tuple(
            _draw_thing(kind, str(colour), int(cell), split, rng)
            for kind, colour, cell in zip(kinds, colours, cells, strict=True)
        )
        scene = Scene(things, texture)
        if split_of(scene) is split:
            return scene


def _paint(picture: NDArray[np.float32], thing: Thing, colour: NDArray[np.float32]) -> None:
    """Paint a thing over a picture in place, computing only the window around it."""
    window = int(3 * thing.half)
    left, top = (int(np.clip(round(middle - window / 2), 0, IMAGE_SIZE - window)) for middle in thing.centre)
    inside = (thing.centre[0] - left, thing.centre[1] - top)
    if thing.glyph is None:
        cover = shape_mask(thing.kind, window, inside, thing.half, thing.turn)[..., None]
    else:
        cover = digit_mask(thing.glyph, window, inside, thing.half, thing.turn)[..., None]
    region = picture[top : top + window, left : left + window]
    region[:] = region * (1.0 - cover) + colour * cover


def render(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint a scene.

    Parameters
    ----------
    scene
        The scene to paint.
    rng
        Source of the background's pattern and of each colour's slight variation.

    Returns
    -------
    ndarray of shape (112, 112, 3)
        The RGB picture.
    """
    picture = background(IMAGE_SIZE, scene.texture, rng)
    for thing in scene.things:
        colour = np.clip(np.asarray(COLOURS[thing.colour]) + rng.uniform(-0.04, 0.04, 3), 0.0, 1.0)
        _paint(picture, thing, colour.astype(np.float32))
    return np.asarray(np.rint(picture * 255.0), np.uint8)
