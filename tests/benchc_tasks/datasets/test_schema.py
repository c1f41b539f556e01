from __future__ import annotations

import pyarrow as pa
import pytest

from benchc_tasks.datasets.schema import (
    MAX_OPTIONS,
    SAMPLE_SCHEMA,
    DatasetError,
    Fault,
    check_samples,
    columns_of_rows,
    columns_of_table,
    missing_columns,
    raise_first,
)


def good(number: int) -> dict:
    return {"id": f"s{number}", "question": "Which?", "options": ["red", "blue"], "answer": 0}


def faults_of(*rows: dict) -> list[Fault]:
    table, faults = columns_of_rows(list(rows))
    return sorted([*faults, *check_samples(table, lambda row: f"row {row + 1}")])


VALUE_FAULTS = {
    "null id": ({"id": None}, "it has no `id`; give a string"),
    "absent id": ({"id": ...}, "it has no `id`; give a string"),
    "integer id": ({"id": 7}, "its `id` is 7, not a string; give a string"),
    "empty id": ({"id": ""}, "its `id` is ''; give one or more printable characters"),
    "id of two lines": ({"id": "a\nb"}, "its `id` is 'a\\nb'; give one or more printable characters"),
    "id with a space behind": ({"id": "a "}, "its `id` is 'a '; give one or more printable characters"),
    "duplicate id": ({"id": "s0"}, "its `id` is also that of row 1; give each sample a different id"),
    "null question": ({"question": None}, "it has no `question`; give a string"),
    "empty question": ({"question": " \n"}, "its `question` is empty; give the question's text"),
    "number as question": ({"question": 1.5}, "its `question` is 1.5, not a string; give a string"),
    "half a character": ({"question": "\ud83d"}, "its `question` holds half a surrogate pair; give a string"),
    "null options": ({"options": None}, "it has no `options`; give a list of strings"),
    "options in a string": ({"options": "ab"}, "its `options` are 'ab', not a list; give a list of strings"),
    "number among options": ({"options": ["a", 2]}, "its `options` hold 2, not a string; give a list of strings"),
    "half a character in options": ({"options": ["a", "\udc00"]}, "its `options` hold half a surrogate pair; give"),
    "no option": ({"options": []}, "it has 0 options; give 2 to 26"),
    "one option": ({"options": ["a"]}, "it has 1 option; give 2 to 26"),
    "27 options": ({"options": [f"o{i}" for i in range(27)]}, "it has 27 options; give 2 to 26"),
    "empty option": ({"options": ["a", ""]}, "one of its `options` is empty; give each option a text"),
    "blank option": ({"options": ["a", "\t "]}, "one of its `options` is empty; give each option a text"),
    "null option": ({"options": ["a", None]}, "one of its `options` is empty; give each option a text"),
    "nan as an option": (
        {"options": ["a", "b", "nan"]},
        "one of its `options` is empty ('nan', which pandas writes for an empty cell); give each option a text",
    ),
    "a float that is nan": (
        {"options": ["a", float("nan")]},
        "its `options` hold nan, not a string; give a",
    ),
    "a question of 150,000 characters that is none": ({"question": ["A" * 150_000]}, "its `question` is ['AAAA"),
    "repeated option": ({"options": ["a", "b", "a"]}, "its option 'a' is repeated; give each option a different text"),
    "repeated but for a space": ({"options": ["a", "a "]}, "its option 'a' is repeated; give each option a diff"),
    "null answer": ({"answer": None}, "it has no `answer`; give the right option's index"),
    "letter as answer": (
        {"answer": "B"},
        "its `answer` is 'B', not an integer; give the right option's index, an integer counted from 0 (A is 0, B is 1",
    ),
    "float as answer": ({"answer": 1.0}, "its `answer` is 1.0, not an integer; give the right option's index"),
    "bool as answer": ({"answer": True}, "its `answer` is True, not an integer; give the right option's index"),
    "answer below": ({"answer": -1}, "its `answer` -1 is out of range for 2 options; give the right option's index"),
    "answer above": ({"answer": 2}, "its `answer` 2 is out of range for 2 options; give the right option's index"),
    "huge answer": ({"answer": 2**70}, f"its `answer` {2**70} is out of range; give the right option's index"),
    "number as source": ({"source": 3}, "its `source` is 3, not a string; give a string, or leave it out"),
    "list as category": ({"category": []}, "its `category` is [], not a string; give a string, or leave it out"),
}


@pytest.mark.parametrize("case", VALUE_FAULTS)
def test_a_faulty_value_is_one_fault_with_its_cure(case):
    change, sentence = VALUE_FAULTS[case]
    bad = {name: value for name, value in {**good(1), **change}.items() if value is not ...}
    found = faults_of(good(0), bad, good(2))
    assert [fault.row for fault in found] == [1]
    assert found[0].text.startswith(sentence)
    assert "; " in found[0].text
    assert len(found[0].text) < 250


def test_good_samples_have_no_fault():
    rows = [
        good(0),
        {**good(1), "id": "S0", "source": "web", "category": "colour"},
        {**good(2), "options": [f"o{i}" for i in range(MAX_OPTIONS)], "answer": MAX_OPTIONS - 1},
        {**good(3), "id": "coco/val 2017: 12é", "options": ["a", "A"]},
        {**good(4), "options": ["None", "NA", "null", "NaN"]},
    ]
    assert faults_of(*rows) == []


def test_every_fault_of_every_row_is_found():
    found = faults_of({**good(0), "answer": 9, "question": ""}, good(1), {**good(2), "options": ["a", "a", "b", "b"]})
    assert [(fault.row, fault.column) for fault in found] == [
        (0, "answer"),
        (0, "question"),
        (2, "options"),
        (2, "options"),
    ]


def test_the_first_fault_is_raised_and_the_others_counted():
    faults = [Fault(3, "id", "c; d"), Fault(1, "id", "a; b"), Fault(1, "question", "e; f")]
    with pytest.raises(DatasetError, match=r"^row 1: a; b \(2 more faults in this dataset\)$"):
        raise_first(faults, lambda row: f"row {row}")
    with pytest.raises(DatasetError, match=r"^row 3: c; d \(1 more fault in this dataset\)$"):
        raise_first([faults[0], Fault(4, "id", "x")], lambda row: f"row {row}")
    with pytest.raises(DatasetError, match=r"^row 3: c; d$"):
        raise_first(faults[:1], lambda row: f"row {row}")
    raise_first([], lambda row: "nothing")


def test_each_missing_column_is_a_fault():
    found = missing_columns(["id", "question", "answer", "hint"])
    assert [fault.column for fault in found] == ["image", "options"]
    assert found[0].text == (
        "the column `image` is missing; a dataset needs the columns id, image, question, options, answer"
    )


ARROW_COLUMNS = {
    "id": [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    "options": [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.string(), 2)],
    "answer": [pa.int8(), pa.uint8(), pa.int64(), pa.uint64()],
}


@pytest.mark.parametrize(("column", "kind"), [(name, kind) for name, kinds in ARROW_COLUMNS.items() for kind in kinds])
def test_arrows_kinds_of_a_type_are_the_same_to_us(column, kind):
    values = {name: [good(0)[name], good(1)[name]] for name in good(0)}
    plain = pa.table(values)
    stored = plain.set_column(plain.column_names.index(column), column, pa.array(values[column], kind))
    table, faults = columns_of_table(stored)
    assert faults == []
    assert table.schema == SAMPLE_SCHEMA
    assert table.to_pylist() == [{**good(number), "source": None, "category": None} for number in range(2)]


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("id", [1, 2], "its `id` is of type int64; give a string"),
        ("question", [b"a", b"b"], "its `question` is of type binary; give a string"),
        ("options", ["a|b", "c|d"], "its `options` is of type string; give a list of strings"),
        ("options", [[1, 2], [3, 4]], "its `options` is of type list<"),
        (
            "answer",
            ["A", "B"],
            "its `answer` is of type string; give the right option's index, an integer counted from 0",
        ),
        ("answer", [0.0, 1.0], "its `answer` is of type double; give the right option's index"),
        ("answer", [True, False], "its `answer` is of type bool; give the right option's index"),
        ("source", [1, 2], "its `source` is of type int64; give a string, or leave it out"),
    ],
)
def test_a_column_of_another_type_is_one_fault(column, values, sentence):
    stored = pa.table({**{name: [good(0)[name], good(1)[name]] for name in good(0)}, column: values})
    table, faults = columns_of_table(stored)
    assert len(faults) == 1
    assert faults[0].text.startswith(sentence)
    assert check_samples(table, str) == []


def test_an_answer_beyond_int64_is_out_of_range():
    stored = pa.table({**{name: [good(0)[name]] for name in good(0)}, "answer": pa.array([2**64 - 1], pa.uint64())})
    table, faults = columns_of_table(stored)
    assert [fault.column for fault in [*faults, *check_samples(table, str)]] == ["answer"]


def test_a_column_of_nulls_is_a_fault_a_row():
    stored = pa.table({**{name: [good(0)[name], good(1)[name]] for name in good(0)}, "question": pa.nulls(2)})
    assert [(fault.row, fault.column) for fault in columns_of_table(stored)[1]] == [(0, "question"), (1, "question")]
