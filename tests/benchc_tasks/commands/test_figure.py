"""`benchc figure`: one chart as a file for a paper, of the asked size, with its letters and its caption."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
from PIL import Image
from run_folders import made_run, without_distributions, write_run

from benchc_metrics.report.figures import KINDS as DRAWN
from benchc_tasks.commands.cli import main
from benchc_tasks.commands.figure import KINDS

CORRUPTIONS = ("fog", "contrast")
COLUMN = 3.25


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    place = tmp_path_factory.mktemp("runs")
    return [
        str(write_run(made_run(16, seed=8, noise=noise, corruptions=CORRUPTIONS, model=f"lab/{noise}"), place / name))
        for name, noise in (("calm", 0.1), ("shaken", 0.7))
    ]


def drawn(words: list[str], output: Path) -> bytes:
    assert main(["figure", *words, "-o", str(output)]) == 0
    return output.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_it_shows_of_how_many_samples(
    kind: str, folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = folders[:1] if kind in ("decomposition", "reliability") else folders
    assert drawn([kind, *runs], tmp_path / "new" / "figure.svg").startswith(b"<?xml")
    caption = (tmp_path / "new" / "figure.txt").read_text(encoding="utf-8").splitlines()[0]
    assert "n = 16 samples, 2 corruptions at 5 severities." in caption
    assert "lab/0.1" in caption
    assert capsys.readouterr().out.splitlines()[0] == caption


def test_kinds_of_the_command_are_those_that_can_be_drawn() -> None:
    assert KINDS == DRAWN


def test_a_pdf_is_a_column_wide_and_holds_its_fonts(folders: list[str], tmp_path: Path) -> None:
    written = drawn(["curves", *folders], tmp_path / "figure.pdf")
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) [\d.]+ \]", written)
    assert box is not None
    assert float(box[1]) == pytest.approx(72 * COLUMN)
    assert b"/FontFile2" in written
    assert b"/Type3" not in written
    assert b"n = 16 samples" in written
    pages = [zlib.decompress(part) for part in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", written, re.DOTALL)]
    # All that is drawn is scaled to the page, by 2 to 3.
    assert any(b"0.6666666667 0 0 0.6666666667 0 0 cm" in page for page in pages)


def test_an_svg_has_its_size_its_colours_and_no_letters_of_others(folders: list[str], tmp_path: Path) -> None:
    written = drawn(["curves", *folders], tmp_path / "figure.svg").decode()
    assert 'width="234.00pt"' in written
    assert "#0a5ea8" in written
    assert "var(--" not in written
    assert "#5a" not in written
    assert "<text" not in written


def test_a_png_has_300_dots_an_inch_on_white(folders: list[str], tmp_path: Path) -> None:
    drawn(["heat-map", folders[0], "--width", "6.5"], tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.width == 6.5 * 300
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
        assert "n = 16 samples" in picture.info["Description"]


@pytest.mark.parametrize("ending", [".pdf", ".svg", ".png"])
def test_the_same_figure_has_the_same_bytes(ending: str, folders: list[str], tmp_path: Path) -> None:
    words = ["ranks", *folders]
    assert drawn(words, tmp_path / f"a{ending}") == drawn(words, tmp_path / f"b{ending}")


def test_metric_and_answers_choose_the_chart(folders: list[str], tmp_path: Path) -> None:
    for words, title in (
        (["curves", *folders, "--metric", "accuracy"], "Accuracy over severity"),
        (["heat-map", *folders, "--metric", "accuracy"], "Accuracy by corruption and model"),
        (["heat-map", folders[0], "--metric", "accuracy"], "Accuracy: lab/0.1"),
        (["reliability", folders[0], "--answers", "clean"], "Reliability, clean"),
    ):
        drawn(words, tmp_path / "figure.svg")
        caption = (tmp_path / "figure.txt").read_text(encoding="utf-8")
        assert caption.startswith(title)
        assert "RAS version" not in caption


def test_small_letters_are_told(tmp_path: Path, folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    drawn(["heat-map", folders[0], "--width", "2"], tmp_path / "figure.svg")
    assert "its smallest letters have 4.6 points: take a larger --width" in capsys.readouterr().err


def test_what_cannot_be_drawn_is_refused(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = str(write_run(without_distributions(made_run(16, seed=8, corruptions=CORRUPTIONS)), tmp_path / "letters"))
    for words, ending, told in (
        (
            ["curves", *folders],
            ".gif",
            "a figure cannot be written as '.gif': name a file that ends with .pdf, .svg, .png",
        ),
        (["decomposition", *folders], ".pdf", "a figure of decomposition shows one run: name one of the 2"),
        (["ranks", folders[0]], ".pdf", "ranks compare models: name two runs or more"),
        (["reliability", letters], ".pdf", "reliability needs probabilities"),
        (["curves", letters], ".pdf", "RAS needs probabilities"),
    ):
        output = tmp_path / f"figure{ending}"
        assert main(["figure", *words, "-o", str(output)]) == 1
        assert told in capsys.readouterr().err
        assert not output.exists()
    drawn(["curves", letters, "--metric", "accuracy"], tmp_path / "figure.svg")
