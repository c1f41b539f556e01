"""What tasks will ask, counted before anything is loaded: samples, conditions, forward passes, tokens, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.datasets import SampleDataset, decode_image
from benchc_tasks.models.costs import Prices
from benchc_tasks.models.questions import Question
from benchc_tasks.stacks.common import AskedConditions
from benchc_tasks.stacks.prompting import task_prompt
from task_yamls import tasks_path

__all__ = [
    "Plan",
    "PlannedTask",
    "TokensPerPass",
    "estimated_tokens",
    "plan_of",
    "planned_tasks",
    "typical_questions",
    "written_tokens",
]

CHARACTERS_A_TOKEN = 4.0
"""Of English text, for a model whose tokenizer is not at hand."""

PIXELS_A_TOKEN = 28 * 28
"""Of a picture: the patches of 28 x 28 pixels that the Qwen2-VL family makes one token of."""

TYPICAL_SAMPLES = 8
SCORING = "loglikelihood"


@dataclass(frozen=True)
class PlannedTask:
    """A task as its YAML says it.

    Attributes
    ----------
    name : str
    asked : AskedConditions
    scores : bool
        Whether it scores options; else it generates.
    most_written : int
        Tokens that an answer may have.
    answers : int
        Answers to each condition, more than one where votes are drawn.
    """

    name: str
    asked: AskedConditions
    scores: bool
    most_written: int = 1
    answers: int = 1


@dataclass(frozen=True)
class TokensPerPass:
    """Tokens that one pass reads and writes.

    Attributes
    ----------
    read, written : float
    source : str
        How they were found, in a few words.
    """

    read: float
    written: float
    source: str


@dataclass(frozen=True)
class Plan:
    """The questions of a run, counted before it starts.

    Attributes
    ----------
    tasks : tuple of str
        Names.
    samples : int
    passes : int
        Forward passes; a condition that several tasks ask of a sample, such as the clean one, counts once.
    tokens : TokensPerPass
    """

    tasks: tuple[str, ...]
    samples: int
    passes: int
    tokens: TokensPerPass

    @property
    def conditions(self) -> float:
        """Mean number of conditions of a sample, clean included."""
        return self.passes / self.samples

    @property
    def pictures(self) -> int:
        """One a pass."""
        return self.passes

    @property
    def read(self) -> int:
        """Tokens that the run reads."""
        return round(self.passes * self.tokens.read)

    @property
    def written(self) -> int:
        """Tokens that the run writes, at most."""
        return round(self.passes * self.tokens.written)

    def price(self, prices: Prices) -> float:
        """Return what the run costs."""
        return prices.of(self.read, self.written)

    def passes_within(self, budget: float, prices: Prices) -> int:
        """Return how many passes a budget pays for."""
        each = prices.of(self.tokens.read, self.tokens.written)
        return self.passes if each <= 0 else min(self.passes, int(budget / each))


def planned_tasks(names: str, folders: Iterable[Path] = ()) -> list[PlannedTask]:
    """Read the tasks and groups that lmms-eval's `--tasks` names.

    Parameters
    ----------
    names : str
        Names of tasks and groups, or patterns of them, with commas between.
    folders : iterable of Path
        Folders with further tasks.

    Returns
    -------
    list of PlannedTask
        Each once, in the order of the names.

    Raises
    ------
    ValueError
        If there is no such task; one sentence.
    """
    files = {path.stem: path for folder in (tasks_path(), *folders) for path in sorted(folder.glob("*.yaml"))}
    known: dict[str, Mapping[str, Any]] = {}
    for path in files.values():
        written = _written(path)
        name = written.get("group") or written.get("task")
        if isinstance(name, str):
            known[name] = written
    found: dict[str, PlannedTask] = {}
    for name in (part.strip() for part in names.split(",")):
        matching = [each for each in known if fnmatchcase(each, name)]
        if not matching:
            raise ValueError(f"there is no task {quoted(name)}{close_to_it(name, sorted(known), 'see docs/tasks.md')}")
        # A pattern is for tasks: lmms-eval takes groups by their name only.
        for each in matching:
            for task in _tasks_of(each, known):
                found.setdefault(task.name, task)
    return list(found.values())


def plan_of(
    tasks: Sequence[PlannedTask], samples: SampleDataset, tokens: TokensPerPass, limit: int | None = None
) -> Plan:
    """Count what tasks will ask.

    Parameters
    ----------
    tasks : sequence of PlannedTask
    samples : SampleDataset
    tokens : TokensPerPass
    limit : int, optional
        Only the first samples.
    """
    rows = samples.without_images()
    number = len(samples) if limit is None else min(limit, len(samples))
    passes = 0
    for scores in (True, False):
        lists = [task.asked for task in tasks if task.scores is scores]
        if all(asked.design is None for asked in lists):
            passes += number * len({condition for asked in lists for condition in asked.conditions})
            continue
        for place in range(number):
            passes += len({condition for asked in lists for condition in asked.of_sample(rows[place]["id"])})
    return Plan(tuple(task.name for task in tasks), number, passes, tokens)


def typical_questions(samples: SampleDataset, number: int = TYPICAL_SAMPLES) -> list[Question]:
    """Return the questions of samples that are spread over the dataset, with their clean pictures."""
    count = min(number, len(samples))
    places = sorted({round(place * (len(samples) - 1) / max(1, count - 1)) for place in range(count)})
    questions = []
    for sample in (samples[place] for place in places):
        text = task_prompt().text(sample["question"], sample["options"])
        letters = tuple(LETTERS[: len(sample["options"])])
        picture = decode_image(sample["image"], sample=sample["id"])
        questions.append(Question(f"sample {quoted(sample['id'])}", text, letters, (picture,)))
    return questions


def estimated_tokens(
    questions: Sequence[Question], tasks: Sequence[PlannedTask], tokens_per_picture: float | None = None
) -> TokensPerPass:
    """Estimate the tokens of a pass from texts and pictures, for a model whose tokenizer is not at hand.

    Parameters
    ----------
    questions : sequence of Question
    tasks : sequence of PlannedTask
    tokens_per_picture : float, optional
        By default one for each 28 x 28 pixels.
    """
    text = sum(len(question.context) for question in questions) / len(questions) / CHARACTERS_A_TOKEN
    pixels = [image.width * image.height for question in questions for image in question.images]
    picture = sum(pixels) / len(pixels) / PIXELS_A_TOKEN if tokens_per_picture is None else tokens_per_picture
    source = "estimated: a token for 4 characters" + (
        " and for 28 x 28 pixels" if tokens_per_picture is None else f", {tokens_per_picture:g} for a picture"
    )
    return TokensPerPass(text + picture, written_tokens(tasks), source)


def written_tokens(tasks: Sequence[PlannedTask]) -> float:
    """Return the most tokens that a pass of some tasks writes: the answers of those that generate, one of a score."""
    written = [1.0 if task.scores else float(task.most_written * task.answers) for task in tasks]
    return max(written, default=1.0)


def _tasks_of(name: str, known: Mapping[str, Mapping[str, Any]]) -> list[PlannedTask]:
    written = known.get(name)
    if written is None:
        raise ValueError(f"there is no task {quoted(name)}: name the folder of its YAML with --include-path")
    if "group" in written:
        return [task for member in written["task"] for task in _tasks_of(str(member), known)]
    metadata: dict[str, Any] = {key: _number(value) for key, value in (written.get("metadata") or {}).items()}
    generation = written.get("generation_kwargs") or {}
    return [
        PlannedTask(
            name,
            AskedConditions.of_metadata(metadata),
            written.get("output_type", SCORING) == SCORING,
            int(generation.get("max_new_tokens", 1)),
            int(metadata.get("votes", 1)),
        )
    ]


def _written(path: Path) -> dict[str, Any]:
    """Read a task's YAML with what it includes; functions stay texts."""
    try:
        written = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path} cannot be read as YAML: {str(fault).splitlines()[0]}") from None
    if not isinstance(written, dict):
        return {}
    included = written.pop("include", None)
    if not isinstance(included, str):
        return written
    for place in (path.parent / included, tasks_path() / included):
        if place.is_file():
            return {**_written(place), **written}
    return written


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value
