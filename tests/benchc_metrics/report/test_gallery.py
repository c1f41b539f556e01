"""The gallery shows the samples that moved most, as they were answered."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from run_folders import made_run

from benchc_metrics.benchmark import Condition
from benchc_metrics.findings.analysis import RunAnalysis, analyse
from benchc_metrics.report.gallery import THUMBNAIL_SIDE, ShownSample, candidates, data_uri, show_card
from benchc_metrics.runs import Run


@pytest.fixture(scope="module")
def run() -> Run:
    """Nothing changes, but that sample 7 is destroyed everywhere, sample 4 once, and sample 9 is corrected twice."""
    made = made_run(12, seed=3, corruptions=("fog", "snow"), widths=(3, 3))
    answers = np.zeros(12, dtype=np.int64)
    clean = np.log(np.tile([0.6, 0.3, 0.1], (12, 1)))
    clean[9] = np.log([0.2, 0.7, 0.1])
    corrupted = np.broadcast_to(clean[:, None, None], (12, 2, 5, 3)).copy()
    corrupted[7] = np.log([0.25, 0.65, 0.1])
    corrupted[7, 1, 3] = np.log([0.05, 0.85, 0.1])
    corrupted[4, 0, 2] = np.log([0.1, 0.2, 0.7])
    corrupted[9, 0, :2] = np.log([0.8, 0.1, 0.1])
    return replace(made, answers=answers, clean=clean, corrupted=corrupted)


def shown(sample: str, condition: Condition) -> ShownSample:
    return ShownSample(
        f"Which, in {sample}?", ["one", "two", "three"], Image.new("RGB", (50, 40)), Image.new("RGB", (50, 40))
    )


def test_the_most_destroyed_come_first_with_their_strongest_pair(run: Run) -> None:
    first, second = candidates([analyse(run)], "destroyed")
    assert (first.sample, str(first.condition), first.rate) == ("sample-0007", "snow@4", 1.0)
    assert first.before == pytest.approx((0.6, 0.3, 0.1))
    assert first.after == pytest.approx((0.05, 0.85, 0.1))
    assert (second.sample, str(second.condition), second.rate) == ("sample-0004", "fog@3", pytest.approx(0.1))


def test_the_most_corrected(run: Run) -> None:
    (only,) = candidates([analyse(run)], "corrected")
    assert (only.sample, only.condition.corruption, only.rate) == ("sample-0009", "fog", pytest.approx(0.2))


def test_no_more_than_asked_for(analyses: list[RunAnalysis]) -> None:
    chosen = candidates(analyses, "destroyed", 4)
    assert len(chosen) == 4
    assert sorted((each.rate for each in chosen), reverse=True) == [each.rate for each in chosen]


def test_the_model_is_the_one_whose_answer_moved_most(run: Run) -> None:
    still = replace(run, name="still", corrupted=np.broadcast_to(run.clean[:, None, None], run.corrupted.shape))
    first = candidates([analyse(still), analyse(run)], "destroyed")[0]
    assert first.model == run.name
    assert first.rate == pytest.approx(0.5)


def test_a_card_has_the_options_with_their_probabilities(run: Run) -> None:
    card = show_card(candidates([analyse(run)], "destroyed")[0], shown)
    assert card.question == "Which, in sample-0007?"
    assert [(bar.letter, bar.text, bar.is_right, bar.chosen) for bar in card.options] == [
        ("A", "one", True, "clean"),
        ("B", "two", False, "corrupted"),
        ("C", "three", False, ""),
    ]
    assert sum(bar.after for bar in card.options) == pytest.approx(1)


def test_another_dataset_is_refused(run: Run) -> None:
    def of_another(sample: str, condition: Condition) -> ShownSample:
        return shown(sample, condition)._replace(options=["one", "two"])

    with pytest.raises(ValueError, match="'sample-0007' has 2 options in the dataset and 3 in the run"):
        show_card(candidates([analyse(run)], "destroyed")[0], of_another)


@pytest.mark.parametrize("size", [(3000, 1000), (10, 2000), (1, 1), (50, 60)])
def test_pictures_are_small(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    uri = data_uri(Image.fromarray(noise))
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert max(picture.size) <= THUMBNAIL_SIDE
    assert len(uri) < 150_000


def test_the_picture_handed_in_is_left_alone() -> None:
    image = Image.new("RGB", (1000, 800), "teal")
    data_uri(image)
    assert image.size == (1000, 800)
