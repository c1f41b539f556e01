"""A sheet of pictures that shows what the corruptions do to an image."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchc_metrics.benchmark import SEVERITIES
from benchc_tasks.corruptions.engine import corrupt_many
from benchc_tasks.corruptions.registry import CONTROLS, CORRUPTIONS

__all__ = ["contact_sheet", "save_pictures"]

_CLEAN = "clean"
_GAP = 6
_BACKGROUND = (255, 255, 255)
_INK = (30, 30, 30)


def contact_sheet(
    image: Image.Image,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    *,
    seed: int = 0,
    cell: int = 160,
) -> Image.Image:
    """Lay out an image and its corruptions: corruptions down, severities across, the clean image first.

    Parameters
    ----------
    image : PIL.Image.Image
        The clean image, of any mode and size.
    corruptions : sequence of str, optional
        Which corruptions; by default all, and the control.
    severities : sequence of int, optional
        Which severities; by default 1..5.
    seed : int, default=0
        Where random corruptions draw from.
    cell : int, default=160
        Longer side, in pixels, of a picture on the sheet. The image is corrupted in its own size first.

    Returns
    -------
    PIL.Image.Image
        The sheet, in RGB.

    Raises
    ------
    ValueError
        For an unknown corruption or severity.
    """
    names = [*CORRUPTIONS, *CONTROLS] if corruptions is None else list(corruptions)
    steps = list(SEVERITIES) if severities is None else list(severities)
    clean = image.convert("RGB")
    conditions = [(name, severity) for name in names for severity in steps]
    corrupted = corrupt_many(clean, conditions, seed=seed)

    shrink = cell / max(clean.size)
    width, height = (max(round(side * shrink), 1) for side in clean.size)
    font = ImageFont.load_default(size=13)
    margin = max(round(font.getlength(label)) for label in [*names, _CLEAN]) + 2 * _GAP
    header = 13 + 2 * _GAP
    columns = 1 + len(steps)
    size = (margin + columns * (width + _GAP), header + max(len(names), 1) * (height + _GAP))
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)

    def place(picture: Image.Image, column: int, row: int) -> None:
        corner = (margin + column * (width + _GAP), header + row * (height + _GAP))
        sheet.paste(_fit(picture, width, height), corner)

    def label(text: str, column: int) -> None:
        middle = margin + column * (width + _GAP) + width // 2
        draw.text((middle, _GAP), text, fill=_INK, font=font, anchor="ma")

    label(_CLEAN, 0)
    for column, severity in enumerate(steps, start=1):
        label(f"severity {severity}", column)
    for row in range(max(len(names), 1)):
        place(clean, 0, row)
    for row, name in enumerate(names):
        middle = header + row * (height + _GAP) + height // 2
        draw.text((_GAP, middle), name, fill=_INK, font=font, anchor="lm")
        for column in range(len(steps)):
            place(corrupted[row * len(steps) + column], column + 1, row)
    return sheet


def _fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale a picture to its cell: averaged down, or, if it is smaller than the cell, in plain boxes."""
    smaller = picture.width > width or picture.height > height
    return picture.resize((width, height), Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)


def save_pictures(
    image: Image.Image,
    folder: Path,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    *,
    seed: int = 0,
) -> Iterator[Path]:
    """Save an image and each of its corruptions to a file of its own, in full size.

    Parameters
    ----------
    image : PIL.Image.Image
        The clean image, of any mode and size.
    folder : Path
        Where to; made if it is not there.
    corruptions : sequence of str, optional
        Which corruptions; by default all, and the control.
    severities : sequence of int, optional
        Which severities; by default 1..5.
    seed : int, default=0
        Where random corruptions draw from.

    Yields
    ------
    Path
        Each file as it is written: ``clean.png``, then ``<corruption>_<severity>.png``.
    """
    clean = image.convert("RGB")
    steps = list(SEVERITIES) if severities is None else list(severities)
    names = [*CORRUPTIONS, *CONTROLS] if corruptions is None else list(corruptions)
    first = True
    for name in names:  # one corruption at a time bounds the memory
        pictures = corrupt_many(clean, [(name, severity) for severity in steps], seed=seed)
        if first:  # only now, so that a wrong name leaves no files
            folder.mkdir(parents=True, exist_ok=True)
            clean.save(folder / "clean.png")
            yield folder / "clean.png"
            first = False
        for severity, picture in zip(steps, pictures, strict=True):
            path = folder / f"{name}_{severity}.png"
            picture.save(path)
            yield path
