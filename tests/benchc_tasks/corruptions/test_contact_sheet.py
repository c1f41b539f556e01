"""The contact sheet and the single files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchc_tasks.corruptions import CORRUPTIONS, corrupt
from benchc_tasks.corruptions.contact_sheet import contact_sheet, save_pictures

FEW = ["fog", "saturate", "gaussian_noise"]


def ink_columns(sheet: Image.Image) -> int:
    """How many columns of the sheet are not all background."""
    return int(np.count_nonzero((np.array(sheet.convert("L")) != 255).any(axis=0)))


def test_corruptions_down_severities_across(photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph)
    sheet = contact_sheet(image, FEW, [1, 3], cell=96)
    wider = contact_sheet(image, FEW, [1, 3, 5], cell=96)
    taller = contact_sheet(image, [*FEW, "contrast"], [1, 3], cell=96)
    assert wider.height == sheet.height
    assert wider.width - sheet.width == 102
    assert taller.height - sheet.height == 102
    assert ink_columns(wider) - ink_columns(sheet) >= 96


def test_each_picture_is_in_its_place_and_the_clean_one_first(photograph: np.ndarray) -> None:
    sheet = np.array(contact_sheet(Image.fromarray(photograph), FEW, [2, 4], seed=7, cell=96))
    margin, header = sheet.shape[1] - 3 * 102, sheet.shape[0] - 3 * 102
    for row, name in enumerate(FEW):
        for column, severity in enumerate([None, 2, 4]):
            top, left = header + row * 102, margin + column * 102
            shown = sheet[top : top + 96, left : left + 96]
            expected = photograph if severity is None else corrupt(photograph, name, severity, seed=7)
            assert np.array_equal(shown, expected), (name, severity)
        label = sheet[header + row * 102 : header + row * 102 + 96, : margin - 6]
        assert (label < 128).any()
    assert (sheet[:header] < 128).any()


def test_labels_differ(photograph: np.ndarray) -> None:
    image = Image.fromarray(photograph)
    fog, saturate = (
        np.array(contact_sheet(image, [name, "gaussian_noise"], [1]))[:, :90] for name in ("fog", "saturate")
    )
    assert not np.array_equal(fog, saturate)


@pytest.mark.parametrize(("mode", "size"), [("L", (30, 40)), ("RGBA", (500, 3)), ("P", (1, 1)), ("CMYK", (700, 500))])
def test_any_image(mode: str, size: tuple[int, int]) -> None:
    sheet = contact_sheet(Image.new(mode, size), ["pixelate", "fog"], cell=50)
    assert sheet.mode == "RGB"
    assert sheet.width > 6 * min(50, size[0])


def test_all_by_default(photograph: np.ndarray, frost_textures: None) -> None:
    sheet = contact_sheet(Image.fromarray(photograph), cell=20)
    assert sheet.height == 13 + 12 + (19 + 1) * 26


def test_single_files(photograph: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    paths = list(save_pictures(Image.fromarray(photograph), folder, ["fog", "contrast"], [3], seed=2))
    assert [path.name for path in paths] == ["clean.png", "fog_3.png", "contrast_3.png"]
    assert np.array_equal(np.array(Image.open(paths[0])), photograph)
    assert np.array_equal(np.array(Image.open(paths[1])), corrupt(photograph, "fog", 3, seed=2))


def test_a_wrong_name_leaves_no_files(photograph: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no corruption 'rain'"):
        list(save_pictures(Image.fromarray(photograph), tmp_path / "pictures", ["rain"]))
    assert not (tmp_path / "pictures").exists()
    assert "rain" not in CORRUPTIONS
