"""The task of inspect_ai: one sample with all its conditions, a prompt each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import signature
from typing import Any, cast

from inspect_ai import Task, task
from inspect_ai._eval.registry import task_register
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import collect, concurrency

from benchc_metrics.benchmark import CLEAN, CORRUPTION_FAMILIES, FAMILIES, LETTERS, Condition
from benchc_metrics.designs import LITE
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_metrics.records import RECORD_KEY, Sampling
from benchc_metrics.records.assembly import assemble_generation_record, assemble_record, assemble_votes_record
from benchc_tasks.models.questions import ScoringError
from benchc_tasks.stacks.common import (
    AnsweringModel,
    AskedConditions,
    conditions_of,
    facts_of,
    load_samples,
    reading_of,
    say_that_ras_is_not_defined,
    sent_context,
    settings_of_ras,
    settings_of_samples,
    text_of,
)
from benchc_tasks.stacks.inspect_ai.asking import ask_for_text, score_options
from benchc_tasks.stacks.inspect_ai.scoring import benchc_metrics, benchc_scorer
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import task_prompt

__all__ = ["ask_under_all_conditions", "benchc", "corruptions_of"]

PICTURES_AT_ONCE = 64
"""Conditions whose pictures are in memory at once, of all samples."""


@task
def benchc(
    corruption: str | Sequence[str] = "all",
    dataset: str | None = None,
    split: str | None = None,
    letters: bool = False,
    votes: int = 0,
    temperature: float = 1.0,
    max_tokens: int = 32,
    top_logprobs: int = 20,
    system_prompt: str | None = None,
    ras_reading: str = DEFAULT_READING,
) -> Task:
    """Measure how robust a model is when its pictures are corrupted.

    Parameters
    ----------
    corruption : str or sequence of str
        A corruption, a family (`noise`, `blur`, `weather`, `digital`), several with commas between them,
        `all`, or `lite`: each sample under each corruption once, see `benchc_metrics.designs`.
    dataset, split : str, optional
        As in `benchc_tasks.datasets.load_dataset`; without them BENCHC_DATASET, else the bundled demonstration set.
    letters : bool
        Whether the model writes its answer, for a provider without log-probabilities. RAS is not defined then.
    votes : int
        How often the model writes its answer to each condition, for such a provider: the shares of the letters are
        the distribution of RAS of votes. 0 for none.
    temperature : float
        Of the votes.
    max_tokens : int
        Length of such an answer.
    top_logprobs : int
        How many of the most probable tokens are asked for; most servers show 20 at most.
    system_prompt : str, optional
        A system message, or the path of a file with it.
    ras_reading : str
        See `benchc_metrics.metrics.ras.READINGS`.
    """
    corruptions = corruptions_of(corruption)
    samples = load_samples(dataset, split)
    reading = reading_of(ras_reading)
    if letters and votes:
        raise ValueError("letters asks for one answer and votes for several: leave one of them out")
    if letters:
        say_that_ras_is_not_defined()
    docs = samples.without_images()
    return Task(
        dataset=MemoryDataset(
            [
                Sample(
                    id=doc["id"],
                    input=task_prompt().text(doc["question"], doc["options"]),
                    choices=list(doc["options"]),
                    target=LETTERS[doc["answer"]],
                    metadata={"position": position},
                )
                for position, doc in enumerate(docs)
            ],
            name=samples.source,
        ),
        solver=ask_under_all_conditions(
            corruptions,
            dataset,
            split,
            letters=letters,
            votes=votes,
            temperature=temperature,
            max_tokens=max_tokens,
            top_logprobs=top_logprobs,
            system_prompt=text_of(system_prompt),
        ),
        scorer=benchc_scorer(reading),
        metrics=[benchc_metrics(reading)],
        metadata={**settings_of_samples(samples), **settings_of_ras(reading), "corruption": ",".join(corruptions)},
        version=1,
    )


# inspect_ai would call it by the name of the folder, `benchc_tasks`; people know the package's.
task_register(cast(Any, benchc), "benchc/benchc", {}, list(signature(benchc).parameters))


@solver
def ask_under_all_conditions(
    corruptions: Sequence[str],
    dataset: str | None = None,
    split: str | None = None,
    *,
    letters: bool = False,
    votes: int = 0,
    temperature: float = 1.0,
    max_tokens: int = 32,
    top_logprobs: int = 20,
    system_prompt: str | None = None,
) -> Solver:
    """Ask about a sample clean and under corruptions, and leave its record in the state's metadata.

    Parameters
    ----------
    corruptions : sequence of str
    dataset, split, letters, votes, temperature, max_tokens, top_logprobs, system_prompt
        As in `benchc`.
    """
    samples = load_samples(dataset, split)
    asked = _asked(corruptions)
    writing = GenerateConfig(max_tokens=max_tokens, temperature=float(temperature) if votes else 0.0)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        doc = samples[state.metadata["position"]]
        text = task_prompt().text(doc["question"], doc["options"])
        context = sent_context(text, doc["question"], doc["options"], AnsweringModel(model.name, system_prompt))
        conditions = asked.of_sample(doc["id"])
        facts = facts_of(doc, samples, conditions, context, model=model.name, design=asked.design)

        async def ask(condition: Condition) -> Any:
            picture = ConditionedPicture(samples.fingerprint, doc["id"], condition)
            if letters or votes:
                return await ask_for_text(model, doc, picture, text, system_prompt, writing)
            return await score_options(model, doc, picture, text, system_prompt, top_logprobs)

        answers = await collect(*(_answer(ask, condition) for condition in conditions for _ in range(votes or 1)))
        count = len(doc["options"])
        if votes:
            # inspect_ai's providers take a seed or not, which nothing tells.
            sampling = Sampling(number=votes, temperature=float(temperature), seed=None)
            record = assemble_votes_record(answers, options=doc["options"], sampling=sampling, **facts)
        elif letters:
            record = assemble_generation_record(answers, options=doc["options"], **facts)
        else:
            rows = [answer if isinstance(answer, list) else [answer] * count for answer in answers]
            record = assemble_record([option for row in rows for option in row], option_count=count, **facts)
        state.metadata[RECORD_KEY] = record.to_json_dict()
        state.completed = True
        return state

    return cast(Solver, solve)


def corruptions_of(named: str | Sequence[str]) -> tuple[str, ...]:
    """Return the corruptions that a name stands for.

    Parameters
    ----------
    named : str
        As `corruption` of `benchc`.
    """
    given = [named] if isinstance(named, str) else named
    found: list[str] = []
    for name in (part.strip() for text in given for part in text.split(",")):
        if name == "all":
            found += CORRUPTION_FAMILIES
        elif name in FAMILIES:
            found += [corruption for corruption, family in CORRUPTION_FAMILIES.items() if family == name]
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))


def _asked(corruptions: Sequence[str]) -> AskedConditions:
    """Return clean, then each corruption at every severity; or the design `lite`, which stands for corruptions."""
    if LITE in corruptions:
        if len(corruptions) > 1:
            raise ValueError(f"corruption names {LITE} and others: {LITE} asks under all corruptions; leave them out")
        return AskedConditions.of_metadata({"design": LITE})
    of_corruptions = [conditions_of(corruption) for corruption in corruptions]
    corrupted = (condition for of_one in of_corruptions for condition in of_one if condition != CLEAN)
    return AskedConditions((CLEAN, *corrupted))


async def _answer(ask: Callable[[Condition], Awaitable[Any]], condition: Condition) -> Any:
    """Ask with few pictures in memory at once; in place of an answer that there is not, say why."""
    async with concurrency("benchc pictures", PICTURES_AT_ONCE, visible=False):
        try:
            return await ask(condition)
        except ScoringError as fault:
            return {"invalid": str(fault)}
