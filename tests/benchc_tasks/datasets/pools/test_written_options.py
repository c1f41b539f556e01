"""Options that are written out in a question's text: complete, or left out with the reason."""

from __future__ import annotations

import pytest

from benchc_tasks.datasets.pools.mapping import NotASampleError
from benchc_tasks.datasets.pools.mmstar import MARKS
from benchc_tasks.datasets.pools.realworldqa import MARK
from benchc_tasks.datasets.pools.written_options import split_options

HELD = "an option contains the mark of another one"
TWICE = "options occur twice in the question's text"
NONE = "the question's text has no options"
LINES = "an option has several lines"


def in_lines(text: str) -> list[str]:
    return split_options(text, [MARK], in_lines=True)[1]


def in_text(text: str) -> list[str]:
    return split_options(f" {text}", MARKS, in_lines=False)[1]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Where?\nA. left\nB. right", ["left", "right"]),
        ("Where?\r\nA. left\r\nB. right\r\nC. ahead", ["left", "right", "ahead"]),
        ("Which lane?\nA. A, B and C\nB. C and D", ["A, B and C", "C and D"]),
        ("Which plate?\nA. B12 C\nB. C 12", ["B12 C", "C 12"]),
        ("Which?\nA. None\nB. NA\nC. null", ["None", "NA", "null"]),
        ("Which?\nA. I see a car\nB. I'd say none", ["I see a car", "I'd say none"]),
        ("Whose?\nA. John F. Kennedy\nB. Robert E. Lee", ["John F. Kennedy", "Robert E. Lee"]),
    ],
)
def test_options_in_lines(text, options):
    assert in_lines(text) == options


SWALLOWED_LINES = {
    "the case of the issue": "Where?\nA. left\nB. right\nC ahead",
    "a bracket": "Where?\nA. left\nB. right\nC) ahead",
    "two brackets": "Where?\nA. left\nB. right\n(C) ahead",
    "a colon": "Where?\nA. left\nB. right\nC: ahead",
    "no white space": "Where?\nA. left\nB. right\nC.ahead",
    "a small letter": "Where?\nA. left\nB. right\nc. ahead",
    "a dash": "Where?\nA. left\nB. right\nC - ahead",
    "a bullet": "Where?\nA. left\nB. right\n- C. ahead",
    "bold": "Where?\nA. left\nB. right\n**C.** ahead",
    "a square bracket": "Where?\nA. left\nB. right\n[C] ahead",
    "full width": "Where?\nA. left\nB. right\nC\uff0eahead",
    "the letter alone": "Where?\nA. left\nB. right\nC\nahead",
    "a jump from B to D": "Where?\nA. left\nB. right\nD. back",
    "a jump from A to C and back": "Where?\nA. left\nC. ahead\nB. right",
    "the last of four": "Where?\nA. left\nB. right\nC. ahead\nD back",
    "an empty one before it": "Where?\nA. left\nB.\nC. ahead",
    "on the same line": "Where?\nA. left\nB. right (C) ahead",
    "on the same line with a colon": "Where?\nA. left\nB. right C: ahead",
    "carriage returns": "Where?\rA. left\rB. right\rC ahead",
}


@pytest.mark.parametrize("case", SWALLOWED_LINES)
def test_a_line_that_is_another_option_is_not_swallowed(case):
    with pytest.raises(NotASampleError, match=HELD):
        in_lines(SWALLOWED_LINES[case])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where?\nA. left\nB. right\nAnswer with one letter.", LINES),
        ("Where?\nA. left\nturn\nB. right", LINES),
        ("A. one\nB. two\nWhere?\nA. left\nB. right", TWICE),
        ("Where? A. left B. right", NONE),
        ("Where?\nA. left", NONE),
        ("Where?\nA.left\nB.right", NONE),
        ("Where?\nB. right\nA. left", NONE),
        ("", NONE),
    ],
)
def test_what_is_left_open_is_left_out(text, reason):
    with pytest.raises(NotASampleError, match=reason):
        in_lines(text)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Where?\nOptions: A: left, B: right, C: ahead, D: back", ["left", "right", "ahead", "back"]),
        ("Where? A: left B: right", ["left", "right"]),
        ("How many?\nChoices:\n(A) 1\n(B) 2\n(C) 3", ["1", "2", "3"]),
        ("How many? A. one B. two", ["one", "two"]),
        ("Which value?\nOptions: A: -2.5, B: 3:1, C: $x_1$, D: A and B", ["-2.5", "3:1", "$x_1$", "A and B"]),
        ("Which?\nOptions: A: C, B: D, C: A, D: B", ["C", "D", "A", "B"]),
        ("What?\nOptions: A: vitamin C, B: vitamin D", ["vitamin C", "vitamin D"]),
        ("What?\nOptions: A: red, white, B: I do, C: None, D: N/A", ["red, white", "I do", "None", "N/A"]),
        ("Who?\nOptions: A: John F. Kennedy, B: Robert E. Lee", ["John F. Kennedy", "Robert E. Lee"]),
    ],
)
def test_options_in_a_text(text, options):
    assert in_text(text) == options


SWALLOWED = {
    "the case of the issue": "Where?\nOptions: A: left, B: right, C ahead, D: back",
    "the last one bare": "Where?\nOptions: A: left, B: right, C ahead",
    "without commas": "Where? A: left B: right C ahead D: back",
    "the last one bare without commas": "Where? A: left B: right C ahead",
    "a jump from B to D": "Where?\nOptions: A: left, B: right, D: back",
    "a jump without white space": "Where?\nOptions: A:left,B:right,D:back",
    "a bracket": "Where?\nOptions: A: left, B: right, C) ahead, D: back",
    "two brackets": "Where?\nOptions: A: left, B: right, (C) ahead, (D) back",
    "a point": "Where?\nOptions: A: left, B: right, C. ahead, D. back",
    "a small letter": "Where?\nOptions: A: left, B: right, c) ahead",
    "a line": "Where?\nOptions: A: left, B: right\nC ahead",
    "brackets, and a jump": "Where?\nChoices:\n(A) left\n(B) right\n(D) back",
    "brackets, and a point": "Where?\nChoices:\n(A) left\n(B) right\nC. ahead",
    "points, and a bracket": "Where? A. left B. right C) ahead",
    "points, and a jump": "Where? A. left B. right D. back",
    "out of order": "Where?\nOptions: A: left, (C) ahead, B: right",
}


@pytest.mark.parametrize("case", SWALLOWED)
def test_a_mark_of_another_option_is_not_swallowed(case):
    with pytest.raises(NotASampleError, match=HELD):
        in_text(SWALLOWED[case])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where? (A) one (B) two\nOptions: A: left, B: right", TWICE),
        ("A: one, B: two. Where?\nOptions: A: left, B: right", TWICE),
        ("Where?\nOptions: A: left, B: right\nAnswer with one letter.", LINES),
        ("Where?\nOptions: A left, B: right", NONE),
        ("Where?\nOptions: a: left, b: right", NONE),
        ("Without any options", NONE),
    ],
)
def test_what_a_text_leaves_open_is_left_out(text, reason):
    with pytest.raises(NotASampleError, match=reason):
        in_text(text)
