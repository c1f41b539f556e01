"""Conversions of single fields: read right, or counted."""

from __future__ import annotations

import numpy as np
import pytest

from benchc_tasks.datasets.pools.mapping import (
    NotASampleError,
    encoded_image,
    lettered_index,
    numbered_index,
    option_texts,
    single_image,
    text_of,
)


@pytest.mark.parametrize("answer", [2, 2.0, "2", " 2 ", np.float64(2.0)], ids=repr)
def test_an_index_is_a_whole_number_in_any_form(answer):
    assert numbered_index(answer) == 2


@pytest.mark.parametrize(
    "answer", [True, False, 1.5, float("inf"), "1.0", "1_0", "\u0661", "B", "", [1], b"1", "9" * 5000]
)
def test_what_is_not_a_whole_number_is_counted(answer):
    with pytest.raises(NotASampleError, match=r"^(the answer is not an option's index|no answer)$"):
        numbered_index(answer)


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "B.", " b) "])
def test_a_letter_is_read_in_any_form(answer):
    assert lettered_index(answer) == 1


@pytest.mark.parametrize(
    "answer", [1, 1.0, True, "1", "AB", "\u0131", ["B"], b"B", None, float("nan"), "nan"], ids=repr
)
def test_what_is_not_a_letter_is_counted(answer):
    """A number is not a letter: it may be a class label without its name, or count from 0 or from 1."""
    with pytest.raises(NotASampleError, match=r"^(the answer is not an option's letter|no answer)$"):
        lettered_index(answer)


def test_options_are_texts_and_numbers_in_a_list():
    assert option_texts([" red ", 7, 1.5, True, "None", None, "nan"]) == ["red", "7", "1.5", "True", "None"]
    assert option_texts(("a", "b")) == ["a", "b"]


@pytest.mark.parametrize("values", ["ab", {"text": ["a", "b"]}, 7, None, b"ab"], ids=repr)
def test_other_containers_are_not_taken_apart(values):
    with pytest.raises(NotASampleError, match="the options are not a list"):
        option_texts(values)


@pytest.mark.parametrize("value", [["a"], {"a": 1}, b"a", object()], ids=lambda value: type(value).__name__)
def test_a_text_is_no_python_code(value):
    with pytest.raises(NotASampleError, match="a text has the wrong type"):
        text_of(value)


def test_an_image_is_encoded_bytes():
    assert encoded_image({"bytes": b"x", "path": None}) == encoded_image(b"x") == encoded_image(bytearray(b"x")) == b"x"
    for image in (None, b"", "x.png", {"bytes": "eA=="}, {"bytes": None, "path": None}, [b"x"], 7):
        with pytest.raises(NotASampleError, match=r"^no image$"):
            encoded_image(image)
    with pytest.raises(NotASampleError, match=r"^the image file cannot be read$"):
        encoded_image({"bytes": None, "path": "x.png"})
    assert single_image([b"x"]) == single_image(b"x") == b"x"
    assert single_image([]) is None
