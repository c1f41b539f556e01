"""Texts of transformers models: as the model's own generation writes them, with one prefill for all votes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_models import build_checkpoint, make_picture  # noqa: F401 - fixture

from benchc_tasks.models.engines import EngineSettings, transformers_scorer
from benchc_tasks.models.generation.engines import generator_of
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings, cut_at, uniform_numbers
from benchc_tasks.models.questions import Question, ScoringError

FAMILIES = ("llava", "qwen2_5_vl", "qwen3_5", "gemma3", "mllama")
GREEDY = WritingSettings(max_new_tokens=4)
DRAWN = WritingSettings(max_new_tokens=3, temperature=1.0, seed=7)


@pytest.fixture(scope="module", params=FAMILIES)
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = build_checkpoint(request.param, tmp_path_factory.mktemp(request.param))
    settings = EngineSettings(None, str(folder), {}, torch.device("cpu"), batch_size=3)
    return transformers_scorer(settings)


@pytest.fixture
def questions(make_picture: Any) -> list[TextQuestion]:  # noqa: F811
    texts = ("Which colour?", "What is shown here, and where does it stand?", "Why?")
    return [
        TextQuestion(f"sample {number}", text, (make_picture(number),), GREEDY) for number, text in enumerate(texts)
    ]


def written(generator: Any, questions: list[TextQuestion]) -> list[Any]:
    return generator.generate(generator.prepare(questions))


def test_greedy_texts_are_those_of_the_models_own_generation_in_any_batch(scorer: Any, questions: Any) -> None:
    generator = generator_of(scorer)
    alone = [written(generator, [question])[0] for question in questions]
    assert written(generator, questions) == alone
    for question, (text,) in zip(questions, alone, strict=True):
        inputs = scorer.prepared_inputs([Question(question.name, question.context, (), question.images)])
        inputs = {name: value for name, value in inputs.items() if name != "labels"}
        length = inputs["input_ids"].shape[1]
        tokens = scorer.model.generate(**inputs, do_sample=False, max_new_tokens=4, pad_token_id=0)[0, length:].tolist()
        ends = [place for place, token in enumerate(tokens) if token in generator._ends]
        tokens = tokens[: ends[0]] if ends else tokens
        assert text == scorer.chat.tokenizer.decode(tokens, skip_special_tokens=False)


def test_votes_share_one_prefill_and_are_the_same_whatever_else_is_asked(
    scorer: Any, questions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = generator_of(scorer)
    several = [replace(question, settings=DRAWN, numbers=(0, 1, 2, 3)) for question in questions]
    passes: list[int] = []
    read = scorer.reader.read_prompts

    def counted(inputs: Any, **settings: Any) -> Any:
        passes.append(len(inputs["input_ids"]))
        return read(inputs, **settings)

    monkeypatch.setattr(scorer.reader, "read_prompts", counted)
    together = written(generator, several)
    assert passes == [len(questions)]
    assert written(generator, [replace(several[1], numbers=(2, 0))]) == [[together[1][2], together[1][0]]]
    assert len({text for texts in together for text in texts}) > 1


def test_a_question_that_cannot_be_asked_leaves_the_others_alone(scorer: Any, questions: Any) -> None:
    placeholder = scorer.chat.image_token or "<image>"
    spoilt = [questions[0], replace(questions[1], context=f"What is {placeholder}?"), questions[2]]
    first, second, third = written(generator_of(scorer), spoilt)
    assert isinstance(second, ScoringError) or not scorer.chat.image_token
    assert isinstance(first, list)
    assert isinstance(third, list)


def test_drawn_tokens_have_the_models_probabilities(tmp_path: Any, make_picture: Any) -> None:  # noqa: F811
    folder = build_checkpoint("llava", tmp_path)
    scorer = transformers_scorer(EngineSettings(None, str(folder), {}, torch.device("cpu"), batch_size=1))
    number = 2000
    question = TextQuestion(
        "s", "Which?", (make_picture(3),), WritingSettings(max_new_tokens=1, temperature=0.5), tuple(range(number))
    )
    (texts,) = written(generator_of(scorer), [question])
    with torch.inference_mode():
        inputs = scorer.prepared_inputs([Question("s", "Which?", (), question.images)])
        prefix = scorer.reader.read_prompts(inputs, keep_cache=False)
    probabilities = torch.softmax(prefix.log_probabilities[0] / 0.5, dim=-1)
    counts = Counter(texts)
    for token in probabilities.topk(5).indices.tolist():
        expected = float(probabilities[token])
        found = counts[scorer.chat.tokenizer.decode([token])] / number
        assert abs(found - expected) < 5 * math.sqrt(expected * (1 - expected) / number) + 1e-3


def test_top_p_leaves_the_tail_out(tmp_path: Any, make_picture: Any) -> None:  # noqa: F811
    folder = build_checkpoint("llava", tmp_path)
    scorer = transformers_scorer(EngineSettings(None, str(folder), {}, torch.device("cpu"), batch_size=1))
    settings = WritingSettings(max_new_tokens=1, temperature=1.0, top_p=1e-6)
    drawn = TextQuestion("s", "Which?", (make_picture(3),), settings, tuple(range(5)))
    greedy = replace(drawn, settings=WritingSettings(max_new_tokens=1), numbers=(0,))
    generator = generator_of(scorer)
    assert set(written(generator, [drawn])[0]) == set(written(generator, [greedy])[0])


def test_numbers_depend_on_seed_question_and_vote_only() -> None:
    question = TextQuestion("s", "?", (), DRAWN)
    first = [next(stream) for stream in [uniform_numbers(question, 1)] for _ in range(3)]
    assert first == [next(stream) for stream in [uniform_numbers(question, 1)] for _ in range(3)]
    others = [
        next(uniform_numbers(question, 2)),
        next(uniform_numbers(replace(question, name="t"), 1)),
        next(uniform_numbers(replace(question, settings=replace(DRAWN, seed=8)), 1)),
    ]
    assert len({first[0], *others}) == 4


def test_a_text_ends_before_the_first_stop() -> None:
    assert cut_at("A\n\nBecause", ["Be", "\n\n"]) == "A"
    assert cut_at("A", []) == "A"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beams": 4}, "without beam search"),
        ({"repetition_penalty": 1.2}, "knows no generation setting 'repetition_penalty'"),
        ({"temperature": -1}, "have no sense"),
        ({"top_p": 0}, "have no sense"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WritingSettings.of_arguments(settings)


def test_lmms_evals_settings_are_read() -> None:
    read = WritingSettings.of_arguments({"max_new_tokens": 5, "temperature": 1, "do_sample": False, "until": "\n"})
    assert read == WritingSettings(max_new_tokens=5, temperature=0.0, stop=("\n",))
