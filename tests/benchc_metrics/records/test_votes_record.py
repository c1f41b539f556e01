"""Records of sampled answers: what is counted, what is refused, and runs made of them."""

from __future__ import annotations

import json

import pytest

from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.records import SampleRecord, Sampling
from benchc_metrics.records.assembly import assemble_generation_record, assemble_votes_record
from benchc_metrics.responses.letters import REASONING_TAGS, UNFINISHED_THINKING, parse_letter
from benchc_metrics.runs import run_of_records

FACTS = {"dataset": "d", "engine": "1", "benchc": "1", "prompt": "p", "answer": 1}
CONDITIONS = ("clean", "fog@1", "fog@2")
SAMPLING = Sampling(number=4, temperature=1.0, seed=None)
TEXTS = [
    *("B", "B", "The answer is A.", "I see a cat."),
    *("A", "<think>it may be", "B", "A"),
    *("none", "<think>so", "<think>so", "[LMMS_EVAL_REQUEST_FAILED] key"),
]


def record_of(texts: list[object], sample: str = "s", **more: object) -> SampleRecord:
    return assemble_votes_record(
        texts, options=["dog", "mouse"], conditions=CONDITIONS, sample=sample, sampling=SAMPLING, **{**FACTS, **more}
    )


def test_votes_are_counted_and_what_names_no_option_is_an_outcome_of_its_own() -> None:
    record = record_of(TEXTS)
    assert record.votes == ((1, 2), (2, 1), None)
    assert record.predictions == (1, 0, None)
    assert record.unparsed == (1, 1, 4)
    assert record.unfinished == (0, 1, 2)
    assert record.invalid["fog@2"].startswith("none of 4 votes names an option; 2 of them: the answer ends within")
    assert record.texts_of_votes is not None
    assert record.texts_of_votes[1][1] == "<think>it may be"
    assert record.texts_of_votes[2][3] is None


def test_a_tie_goes_to_the_first_option() -> None:
    assert record_of(["B", "A", "B", "A"] * 3).predictions == (0, 0, 0)


def test_a_record_of_votes_survives_json() -> None:
    record = record_of(TEXTS)
    assert SampleRecord.from_json_dict(json.loads(json.dumps(record.to_json_dict(), allow_nan=False))) == record


def test_votes_that_do_not_fit_the_prediction_are_refused() -> None:
    written = record_of(TEXTS).to_json_dict()
    with pytest.raises(ValueError, match="not the option with the most votes"):
        SampleRecord.from_json_dict({**written, "predictions": [0, 0, None]})
    with pytest.raises(ValueError, match="prediction but no votes"):
        SampleRecord.from_json_dict({**written, "votes": [None, [2, 1], None]})


def test_too_few_votes_are_refused_with_the_sample() -> None:
    with pytest.raises(ValueError, match="sample 's' has 11 answers for its 3 conditions of 4 votes"):
        record_of(TEXTS[:-1])


def test_a_run_of_votes_counts_them_over_all_conditions() -> None:
    run = run_of_records("run", {"fog": [record_of(TEXTS), record_of(["B"] * 12, sample="t")]})
    assert run.obtained == "votes"
    assert run.votes is not None
    assert run.votes.corrupted[:, 0, 0].tolist() == [[2, 1], [0, 4]]
    found = metrics_of_run(run)
    assert found["votes"] == 4
    assert found["unparsed_votes"] == pytest.approx(6 / 24)
    assert found["unfinished_thinking"] == pytest.approx(3 / 24)
    assert found["invalid_pairs"] == 1


def test_runs_that_mix_ways_of_drawing_are_refused() -> None:
    other = record_of(["B"] * 12, sample="t").model_copy(
        update={"sampling": Sampling(number=4, temperature=0.5, seed=3)}
    )
    with pytest.raises(ValueError, match="mixes 2 values of sampling"):
        run_of_records("run", {"fog": [record_of(TEXTS), other]})


def test_an_answer_that_the_prompt_began_as_thinking_needs_a_closing_tag() -> None:
    record = assemble_generation_record(
        ["perhaps A, perhaps B. So B", "hm</think>B", "A</think>"],
        options=["dog", "mouse"],
        conditions=CONDITIONS,
        sample="s",
        begins_in_thought=True,
        **FACTS,
    )
    assert record.predictions == (None, 1, None)
    assert record.unfinished == (1, 0, 0)
    assert record.invalid["fog@2"] == "the answer is empty"


@pytest.mark.parametrize(("opening", "closing"), REASONING_TAGS)
def test_thinking_of_every_kind_is_cut_out_and_an_end_within_it_is_unfinished(opening: str, closing: str) -> None:
    options = ["dog", "mouse"]
    assert parse_letter(f"{opening}A? The answer is A.{closing}\nB", options).option == 1
    assert parse_letter(f"A? The answer is A.{closing}\nB", options).option == 1
    assert parse_letter(f"{opening}\nThe answer is A", options).reason == UNFINISHED_THINKING
