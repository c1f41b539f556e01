"""Read a picture once for all questions about it: the beginning of their prompts in one pass, the rests behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from loguru import logger
from PIL import Image

from benchc_metrics.messages import quoted
from benchc_metrics.responses import OptionResponse
from benchc_tasks.batching import in_batches
from benchc_tasks.models.choice import PreparedQuestions, TransformersChoiceScorer
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.passes import Tokens
from benchc_tasks.models.questions import Outcome, Question, ScoringError, describe
from benchc_tasks.models.trial import largest_difference

__all__ = ["PrefixSharingScorer", "PreparedBatch"]

LEAST_ROWS = 4
"""Rests that share a pass even where the batch size is smaller: they are short beside a picture."""
PROBE = Image.new("RGB", (64, 64), "gray")
"""A picture to tokenise prompts with."""


@dataclass(frozen=True)
class Group:
    """Questions about one picture, whose prompts begin alike.

    Attributes
    ----------
    places : tuple of int
        Their places in the batch.
    questions : tuple of Question
        Two or more.
    options : tuple of tuple of int
        For each question, the token of each option.
    rests : tuple of Tokens
        For each question, the tokens of its prompt behind the common beginning.
    """

    places: tuple[int, ...]
    questions: tuple[Question, ...]
    options: tuple[tuple[int, ...], ...]
    rests: tuple[Tokens, ...]


@dataclass(frozen=True)
class SharedPrompts:
    """Groups of questions as the model reads them.

    Attributes
    ----------
    groups : tuple of Group
        N groups.
    inputs : transformers.BatchFeature
        The beginnings of their prompts, padded on the left, N rows.
    tokens : int
        Those of all questions' whole prompts.
    is_padded : bool
        Whether a beginning or a rest is shorter than another.
    """

    groups: tuple[Group, ...]
    inputs: Any
    tokens: int
    is_padded: bool


@dataclass(frozen=True)
class PreparedBatch:
    """A batch of which some questions share their pictures.

    Attributes
    ----------
    plain : tuple of (sequence of int, PreparedQuestions)
        Questions that share nothing, and their places in the batch.
    shared : SharedPrompts or None
        The others.
    """

    plain: tuple[tuple[Sequence[int], PreparedQuestions], ...]
    shared: SharedPrompts | None


class PrefixSharingScorer:
    """Scores options as `TransformersChoiceScorer` does, and reads a picture once for neighbouring questions about it.

    The model reads the tokens of the whole prompts. The first batches that share are compared with the same questions
    unshared; where they differ, nothing is shared any more, with a warning.

    Parameters
    ----------
    plain : TransformersChoiceScorer
        Scores the questions that share nothing.

    Attributes
    ----------
    batch_size : int
        How many pictures share a forward pass.
    prepare_threads : int
        As those of the plain scorer.
    plain : TransformersChoiceScorer
    shares_prefixes : bool
        Tells that neighbouring questions with the same image objects are asked together.
    """

    shares_prefixes = True

    def __init__(self, plain: TransformersChoiceScorer) -> None:
        self.plain = plain
        self.batch_size = plain.batch_size
        self.prepare_threads = plain.prepare_threads
        self._is_sharing = True
        self._to_compare = {"a batch", "a padded batch"}
        self._probed: dict[Tokens, Tokens] = {}
        self._said: set[str] = set()

    @property
    def fingerprint(self) -> str:
        """That of the plain scorer, from whose answers these may differ by rounding."""
        return f"{self.plain.fingerprint} sharing prefixes"

    @property
    def usage(self) -> Usage:
        """The tokens of whole prompts, as if nothing were shared."""
        return self.plain.usage

    @property
    def thinking(self) -> str | None:
        """How thinking is skipped; None where it is not."""
        return self.plain.thinking

    def prepare(self, questions: Sequence[Question]) -> PreparedBatch:
        """Run the processor, once for each picture; safe beside `score` in other threads."""
        with self.plain.preparing():
            return self._prepare(questions)

    def _prepare(self, questions: Sequence[Question]) -> PreparedBatch:
        alone: list[int] = []
        unshared: list[tuple[int, ...]] = []
        groups: list[Group] = []
        for places in _neighbours(questions):
            if len(places) == 1:
                alone += places
                continue
            group = self._group(places, [questions[place] for place in places]) if self._is_sharing else None
            if group is None:
                unshared.append(places)
            else:
                groups.append(group)
        shared = self._share(groups) if groups else None
        if shared is None:
            unshared = sorted([*unshared, *(group.places for group in groups)])
        # Cut like this whether it is known by now or later that nothing can be shared, so that threads change no bit.
        batches = [batch for some in (alone, *unshared) for batch in in_batches(some, self.batch_size)]
        return PreparedBatch(
            tuple((batch, self.plain.prepare([questions[place] for place in batch])) for batch in batches), shared
        )

    def score(self, prepared: PreparedBatch) -> list[Outcome]:
        """Score a batch, as `TransformersChoiceScorer.score` does.

        Raises
        ------
        EngineError
            As there.
        """
        outcomes: dict[int, Outcome] = {}
        for places, some in prepared.plain:
            outcomes.update(zip(places, self.plain.score(some), strict=True))
        if prepared.shared is not None:
            places = [place for group in prepared.shared.groups for place in group.places]
            outcomes.update(zip(places, self._score(prepared.shared), strict=True))
        return [outcomes[place] for place in sorted(outcomes)]

    def _group(self, places: tuple[int, ...], questions: Sequence[Question]) -> Group | None:
        """Cut the prompts of questions about one picture behind what they have in common; None if they cannot be."""
        try:
            texts, options = zip(*map(self.plain.tokens_of, questions), strict=True)
            whole = self._whole(questions, texts)
        except ScoringError:  # a question that cannot be asked is named where it is asked alone
            return None
        if any(len(tokens) > 1 for some in options for tokens in some):
            self._say("questions whose options have several tokens share no pictures")
            return None
        start = _common_length(texts)
        rests = tuple(text[start:] for text in texts)
        heads = {tokens[: -len(rest)] for tokens, rest in zip(whole, rests, strict=True)}
        if len(heads) > 1 or not all(tokens[-len(rest) :] == rest for tokens, rest in zip(whole, rests, strict=True)):
            self._say("questions whose prompts do not begin alike, up to the end of the picture, do not share it")
            return None
        return Group(places, tuple(questions), tuple(tuple(token for (token,) in some) for some in options), rests)

    def _whole(self, questions: Sequence[Question], texts: Sequence[Tokens]) -> list[Tokens]:
        """Return what the processor makes of whole prompts about a small picture; each is asked for once."""
        new = {text: question for text, question in zip(texts, questions, strict=True) if text not in self._probed}
        if new:
            asked = [replace(question, images=(PROBE,) * len(question.images)) for question in new.values()]
            self._probed.update(zip(new, _rows_without_padding(self.plain.prepared_inputs(asked)), strict=True))
        return [self._probed[text] for text in texts]

    def _share(self, groups: Sequence[Group]) -> SharedPrompts | None:
        """Run the processor over the first question of each group, and keep the beginning; None if it cannot be."""
        try:
            inputs = self.plain.prepared_inputs([group.questions[0] for group in groups])
            lengths = [
                length - len(group.rests[0]) + len(rest)
                for length, group in zip(inputs["attention_mask"].sum(-1).tolist(), groups, strict=True)
                for rest in group.rests
            ]
            self.plain.check_lengths([question for group in groups for question in group.questions], lengths)
        except ScoringError:
            return None
        firsts = [group.rests[0] for group in groups]
        rows = _rows_without_padding(inputs)
        if any(row[-len(rest) :] != rest for row, rest in zip(rows, firsts, strict=True)):
            self._say("pictures are not shared where the processor changes the tokens behind them")
            return None
        cut = _without_rests(inputs, list(map(len, firsts)), self.plain.chat.tokenizer.pad_token_id)
        kept = [len(row) - len(rest) for row, rest in zip(rows, firsts, strict=True)]
        rests = [len(rest) for group in groups for rest in group.rests]
        is_padded = len(set(kept)) > 1 or len(set(rests)) > 1
        return SharedPrompts(tuple(groups), self.plain.reader.send(cut), sum(lengths), is_padded)

    def _score(self, shared: SharedPrompts) -> list[Outcome]:
        if not self._is_sharing:
            return self._alone(shared)
        kinds = self._to_compare & ({"a batch", "a padded batch"} if shared.is_padded else {"a batch"})
        alone = self._alone(shared) if kinds else None
        if not self.plain.reads_fast:
            self._stop("its cache or its batches cannot be relied on", is_fault=False)
            return alone or self._alone(shared)
        try:
            outcomes: list[Outcome] = [*self._read(shared)]
        except Exception as error:  # a model may raise anything where it goes on from a cache
            reason, is_memory = describe(error), isinstance(error, torch.OutOfMemoryError)
        else:
            self.usage.add(shared.tokens, passes=len(outcomes))
            return outcomes if alone is None else self._checked(outcomes, alone, kinds)
        # Out of the handler, so that the failed pass's tensors are free again.
        if alone is not None:
            if not is_memory:
                self._stop(f"it cannot be continued behind a picture ({reason})", is_fault=False)
            return alone
        logger.warning(f"a batch of pictures with several questions failed and is tried in halves ({reason})")
        return self._in_halves(shared)

    def _checked(self, outcomes: list[Outcome], alone: list[Outcome], kinds: set[str]) -> list[Outcome]:
        """Compare shared questions with the same questions unshared; return what holds."""
        if any(isinstance(outcome, ScoringError) for outcome in alone):
            return alone
        self._to_compare -= kinds
        difference = largest_difference(outcomes, alone)
        if difference <= self.plain.tolerance:
            return outcomes
        self._stop(f"its answers then differ by {difference:.2g} nats", is_fault=True)
        return alone

    def _in_halves(self, shared: SharedPrompts) -> list[Outcome]:
        if len(shared.groups) == 1:
            return self._alone(shared)
        middle = len(shared.groups) // 2
        halves = (self._share(some) for some in (shared.groups[:middle], shared.groups[middle:]))
        found = [half for half in halves if half is not None]
        return [outcome for half in found for outcome in self._score(half)] if len(found) == 2 else self._alone(shared)

    def _alone(self, shared: SharedPrompts) -> list[Outcome]:
        return [
            outcome
            for group in shared.groups
            for some in in_batches(group.questions, self.batch_size)
            for outcome in self.plain.score(self.plain.prepare(some))
        ]

    @torch.inference_mode()
    def _read(self, shared: SharedPrompts) -> list[list[OptionResponse]]:
        reader = self.plain.reader
        prefix = reader.read_prompts(shared.inputs, keep_cache=True)
        asked = [
            (row, rest, options)
            for row, group in enumerate(shared.groups)
            for rest, options in zip(group.rests, group.options, strict=True)
        ]
        outcomes: list[list[OptionResponse]] = []
        for some in in_batches(asked, max(self.batch_size, LEAST_ROWS)):
            rows, rests, tokens = zip(*some, strict=True)
            following = reader.read_rests(prefix, rows, rests)
            numbers = [number for number, options in enumerate(tokens) for _ in options]
            values = iter(following[numbers, [token for options in tokens for token in options]].tolist())
            outcomes += [
                [OptionResponse(next(values), token == likeliest) for token in options]
                for options, likeliest in zip(tokens, following.argmax(-1).tolist(), strict=True)
            ]
        return outcomes

    def _stop(self, reason: str, *, is_fault: bool) -> None:
        self._is_sharing = False
        called = f"model {quoted(self.plain.model.name_or_path)}"
        line = f"{called} does not share pictures between questions: {reason}"
        logger.log("WARNING" if is_fault else "INFO", line)

    def _say(self, line: str) -> None:
        """Say once why some questions share nothing."""
        if line not in self._said:
            self._said.add(line)
            logger.info(line)


def _neighbours(questions: Sequence[Question]) -> list[tuple[int, ...]]:
    """Return the places of neighbouring questions that show the same image objects."""
    found: list[list[int]] = []
    for place, question in enumerate(questions):
        if found and question.images and question.images is questions[found[-1][-1]].images:
            found[-1].append(place)
        else:
            found.append([place])
    return list(map(tuple, found))


def _common_length(texts: Sequence[Tokens]) -> int:
    """Count the tokens with which all texts begin; one at least is left of each."""
    most = min(map(len, texts)) - 1
    return next((place for place in range(most) if len({text[place] for text in texts}) > 1), most)


def _rows_without_padding(inputs: Any) -> list[Tokens]:
    lengths = inputs["attention_mask"].sum(-1).tolist()
    return [tuple(row[-length:]) for row, length in zip(inputs["input_ids"].tolist(), lengths, strict=True)]


def _without_rests(inputs: Any, rests: Sequence[int], pad_token: int) -> Any:
    """Take the last tokens from each row of a batch that is padded on the left, and pad it on the left again."""
    shape = inputs["input_ids"].shape
    lengths = inputs["attention_mask"].sum(-1).tolist()
    kept = [length - rest for length, rest in zip(lengths, rests, strict=True)]

    def cut(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.shape[:2] != shape:
            return value
        new = value.new_full((shape[0], max(kept), *value.shape[2:]), pad_token if name == "input_ids" else 0)
        for row, (length, number) in enumerate(zip(lengths, kept, strict=True)):
            begin = shape[1] - length
            new[row, max(kept) - number :] = value[row, begin : begin + number]
        return new

    return type(inputs)({name: cut(name, value) for name, value in inputs.items()})
