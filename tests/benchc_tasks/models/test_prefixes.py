"""A picture is read once for all questions about it, and the answers are those of the whole prompts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from any_family import build_any

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.engines import EngineSettings, served_scorer, transformers_scorer, vllm_scorer
from benchc_tasks.models.generation.engines import generator_of
from benchc_tasks.models.generation.transformers import TransformersGenerator
from benchc_tasks.models.pipeline import score_ahead
from benchc_tasks.models.prefixes import PrefixSharingScorer
from benchc_tasks.models.questions import Outcome, Question, ScoringError
from benchc_tasks.stacks.inquiries import Inquiry
from support import logged

FAMILIES = ("llava", "llava_onevision", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "internvl", "idefics3", "gemma3", "mllama")
LETTERS = ("A", "B", "C", "D")
TEXTS = (
    "What is this?",
    "What colour is the big square? A red B green C blue D yellow. Answer with the option's letter.",
    "Where is the star, and how many are there of it?",
    "What was this?",
)
PADDED = (((40, 40), (0, 1, 2)), ((70, 40), (3,)), ((40, 90), (1, 2)), ((64, 64), (0,)), ((50, 50), (2, 0, 1, 3, 2)))
"""Pictures of some sizes, and which questions are asked about each."""
UNPADDED = (((40, 40), (0, 0)), ((40, 40), (0, 0, 0)))


@pytest.fixture
def sharing(checkpoint: Callable[[str], Path]) -> Callable[..., PrefixSharingScorer]:
    """A function that builds the scorer of a family."""

    def build(family: str = "llava", batch_size: int = 1) -> PrefixSharingScorer:
        settings = EngineSettings(
            None, str(checkpoint(family)), {}, torch.device("cpu"), batch_size=batch_size, shares_prefixes=True
        )
        scorer = transformers_scorer(settings)
        assert isinstance(scorer, PrefixSharingScorer)
        return scorer

    return build


@pytest.fixture
def asked_about(make_picture: Callable[..., Any]) -> Callable[..., list[Question]]:
    """A function from pictures and questions, as `PADDED`, to questions that share image objects."""

    def questions(
        pictures: Sequence[tuple[tuple[int, int], Sequence[int]]], options: Sequence[str] = LETTERS
    ) -> list[Question]:
        found = []
        for seed, (size, texts) in enumerate(pictures):
            images = (make_picture(seed, *size),)
            found += [Question(f"{seed} {text}", TEXTS[text], tuple(options), images) for text in texts]
        return found

    return questions


def in_units(questions: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """Cut batches of so many pictures, as the pipeline does."""
    units: list[list[Question]] = []
    for question in questions:
        if units and units[-1][-1].images is question.images:
            units[-1].append(question)
        else:
            units.append([question])
    for start in range(0, len(units), size):
        yield [question for unit in units[start : start + size] for question in unit]


def answers(scorer: PrefixSharingScorer, questions: Sequence[Question]) -> list[Outcome]:
    return [
        outcome for batch in in_units(questions, scorer.batch_size) for outcome in scorer.score(scorer.prepare(batch))
    ]


def unshared(scorer: PrefixSharingScorer, questions: Sequence[Question]) -> list[Outcome]:
    return [outcome for question in questions for outcome in scorer.plain.score(scorer.plain.prepare([question]))]


def values(outcomes: Sequence[Outcome]) -> list[float]:
    found = []
    for outcome in outcomes:
        assert not isinstance(outcome, ScoringError), outcome
        found += [response.value for response in outcome]
    return found


def watched(scorer: PrefixSharingScorer) -> list[tuple[int, bool]]:
    """List, from now on, the rows of each pass and whether it sees pictures; nothing is tried out any more."""
    plain, passes = scorer.plain, []
    plain._has_looked = plain._has_tried = True
    plain._batches_to_compare = scorer._to_compare = set()

    def note(module: Any, positional: Any, named: dict[str, Any]) -> None:
        passes.append((len(named["input_ids"]), named.get("pixel_values") is not None))

    plain.model.register_forward_pre_hook(note, with_kwargs=True)
    return passes


@pytest.mark.parametrize("pictures", [PADDED, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_slow_reference(
    family: str,
    batch_size: int,
    pictures: Any,
    sharing: Callable[..., PrefixSharingScorer],
    asked_about: Callable[..., list[Question]],
    slow_reference: Callable[..., Any],
) -> None:
    scorer, questions = sharing(family, batch_size), asked_about(pictures)
    with logged() as lines:
        answers(scorer, questions)  # the first ones are compared
        outcomes = answers(scorer, questions)
    assert not lines
    assert scorer._is_sharing
    batch = next(in_units(questions, scorer.batch_size))
    shared = scorer.prepare(batch).shared
    assert shared is not None
    assert shared.is_padded is (pictures is PADDED)
    for question, outcome in zip(questions, outcomes, strict=True):
        for option, response in zip(question.options, outcome, strict=True):
            expected, greedy = slow_reference(family, list(question.images), question.context, option)
            assert response.value == pytest.approx(expected, abs=1e-4)
            assert response.is_greedy is greedy


def test_a_picture_is_read_once_for_all_questions_about_it(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    scorer = sharing(batch_size=4)
    passes = watched(scorer)
    answers(scorer, asked_about(PADDED))
    # Two pictures with one question; then the beginnings of three prompts, and their rests, four rows a pass.
    assert passes == [(2, True), (2, True), (4, False), (1, False), (1, True), (4, False), (1, False)]


def test_the_model_reads_the_tokens_of_the_whole_prompts(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    scorer, questions = sharing("qwen2_5_vl", 4), asked_about(PADDED[:1] + PADDED[2:3])
    shared = scorer.prepare(questions).shared
    assert shared is not None
    beginnings = shared.inputs["input_ids"]
    masks = shared.inputs["attention_mask"].bool()
    built = [
        (*beginnings[row][masks[row]].tolist(), *rest)
        for row, group in enumerate(shared.groups)
        for rest in group.rests
    ]
    whole = [tuple(scorer.plain.prepared_inputs([question])["input_ids"][0].tolist()) for question in questions]
    assert built == whole
    assert shared.tokens == sum(map(len, whole))
    assert masks.sum() < sum(map(len, whole)) / 2


def test_tokens_are_counted_as_without_sharing(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    counted = []
    for way in (answers, unshared):
        scorer = sharing("qwen2_5_vl")
        watched(scorer)
        way(scorer, asked_about(PADDED))
        counted.append((scorer.usage.passes, scorer.usage.read))
    assert counted[0] == counted[1] == (12, counted[0][1])


def test_without_a_shared_picture_the_answers_are_the_same_to_the_bit(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    questions = asked_about([((40, 40), (number,)) for number in range(4)])
    scorer = sharing(batch_size=2)
    plain = scorer.plain
    batches = [questions[:2], questions[2:]]
    expected = [outcome for batch in batches for outcome in plain.score(plain.prepare(batch))]
    assert answers(scorer, questions) == expected


def of_rests(named: dict[str, Any]) -> bool:
    """Whether a pass goes on from a cache by more than an option's second token."""
    cache = named.get("cache", named.get("past_key_values"))
    return cache is not None and bool(cache.get_seq_length()) and named["input_ids"].shape[1] > 1


def moves_rests(named: dict[str, Any]) -> dict[str, Any]:
    return {"position_ids": named["position_ids"] + 7} if of_rests(named) else {}


def moves_padded_rests(named: dict[str, Any]) -> dict[str, Any]:
    """Take the padding behind a short rest for a part of it, which only a batch of different lengths shows."""
    if not of_rests(named) or not (named["input_ids"][:, -1] == 0).any():
        return {}
    return {"position_ids": named["position_ids"] + 7}


def refuses_rests(named: dict[str, Any]) -> dict[str, Any]:
    if of_rests(named):
        raise ValueError("one token at a time")
    return {}


FAULTS = {
    moves_rests: ("WARNING", r"does not share pictures between questions: its answers then differ by [\d.]+ nats$"),
    moves_padded_rests: ("WARNING", r"its answers then differ by [\d.]+ nats$"),
    refuses_rests: ("INFO", r"it cannot be continued behind a picture \(ValueError: one token at a time\)$"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_model_for_which_sharing_is_wrong_is_found(
    fault: Callable[[dict[str, Any]], dict[str, Any]],
    batch_size: int,
    sharing: Callable[..., PrefixSharingScorer],
    asked_about: Callable[..., list[Question]],
    slow_reference: Callable[..., Any],
) -> None:
    level, sentence = FAULTS[fault]
    scorer = sharing(batch_size=batch_size)
    model = scorer.plain.model
    model.register_forward_pre_hook(lambda _, args, named: (args, named | fault(named)), with_kwargs=True)
    questions = asked_about(UNPADDED + PADDED)
    with logged("INFO", "{level} {message}") as lines:
        outcomes = answers(scorer, questions)
        assert not scorer._is_sharing
        again = answers(scorer, questions)
    (line,) = lines
    assert re.search(f"^{level} .*{sentence}", line)
    for question, *found in zip(questions, outcomes, again, strict=True):
        expected = [slow_reference("llava", list(question.images), question.context, letter)[0] for letter in LETTERS]
        for outcome in found:
            assert values([outcome]) == pytest.approx(expected, abs=1e-4)


FURTHER = {
    "gemma4": "",
    "glm4v": r"^WARNING .* its answers then differ by [\d.]+ nats$",
    "idefics": r"^INFO questions whose prompts do not begin alike",
    "paligemma": r"^INFO questions whose prompts do not begin alike",
}
"""Further families, and what is said where they share nothing. PaliGemma's processor adds a token behind the prompt."""


@pytest.mark.parametrize("family", FURTHER)
def test_families_that_cannot_share_are_found(
    family: str, tmp_path: Path, asked_about: Callable[..., list[Question]]
) -> None:
    build_any(family, tmp_path)
    settings = EngineSettings(None, str(tmp_path), {}, torch.device("cpu"), batch_size=2, shares_prefixes=True)
    scorer = transformers_scorer(settings)
    assert isinstance(scorer, PrefixSharingScorer)
    questions = asked_about([((60, 60), (0, 1, 2)), ((60, 60), (2, 0))], ("A", "B"))
    with logged("INFO", "{level} {message}") as lines:
        outcomes = answers(scorer, questions)
    expected = values(unshared(scorer, questions))
    assert values(outcomes) == pytest.approx(expected, abs=1e-4)
    assert len(lines) == bool(FURTHER[family])
    assert all(re.search(FURTHER[family], line) for line in lines)


def test_options_of_several_tokens_are_asked_unshared(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    scorer = sharing(batch_size=2)
    phrases, letters = asked_about(PADDED[:1], ("zebra crossing", "A")), asked_about(PADDED[:1])
    with logged("INFO") as lines:
        outcomes = [outcome for _ in range(2) for outcome in answers(scorer, [*phrases, *letters])]
    assert lines == ["questions whose options have several tokens share no pictures"]
    assert values(outcomes) == pytest.approx(values(unshared(scorer, [*phrases, *letters])) * 2, abs=1e-4)
    assert scorer._is_sharing


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_a_picture_behind_its_question_is_not_shared(
    family: str, sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    scorer = sharing(family, 2)
    settings = scorer.plain.chat._settings
    settings["chat_template"] = settings["chat_template"].replace(
        "for part in message['content']", "for part in message['content'] | reverse"
    )
    questions = asked_about(PADDED)
    with logged("INFO") as lines:
        outcomes = answers(scorer, questions)
    assert lines == ["questions whose prompts do not begin alike, up to the end of the picture, do not share it"]
    assert values(outcomes) == pytest.approx(values(unshared(scorer, questions)), abs=1e-4)


def test_a_question_that_cannot_be_asked_is_named_and_its_neighbours_are_scored(
    sharing: Callable[..., PrefixSharingScorer], make_picture: Callable[..., Any]
) -> None:
    scorer, images = sharing("qwen2_5_vl"), (make_picture(1),)
    texts = ("What?", "What is <|image_pad|>?", "What? " * 40_000, "Who?")
    questions = [Question(str(number), text, LETTERS, images) for number, text in enumerate(texts)]
    first, marked, long, last = answers(scorer, questions)
    assert str(marked).startswith("1: its text holds '<|image_pad|>', the model's own placeholder of an image")
    assert re.match(r"^2: its prompt has [\d,]+ tokens", str(long))
    assert values([first, last]) == pytest.approx(values(unshared(scorer, [questions[0], questions[3]])), abs=1e-4)


def test_a_batch_of_pictures_that_does_not_fit_is_halved_and_still_shares(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    scorer = sharing(batch_size=3)
    questions = asked_about([((40, 40), (0, 1)), ((50, 40), (1, 2)), ((40, 60), (2, 0))])
    expected = values(answers(scorer, questions))

    def starve(module: Any, positional: Any, named: dict[str, Any]) -> None:
        if named.get("pixel_values") is not None and len(named["input_ids"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    passes = watched(scorer)
    scorer.plain.model.register_forward_pre_hook(starve, with_kwargs=True)
    with logged() as lines:
        assert values(answers(scorer, questions)) == pytest.approx(expected, abs=1e-4)
    assert passes == [(3, True), (1, True), (2, False), (2, True), (1, True), (2, False), (1, True), (2, False)]
    assert (
        lines
        == [
            "a batch of pictures with several questions failed and is tried in halves "
            "(OutOfMemoryError: CUDA out of memory)"
        ]
        * 2
    )


def test_what_cannot_be_shared_for_want_of_memory_is_asked_alone(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    """At the first batch too, after which it is tried again."""
    scorer, questions = sharing(), asked_about(PADDED[:1])

    def starve(module: Any, positional: Any, named: dict[str, Any]) -> None:
        if of_rests(named):
            raise torch.OutOfMemoryError("CUDA out of memory")

    starving = scorer.plain.model.register_forward_pre_hook(starve, with_kwargs=True)
    expected = pytest.approx(values(unshared(scorer, questions)), abs=1e-4)
    assert values(answers(scorer, questions)) == expected
    starving.remove()
    passes = watched(scorer)
    assert values(answers(scorer, questions)) == expected
    assert passes == [(1, True), (3, False)]


def test_kept_answers_of_shared_and_whole_prompts_are_kept_apart(sharing: Callable[..., PrefixSharingScorer]) -> None:
    scorer = sharing()
    assert scorer.fingerprint == f"{scorer.plain.fingerprint} sharing prefixes"


def test_texts_are_written_by_the_same_model(sharing: Callable[..., PrefixSharingScorer]) -> None:
    assert isinstance(generator_of(sharing()), TransformersGenerator)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_pipeline_renders_a_shared_picture_once(
    batch_size: int, sharing: Callable[..., PrefixSharingScorer], make_picture: Callable[..., Any]
) -> None:
    scorer = sharing(batch_size=batch_size)
    rendered: list[str] = []

    def inquiry(number: int, pixels: str | None) -> Inquiry:
        def render(doc: Any) -> list[Any]:
            rendered.append(str(pixels))
            if pixels == "broken":
                raise OSError("no image")
            return [make_picture(1 if pixels == "a" else 2)]

        asked = Inquiry(f"q{number}", f"sample {number}", TEXTS[number % 4], render, lambda: None, pixels=pixels)
        for option, letter in enumerate(LETTERS):
            asked.add(4 * number + option, letter)
        return asked

    inquiries = [inquiry(number, pixels) for number, pixels in enumerate(["a", None, "a", "broken", "a", "broken"])]
    batches = list(score_ahead(inquiries, scorer, threads=2, look_ahead=2))
    outcomes = {asked.name: outcome for batch in batches for asked, outcome in batch}
    assert sorted(rendered) == ["None", "a", "broken", "broken"]
    assert str(outcomes["q3"]) == "q3: the image could not be rendered (OSError: no image)"
    assert str(outcomes["q5"]) == "q5: the image could not be rendered (OSError: no image)"
    for number in (0, 1, 2, 4):
        (alone,) = scorer.plain.score(scorer.plain.prepare([inquiries[number].question()]))
        assert values([outcomes[f"q{number}"]]) == pytest.approx(values([alone]), abs=1e-4)


def test_engines_with_a_cache_of_their_own_refuse_the_argument() -> None:
    settings = EngineSettings("vllm", "some/model", {}, torch.device("cpu"), shares_prefixes=True)
    with pytest.raises(
        ValueError, match=r"^share_prefix is for transformers models: leave it out, and give enable_pre"
    ):
        vllm_scorer(settings, lambda *_: (None, None))
    settings = EngineSettings("openai", "some/model", {}, torch.device("cpu"), shares_prefixes=True)
    with pytest.raises(ValueError, match=r"^share_prefix has no meaning for backend 'openai': leave it out, and let"):
        served_scorer(settings)


def test_responses_tell_the_greedy_option(
    sharing: Callable[..., PrefixSharingScorer], asked_about: Callable[..., list[Question]]
) -> None:
    characters = [chr(code) for code in range(33, 127) if chr(code) not in "<>"]
    scorer, questions = sharing(), asked_about(PADDED[:1], characters)
    for one, other in zip(answers(scorer, questions), unshared(scorer, questions), strict=True):
        assert isinstance(one[0], OptionResponse)
        assert [each.is_greedy for each in one] == [each.is_greedy for each in other]
