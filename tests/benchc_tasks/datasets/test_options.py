from __future__ import annotations

import numpy as np
import pytest

from benchc_tasks.datasets.options import answer_index, is_absent, label_index, letter_index, unlettered

ABSENT = [None, float("nan"), np.float32("nan"), np.float64("nan"), "", "  \n", "nan", " nan "]
TEXTS = ["None", "none", "NA", "N/A", "null", "NULL", "NaN", "NAN", "0", "-", ".", 0, 0.0, False, float("inf"), 10**400]


@pytest.mark.parametrize("value", ABSENT, ids=repr)
def test_what_stands_for_nothing(value):
    assert is_absent(value) is True


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: str(value)[:9])
def test_what_is_a_text_that_a_benchmark_may_offer(value):
    assert is_absent(value) is False


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["A. red", "B. blue"], ["red", "blue"]),
        (["(A) red", "(B) blue", "(C)green"], ["red", "blue", "green"]),
        (["a) red", "b) blue"], ["red", "blue"]),
        ([" A: 3:1", "B:  1:3"], ["3:1", "1:3"]),
        (["[A] red", "[B] blue"], ["red", "blue"]),
        (["A.\tred", "B.\nblue"], ["red", "blue"]),
        ([f"{letter}. text {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
         [f"text {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]),
    ],
)  # fmt: skip
def test_letters_are_taken_off_options_that_all_carry_their_own(options, texts):
    assert unlettered(options) == texts


@pytest.mark.parametrize(
    "options",
    [
        ["A. red"],
        ["A. red", "blue"],
        ["A. red", "C. blue"],
        ["B. red", "A. blue"],
        ["A. red", "B) blue"],
        ["A. red", "b. blue"],
        ["A", "B", "C"],
        ["(A)", "(B)"],
        ["A.", "B."],
        ["A:B", "B:C"],
        ["a.m.", "b.c."],
        ["(A) is larger", "(B) is larger"],
        ["(A) and (B)", "(B) and (C)"],
        ["A red one", "B blue one"],
        ["A. x", "B. x"],
        ["B", "A", "C. A", "A. B"],
        [f"{letter}. text {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] + ["AA. text"],
    ],
    ids=repr,
)
def test_other_options_stay_as_they_are(options):
    assert unlettered(options) is None


def test_a_letter_is_read_as_people_write_it():
    assert [letter_index(text) for text in ("B", "b", "(B)", "B.", " B) ")] == [1] * 5
    assert [letter_index(text) for text in ("", "AB", "1", "é", "\u0131", "\u017f", "\uff21", "()")] == [None] * 8


@pytest.mark.parametrize(
    ("answer", "options", "index"),
    [
        ("B", ["one", "two"], 1),
        (" (b) ", ["one", "two"], 1),
        ("two", ["one", "two"], 1),
        ("0", ["one", "two"], 0),
        ("9", ["one", "two"], 9),
        ("A", ["B", "A"], 1),
        ("7", ["5", "6", "7"], 2),
        ("0", ["0", "1"], 0),
        ("blue", ["A. red", "B. blue"], 1),
        ("B. blue", ["A. red", "B. blue"], 1),
    ],
)
def test_an_answer_is_a_text_a_letter_or_an_index(answer, options, index):
    assert answer_index(answer, options) == index


@pytest.mark.parametrize(
    ("answer", "options", "message"),
    [
        ("C", ["one", "two"], "is not one of its options; give an index from 0, a letter, or an option's text"),
        ("three", ["one", "two"], "is not one of its options"),
        ("1", ["1", "2", "3"], "is the text of the option A and the index of the option B; give the right option's"),
        ("2", ["1", "2", "3"], "is the text of the option B and the index of the option C; give the right option's"),
    ],
)
def test_an_answer_that_is_none_or_two_is_refused(answer, options, message):
    with pytest.raises(ValueError, match=message):
        answer_index(answer, options)


LETTER_NAMES = ("A", "B", "C", "D")


@pytest.mark.parametrize(
    ("name", "options", "names", "index"),
    [
        ("B", ["w", "x", "y", "z"], ("B", "C", "D"), 1),
        ("(d)", ["w", "x", "y", "z"], ("(b)", "(d)"), 3),
        ("x", ["w", "x"], ("w", "x"), 1),
        ("B", ["A", "B"], LETTER_NAMES, 1),
        ("2", ["w", "x", "y"], ("0", "1", "2"), 2),
        ("0", ["w", "x", "y"], ("2", "0"), 0),
        ("1", ["0", "1", "2"], ("0", "1", "2"), 1),
        ("7", ["5", "6", "7"], ("5", "6", "7"), 2),
    ],
)
def test_the_name_of_a_class_is_a_letter_or_a_text(name, options, names, index):
    assert label_index(name, options, names) == index


@pytest.mark.parametrize(
    ("name", "options", "names", "message"),
    [
        ("cat", ["w", "x"], ("cat", "dog"), "is neither a letter nor the text of an option; give the right option's"),
        ("D", ["w", "x"], LETTER_NAMES, "is neither a letter nor the text of an option"),
        ("A", ["B", "A"], LETTER_NAMES, "could mean the option A or B; give the right option's index"),
        ("1", ["w", "x", "y"], ("1", "2", "3"), "is neither a letter nor the text of an option"),
        ("1", ["1", "2", "3"], ("1", "2", "3"), "could mean the option A or B; give the right option's index"),
        ("0", ["1", "0"], ("0", "1"), "could mean the option A or B"),
    ],
)
def test_the_name_of_a_class_that_is_none_or_two_is_refused(name, options, names, message):
    with pytest.raises(ValueError, match=message):
        label_index(name, options, names)
