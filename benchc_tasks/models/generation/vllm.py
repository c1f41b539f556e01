"""Texts of a vLLM engine in this process, which shares the prefill of a question's texts by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchc_tasks.models.generation.questions import TextOutcome, TextQuestion
from benchc_tasks.models.questions import Question, ScoringError, describe
from benchc_tasks.models.vllm import PreparedQuestion, VllmChoiceScorer

__all__ = ["VllmGenerator"]


class VllmGenerator:
    """Writes texts with the engine of a choice scorer.

    No seed is handed to the engine, of which some versions die for it.

    Parameters
    ----------
    scorer : VllmChoiceScorer
        Has the engine and the chat format.
    """

    draws_by_seed = False

    def __init__(self, scorer: VllmChoiceScorer) -> None:
        self.batch_size = scorer.batch_size
        self.usage = scorer.usage
        self._scorer = scorer

    def prepare(self, questions: Sequence[TextQuestion]) -> list[tuple[TextQuestion, PreparedQuestion | ScoringError]]:
        """Write and tokenise the prompts."""
        return [(question, self._prepared(question)) for question in questions]

    def generate(self, prepared: Sequence[tuple[TextQuestion, PreparedQuestion | ScoringError]]) -> list[TextOutcome]:
        """Hand all questions to the engine at once.

        Raises
        ------
        EngineError
            If the engine's process has died.
        """
        ready = [one for _, one in prepared if isinstance(one, PreparedQuestion)]
        answered = iter(self._scorer.ask(ready, _texts) if ready else [])
        outcomes: list[TextOutcome] = []
        for question, one in prepared:
            outcome = one if isinstance(one, ScoringError) else next(answered)
            if isinstance(outcome, list):
                # Texts of temperature 0 are all the same, and only one was asked for.
                texts = [self._scorer.chat.opened_thinking + text for text in outcome]
                outcome = texts * (len(question.numbers) // len(texts))
            outcomes.append(outcome)
        return outcomes

    def _prepared(self, question: TextQuestion) -> PreparedQuestion | ScoringError:
        from vllm import SamplingParams

        settings = question.settings
        sampling = SamplingParams(
            n=len(question.numbers) if settings.temperature > 0 else 1,
            max_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            stop=list(settings.stop) or None,
            # Marks of thinking are special tokens in some vocabularies.
            skip_special_tokens=False,
        )
        asked = Question(question.name, question.context, (), question.images)
        try:
            return PreparedQuestion(asked, self._scorer.prompt_of(asked), (), sampling)
        except ScoringError as fault:
            return fault
        except Exception as fault:
            return ScoringError(f"{question.name}: the prompt could not be written ({describe(fault)})")


def _texts(_: PreparedQuestion, output: Any) -> list[str]:
    return [str(each.text) for each in output.outputs]
