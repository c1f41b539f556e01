"""The option log-likelihoods of a transformers model, from one forward pass a question."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from loguru import logger

from benchc_metrics.responses import OptionResponse
from benchc_tasks.batching import in_batches
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.checkpoints import checkpoint_state, library_versions
from benchc_tasks.models.questions import EngineError, Outcome, Question, ScoringError, describe
from benchc_tasks.models.sight import contrast

__all__ = ["PreparedQuestions", "TransformersChoiceScorer"]

Tokens = tuple[int, ...]

TRAINING_INPUTS = ("labels",)
"""What some processors, such as PaliGemma's, return for training; a model that gets it computes a loss."""
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
class _Prefix:
    """The outcome of one forward pass over the prompts.

    Attributes
    ----------
    log_probabilities : torch.Tensor
        Of the next token, (N, vocabulary), float64.
    cache : transformers.Cache or None
        Keys and values of the N prompts, where they are needed again.
    attention_mask : torch.Tensor
        (N, length).
    positions : torch.Tensor or None
        Position ids, (..., N, length); None for a model that counts for itself.
    picture_mask : torch.Tensor or None
        Which pictures each token attends to, (N, length, ...), in a model that attends across as Mllama does.
    """

    log_probabilities: torch.Tensor
    cache: Any
    attention_mask: torch.Tensor
    positions: torch.Tensor | None
    picture_mask: torch.Tensor | None


@dataclass(frozen=True)
class _Tail:
    """An option of several tokens: the number of its question, its place among all options, its tokens."""

    question: int
    place: int
    tokens: Tokens


class TransformersChoiceScorer:
    """Scores options with a transformers model in this process.

    One forward pass over the prompts of a batch answers for the first token of every option. Options of several tokens
    are continued from that pass's key-value cache.

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
        self._model = model
        self._chat = chat
        parameters = inspect.signature(model.forward).parameters
        self._takes = set(parameters)
        self._takes_anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        self._has_looked = False

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

    def prepare(self, questions: Sequence[Question]) -> PreparedQuestions:
        """Run the processor over the questions and tokenise their options; safe beside `score` in another thread."""
        try:
            return self._prepare(questions)
        except ScoringError as fault:
            return PreparedQuestions(tuple(questions), (), None, fault)

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
            return list(self._score(prepared))
        except EngineError:
            raise
        except Exception as error:
            reason = describe(error)
        # Out of the handler, so that the failed pass's tensors are free again.
        if len(questions) > 1:
            logger.warning(f"a batch of {len(questions)} failed and is tried in halves ({reason})")
        return self._in_halves(questions, ScoringError(f"{questions[0].name}: the model failed ({reason})"))

    def _in_halves(self, questions: Sequence[Question], fault: ScoringError) -> list[Outcome]:
        if len(questions) == 1:
            return [fault]
        middle = len(questions) // 2
        halves = (questions[:middle], questions[middle:])
        return [outcome for half in halves for outcome in self.score(self.prepare(half))]

    def _prepare(self, questions: Sequence[Question]) -> PreparedQuestions:
        prompts = list(map(self._prompt, questions))
        options = tuple(map(self._option_tokens, prompts, questions))
        try:
            inputs = self._chat.model_input(prompts, [question.images for question in questions])
        except Exception as error:
            raise ScoringError(f"{questions[0].name}: the processor failed ({describe(error)})") from error
        self._check_lengths(questions, inputs["attention_mask"].sum(-1).tolist())
        return PreparedQuestions(tuple(questions), options, inputs)

    def _prompt(self, question: Question) -> str:
        if problem := self._chat.problem(question.context):
            raise ScoringError(f"{question.name}: {problem}")
        try:
            return self._chat.prompt(question.context, len(question.images))
        except Exception as fault:  # a template may refuse one question in any way it likes
            raise ScoringError(f"{question.name}: the prompt could not be written ({describe(fault)})") from fault

    def _check_lengths(self, questions: Sequence[Question], lengths: Sequence[int]) -> None:
        """Refuse a prompt that is longer than the model was made for: its answer would be none, after minutes."""
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
        prefix = self._read_prompts(prepared.inputs, keep_cache=bool(tails))
        self._look(prepared.questions, prefix)
        device = prefix.log_probabilities.device
        firsts = [(row, tokens[0]) for row, options in enumerate(prepared.options) for tokens in options]
        rows, tokens = (torch.tensor(column, device=device) for column in zip(*firsts, strict=True))
        totals = prefix.log_probabilities[rows, tokens]
        greedy = prefix.log_probabilities.argmax(-1)[rows] == tokens
        for some in in_batches(tails, max(self.batch_size, max(map(len, prepared.options)))):
            places = torch.tensor([tail.place for tail in some], device=device)
            rest, rest_greedy = self._read_tails(prefix, some)
            totals[places] += rest
            greedy[places] &= rest_greedy
        scores = map(OptionResponse, totals.tolist(), greedy.tolist())
        return [[next(scores) for _ in options] for options in prepared.options]

    def _read_prompts(self, inputs: Any, *, keep_cache: bool) -> _Prefix:
        inputs = inputs.to(self._model.device, dtype=self._model.dtype)
        arguments = {
            name: value
            for name, value in inputs.items()
            if (self._takes_anything or name in self._takes) and name not in TRAINING_INPUTS
        }
        positions = self._count_positions(arguments)
        if positions is not None:
            arguments["position_ids"] = positions
        if "logits_to_keep" in self._takes:
            arguments["logits_to_keep"] = 1
        output = self._model(**arguments, use_cache=keep_cache, return_dict=True)
        mask = arguments["attention_mask"]
        return _Prefix(
            log_probabilities=_log_softmax(_logits(output)[:, -1]).to(mask.device),
            cache=output.past_key_values if keep_cache else None,
            attention_mask=mask,
            positions=positions,
            picture_mask=arguments.get("cross_attention_mask"),
        )

    def _look(self, questions: Sequence[Question], prefix: _Prefix) -> None:
        """Refuse a model whose processor or forward pass leaves pictures out: all corruptions would be answered alike.

        The first batch with pictures is read once more with others in their place, which takes the same arithmetic.
        """
        if self._has_looked or not any(question.images for question in questions):
            return
        others = [replace(question, images=tuple(map(contrast, question.images))) for question in questions]
        try:
            there = self._read_prompts(self._prepare(others).inputs, keep_cache=False).log_probabilities
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
                f"model {self._model.name_or_path!r} answers the same whatever its pictures show: its processor or its "
                "forward pass leaves them out, so name a checkpoint with the image processor that belongs to it"
            )
        self._has_looked = True

    def _count_positions(self, arguments: dict[str, Any]) -> torch.Tensor | None:
        """Count as the model's own generation does: padding is skipped, and images may take several axes."""
        if "position_ids" not in self._takes:
            return None
        positions: torch.Tensor = self._model._prepare_position_ids_for_generation(arguments["input_ids"], arguments)
        return positions

    def _read_tails(self, prefix: _Prefix, tails: Sequence[_Tail]) -> tuple[torch.Tensor, torch.Tensor]:
        """Continue the prompts by their options but the first token.

        Parameters
        ----------
        prefix : _Prefix
            The prompts.
        tails : sequence of _Tail
            R options.

        Returns
        -------
        totals : torch.Tensor
            Summed log-likelihoods of the tokens behind the first, (R,), float64.
        greedy : torch.Tensor
            Whether all of them are the most probable ones, (R,), bool.
        """
        device = prefix.attention_mask.device
        rows = torch.tensor([tail.question for tail in tails], device=device)
        length = max(len(tail.tokens) for tail in tails) - 1
        # Behind the end of a shorter option stands token 0: causal attention keeps it from all that is read.
        tokens = torch.zeros(len(tails), length + 1, dtype=torch.long, device=device)
        is_read = torch.zeros(len(tails), length, dtype=torch.bool, device=device)
        for number, tail in enumerate(tails):
            tokens[number, : len(tail.tokens)] = torch.tensor(tail.tokens, device=device)
            is_read[number, : len(tail.tokens) - 1] = True
        mask = prefix.attention_mask[rows]
        arguments = {"attention_mask": torch.cat([mask, mask.new_ones(len(tails), length)], dim=1)}
        if prefix.positions is not None:
            last = prefix.positions[..., rows, -1:]
            arguments["position_ids"] = last + torch.arange(1, length + 1, device=device)
        if prefix.picture_mask is not None:  # what follows a prompt sees what its last token sees, as in generation
            seen = prefix.picture_mask[rows, -1:]
            arguments["cross_attention_mask"] = seen.expand(-1, length, *seen.shape[2:])
        output = self._model(
            input_ids=tokens[:, :-1],
            past_key_values=_rows_of(prefix.cache, rows),
            use_cache=True,
            return_dict=True,
            **arguments,
        )
        log_probabilities = _log_softmax(_logits(output)).to(device)
        targets = tokens[:, 1:]
        read = log_probabilities.gather(-1, targets[..., None])[..., 0]
        greedy = (log_probabilities.argmax(-1) == targets) | ~is_read
        return torch.where(is_read, read, 0.0).sum(-1), greedy.all(-1)


def _tails(options: Sequence[Sequence[Tokens]]) -> Iterator[_Tail]:
    place = 0
    for question, tokens_of_options in enumerate(options):
        for tokens in tokens_of_options:
            if len(tokens) > 1:
                yield _Tail(question, place, tokens)
            place += 1


def _rows_of(cache: Any, rows: torch.Tensor) -> Any:
    """Copy rows of a cache, as often as they are named; the cache itself stays as it is, and its tensors are shared."""
    selected = copy.copy(cache)
    selected.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in selected.layers:
        for name, value in vars(layer).items():
            if isinstance(value, (dict, list)):
                setattr(layer, name, copy.copy(value))
    selected.reorder_cache(rows)
    return selected


def _logits(output: Any) -> torch.Tensor:
    logits: torch.Tensor | None = getattr(output, "logits", None)
    if logits is None:
        raise ValueError("the model has no language-model head, its output has no logits")
    return logits


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities in float64, where the device has it, whatever the logits' dtype."""
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    return torch.log_softmax(logits.to(wide), dim=-1)
