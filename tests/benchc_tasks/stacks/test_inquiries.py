"""Which questions show the same pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from benchc_metrics.benchmark import CLEAN, CONTROL, CORRUPTION_FAMILIES, Condition
from benchc_tasks.corruptions import CORRUPTIONS, corruption, unregister
from benchc_tasks.stacks.inquiries import Inquiry, name_pixels
from benchc_tasks.stacks.pictures import ConditionedPicture
from support import encoded

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
DOC = {"image": encoded(PIXELS)}
OTHER = {"image": encoded(PIXELS[::-1].copy())}


def inquiry(sample: str, condition: Condition, doc: Mapping[str, Any], dataset: str = "set") -> Inquiry:
    return Inquiry.of_picture("What?", ConditionedPicture(dataset, sample, condition), lambda: doc)


@pytest.mark.parametrize("name", [None, *CORRUPTION_FAMILIES, CONTROL])
def test_the_same_pixels_are_those_that_two_samples_of_one_picture_show(name: str | None) -> None:
    condition = CLEAN if name is None else Condition(name, 2)
    one, two, three = (
        inquiry("a", condition, DOC),
        inquiry("b", condition, DOC, "another"),
        inquiry("c", condition, OTHER),
    )
    name_pixels([one, two, three])
    first, second = (np.asarray(each.question().images[0]) for each in (one, two))
    are_known = one.pixels is not None and one.pixels == two.pixels
    # The control draws random numbers, which not all of its severities use.
    assert are_known is np.array_equal(first, second) or (name == CONTROL and not are_known)
    assert three.pixels is None or three.pixels != one.pixels


def test_other_conditions_show_other_pixels() -> None:
    asked = [inquiry("a", Condition("pixelate", severity), DOC) for severity in (1, 2)] + [inquiry("a", CLEAN, DOC)]
    name_pixels(asked)
    assert len({each.pixels for each in asked}) == 3


@pytest.fixture
def own_corruption() -> Iterator[str]:
    """A corruption of a user's that draws nothing."""

    @corruption("digital", amount=(1, 2, 3, 4, 5))
    def own_darkening(picture: Any, amount: int) -> Any:
        return picture.pixels // (1 + amount)

    yield "own_darkening"
    unregister("own_darkening")


def test_a_corruption_of_a_users_is_known_by_its_draws(own_corruption: str) -> None:
    assert not CORRUPTIONS[own_corruption].is_random
    asked = [inquiry(sample, Condition(own_corruption, 1), DOC) for sample in "ab"]
    name_pixels(asked)
    assert asked[0].pixels == asked[1].pixels is not None


def test_nothing_is_known_of_other_pictures() -> None:
    """Those of other tasks, those that are not there as a file's bytes, and those that cannot be read."""

    def missing() -> Any:
        raise OSError("gone")

    class Another(ConditionedPicture):
        def __call__(self, doc: Any) -> list[Any]:
            return []

    asked = [
        Inquiry("it", "it", "What?", lambda doc: [], lambda: DOC),
        Inquiry("it", "it", "What?", None, lambda: DOC),
        inquiry("a", CLEAN, {"image": {"bytes": DOC["image"]}}),
        Inquiry.of_picture("What?", ConditionedPicture("set", "gone", CLEAN), missing),
        inquiry("a", Condition("no_such_corruption", 1), DOC),
        Inquiry.of_picture("What?", Another("set", "b", CLEAN), lambda: DOC),
    ]
    name_pixels(asked)
    assert [each.pixels for each in asked] == [None] * 6


def test_a_sample_is_read_once_whatever_its_conditions() -> None:
    read: list[str] = []

    def doc(sample: str) -> Any:
        read.append(sample)
        return DOC

    asked = [
        Inquiry.of_picture(
            "What?", ConditionedPicture("set", sample, Condition("pixelate", severity)), lambda: doc("a")
        )
        for sample in ("a", "a")
        for severity in (1, 2, 3)
    ]
    name_pixels(asked)
    assert read == ["a"]
