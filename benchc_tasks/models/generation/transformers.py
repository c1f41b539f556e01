"""Texts of a transformers model in this process: all answers to a question share its prefill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from loguru import logger

from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.generation.questions import TextOutcome, TextQuestion, cut_at, uniform_numbers
from benchc_tasks.models.passes import Steps
from benchc_tasks.models.questions import Question, ScoringError, describe

__all__ = ["PreparedTexts", "TransformersGenerator"]

MOST_ROWS = 256
"""Texts that are written side by side; more questions are written one after the other."""


@dataclass(frozen=True)
class PreparedTexts:
    """A batch as the model reads it.

    Attributes
    ----------
    questions : tuple of TextQuestion
    inputs : transformers.BatchFeature or None
        None if these questions could not be prepared together.
    fault : ScoringError or None
        Why they could not.
    """

    questions: tuple[TextQuestion, ...]
    inputs: Any
    fault: ScoringError | None = None


class TransformersGenerator:
    """Writes texts with the model of a choice scorer.

    Each step draws from the model's own distribution at the temperature: settings of the checkpoint's generation, such
    as a repetition penalty or `top_k`, are not in force.

    Parameters
    ----------
    scorer : TransformersChoiceScorer
        Has the model and its chat format.
    """

    draws_by_seed = True

    def __init__(self, scorer: TransformersChoiceScorer) -> None:
        self.batch_size = scorer.batch_size
        self.usage = scorer.usage
        self._scorer = scorer
        self._chat = scorer.chat
        self._ends = _ends(scorer.model, scorer.chat.tokenizer)

    def prepare(self, questions: Sequence[TextQuestion]) -> PreparedTexts:
        """Run the processor over the questions."""
        try:
            inputs = self._scorer.prepared_inputs([Question(q.name, q.context, (), q.images) for q in questions])
        except ScoringError as fault:
            return PreparedTexts(tuple(questions), None, fault)
        return PreparedTexts(tuple(questions), inputs)

    def generate(self, prepared: PreparedTexts) -> list[TextOutcome]:
        """Write the texts; a batch that fails is halved, and a single question that fails has the reason."""
        questions = prepared.questions
        if prepared.fault is not None:
            return self._in_halves(questions, prepared.fault)
        rows = sum(len(question.numbers) for question in questions)
        alike = len({question.settings for question in questions}) == 1
        if len(questions) > 1 and (rows > MOST_ROWS or not alike or self._scorer.reads_alone):
            return self._in_halves(questions, ScoringError("not reached"))
        try:
            return list(self._generate(prepared))
        except Exception as error:
            reason = describe(error)
        if len(questions) > 1:
            logger.warning(f"a batch of {len(questions)} failed and is tried in halves ({reason})")
        return self._in_halves(questions, ScoringError(f"{questions[0].name}: the model failed ({reason})"))

    def _in_halves(self, questions: Sequence[TextQuestion], fault: ScoringError) -> list[TextOutcome]:
        if len(questions) == 1:
            return [fault]
        middle = len(questions) // 2
        halves = (questions[:middle], questions[middle:])
        return [outcome for half in halves for outcome in self.generate(self.prepare(half))]

    @torch.inference_mode()
    def _generate(self, prepared: PreparedTexts) -> list[list[str]]:
        questions, settings = prepared.questions, prepared.questions[0].settings
        reader = self._scorer.reader
        prefix = reader.read_prompts(prepared.inputs, keep_cache=settings.max_new_tokens > 1)
        self.usage.add(int(prepared.inputs["attention_mask"].sum()), passes=len(questions))
        # Texts of temperature 0 are all the same.
        copies = [len(question.numbers) if settings.temperature > 0 else 1 for question in questions]
        rows = [row for row, number in enumerate(copies) for _ in range(number)]
        streams = [
            uniform_numbers(question, number)
            for question, copied in zip(questions, copies, strict=True)
            for number in question.numbers[:copied]
        ]
        written: list[list[int]] = [[] for _ in rows]
        open_rows = set(range(len(rows)))
        log_probabilities = prefix.log_probabilities[torch.tensor(rows, device=prefix.log_probabilities.device)]
        steps: Steps | None = None
        chosen: list[int] = []
        for step in range(settings.max_new_tokens):
            if step:
                steps = reader.branch(prefix, rows) if steps is None else steps
                log_probabilities = reader.step(steps, torch.tensor(chosen))
            chosen = _chosen(log_probabilities, settings.temperature, settings.top_p, [next(each) for each in streams])
            for row in tuple(open_rows):
                if chosen[row] in self._ends:
                    open_rows.discard(row)
                else:
                    written[row].append(chosen[row])
            if not open_rows:
                break
        self.usage.add(0, sum(map(len, written)), passes=0)
        asked = _each(questions, copies)
        texts = iter([self._text(tokens, question) for tokens, question in zip(written, asked, strict=True)])
        return [
            [next(texts) for _ in range(copied)] * (len(question.numbers) // copied)
            for question, copied in zip(questions, copies, strict=True)
        ]

    def _text(self, tokens: Sequence[int], question: TextQuestion) -> str:
        # Marks of thinking are special tokens in some vocabularies, so none are left out.
        text = self._chat.opened_thinking + self._chat.tokenizer.decode(tokens, skip_special_tokens=False)
        return cut_at(text, question.settings.stop)


def _each(questions: Sequence[TextQuestion], copies: Sequence[int]) -> list[TextQuestion]:
    return [question for question, copied in zip(questions, copies, strict=True) for _ in range(copied)]


def _chosen(log_probabilities: torch.Tensor, temperature: float, top_p: float, drawn: Sequence[float]) -> list[int]:
    """Choose a token for each row: the most probable one at temperature 0, else the one on which a number falls."""
    if temperature == 0:
        return list(log_probabilities.argmax(dim=-1).tolist())
    probabilities = torch.softmax(log_probabilities.double() / temperature, dim=-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    cumulative = ordered.cumsum(dim=-1)
    # The token that takes the sum past top_p is the last one that may be drawn.
    allowed = torch.where(cumulative - ordered < top_p, ordered, 0.0)
    cumulative = allowed.cumsum(dim=-1)
    points = torch.tensor(drawn, dtype=torch.float64, device=cumulative.device)[:, None] * cumulative[:, -1:]
    places = (cumulative <= points).sum(dim=-1, keepdim=True).clamp(max=cumulative.shape[-1] - 1)
    return list(tokens.gather(-1, places)[:, 0].tolist())


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end a text."""
    named = (getattr(getattr(model, "generation_config", None), "eos_token_id", None), tokenizer.eos_token_id)
    ends: set[int] = set()
    for each in named:
        ends |= set(each) if isinstance(each, (list, tuple)) else set() if each is None else {int(each)}
    return frozenset(ends)
