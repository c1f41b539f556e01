from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchc_tasks.selection.filling import fill_cells
from benchc_tasks.selection.kinds import topic_names
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.quotas import cells_of, places_of_cells
from benchc_tasks.selection.selecting import capped


def made_up(samples: int, seed: int, letters: int = 4, kinds: int = 5, texts: int = 6) -> tuple[Pool, Any]:
    """A pool whose letters, kinds and texts are unevenly spread."""
    draw = np.random.default_rng(seed)
    options = [[f"text {number}" for number in draw.permutation(max(texts, letters))[:letters]] for _ in range(samples)]
    answers = np.minimum(draw.geometric(0.5, size=samples) - 1, letters - 1)
    rows = [
        {"id": str(number), "question": "?", "options": options[number], "answer": int(answers[number])}
        for number in range(samples)
    ]
    return Pool.from_rows(rows, ""), np.minimum(draw.geometric(0.4, size=samples) - 1, kinds - 1)


def groups_of(*labels: Any) -> Any:
    return np.unique(np.stack(labels), axis=1, return_inverse=True)[1].reshape(-1)


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 200), st.integers(0, 2**31), st.floats(0.05, 0.9))
def test_every_letter_category_and_cell_has_its_share(samples: int, seed: int, share: float) -> None:
    pool, kinds = made_up(samples, seed)
    size = max(1, round(share * samples))
    cells = cells_of(["letter", "category"], pool, kinds, size)
    score = np.random.default_rng(seed).normal(size=samples)
    places = places_of_cells(cells, np.ones(samples, dtype=bool), score, size)
    subset = fill_cells(cells.cell, places, score)
    assert len(subset) == places.sum() == size
    for labels in (pool.answers, kinds, groups_of(pool.answers, kinds)):
        expected = np.bincount(labels) * size / samples
        assert (abs(np.bincount(labels[subset], minlength=len(expected)) - expected) < 1 + 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 120), st.integers(0, 2**31), st.floats(0.1, 1.0))
def test_cells_that_lack_candidates_leave_their_places_to_their_letter(samples: int, seed: int, share: float) -> None:
    pool, kinds = made_up(samples, seed)
    draw = np.random.default_rng(seed)
    candidates = draw.random(samples) < 0.5
    candidates[0] = True
    score = np.where(candidates, draw.normal(size=samples), np.nan)
    size = max(1, int(share * candidates.sum()))
    cells = cells_of(["letter", "category"], pool, kinds, size)
    subset = fill_cells(cells.cell, places_of_cells(cells, candidates, score, size), score)
    assert len(np.unique(subset)) == size
    assert candidates[subset].all()
    found, room = (np.bincount(pool.answers[rows], minlength=pool.width) for rows in (subset, candidates))
    short = np.bincount(pool.answers, minlength=pool.width) * size / samples - found
    # A letter has less than its share only where it has no candidate left.
    assert ((short < 1 + 1e-9) | (found == room)).all()


def test_the_better_samples_decide_which_cells_are_rounded_up() -> None:
    pool, _ = made_up(12, 0)
    pool = replace(pool, answers=np.repeat([0, 1], 6))
    kinds = np.tile([0, 1, 2], 4)
    for best in ([0, 5, 10], [3, 7, 11], [1, 9, 5]):
        score = np.zeros(12)
        score[best] = 1.0
        cells = cells_of(["letter", "category"], pool, kinds, 3)
        # Each kind has one place, the letters one and two.
        places = places_of_cells(cells, np.ones(12, dtype=bool), score, 3)
        assert fill_cells(cells.cell, places, score).tolist() == sorted(best)


def test_a_third_stratum_has_its_share_too() -> None:
    pool, kinds = made_up(300, 3, texts=8)
    draw = np.random.default_rng(0)
    score = draw.normal(size=300)
    cells = cells_of(["letter", "category", "text"], pool, kinds, 60)
    subset = fill_cells(cells.cell, places_of_cells(cells, np.ones(300, dtype=bool), score, 60), score)
    for labels, most in ((pool.answers, 1), (kinds, 2), (pool.right_text_codes, 2)):
        expected = np.bincount(labels) * 60 / 300
        assert (abs(np.bincount(labels[subset], minlength=len(expected)) - expected) < most + 1e-9).all()


def test_more_places_than_candidates_are_refused() -> None:
    pool, kinds = made_up(20, 1)
    cells = cells_of(["letter"], pool, kinds, 6)
    with pytest.raises(ValueError, match="6 places cannot be filled with 5 candidates"):
        places_of_cells(cells, np.arange(20) < 5, np.zeros(20), 6)


def test_no_score_counts_for_more_than_the_last_one_that_fits() -> None:
    score = np.array([0.2, np.nan, 3.0, 0.9, 1.0, -1.0])
    np.testing.assert_array_equal(capped(score, 2), [0.2, np.nan, 1.0, 0.9, 1.0, -1.0])
    np.testing.assert_array_equal(capped(score, 5), np.where(np.isnan(score), np.nan, -1.0))
    assert capped(np.full(3, np.nan), 0).shape == (3,)


def test_a_misfit_is_kept_small() -> None:
    """Of samples of equal score those are taken whose remainders cancel."""
    draw = np.random.default_rng(0)
    misfit = draw.normal(size=(6, 400))
    cell, places, score = np.zeros(400, dtype=np.int64), np.array([60]), np.zeros(400)
    misfit -= misfit.mean(axis=0)
    chosen = fill_cells(cell, places, score, misfit)
    by_score = fill_cells(cell, places, score)
    assert len(np.unique(chosen)) == 60
    error, plain = (np.linalg.norm(misfit[:, rows].sum(axis=1)) for rows in (chosen, by_score))
    assert error < 0.3 * plain
    far_better = score.copy()
    far_better[200:260] = 100.0
    assert fill_cells(cell, places, far_better, misfit).tolist() == list(range(200, 260))


def test_topics_are_named_by_their_commonest_words() -> None:
    texts = ["the river and its water", "water in a river", "a wheel of an engine", "engine, wheel and road", "?"]
    names = topic_names(texts, np.array([0, 0, 1, 1, 2]))
    assert [set(name.split(", ")) for name in names[:2]] == [{"river", "water"}, {"engine", "wheel"}]
    assert names[2] == "topic 3"
    assert topic_names(["?", "1"], np.array([0, 1])) == ("topic 1", "topic 2")
