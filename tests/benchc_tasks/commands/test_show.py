"""`benchc show`."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from corruption_reference import GOLDEN
from PIL import Image

from benchc_tasks.commands import show
from benchc_tasks.corruptions import corrupt


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    with np.load(GOLDEN / "golden_coffee80x120.npz") as golden:
        Image.fromarray(golden["input"]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    show.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["show", *words])
    status: int = arguments.run(arguments)
    return status


def test_one_corruption_at_one_severity(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = photo.with_name("sheet.png")
    assert run(str(photo), "-o", str(sheet), "--corruption", "fog", "--severity", "3", "--cell", "120") == 0
    assert capsys.readouterr().out.split() == [str(sheet)]
    with Image.open(photo) as clean, Image.open(sheet) as written:
        pixels = np.array(written)
        expected = corrupt(np.array(clean), "fog", 3)
    assert np.array_equal(pixels[-86:-6, -126:-6], expected)


def test_single_files_beside_the_sheet(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photo.with_name("pictures")
    words = ("--corruption", "contrast", "--corruption", "snow", "--severity", "1", "--severity", "5")
    assert run(str(photo), "-o", str(photo.with_name("sheet.jpg")), "--out-dir", str(folder), *words) == 0
    names = ["clean.png", "contrast_1.png", "contrast_5.png", "snow_1.png", "snow_5.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [Path(line).name for line in capsys.readouterr().out.split()] == ["sheet.jpg", *names]


def test_a_turned_photo_is_shown_upright(photo: Path) -> None:
    turned = photo.with_name("turned.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    with Image.open(photo) as opened:
        opened.save(turned, exif=exif)
    folder = photo.with_name("pictures")
    assert run(str(turned), "--out-dir", str(folder), "--corruption", "contrast", "--severity", "1") == 0
    assert Image.open(folder / "clean.png").size == (80, 120)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "No output is given: give a sheet with -o sheet.png"),
        (("-o", "sheet"), "has no image format: give it an ending"),
        (("-o", "sheet.png", "--cell", "0"), "give --cell 1 or more"),
        (("-o", "sheet.png", "--corruption", "rain"), "no corruption 'rain': choose one of"),
        (("-o", "sheet.png", "--severity", "9"), "Severity 9"),
    ],
)
def test_one_sentence_errors(photo: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(str(photo), *words)


def test_a_missing_photo(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.png"):
        run(str(tmp_path / "nothing.png"), "-o", str(tmp_path / "sheet.png"))
