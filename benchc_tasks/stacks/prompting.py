"""The words a model reads: the question, its lettered options, and the instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchc_metrics.benchmark import INSTRUCTION, LETTERS
from benchc_metrics.messages import quoted

__all__ = ["Prompt", "question_with_options", "task_prompt"]


def question_with_options(question: str, options: Sequence[str]) -> str:
    r"""Write a question and its options, one to a line.

    Examples
    --------
    >>> question_with_options("What colour is the disk?", ["red", "blue"])
    'What colour is the disk?\nA. red\nB. blue'
    """
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, *lines])


@dataclass(frozen=True)
class Prompt:
    """The text before and after the question and its options.

    Attributes
    ----------
    pre_prompt, post_prompt : str
        Put before and after, as they are.
    """

    pre_prompt: str
    post_prompt: str

    @classmethod
    def for_model(cls, settings: Mapping[str, object] | None, model: str | None) -> Prompt:
        """Read a task's `lmms_eval_specific_kwargs`.

        Parameters
        ----------
        settings : mapping or None
            `pre_prompt` and `post_prompt` under `default` and under names of models; the model's own win over the
            default. Settings without such names are taken as they stand.
        model : str or None
            lmms-eval's name of the model.

        Raises
        ------
        ValueError
            If a setting is neither `pre_prompt` nor `post_prompt`, or is not text.
        """
        given = dict(settings or {})
        chosen: dict[str, object] = {key: value for key, value in given.items() if not isinstance(value, Mapping)}
        for name in ("default", model):
            own = given.get(name) if name else None
            chosen.update(own if isinstance(own, Mapping) else {})
        for key, value in chosen.items():
            if key not in {"pre_prompt", "post_prompt"} or not isinstance(value, str):
                raise ValueError(
                    f"lmms_eval_specific_kwargs has {key}: {quoted(value)}, but takes only the texts pre_prompt and "
                    "post_prompt: correct the task's YAML"
                )
        return cls(pre_prompt=str(chosen.get("pre_prompt", "")), post_prompt=str(chosen.get("post_prompt", "")))

    def after(self, description: str) -> Prompt:
        """Return the prompt with a description before it, as it stands.

        Raises
        ------
        ValueError
            If the description is a template, which would be another text for each sample.
        """
        if "{{" in description or "{%" in description:
            raise ValueError("description is a template, but benchc takes plain text: write it out in the task's YAML")
        return Prompt(f"{description}{self.pre_prompt}", self.post_prompt)

    def text(self, question: str, options: Sequence[str]) -> str:
        """Write the whole prompt of one sample."""
        return f"{self.pre_prompt}{question_with_options(question, options)}{self.post_prompt}"


def task_prompt() -> Prompt:
    """Return what the `benchc` tasks put around a question where the user says nothing else."""
    return Prompt(pre_prompt="", post_prompt=f"\n{INSTRUCTION}")
