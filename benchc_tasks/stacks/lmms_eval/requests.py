"""lmms-eval's requests, one an option, as questions with all their options."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

from lmms_eval.api.instance import Instance
from lmms_eval.caching.response_cache import extract_gen_kwargs, is_deterministic
from PIL import Image

from benchc_metrics.benchmark import Condition
from benchc_metrics.messages import quoted
from benchc_tasks.datasets import DatasetError
from benchc_tasks.models.questions import Question, ScoringError, describe
from benchc_tasks.stacks.answer_store import answer_key
from benchc_tasks.stacks.lmms_eval.generation_requests import ConditionedDocId, SettingsAndMessages
from benchc_tasks.stacks.pictures import condition_state

__all__ = ["Inquiry", "group_by_key", "group_requests", "in_pieces", "task_configurations"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")

Documents = Mapping[str, Mapping[str, Any]]
"""lmms-eval's `task_dict`: task, then split, then a sequence of docs."""


class SampleUnderCondition(Protocol):
    """A `doc_to_visual` that says what it shows, as `benchc_tasks.stacks.pictures.ConditionedPicture` does.

    Two equal ones show the same picture, whatever task they come from.
    """

    sample: str
    condition: Condition

    def __call__(self, doc: Any) -> list[Image.Image]:
        """Render the picture."""
        ...


@dataclass
class Inquiry:
    """All requests that show the model the same prompt and the same picture.

    Attributes
    ----------
    name : str
        What an error message calls it.
    sample : str
        The sample that it shows, whatever the condition.
    context : str
        The prompt.
    doc_to_visual : callable or None
        Renders the images from the doc.
    find_doc : callable
        Returns the doc.
    options : dict of str to int
        The distinct continuations and their numbers, in the order in which they were first asked for.
    places : list of (int, int)
        For each request, its place among all requests and the number of its option.
    """

    name: str
    sample: str
    context: str
    doc_to_visual: Callable[[Any], Any] | None
    find_doc: Callable[[], Any]
    options: dict[str, int] = field(default_factory=dict)
    places: list[tuple[int, int]] = field(default_factory=list)

    def add(self, place: int, continuation: str) -> None:
        """Note that the request at `place` asks for `continuation`."""
        self.places.append((place, self.options.setdefault(continuation, len(self.options))))

    def question(self) -> Question:
        """Render the images; thread-safe if `doc_to_visual` is.

        Raises
        ------
        ScoringError
            If an image cannot be rendered, or what comes back is not an image.
        """
        try:
            visuals = self.doc_to_visual(self.find_doc()) if self.doc_to_visual is not None else None
        except DatasetError as fault:
            reason = str(fault).removeprefix(f"{self.sample}: ")
            raise ScoringError(f"{self.name}: {reason}") from fault
        except Exception as fault:
            raise ScoringError(f"{self.name}: the image could not be rendered ({describe(fault)})") from fault
        images = tuple(visuals or ())
        for image in images:
            if not isinstance(image, Image.Image):
                raise ScoringError(
                    f"{self.name}: doc_to_visual returned a {type(image).__name__}, and benchc scores images only"
                )
        return Question(self.name, self.context, tuple(self.options), images)


def _shown_question(request: Instance) -> tuple[str, SampleUnderCondition] | None:
    """Return the prompt and the picture of a loglikelihood request; None if its picture does not say what it shows.

    Requests for which they are equal show the model the same thing, whatever task asks.
    """
    context, _, doc_to_visual, *_ = request.args
    return (context, doc_to_visual) if _knows_itself(doc_to_visual) else None


def group_requests(requests: Sequence[Instance], documents: Documents) -> list[Inquiry]:
    """Group loglikelihood requests by what the model sees.

    Parameters
    ----------
    requests : sequence of lmms_eval.api.instance.Instance
        Their arguments are context, continuation (or a function of the doc), doc_to_visual, doc_id, task and split.
    documents : mapping
        lmms-eval's `task_dict`.

    Returns
    -------
    list of Inquiry
        In the order in which they are first asked for. A picture that equals another, such as the clean picture of a
        sample that many tasks ask for, is in one inquiry.
    """
    inquiries: dict[object, Inquiry] = {}
    for place, request in enumerate(requests):
        context, continuation, doc_to_visual, doc_id, task, split = request.args
        asked = _shown_question(request) or (context, (task, split, doc_id, doc_to_visual))
        inquiry = inquiries.get(asked)
        if inquiry is None:
            sample = f"doc {doc_id} of task {quoted(task)}"
            name = sample
            if _knows_itself(doc_to_visual):
                sample = f"sample {quoted(doc_to_visual.sample)}"
                name = f"{sample} under {doc_to_visual.condition}"
            inquiry = Inquiry(name, sample, context, doc_to_visual, _DocFinder(documents, task, split, doc_id))
            inquiries[asked] = inquiry
        inquiry.add(place, continuation if isinstance(continuation, str) else continuation(inquiry.find_doc()))
    return list(inquiries.values())


def group_by_key(
    model: str, request_type: str, requests: Sequence[Instance], configurations: Mapping[str, str]
) -> list[tuple[str, list[list[int]]]]:
    """Group requests by the key under which their answers are kept.

    Parameters
    ----------
    model : str
        The model's identity; empty if its answers are not kept.
    request_type : str
        `loglikelihood`, `generate_until`, ...
    requests : sequence of lmms_eval.api.instance.Instance
        All of that type.
    configurations : mapping of str to str
        As `task_configurations` returns them.

    Returns
    -------
    list of (str, list of (list of int))
        In the order in which they are first asked for: a key, empty for an answer that is not kept because it is drawn
        at random, and for each different request under it the places of all that share its answer. Requests of Bench-C
        tasks are known by prompt, settings, picture and options, whatever task asks; others by task and place as well.
    """
    groups: dict[int | tuple[str, ...], dict[str, list[int]]] = {}
    for place, request in enumerate(requests):
        settings = extract_gen_kwargs(request)
        shown = _shown(request)
        texts = [argument for argument in request.args if isinstance(argument, str)]
        asked: int | tuple[str, ...] = place
        if model and is_deterministic(request_type, settings):
            task = request.task_name
            whose = (task, configurations.get(task, ""), str(request.doc_id), str(request.idx), *texts)
            asked = (request_type, json.dumps(settings, sort_keys=True, default=str), *(shown or whose))
        option = texts[1] if shown and request_type == "loglikelihood" else ""
        groups.setdefault(asked, {}).setdefault(option, []).append(place)
    return [
        ("" if isinstance(asked, int) else answer_key(model, *asked, *options), list(options.values()))
        for asked, options in groups.items()
    ]


def task_configurations(tasks: Mapping[str, Any]) -> dict[str, str]:
    """Hash the configuration of each task.

    Parameters
    ----------
    tasks : mapping
        lmms-eval's tasks, by name and in groups.
    """
    found: dict[str, str] = {}
    for name, task in tasks.items():
        if isinstance(task, Mapping):
            found |= task_configurations(task)
        elif hasattr(task, "dump_config"):
            configuration = dict(task.dump_config())
            if isinstance(metadata := configuration.get("metadata"), Mapping):
                # How RAS is read changes no response.
                configuration["metadata"] = {key: metadata[key] for key in metadata if key != "ras_reading"}
            written = json.dumps(configuration, sort_keys=True, default=str)
            found[name] = answer_key(_ADDRESS.sub(">", written))
    return found


def in_pieces(questions: Sequence[Sequence[Instance]], size: int) -> Iterator[list[Instance]]:
    """Join whole questions as long as they make no more requests than `size`."""
    piece: list[Instance] = []
    for question in questions:
        if piece and len(piece) + len(question) > size:
            yield piece
            piece = []
        piece = [*piece, *question]
    yield piece


def _shown(request: Instance) -> tuple[str, ...]:
    """Describe the prompt and the picture of a request; empty if the picture does not say what it shows."""
    context, *arguments = request.args
    described = [context]
    for argument in arguments:
        if isinstance(argument, SettingsAndMessages):
            described.append(repr(argument.prompt))
        if isinstance(argument, ConditionedDocId):
            described += [argument.dataset, str(int(argument)), condition_state(argument.condition)]
        elif _knows_itself(argument):
            described += [repr(argument), condition_state(argument.condition)]
    return tuple(described) if len(described) > 2 else ()


@dataclass(frozen=True)
class _DocFinder:
    documents: Documents
    task: str
    split: str
    doc_id: int

    def __call__(self) -> Any:
        return self.documents[self.task][self.split][self.doc_id]


def _knows_itself(doc_to_visual: object) -> TypeGuard[SampleUnderCondition]:
    return hasattr(doc_to_visual, "sample") and hasattr(doc_to_visual, "condition")
