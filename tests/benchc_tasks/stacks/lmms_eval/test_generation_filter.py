"""The filter of generated answers, as lmms-eval calls it."""

from __future__ import annotations

from lmms_eval.api.instance import GenerationResult, unwrap_generation_output

from benchc_tasks.stacks.lmms_eval.generation_filter import GeneratedAnswerFilter


def test_the_first_answer_is_kept_whole_and_what_is_none_says_why():
    backend = [GenerationResult("<think>A</think> B"), "C", GenerationResult(None), ["A", "B"]]  # type: ignore[arg-type]
    responses = [[unwrap_generation_output(output)[0], "not looked at"] for output in backend]
    assert GeneratedAnswerFilter().apply([*responses, []], docs=[]) == [
        {"text": "<think>A</think> B"},
        {"text": "C"},
        {"invalid": "the backend returned no text"},
        {"invalid": "the backend returned ['A', 'B'], which is no text"},
        {"invalid": "the backend returned no text"},
    ]
