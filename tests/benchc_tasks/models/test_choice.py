import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchc_tasks.models.questions import EngineError, Question, ScoringError
from benchc_tasks.models.sight import contrast
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import logged

FAMILIES = ("llava", "llava_onevision", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "internvl", "idefics3", "gemma3", "mllama")
LETTERS = ("A", "B", "C", "D")
PHRASES = ("zebra crossing", "zebra", "A", " quick brown fox", "zebu")
QUESTIONS = (
    "What is this?",
    "What colour is the big square? A red B green C blue D yellow. Answer with the option's letter.",
    "Where is the star, and how many are there of it?",
    "one two three four",
)
SIZES = ((40, 40), (70, 40), (40, 90), (64, 64))


@pytest.fixture
def ask(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], make_request: Callable[..., Any]
) -> Callable[..., list[list[tuple[float, bool]]]]:
    """Score `options` for the four questions, each on an image of another size: one list of answers a question."""

    def image(doc: Any) -> list[Any]:
        return [doc]

    def answers(family: str, options: tuple[str, ...], batch_size: int) -> list[list[tuple[float, bool]]]:
        model = BenchCModel(pretrained=str(checkpoint(family)), batch_size=batch_size)
        docs = [make_picture(seed, *size) for seed, size in enumerate(SIZES)]
        model.task_dict = {"task": {"test": docs}}
        requests = [
            make_request(question, option, image, number)
            for number, question in enumerate(QUESTIONS)
            for option in options
        ]
        flat = iter(model.loglikelihood(requests))
        return [[next(flat) for _ in options] for _ in QUESTIONS]

    return answers


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("options", [LETTERS, PHRASES], ids=["letters", "phrases"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_slow_reference(
    family: str,
    options: tuple[str, ...],
    batch_size: int,
    ask: Callable[..., Any],
    slow_reference: Callable[..., Any],
    make_picture: Callable[..., Any],
) -> None:
    for number, answers in enumerate(ask(family, options, batch_size)):
        image = make_picture(number, *SIZES[number])
        for option, (log_likelihood, is_greedy) in zip(options, answers, strict=True):
            expected, greedy = slow_reference(family, [image], QUESTIONS[number], option)
            assert log_likelihood == pytest.approx(expected, abs=1e-4)
            assert is_greedy is greedy


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_give_what_single_questions_give(family: str, ask: Callable[..., Any]) -> None:
    single, batched = ask(family, PHRASES, 1), ask(family, PHRASES, 3)
    for one, other in zip(single, batched, strict=True):
        assert [score for score, _ in other] == pytest.approx([score for score, _ in one], abs=1e-3)
        assert [greedy for _, greedy in other] == [greedy for _, greedy in one]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tiny_models_look_at_the_image(
    family: str, slow_reference: Callable[..., Any], make_picture: Callable[..., Any]
) -> None:
    """Else the agreement above would say nothing about images."""
    first, second = (slow_reference(family, [make_picture(seed)], QUESTIONS[0], "A")[0] for seed in (0, 1))
    assert abs(first - second) > 0.02


def test_the_phrases_are_of_several_tokens_and_share_some(checkpoint: Callable[[str], Path]) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint("llava")))._scorer
    tokens = [scorer._chat.option_tokens("assistant\n", phrase) for phrase in PHRASES]
    assert sorted({len(some) for some in tokens})[0] == 1
    assert len({len(some) for some in tokens}) >= 3
    assert tokens[0][:2] == tokens[1][:2]


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "idefics3"])
def test_the_greedy_option_is_known(
    family: str,
    checkpoint: Callable[[str], Path],
    make_picture: Callable[..., Any],
    slow_reference: Callable[..., Any],
) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint(family)))._scorer
    letters = [chr(code) for code in range(33, 127)]
    image = make_picture(5)
    scores = scorer.score(scorer.prepare([Question("it", "What is this?", tuple(letters), (image,))]))[0]
    best = max(range(len(letters)), key=lambda number: scores[number].value)
    expected = [slow_reference(family, [image], "What is this?", letters[number])[1] for number in (best, best - 1)]
    assert [scores[best].is_greedy, scores[best - 1].is_greedy] == expected
    assert sum(score.is_greedy for score in scores) <= 1


def test_the_generated_answer_is_the_greedy_option(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]
) -> None:
    """Options of one, two and three tokens that the model itself generates, beside one that it does not."""
    model = BenchCModel(pretrained=str(checkpoint("qwen3_vl")))
    scorer, image = model._scorer, make_picture(3)
    chat, transformer = scorer._chat, scorer._model
    inputs = chat.model_input([chat.prompt("What?", 1)], [[image]])
    tokens = transformer.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    new = tuple(tokens[0, inputs["input_ids"].shape[1] :].tolist())
    prepared = scorer.prepare([Question("it", "What?", ("a", "b", "c", "d"), (image,))])
    wrong = (*new[:2], (new[2] + 1) % 256)
    prepared = type(prepared)(prepared.questions, ((new[:1], new[:2], new, wrong),), prepared.inputs)
    one, two, three, other = scorer.score(prepared)[0]
    assert [score.is_greedy for score in (one, two, three, other)] == [True, True, True, False]
    assert 0 >= one.value > two.value > three.value > other.value


def test_one_pass_for_letters_and_one_more_for_phrases(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], count_passes: Callable[..., list[int]]
) -> None:
    model = BenchCModel(pretrained=str(checkpoint("llava")))
    passes = count_passes(model)
    for options in (LETTERS, PHRASES):
        model._scorer.score(model._scorer.prepare([Question("it", "What?", options, (make_picture(1),))]))
    assert passes == [1, 1, len(PHRASES) - 1]


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_several_images_and_none(
    family: str,
    checkpoint: Callable[[str], Path],
    make_picture: Callable[..., Any],
    slow_reference: Callable[..., Any],
) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint(family)), batch_size=3)._scorer
    image_lists = [[], [make_picture(1)], [make_picture(2), make_picture(3, 60, 40)]]
    questions = [Question("it", "What?", ("A", "zebra"), tuple(images)) for images in image_lists]
    for images, scores in zip(image_lists, scorer.score(scorer.prepare(questions)), strict=True):
        for option, score in zip(("A", "zebra"), scores, strict=True):
            expected, _ = slow_reference(family, images, "What?", option)
            assert score.value == pytest.approx(expected, abs=1e-4)


def test_a_batch_that_does_not_fit_is_halved(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], count_passes: Callable[..., list[int]]
) -> None:
    """A real model, whose forward pass runs out of memory with more than two questions."""
    model = BenchCModel(pretrained=str(checkpoint("llava")), batch_size=5)
    scorer = model._scorer
    questions = [Question(str(number), "What?", LETTERS, (make_picture(number),)) for number in range(5)]
    expected = scorer.score(scorer.prepare(questions))

    def starve(module: Any, positional: Any, named: dict[str, Any]) -> None:
        if len(named["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with logged() as lines:
        passes = count_passes(model)
        scorer._model.register_forward_pre_hook(starve, with_kwargs=True)
        halved = scorer.score(scorer.prepare(questions))
    assert passes == [5, 2, 3, 1, 2]
    assert "a batch of 5 failed and is tried in halves (OutOfMemoryError: CUDA out of memory)" in lines[0]
    for one, other in zip(expected, halved, strict=True):
        assert [score.value for score in other] == pytest.approx([score.value for score in one], abs=1e-4)


@pytest.mark.parametrize(
    ("text", "size", "sentence"),
    [
        (
            "What is <|image_pad|>?",
            (40, 40),
            r"its text holds '<\|image_pad\|>', the model's own placeholder of an image: ",
        ),
        ("What? " * 40_000, (40, 40), r"its prompt has [\d,]+ tokens, .* reads at most 32,768: shorten the question$"),
        ("Which?", (1, 5000), r"the processor failed \(ValueError: absolute aspect ratio must be smaller than 200"),
    ],
    ids=["a placeholder", "too long", "a picture that the processor refuses"],
)
def test_a_failing_question_is_named_and_its_neighbours_are_scored(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], text: str, size: tuple[int, int], sentence: str
) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint("qwen2_5_vl")), batch_size=3)._scorer
    asked = (("What?", (40, 40)), (text, size), ("Who?", (40, 40)))
    questions = [
        Question(f"sample '{place}'", words, LETTERS, (make_picture(1, *extent),))
        for place, (words, extent) in enumerate(asked)
    ]
    before, failed, behind = scorer.score(scorer.prepare(questions))
    assert isinstance(failed, ScoringError)
    assert re.match(f"^sample '1': {sentence}", str(failed))
    for question, outcome in ((questions[0], before), (questions[2], behind)):
        (alone,) = scorer.score(scorer.prepare([question]))
        expected = [score.value for score in alone]
        assert [score.value for score in outcome] == pytest.approx(expected, abs=1e-4)


def test_an_empty_option_is_named(checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint("llava")))._scorer
    question = Question("sample 's' under clean", "What?", ("A", ""), (make_picture(1),))
    (outcome,) = scorer.score(scorer.prepare([question]))
    assert isinstance(outcome, ScoringError)
    assert str(outcome) == "sample 's' under clean: the option '' has no token"


def test_half_precision_is_widened_before_the_softmax(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]
) -> None:
    """The probabilities of all tokens sum to one to more digits than bfloat16 has."""
    model = BenchCModel(pretrained=str(checkpoint("llava")), dtype="bfloat16")
    scorer = model._scorer
    assert scorer._model.dtype == torch.bfloat16
    prepared = scorer.prepare([Question("it", "What?", ("A",), (make_picture(1),))])
    everything = tuple((token,) for token in range(scorer._model.config.text_config.vocab_size))
    scores = scorer.score(type(prepared)(prepared.questions, (everything,), prepared.inputs))[0]
    assert math.fsum(math.exp(score.value) for score in scores) == pytest.approx(1.0, abs=1e-9)


def test_a_template_that_refuses_one_question_costs_one_question(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]
) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint("llava")), batch_size=3)._scorer
    refusing = "{% if 'forbidden' in messages[-1]['content'][-1]['text'] %}{{ raise_exception('no') }}{% endif %}"
    scorer._chat._settings["chat_template"] = refusing + scorer._chat._settings["chat_template"]
    questions = [Question(text, text, LETTERS, (make_picture(1),)) for text in ("What?", "forbidden", "Who?")]
    first, second, third = scorer.score(scorer.prepare(questions))
    assert len(first) == len(third) == 4
    assert str(second) == "forbidden: the prompt could not be written (TemplateError: no)"


DROPPED = {
    "the processor drops pictures": lambda scorer, monkeypatch: monkeypatch.setattr(
        scorer._chat, "model_input", partial(_with_one_picture, scorer._chat.model_input)
    ),
    "the forward pass takes no pictures": lambda scorer, monkeypatch: scorer._model.register_forward_pre_hook(
        _with_blank_pixels, with_kwargs=True
    ),
}


def _with_one_picture(model_input: Callable[..., Any], prompts: Any, images: Any) -> Any:
    return model_input(prompts, [[Image.new("RGB", image.size) for image in some] for some in images])


def _with_blank_pixels(module: Any, positional: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return positional, named | ({"pixel_values": named["pixel_values"] * 0} if "pixel_values" in named else {})


@pytest.mark.parametrize("how", DROPPED)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_model_that_sees_no_pictures_ends_the_run_at_the_first_question(
    how: str,
    batch_size: int,
    checkpoint: Callable[[str], Path],
    make_picture: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = BenchCModel(pretrained=str(checkpoint("llava")), batch_size=batch_size)._scorer
    DROPPED[how](scorer, monkeypatch)
    questions = [Question(str(number), "What?", LETTERS, (make_picture(number),)) for number in range(batch_size)]
    with pytest.raises(EngineError, match=r"^model '.*' answers the same whatever its pictures show: its processor or"):
        scorer.score(scorer.prepare(questions))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_sees_pictures_is_asked_once_more_and_no_more(
    family: str, checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], count_passes: Callable[..., Any]
) -> None:
    model = BenchCModel(pretrained=str(checkpoint(family)))
    scorer = model._scorer
    passes = count_passes(model)
    scorer._has_looked = False
    without = [Question("none", "What?", LETTERS, ())]
    scorer.score(scorer.prepare(without))
    for number in range(2):
        (outcome,) = scorer.score(scorer.prepare([Question("it", "What?", LETTERS, (make_picture(number),))]))
        assert len(outcome) == 4
    assert passes == [1, 1, 1, 1]


@pytest.mark.parametrize("level", [0, 127, 128, 255])
def test_a_contrasting_picture_is_far_from_any(level: int) -> None:
    other = np.asarray(contrast(Image.new("RGB", (5, 3), (level, level, level))), dtype=int)
    assert other.shape == (3, 5, 3)
    assert np.abs(other - level).min() >= 127


def test_labels_that_a_processor_makes_for_training_are_not_given_to_the_model(
    checkpoint: Callable[[str], Path], make_picture: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PaliGemma's processor makes some, and its model then wants token types of training."""
    scorer = BenchCModel(pretrained=str(checkpoint("llava")))._scorer
    asked = scorer.prepare([Question("it", "What?", LETTERS, (make_picture(1),))])
    expected = scorer.score(asked)
    asked.inputs["labels"] = asked.inputs["input_ids"][:, :1]
    assert scorer.score(asked) == expected
