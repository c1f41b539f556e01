"""Adding a corruption, as docs/corruptions.md describes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchc_tasks.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    Picture,
    corrupt,
    corrupt_many,
    corruption,
    register,
    unregister,
)
from benchc_tasks.corruptions.random_draws import Key, uniforms


@pytest.fixture
def posterize() -> Iterator[str]:
    @corruption("digital", levels=(32, 16, 8, 4, 2))
    def posterize(picture: Picture, levels: int) -> NDArray[np.uint8]:
        step = 256 // levels
        return picture.pixels // np.uint8(step) * np.uint8(step)

    yield "posterize"
    unregister("posterize")


def test_a_twentieth_corruption(posterize: str, photograph: np.ndarray) -> None:
    assert list(CORRUPTIONS)[-1] == posterize
    assert len(CORRUPTIONS) == 20
    assert not CORRUPTIONS[posterize].is_random
    assert np.array_equal(corrupt(photograph, posterize, 5), photograph // 128 * 128)
    mild, strong = corrupt_many(photograph, [(posterize, 1), (posterize, 4)])
    assert len(np.unique(mild)) > len(np.unique(strong))


def test_a_random_one(photograph: np.ndarray) -> None:
    def rows(key: Key, picture: Picture) -> NDArray[np.float32]:
        return uniforms((picture.shape[0],), key)

    @corruption("digital", draws=rows, share=(0.1, 0.2, 0.3, 0.4, 0.5))
    def lost_rows(picture: Picture, rows: NDArray[np.float32], share: float) -> NDArray[np.uint8]:
        return np.where((rows < share)[:, None, None], np.uint8(0), picture.pixels)

    try:
        output = corrupt(photograph, "lost_rows", 5, seed=1)
        assert 20 < np.count_nonzero(~output.any(axis=(1, 2))) < 76
        assert not np.array_equal(output, corrupt(photograph, "lost_rows", 5, seed=2))
        assert np.array_equal(corrupt_many(photograph, [("lost_rows", s) for s in SEVERITIES], seed=1)[4], output)
    finally:
        unregister("lost_rows")
    assert "lost_rows" not in CORRUPTIONS


def test_severities_that_are_made_together(photograph: np.ndarray) -> None:
    made: list[int] = []

    def rows(key: Key, picture: Picture) -> NDArray[np.float32]:
        return uniforms((picture.shape[0],), key)

    def all_lost_rows(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
        made.append(len(parameters))
        return [lost_rows(picture, rows(key, picture), **one) for one in parameters]

    @corruption("digital", draws=rows, together=all_lost_rows, share=(0.1, 0.2, 0.3, 0.4, 0.5))
    def lost_rows(picture: Picture, rows: NDArray[np.float32], share: float) -> NDArray[np.uint8]:
        return np.where((rows < share)[:, None, None], np.uint8(0), picture.pixels)

    try:
        conditions = [("lost_rows", severity) for severity in (3, 1, 5, 2)]
        seeds = [1, 2, 1, 1]
        outputs = corrupt_many(photograph, conditions, seeds=seeds)
        assert made == [3]
        for (_, severity), seed, output in zip(conditions, seeds, outputs, strict=True):
            assert np.array_equal(output, corrupt(photograph, "lost_rows", severity, seed))
    finally:
        unregister("lost_rows")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="a corruption named 'fog' already: choose another name"):
        register(CORRUPTIONS["fog"])


def test_severities_and_categories_are_checked() -> None:
    with pytest.raises(ValueError, match="half: give 'part' one value for each severity, 5"):

        @corruption("noise", part=(1, 2))
        def half(picture: Picture, part: int) -> NDArray[np.uint8]:
            return picture.pixels // part

    fog = CORRUPTIONS["fog"]
    with pytest.raises(ValueError, match="parameters for 2 severities: give one set for each of the 5"):
        Corruption("haze", "weather", fog.function, fog.parameters[:2], fog.draws)
    with pytest.raises(ValueError, match="category 'mood': choose one of noise, blur, weather, digital"):
        Corruption("haze", "mood", fog.function, fog.parameters, fog.draws)  # type: ignore[arg-type]
    assert "haze" not in CORRUPTIONS


def test_the_registry_describes_each_corruption() -> None:
    assert len(CORRUPTIONS) == 19
    categories = {name: entry.category for name, entry in CORRUPTIONS.items()}
    assert [list(categories.values()).count(c) for c in ("noise", "blur", "weather", "digital")] == [4, 5, 5, 5]
    for name, entry in CORRUPTIONS.items():
        assert entry.name == name
        assert len(entry.parameters) == 5
        assert all(parameters.keys() == entry.parameters[0].keys() for parameters in entry.parameters)
        assert "Parameters" in (entry.function.__doc__ or "")
    with pytest.raises(TypeError):
        CORRUPTIONS["fog"] = CORRUPTIONS["snow"]  # type: ignore[index]
