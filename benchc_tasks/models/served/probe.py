"""Find out what a server can do before the first question; what it cannot, in one sentence with the cure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loguru import logger

from benchc_metrics.messages import quoted
from benchc_tasks.models.questions import EngineError, ScoringError
from benchc_tasks.models.served.faults import concerns_logprobs, engine_error, without_logprobs
from benchc_tasks.models.served.identity import server_identity
from benchc_tasks.models.served.reading import Completion, Reading, ServedChat, as_data_uri, shown_ids
from benchc_tasks.models.served.requests import RequestFault, ServedModel
from benchc_tasks.models.served.tokens import OptionTokens
from benchc_tasks.models.sight import Difference, difference, largest_difference, pictures

__all__ = ["LEAST_LETTER_MASS", "OPTIONS", "PROMPT", "Probe", "TinyQuestion", "probe"]

TOP_LIMITS = (100, 20, 10, 5)
"""How many top log-probabilities are asked for, until a server agrees; 20 is the most that OpenAI and vLLM give."""
PROMPT = (
    "What colour is the picture?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly."
)
OPTIONS = ("A", "B")
REFUSED = (400, 422)
MORE_TIMES = 3
"""How often the same question is asked again where its answer is not the same twice."""
LEAST_LETTER_MASS = 0.05
"""Probability of the letters below which a model is about to write something else."""

SAMPLING_CHANGED = {"temperature": 2, "repetition_penalty": 1.5}
SAMPLING_NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0, "frequency_penalty": 0}
RAW = "start vLLM with --logprobs-mode raw_logprobs, its default"


@dataclass(frozen=True)
class Probe:
    """The findings of the probe.

    Attributes
    ----------
    reading : Reading
        How the options are found among the tokens that the server shows.
    identity : mapping
        What the server says about the model and about itself, so far as it stays the same from run to run.
    names : frozenset of str
        What the server calls the model in its answers.
    system : str or None
        vLLM's fingerprint of its configuration.
    question : TinyQuestion
        A question that the server has answered.
    """

    reading: Reading
    identity: Mapping[str, str]
    names: frozenset[str]
    system: str | None
    question: TinyQuestion


@dataclass(frozen=True)
class TinyQuestion:
    """The question of the probe to a model."""

    model: ServedModel
    chat: ServedChat
    pictures: tuple[str, ...]

    def ask(
        self,
        reading: Reading,
        *,
        picture: int | None = 0,
        tokens: Sequence[int] = (),
        chat: ServedChat | None = None,
        **settings: Any,
    ) -> Completion:
        """Ask with one of the pictures or with none."""
        return self.model.complete(
            self._body(reading, picture, tokens, chat or self.chat) | settings, purpose="the probe"
        )

    def ask_once(self, reading: Reading) -> Completion:
        """Ask without a second attempt."""
        return self.model.try_once(self._body(replace(reading, by_id=False, top=1), 0, (), self.chat))

    def _body(self, reading: Reading, picture: int | None, tokens: Sequence[int], chat: ServedChat) -> dict[str, Any]:
        shown = [] if picture is None else [self.pictures[picture]]
        return {**chat.body(PROMPT, shown), **reading.body(tokens)}


def probe(model: ServedModel, chat: ServedChat, tokens: OptionTokens, *, exact: bool = True) -> Probe:
    """Ask a tiny question in several ways and find out how the server answers.

    Parameters
    ----------
    model : ServedModel
        The model.
    chat : ServedChat
        Its messages.
    tokens : OptionTokens
        The tokens of options.
    exact : bool
        Whether to ask for token ids, if the server knows them.

    Raises
    ------
    EngineError
        If nothing answers, or the server refuses the key, has no such model, takes no images or does not look at them,
        leaves the system message out, or gives no log-probabilities of the model's own.
    """
    logger.info(f"model {quoted(model.name)} at {model.address} is asked a tiny question first")
    try:
        model.reach()
    except RequestFault as fault:
        raise EngineError(f"no server answers at {model.address} ({fault}): start it, or correct base_url") from None
    # Not packed, so that all are of one length too.
    question = TinyQuestion(model, chat, tuple(as_data_uri(each, compress_level=0) for each in pictures()))
    reading, first = _top_reading(question)
    answers = _Answers(question, reading, first)
    _refuse_improbable(answers)
    noise = _refuse_blindness(answers)
    _refuse_lost_system_prompt(answers)
    identity = server_identity(model, first)
    _refuse_processed(answers, noise, is_vllm=identity.get("owned_by") == "vllm" or "system" in identity)
    _warn_of_few_letters(answers)
    if exact:
        reading = _reading_by_ids(question, reading, tokens)
    return Probe(reading, identity, _names(answers), identity.get("system"), question)


class _Answers:
    """The answers to the tiny question with each picture; asked for when they are needed."""

    def __init__(self, question: TinyQuestion, reading: Reading, first: Completion) -> None:
        self.question = question
        self.reading = reading
        self.first = first
        self.others: list[Completion] = []

    @property
    def model(self) -> ServedModel:
        return self.question.model

    def ask(self, **settings: Any) -> Completion:
        try:
            return self.question.ask(self.reading, **settings)
        except RequestFault as fault:
            raise engine_error(self.model, fault) from None

    def ask_if_possible(self, **settings: Any) -> Completion | None:
        """Return None where the server refuses the question."""
        try:
            return self.question.ask(self.reading, **settings)
        except RequestFault:
            return None

    def __iter__(self) -> Iterator[Completion]:
        yield self.first
        yield from self.others


def _top_reading(question: TinyQuestion) -> tuple[Reading, Completion]:
    """Find how the length of an answer is called, and how many top log-probabilities there are."""
    limits = iter(TOP_LIMITS)
    reading = Reading(top=next(limits))
    while True:
        try:
            completion = question.ask(reading)
        except RequestFault as fault:
            refused = fault.status in REFUSED
            if refused and reading.length_argument == "max_tokens" and "max_completion_tokens" in fault.message:
                reading = replace(reading, length_argument="max_completion_tokens")
            elif _may_be_a_limit(fault) and (limit := next(limits, None)) is not None:
                reading = replace(reading, top=limit)
            else:
                if refused and question.chat.system_prompt and _answers_without_system_prompt(question, reading):
                    raise _no_system_prompt(question.model, f"refuses it ({fault})") from None
                raise engine_error(question.model, fault) from None
        else:
            if len(completion.shown) < len(OPTIONS):
                raise without_logprobs(question.model, f"it shows {len(completion.shown)} tokens")
            return reading, completion


def _may_be_a_limit(fault: RequestFault) -> bool:
    return concerns_logprobs(fault) and (fault.status in REFUSED or (fault.status or 0) >= 500)


def _answers_without_system_prompt(question: TinyQuestion, reading: Reading) -> bool:
    try:
        question.ask(reading, chat=replace(question.chat, system_prompt=None))
    except RequestFault:
        return False
    return True


def _no_system_prompt(model: ServedModel, what: str) -> EngineError:
    return EngineError(
        f"model {quoted(model.name)} at {model.address} takes no system message, its chat template {what}: leave "
        "system_prompt out, or write the text into the task's pre_prompt"
    )


def _refuse_improbable(answers: _Answers) -> None:
    """Refuse numbers that are not log-probabilities, such as logits."""
    try:
        answers.reading.check("the tiny question", answers.first)
    except ScoringError as fault:
        raise EngineError(
            f"model {quoted(answers.model.name)} at {answers.model.address} shows numbers that are not "
            f"log-probabilities ({fault}): {RAW}, or serve it with another engine"
        ) from None


def _refuse_blindness(answers: _Answers) -> Difference:
    """Refuse a server to whose model pictures make no difference, and so no corruption; return the noise.

    All pictures have one size. How far a server answers in another way when it is asked again is measured too.
    """
    again = [answers.first, answers.ask()]
    if _by_text(again[0]) != _by_text(again[1]):  # how much one more time differs says little
        again += [answers.ask() for _ in range(MORE_TIMES)]
    noise = largest_difference(list(map(_by_text, again)))
    answers.others += [answers.ask(picture=number) for number in range(1, len(answers.question.pictures))]
    differs = largest_difference(list(map(_by_text, answers))).exceeds(noise)
    answers.others += again[1:]
    if not differs:
        raise EngineError(
            f"model {quoted(answers.model.name)} at {answers.model.address} answers the same whatever the picture shows"
            f"{_tokens_with_and_without_picture(answers)}: serve a model that takes images, with its image processor, "
            "and send pictures past what takes them out on the way"
        )
    return noise


def _tokens_with_and_without_picture(answers: _Answers) -> str:
    """Say how many tokens a picture has, where the server counts them."""
    blind = answers.ask_if_possible(picture=None)
    seen, unseen = answers.first.prompt_tokens, blind.prompt_tokens if blind is not None else None
    if seen is None or unseen is None:
        return ""
    return f" (its prompt has {seen} tokens with a picture and {unseen} without)"


def _refuse_lost_system_prompt(answers: _Answers) -> None:
    """Refuse a system prompt that the server's chat template leaves out without a word."""
    chat = answers.question.chat
    if not chat.system_prompt:
        return
    without = answers.ask_if_possible(chat=replace(chat, system_prompt=None))
    if without is None:  # a template that wants one has a place for it
        return
    if _by_text(answers.first) != _by_text(without):
        return
    fault = _no_system_prompt(answers.model, "leaves it out")
    if answers.first.prompt_tokens is not None and answers.first.prompt_tokens == without.prompt_tokens:
        raise fault
    logger.warning(f"a tiny question is answered the same with the system message and without; perhaps {fault}")


def _refuse_processed(answers: _Answers, noise: Difference, *, is_vllm: bool) -> None:
    """Refuse log-probabilities that settings of sampling change, where such settings are or may be in force."""
    changed = answers.ask_if_possible(**SAMPLING_CHANGED)
    plain = _by_text(answers.first)
    if changed is None or not difference(plain, _by_text(changed)).exceeds(noise):
        return
    neutral = answers.ask_if_possible(**SAMPLING_NEUTRAL)
    is_penalised = neutral is not None and difference(plain, _by_text(neutral)).exceeds(noise)
    called = f"model {quoted(answers.model.name)} at {answers.model.address}"
    if is_penalised:
        raise EngineError(
            f"{called} shows log-probabilities behind a repetition penalty or another default setting of sampling: "
            f"{RAW} (SGLang: --sampling-defaults openai)"
        )
    if is_vllm:
        raise EngineError(f"{called} shows log-probabilities that settings of sampling have changed: {RAW}")
    logger.info(f"{called}: log-probabilities depend on the settings of sampling, of which none is in force")


def _warn_of_few_letters(answers: _Answers) -> None:
    masses = [
        sum(math.exp(entry.logprob) for entry in completion.shown if entry.text.strip() in OPTIONS)
        for completion in answers
    ]
    if max(masses) < LEAST_LETTER_MASS:
        chosen = answers.first.chosen
        begins = f" and begins with {quoted(chosen.text)}" if chosen is not None else ""
        logger.warning(
            f"model {quoted(answers.model.name)} at {answers.model.address} gives the letters {max(masses):.1%} of the "
            f"probability at a tiny question{begins}: if its chat template opens a thinking block, give "
            "enable_thinking=False, or what its template calls it; else change the prompt"
        )


def _names(answers: _Answers) -> frozenset[str]:
    """Return what the server calls the model; refuse one that calls it differently from answer to answer."""
    model = answers.model
    names = frozenset(completion.model for completion in answers if completion.model)
    if len(names) > 1:
        raise EngineError(
            f"{model.address} answers for {quoted(model.name)} as {' and '.join(map(repr, sorted(names)))} "
            "in turns: give model= one that stays the same"
        )
    if names and model.name not in names:
        logger.info(f"model {quoted(model.name)} at {model.address} answers as {', '.join(names)}")
    return names


def _by_text(completion: Completion) -> dict[Any, float]:
    """Return what is shown, by token; undecodable ones by their place."""
    return {entry.identity or number: entry.logprob for number, entry in enumerate(completion.shown)}


def _reading_by_ids(question: TinyQuestion, by_text: Reading, tokens: OptionTokens) -> Reading:
    """Return the most exact reading that the server knows: options asked for by id, top ids, texts."""
    try:
        found = [tokens.find(option) for option in OPTIONS]
    except RequestFault:
        return by_text
    ids = [token for option in found for token in option]
    if any(len(option) != 1 for option in found) or len(set(ids)) < len(ids):
        return by_text
    for reading in (replace(by_text, by_id=True, top=None), replace(by_text, by_id=True)):
        try:
            completion = question.ask(reading, tokens=ids)
        except RequestFault as fault:
            if fault.status in REFUSED:
                continue
            raise engine_error(question.model, fault) from None
        shown = {token for token, _ in shown_ids(completion)}
        if shown.issuperset(ids) if reading.top is None else len(shown) >= len(OPTIONS):
            return reading
    return by_text
