"""The option log-likelihoods of a transformers model, from one forward pass a question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from loguru import logger

from benchc_metrics.messages import quoted
from benchc_metrics.responses import OptionResponse
from benchc_tasks.batching import in_batches
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.checkpoints import checkpoint_state, library_versions
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.devices import available_cores, torch_threads
from benchc_tasks.models.passes import Prefix, Reader, Tokens
from benchc_tasks.models.questions import EngineError, Outcome, Question, ScoringError, describe
from benchc_tasks.models.sight import contrast
from benchc_tasks.models.trial import Way, largest_difference, tolerance, try_out

__all__ = ["PreparedQuestions", "TransformersChoiceScorer"]

CORES_A_THREAD = 4
"""Cores for each thread that runs the processor ahead of a GPU; the others render, and feed the model."""
MOST_PREPARE_THREADS = 3

SAME_NATS = 1e-5
"""The largest difference in nats that rounding makes to a model that does not see its pictures."""


@dataclass(frozen=True)
class PreparedQuestions:
    """A batch as the model reads it.

    Attributes
    ----------
    questions : tuple of Question
        The questions, N of them.
    options : tuple of tuple of tuple of int
        For each question, the tokens of each of its options.
    inputs : transformers.BatchFeature or None
        Padded on the left, N rows; None if these questions could not be prepared together.
    fault : ScoringError or None
        Why they could not; named after the first of them.
    """

    questions: tuple[Question, ...]
    options: tuple[tuple[Tokens, ...], ...]
    inputs: Any
    fault: ScoringError | None = None


@dataclass(frozen=True)
class _Tail:
    """An option of several tokens: the number of its question, its place among all options, its tokens."""

    question: int
    place: int
    tokens: Tokens


class TransformersChoiceScorer:
    """Scores options with a transformers model in this process.

    One forward pass over the prompts of a batch answers for the first token of every option. Options of several tokens
    are continued from that pass's key-value cache. At the first question, and at the first batches, this is compared
    with slower passes that need neither a cache nor padding; where they differ, the slower ones are used, with a
    warning.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A model with a language-model head, in evaluation mode.
    chat : ChatFormat
        Its chat format.
    batch_size : int
        How many questions share a forward pass.
    """

    def __init__(self, model: Any, chat: ChatFormat, batch_size: int) -> None:
        self.batch_size = batch_size
        self.prepare_threads = _prepare_threads(model.device)
        self.usage = Usage()
        self._model = model
        self._chat = chat
        self._reader = Reader(model)
        self._has_looked = False
        self._has_tried = False
        self._way = Way.FAST
        self._tolerance = tolerance(model.dtype)
        self._batches_to_compare = {"a batch", "a padded batch"} if batch_size > 1 else set()

    @property
    def fingerprint(self) -> str:
        """The checkpoint's files, the versions of the libraries, precision and device in force, and the chat format."""
        model = self._model
        parts = (
            type(model).__name__,
            checkpoint_state(str(model.name_or_path), getattr(model.config, "_commit_hash", None)),
            str(model.dtype),
            str(model.device.type),
            self._chat.fingerprint,
            library_versions("torch", "transformers"),
        )
        return " ".join(parts)

    @property
    def model(self) -> Any:
        """The model."""
        return self._model

    @property
    def thinking(self) -> str | None:
        """How thinking is skipped; None where it is not."""
        return self._chat.thinking

    @property
    def chat(self) -> ChatFormat:
        """Its chat format."""
        return self._chat

    @property
    def reader(self) -> Reader:
        """What reads prompts and continues them."""
        return self._reader

    @property
    def reads_alone(self) -> bool:
        """Whether questions are read one by one, because a batch of them gave other answers."""
        return self._way in (Way.ALONE, Way.WHOLE)

    @property
    def reads_fast(self) -> bool:
        """Whether nothing has been found against batches of prompts and the prompts' cache."""
        return self._way is Way.FAST

    @property
    def tolerance(self) -> float:
        """The largest difference of log-likelihoods, in nats, that the model's precision explains."""
        return self._tolerance

    def tokens_of(self, question: Question) -> tuple[Tokens, tuple[Tokens, ...]]:
        """Tokenise a prompt, the placeholders of images as they stand in it, and its options.

        Raises
        ------
        ScoringError
            If the question cannot be asked.
        """
        prompt = self._prompt(question)
        return self._chat.text_tokens(prompt), self._option_tokens(prompt, question)

    def prepared_inputs(self, questions: Sequence[Question]) -> Any:
        """Run the processor over the prompts of questions.

        Raises
        ------
        ScoringError
            If a question cannot be asked; named after the first.
        """
        return self._prepare(questions).inputs

    def prepare(self, questions: Sequence[Question]) -> PreparedQuestions:
        """Run the processor over the questions and tokenise their options; safe beside `score` in other threads."""
        with self.preparing():
            return self._sent(questions)

    def preparing(self) -> AbstractContextManager[None]:
        """Keep torch to one thread in what runs ahead of a GPU: more would take cores from the thread that feeds it."""
        return torch_threads(1) if self._model.device.type == "cuda" else nullcontext()

    def score(self, prepared: PreparedQuestions) -> list[Outcome]:
        """Score a batch.

        A batch that fails, for want of memory or because its questions do not fit together, is halved until it works;
        a single question that fails has the reason as its outcome.

        Raises
        ------
        EngineError
            If the first pictures make no difference to the model.
        """
        questions = prepared.questions
        if prepared.fault is not None:
            return self._in_halves(questions, prepared.fault)
        try:
            self._try_out(prepared)
            if len(questions) > 1 and self._way in (Way.ALONE, Way.WHOLE):
                return self._alone(questions)
            outcomes: list[Outcome] = [*self._score(prepared)]
            self.usage.add(int(prepared.inputs["attention_mask"].sum()), passes=len(questions))
            return self._checked(prepared, outcomes)
        except EngineError:
            raise
        except Exception as error:
            reason = describe(error)
        # Out of the handler, so that the failed pass's tensors are free again.
        if len(questions) > 1:
            logger.warning(f"a batch of {len(questions)} failed and is tried in halves ({reason})")
        return self._in_halves(questions, ScoringError(f"{questions[0].name}: the model failed ({reason})"))

    def _sent(self, questions: Sequence[Question]) -> PreparedQuestions:
        try:
            prepared = self._prepare(questions)
        except ScoringError as fault:
            return PreparedQuestions(tuple(questions), (), None, fault)
        return replace(prepared, inputs=self._reader.send(prepared.inputs))

    def _alone(self, questions: Sequence[Question]) -> list[Outcome]:
        return [outcome for question in questions for outcome in self.score(self._sent([question]))]

    def _in_halves(self, questions: Sequence[Question], fault: ScoringError) -> list[Outcome]:
        if len(questions) == 1:
            return [fault]
        middle = len(questions) // 2
        halves = (questions[:middle], questions[middle:])
        return [outcome for half in halves for outcome in self.score(self._sent(half))]

    def _prepare(self, questions: Sequence[Question]) -> PreparedQuestions:
        prompts = list(map(self._prompt, questions))
        options = tuple(map(self._option_tokens, prompts, questions))
        try:
            inputs = self._chat.model_input(prompts, [question.images for question in questions])
        except Exception as error:
            raise ScoringError(f"{questions[0].name}: the processor failed ({describe(error)})") from error
        self.check_lengths(questions, inputs["attention_mask"].sum(-1).tolist())
        return PreparedQuestions(tuple(questions), options, inputs)

    def _prompt(self, question: Question) -> str:
        if problem := self._chat.problem(question.context):
            raise ScoringError(f"{question.name}: {problem}")
        try:
            return self._chat.prompt(question.context, len(question.images))
        except Exception as fault:  # a template may refuse one question in any way it likes
            raise ScoringError(f"{question.name}: the prompt could not be written ({describe(fault)})") from fault

    def check_lengths(self, questions: Sequence[Question], lengths: Sequence[int]) -> None:
        """Refuse a prompt that is longer than the model was made for: its answer would be none, after minutes.

        Raises
        ------
        ScoringError
            If one of the prompts, of so many tokens, is.
        """
        longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        for question, length in zip(questions, lengths, strict=True):
            if longest is not None and length > longest:
                raise ScoringError(
                    f"{question.name}: its prompt has {length:,} tokens, those of the image with them, and the model "
                    f"reads at most {longest:,}: shorten the question"
                )

    def _option_tokens(self, prompt: str, question: Question) -> tuple[Tokens, ...]:
        try:
            return tuple(self._chat.option_tokens(prompt, option) for option in question.options)
        except ValueError as fault:
            raise ScoringError(f"{question.name}: {fault}") from fault

    @torch.inference_mode()
    def _score(self, prepared: PreparedQuestions) -> list[list[OptionResponse]]:
        tails = list(_tails(prepared.options))
        continues = bool(tails) and self._way in (Way.FAST, Way.ALONE)
        prefix = self._reader.read_prompts(
            prepared.inputs, keep_cache=continues, count_positions=self._way is not Way.WHOLE
        )
        self._look(prepared.questions, prefix)
        device = prefix.log_probabilities.device
        firsts = [(row, tokens[0]) for row, options in enumerate(prepared.options) for tokens in options]
        rows, tokens = (torch.tensor(column, device=device) for column in zip(*firsts, strict=True))
        totals = prefix.log_probabilities[rows, tokens]
        greedy = prefix.log_probabilities.argmax(-1)[rows] == tokens
        if continues:
            for some in in_batches(tails, max(self.batch_size, max(map(len, prepared.options)))):
                places = torch.tensor([tail.place for tail in some], device=device)
                rest, rest_greedy = self._reader.read_tails(
                    prefix, [tail.question for tail in some], [tail.tokens for tail in some]
                )
                totals[places] += rest
                greedy[places] &= rest_greedy
        elif tails:
            self._read_whole(prepared, prefix, tails, totals, greedy)
        scores = map(OptionResponse, totals.tolist(), greedy.tolist())
        return [[next(scores) for _ in options] for options in prepared.options]

    def _read_whole(
        self,
        prepared: PreparedQuestions,
        prefix: Prefix,
        tails: Sequence[_Tail],
        totals: torch.Tensor,
        greedy: torch.Tensor,
    ) -> None:
        """Write into `totals` and `greedy` the options of several tokens, each read as a whole sequence."""
        alone = {0: prefix} if self._way is Way.WHOLE else {}
        for tail in tails:
            if tail.question not in alone:
                inputs = self._prepare([prepared.questions[tail.question]]).inputs
                plain = self._reader.read_prompts(inputs, keep_cache=False, count_positions=False)
                alone = {tail.question: plain}
            whole = self._reader.read_whole(alone[tail.question], tail.tokens)
            totals[tail.place] = whole.log_probabilities.sum()
            greedy[tail.place] = whole.greedy.all()

    @torch.inference_mode()
    def _try_out(self, prepared: PreparedQuestions) -> None:
        """Decide at the first question whether the model's cache and positions can be relied on."""
        if self._has_tried:
            return
        inputs = prepared.inputs if len(prepared.questions) == 1 else self._prepare(prepared.questions[:1]).inputs
        several = [tokens for tokens in prepared.options[0] if len(tokens) > 1]
        option = several[0] if several else prepared.options[0][0] * 2
        tried = try_out(self._reader, inputs, option, self._tolerance)
        self._has_tried = True
        self._way = tried.way
        self._tolerance = tried.tolerance
        if tried.finding:
            logger.warning(f"model {quoted(self._model.name_or_path)}: {tried.finding}")

    def _checked(self, prepared: PreparedQuestions, outcomes: list[Outcome]) -> list[Outcome]:
        """Compare the first batch, and the first one with padding, with its questions alone; return what holds."""
        if not self._batches_to_compare or len(prepared.questions) == 1:
            return outcomes
        padded = bool((prepared.inputs["attention_mask"] == 0).any())
        kinds = {"a batch", "a padded batch"} if padded else {"a batch"}
        if not kinds & self._batches_to_compare:
            return outcomes
        self._batches_to_compare -= kinds
        alone = self._alone(prepared.questions)
        if any(isinstance(outcome, ScoringError) for outcome in alone):
            return outcomes
        difference = largest_difference(outcomes, alone)
        if difference <= self._tolerance:
            return outcomes
        self._way = Way.WHOLE if self._way is Way.WHOLE_REST else Way.ALONE
        logger.warning(
            f"model {quoted(self._model.name_or_path)} answers {difference:.2g} nats otherwise in a batch "
            "than alone: its questions are asked one by one, which is slower"
        )
        return alone

    def _look(self, questions: Sequence[Question], prefix: Prefix) -> None:
        """Refuse a model whose processor or forward pass leaves pictures out: all corruptions would be answered alike.

        The first batch with pictures is read once more with others in their place, which takes the same arithmetic.
        """
        if self._has_looked or not any(question.images for question in questions):
            return
        others = [replace(question, images=tuple(map(contrast, question.images))) for question in questions]
        try:
            there = self._reader.read_prompts(
                self._prepare(others).inputs, keep_cache=False, count_positions=self._way is not Way.WHOLE
            ).log_probabilities
        except Exception as error:  # the questions themselves are answered, so that the fault is not theirs
            logger.warning(f"it could not be tried whether the model looks at pictures ({describe(error)})")
            self._has_looked = True
            return
        here = prefix.log_probabilities
        both = torch.isfinite(here) & torch.isfinite(there) if here.shape == there.shape else here.new_zeros(0).bool()
        if not both.any():
            return
        if bool((here - there)[both].abs().max() <= SAME_NATS):
            raise EngineError(
                f"model {quoted(self._model.name_or_path)} answers the same whatever its pictures show: "
                "its processor or its forward pass leaves them out, so name a checkpoint with the image processor "
                "that belongs to it"
            )
        self._has_looked = True


def _prepare_threads(device: torch.device) -> int:
    """Return how many batches are prepared at once: one where the model computes on the same cores."""
    return max(1, min(MOST_PREPARE_THREADS, available_cores() // CORES_A_THREAD)) if device.type == "cuda" else 1


def _tails(options: Sequence[Sequence[Tokens]]) -> Iterator[_Tail]:
    place = 0
    for question, tokens_of_options in enumerate(options):
        for tokens in tokens_of_options:
            if len(tokens) > 1:
                yield _Tail(question, place, tokens)
            place += 1
