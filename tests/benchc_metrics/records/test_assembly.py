"""One sample's responses put together: which conditions are valid, and what is refused with one sentence."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from benchc_metrics.records import SampleRecord
from benchc_metrics.records.assembly import assemble_generation_record, assemble_record
from benchc_metrics.responses import checked_text

INF, NAN = float("inf"), float("nan")
CONDITIONS = ["clean", "fog@1", "fog@2"]
GOOD = [[-0.1, True], [-2.5, False]] * 3
FIELDS = {
    "dataset": "sha256:00",
    "engine": "1",
    "benchc": "0.1.0",
    "prompt": "{question}",
    "sample": "photo-7",
    "source": "MMBench",
    "category": None,
}


def assembled(results=GOOD, conditions=CONDITIONS, option_count=2, answer=0, **fields):
    return assemble_record(
        results, conditions=conditions, option_count=option_count, answer=answer, **(FIELDS | fields)
    )


def with_response(condition, option, response):
    results = [list(result) for result in GOOD]
    results[CONDITIONS.index(condition) * 2 + option] = response
    return results


def test_responses_are_taken_condition_by_condition_and_option_by_option():
    results = [[-float(number), False] for number in range(1, 10)]
    record = assembled(results, option_count=3, answer=2)
    assert record.log_likelihoods == ((-1.0, -2.0, -3.0), (-4.0, -5.0, -6.0), (-7.0, -8.0, -9.0))
    assert (record.obtained, record.predictions) == ("log-likelihoods", (0, 0, 0))
    assert record.letter_mass == pytest.approx([sum(math.exp(-n - k) for k in range(3)) for n in (1, 4, 7)])
    assert (record.option_count, record.length_normalised, record.invalid) == (3, False, {})
    assert (record.sample, record.source, record.category, record.answer) == ("photo-7", "MMBench", None, 2)
    assert record.conditions == ("clean", "fog@1", "fog@2")


def test_unfiltered_responses_are_read_as_well():
    assert assembled(["(-0.1, True)", (-2.5, False)] * 3) == assembled()


def test_mean_losses_are_negated_and_marked():
    record = assembled([[0.1, True], [2.5, False]] * 3)
    assert record.log_likelihoods == assembled().log_likelihoods
    assert record.length_normalised is True
    assert (record.obtained, record.letter_mass) == ("mean losses", None)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ([NAN, False], "option 1: the backend returned nan: try float32 or bfloat16"),
        ({"invalid": "the backend returned no response"}, "option 1: the backend returned no response"),
        (
            [INF, False],
            "option 1: the backend returned a log-likelihood of +inf, which is impossible: try float32 or bfloat16",
        ),
    ],
)
def test_one_bad_response_makes_its_condition_invalid_with_the_reason(response, reason):
    record = assembled(with_response("fog@1", 1, response))
    assert record.invalid == {"fog@1": reason}
    assert record.log_likelihoods == ((-0.1, -2.5), None, (-0.1, -2.5))


def test_unreadable_response_makes_its_condition_invalid():
    reason = assembled(with_response("clean", 0, "A")).invalid["clean"]
    assert reason.startswith("option 0: response 'A' is not a pair")


def test_option_of_minus_infinity_is_an_answer_and_all_of_them_are_none():
    record = assembled([[-INF, False], [-0.5, True], [-INF, False], [-INF, False], [-0.1, True], [-INF, False]])
    assert record.log_likelihoods == ((-INF, -0.5), None, (-0.1, -INF))
    assert record.invalid == {"fog@1": "the backend gave every option the probability 0: try float32 or bfloat16"}


def test_infinite_loss_is_a_probability_of_zero_and_a_negative_one_is_impossible():
    record = assembled([[0.5, True], [INF, False], [0.5, True], [-INF, False], [0.5, True], [0.0, False]])
    assert record.length_normalised is True
    assert record.log_likelihoods == ((-0.5, -INF), None, (-0.5, 0.0))
    assert record.invalid["fog@1"].startswith(
        "option 1: the backend returned a mean loss of -inf, which is impossible: try"
    )


def test_sample_without_any_answer_is_a_record_too():
    record = assembled([[NAN, False]] * 6)
    assert record.log_likelihoods == (None, None, None)
    assert (record.option_count, record.predictions) == (2, (None, None, None))
    assert set(record.invalid) == set(CONDITIONS)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (GOOD[:3], "the first missing one is option 1 of condition 'fog@1'"),
        (GOOD[:4], "the first missing one is option 0 of condition 'fog@2'"),
        ([], "the first missing one is option 0 of condition 'clean'"),
        ([*GOOD, [-1.0, False]], "1 are left over after the last condition, 'fog@2'"),
    ],
)
def test_number_of_responses_that_does_not_match_is_refused(results, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        assembled(results)
    assert "sample 'photo-7' has" in str(refusal.value)
    assert "3 conditions x 2 options need 6" in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "invalid"),
    [
        ({("fog@2", 0): 0.3}, {"fog@2"}),
        ({("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, set(CONDITIONS)),
        ({("fog@1", 0): 0.3, ("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, set(CONDITIONS)),
        ({("fog@1", 0): 0.0, ("fog@1", 1): -INF, ("fog@2", 0): 0.3, ("fog@2", 1): 0.5}, {"clean", "fog@2"}),
    ],
    ids=["in a condition", "between conditions", "both", "a zero is of both kinds"],
)
def test_log_likelihoods_beside_mean_losses_are_invalid(changed, invalid):
    results = list(GOOD)
    for (condition, option), value in changed.items():
        results[CONDITIONS.index(condition) * 2 + option] = [value, False]
    record = assembled(results)
    assert record.invalid == dict.fromkeys(
        invalid,
        "the backend returned both log-likelihoods (negative) and mean losses (positive), "
        "but it must return one of the two",
    )
    assert record.length_normalised is False
    assert SampleRecord.from_json_dict(record.to_json_dict()) == record


def test_what_stands_beside_an_unreadable_answer_does_not_tell_what_the_others_mean():
    record = assembled([*GOOD[:4], [0.3, False], [NAN, False]])
    assert record.invalid == {"fog@2": "option 1: the backend returned nan: try float32 or bfloat16"}
    assert record.log_likelihoods[:2] == assembled().log_likelihoods[:2]


def test_what_holds_for_the_whole_question_is_said_of_no_option():
    record = assembled([*GOOD[:2], *[{"invalid": "sample 'photo-7' under fog@1: why"}] * 2, *GOOD[4:]])
    assert record.invalid == {"fog@1": "sample 'photo-7' under fog@1: why"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"option_count": 1, "results": GOOD[:3]}, "1 options and 3 conditions"),
        ({"conditions": [], "results": []}, "2 options and 0 conditions"),
        ({"conditions": ["fog@1", "clean", "fog@2"]}, "conditions do not begin with 'clean'"),
        ({"conditions": ["clean", "fog@1", "fog@1"]}, "a condition occurs twice"),
        ({"conditions": ["clean", "fog@1", "fog@9"]}, "'fog@9' is neither 'clean' nor 'NAME@SEVERITY'"),
        ({"answer": 2}, "answer 2 is not one of its 2 options"),
        ({"answer": -1}, "answer: Input should be greater than or equal to 0"),
        ({"dataset": None}, "dataset: Input should be a valid string"),
        ({"source": 3}, "source: Input should be a valid string"),
    ],
)
def test_record_that_cannot_be_is_refused_by_sample(changes, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        assembled(**changes)
    assert str(refusal.value).startswith("sample 'photo-7'")


@pytest.mark.parametrize(
    "values", [[-0.1, -0.2], [0.0, -0.7], [-0.5, -0.928]], ids=["not normalised", "a sure one", "just above"]
)
def test_probabilities_that_sum_to_more_than_one_are_invalid_with_the_reason(values):
    first, second = values
    record = assembled([*GOOD[:2], [first, True], [second, False], *GOOD[4:]])
    assert record.invalid.keys() == {"fog@1"}
    assert "the probabilities of its options sum to 1." in record.invalid["fog@1"]
    assert record.log_likelihoods == ((-0.1, -2.5), None, (-0.1, -2.5))
    assert (record.predictions, record.letter_mass[1]) == ((0, None, 0), None)


def test_rounding_and_mean_losses_may_sum_to_more_than_one():
    assert not assembled([*GOOD[:2], [-0.5, True], [-0.9325, False], *GOOD[4:]]).invalid
    assert not assembled([[0.1, True], [0.2, False]] * 3).invalid


GENERATED = {**FIELDS, "answer": 1, "options": ("dog", "cat"), "conditions": CONDITIONS, "sample": "sample-0"}


def generated(*results: object, **changes: Any) -> SampleRecord:
    return assemble_generation_record(results, **(GENERATED | changes))


def test_texts_are_kept_whole_beside_the_options_that_they_name():
    record = generated({"text": "<think>A?</think>B"}, {"text": "dog"}, {"text": "A cat, or a dog."})
    assert record.texts == ("<think>A?</think>B", "dog", "A cat, or a dog.")
    assert record.predictions == (1, 0, None)
    assert record.invalid == {"fog@2": "the answer names no option"}
    assert (record.obtained, record.has_distribution, record.log_likelihoods) == ("generated letters", False, None)


def test_what_is_no_text_is_an_invalid_condition_with_its_reason():
    failed = "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Incorrect API key provided: sk-1. Answer: A"
    record = generated(checked_text(None), checked_text(failed), checked_text(["A", "B"]))
    assert record.texts == (None, None, None)
    assert record.predictions == (None, None, None)
    assert record.invalid == {
        "clean": "the backend returned no text",
        "fog@1": "the backend gave up on the request, lmms-eval's log says why: "
        "[LMMS_EVAL_REQUEST_FAILED after 3 retries]",
        "fog@2": "the backend returned ['A', 'B'], which is not text",
    }


def test_unfiltered_texts_are_read_as_well():
    assert generated("A", "B", None).predictions == (0, 1, None)


def test_tags_of_reasoning_are_the_task_s():
    text = "<plan>It is option A.</plan>It is option B."
    assert generated(text, "A", "A").predictions[0] is None
    assert generated(text, "A", "A", reasoning_tags=[("<plan>", "</plan>")]).predictions[0] == 1


def test_a_missing_text_is_an_error_that_names_the_sample():
    with pytest.raises(ValueError, match=r"^sample 'sample-0' has 2 answers for its 3 conditions$"):
        generated("A", "B")
