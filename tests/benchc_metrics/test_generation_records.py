"""The record of generated answers: what is assembled, what is written, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchc_metrics.generation_records import (
    RAS_NOT_DEFINED,
    GenerationRecord,
    assemble_generation_record,
    checked_answer,
)

CONDITIONS = ("clean", "fog@1", "fog@2")
FACTS = {
    "dataset": "fingerprint",
    "engine": "1",
    "benchc": "0.1",
    "prompt": "{question}",
    "source": None,
    "category": "animals",
    "option_count": 2,
    "answer": 1,
}


def assembled(*results: object, **changes: Any) -> GenerationRecord:
    settings = {"options": ("dog", "cat"), "conditions": CONDITIONS, "sample": "sample-0", **FACTS, **changes}
    return assemble_generation_record(results, **settings)


def test_answers_are_kept_whole_beside_the_letters_that_they_name():
    record = assembled({"text": "<think>A?</think>B"}, {"text": "dog"}, {"text": "A cat, or a dog."})
    assert record.answers == ("<think>A?</think>B", "dog", "A cat, or a dog.")
    assert record.letters == ("B", "A", None)
    assert record.predictions == (1, 0, -1)
    assert record.invalid == {"fog@2": "the answer names no option"}
    assert record.ras == RAS_NOT_DEFINED


def test_what_is_no_answer_is_an_invalid_condition_with_its_reason():
    failed = "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Incorrect API key provided: sk-1. Answer: A"
    record = assembled(checked_answer(None), checked_answer(failed), checked_answer(["A", "B"]))
    assert record.answers == (None, None, None)
    assert record.predictions == (-1, -1, -1)
    assert record.invalid == {
        "clean": "the backend returned no text",
        "fog@1": "the backend gave the request up, lmms-eval's log says why: "
        "[LMMS_EVAL_REQUEST_FAILED after 3 retries]",
        "fog@2": "the backend returned ['A', 'B'], which is no text",
    }


def test_unfiltered_answers_are_read_as_well():
    assert assembled("A", "B", None).predictions == (0, 1, -1)


def test_tags_of_reasoning_are_the_task_s():
    answer = "<plan>It is option A.</plan>It is option B."
    assert assembled(answer, "A", "A").letters[0] is None
    assert assembled(answer, "A", "A", reasoning_tags=[("<plan>", "</plan>")]).letters[0] == "B"


def test_a_missing_answer_is_an_error_that_names_the_sample():
    with pytest.raises(ValueError, match=r"^sample 'sample-0' has 2 answers for its 3 conditions$"):
        assembled("A", "B")


def test_a_record_is_read_as_it_was_written():
    record = assembled("A", "B\ud83d", None)
    written = json.loads(json.dumps(record.to_json_dict(), allow_nan=False))
    assert written["schema"] == "benchc.generation/1"
    assert written["ras"] == "not defined"
    assert written["letters"] == ["A", "B", None]
    assert GenerationRecord.from_json_dict(written) == record


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schema": "benchc.generation/2"}, "schema 'benchc.generation/2' is not 'benchc.generation/1', the one"),
        ({"more": 1}, "more: Unexpected keyword argument"),
        ({"answer": True}, "answer: Input should be a valid integer"),
        ({"answer": 2}, "answer 2 is none of its 2 options"),
        ({"answer": -1}, "answer: Input should be greater than or equal to 0"),
        ({"option_count": 1}, "option_count: Input should be greater than or equal to 2"),
        ({"option_count": 27}, "option_count: Input should be less than or equal to 26"),
        ({"sample": 7}, "sample: Input should be a valid string"),
        ({"conditions": ["fog@1", "clean", "fog@2"]}, "conditions do not begin with 'clean'"),
        ({"conditions": "clean"}, "conditions: Input should be a valid tuple"),
        ({"answers": ["A", "B"]}, "answers and letters do not have one entry for each of its 3 conditions"),
        ({"answers": ["A", 1, None]}, "answers.1: Input should be a valid string"),
        ({"letters": ["A", "C", None]}, "letter 'C' under 'fog@1' is none of A, B or has no answer"),
        ({"letters": ["A", "AB", None]}, "letter 'AB' under 'fog@1' is none of A, B or has no answer"),
        ({"letters": ["A", "", None]}, "letter '' under 'fog@1' is none of A, B or has no answer"),
        ({"letters": ["A", "B", "B"]}, "letter 'B' under 'fog@2' is none of A, B or has no answer"),
        ({"invalid": {}}, "invalid does not give a reason for exactly the conditions that have no letter"),
        ({"invalid": {"fog@2": ""}}, "invalid.fog@2: String should have at least 1 character"),
        ({"ras": 0.5}, "ras: Input should be 'not defined'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(changes, fault):
    written = assembled("A", "B", None).to_json_dict() | changes
    with pytest.raises(ValueError, match=r"^sample ") as caught:
        GenerationRecord.from_json_dict(written)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_key_and_no_mapping_are_refused():
    written = assembled("A", "B", None).to_json_dict()
    del written["ras"]
    with pytest.raises(ValueError, match=r"^sample 'sample-0': ras: Field required$"):
        GenerationRecord.from_json_dict(written)
    with pytest.raises(ValueError, match="must be a mapping of its fields, not list"):
        GenerationRecord.from_json_dict([written])
