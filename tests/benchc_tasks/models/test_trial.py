"""The first question and batches are compared with slower passes, which are used where they differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchc_tasks.models.questions import Question
from benchc_tasks.models.trial import Way, tolerance
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import logged

LETTERS = ("A", "B")
PHRASES = ("zebra crossing", "A", " quick brown fox")
TEXTS = ("What is this?", "What colour is the big square? A red B green. Answer with the option's letter.")


def cached_tokens(named: dict[str, Any]) -> int:
    cache = named.get("cache", named.get("past_key_values"))
    return 0 if cache is None else int(cache.get_seq_length())


def moves_what_follows(named: dict[str, Any]) -> dict[str, Any]:
    return {"position_ids": named["position_ids"] + 7} if cached_tokens(named) else {}


def continues_nothing(named: dict[str, Any]) -> dict[str, Any]:
    if cached_tokens(named):
        raise ValueError("this model keeps no cache")
    return {}


def counts_twice(named: dict[str, Any]) -> dict[str, Any]:
    return {"position_ids": 2 * named["position_ids"]} if named.get("position_ids") is not None else {}


def keeps_no_cache(named: dict[str, Any]) -> dict[str, Any]:
    if named["use_cache"]:
        raise ValueError("no cache here")
    return {}


def sees_padding(named: dict[str, Any]) -> dict[str, Any]:
    whole = torch.ones_like(named["attention_mask"])
    return {"attention_mask": whole} if len(named["input_ids"]) > 1 else {}


FAULTS = {
    moves_what_follows: (Way.WHOLE_REST, r"behind a first token differs by [\d.]+ nats between its cache and"),
    continues_nothing: (
        Way.WHOLE_REST,
        r"its cache cannot be continued \(ValueError: this model keeps no cache\)",
    ),
    counts_twice: (Way.WHOLE, r"its letters differ by [\d.]+ nats from what it says without a cache and padding; its"),
    keeps_no_cache: (
        Way.WHOLE,
        r"it cannot be read with a cache \(ValueError: no cache here\); its questions are asked",
    ),
    sees_padding: (
        Way.ALONE,
        r"answers [\d.]+ nats otherwise in a batch than alone",
    ),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_model_that_is_read_wrongly_the_fast_way_is_read_the_slow_way(
    fault: Callable[[dict[str, Any]], dict[str, Any]],
    checkpoint: Callable[[str], Path],
    make_picture: Callable[..., Any],
    slow_reference: Callable[..., Any],
) -> None:
    """Real models with a fault like those that families of transformers were found to have."""
    way, sentence = FAULTS[fault]
    scorer = BenchCModel(pretrained=str(checkpoint("llava")), batch_size=2)._scorer
    scorer._model.register_forward_pre_hook(lambda _, args, named: (args, named | fault(named)), with_kwargs=True)
    questions = [
        Question(str(number), text, options, (make_picture(number),))
        for number, (text, options) in enumerate(zip(TEXTS * 2, (LETTERS, PHRASES, PHRASES, LETTERS), strict=True))
    ]
    with logged() as lines:
        outcomes = [
            outcome for pair in (questions[:2], questions[2:]) for outcome in scorer.score(scorer.prepare(pair))
        ]
    assert scorer._way is way
    (line,) = lines
    assert re.search(sentence, line)
    for question, outcome in zip(questions, outcomes, strict=True):
        for option, response in zip(question.options, outcome, strict=True):
            expected, greedy = slow_reference("llava", list(question.images), question.context, option)
            assert response.value == pytest.approx(expected, abs=3e-5)
            assert response.is_greedy is greedy


def test_a_model_that_is_read_rightly_is_tried_out_once(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]
) -> None:
    """A letter doubled takes three passes at the first question; a batch is compared once, and once with padding."""
    model = BenchCModel(pretrained=str(checkpoint("llava")), batch_size=2)
    scorer, passes = model._scorer, []
    scorer._has_looked = True
    scorer._model.register_forward_pre_hook(
        lambda _, args, named: passes.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )

    def shapes(texts: tuple[str, ...]) -> list[int]:
        passes.clear()
        questions = [Question("it", text, LETTERS, (make_picture(1),)) for text in texts]
        with logged() as lines:
            scorer.score(scorer.prepare(questions))
        assert not lines
        return [rows for rows, _ in passes]

    assert shapes(TEXTS[:1] * 2) == [1, 1, 1, 1, 2, 1, 1]
    assert shapes(TEXTS[:1] * 2) == [2]
    assert shapes(TEXTS) == [2, 1, 1]
    assert shapes(TEXTS) == [2]
    assert scorer._way is Way.FAST


def test_the_tolerance_is_that_of_the_precision() -> None:
    assert tolerance(torch.float32) == tolerance(torch.float64) == 1e-2
    assert tolerance(torch.bfloat16) == tolerance(torch.float16) == 5e-2
    assert tolerance(torch.bfloat16, rounding=25 * torch.finfo(torch.bfloat16).eps) == pytest.approx(0.39, abs=0.01)
