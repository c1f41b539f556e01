"""Group lmms-eval's requests, one for each option, into questions with all their options."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.caching.response_cache import extract_gen_kwargs, is_deterministic

from benchc_metrics.messages import quoted
from benchc_tasks.models.generation.questions import WritingSettings
from benchc_tasks.stacks.answer_cache import group_by_key
from benchc_tasks.stacks.answer_store import answer_key
from benchc_tasks.stacks.inquiries import (
    Inquiry,
    SampleUnderCondition,
    TextInquiry,
    group_by_sight,
    knows_itself,
    picture_state,
)
from benchc_tasks.stacks.lmms_eval.generation_requests import ConditionedDocId, SettingsAndMessages
from benchc_tasks.stacks.pictures import condition_state

__all__ = [
    "group_requests",
    "group_requests_by_key",
    "group_text_requests",
    "in_pieces",
    "inquiry_of",
    "task_configurations",
]

OF_RAS = ("ras_reading", "ras_version")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")

Documents = Mapping[str, Mapping[str, Any]]
"""lmms-eval's `task_dict`: task, then split, then a sequence of docs."""


def _shown_question(request: Instance) -> tuple[str, SampleUnderCondition] | None:
    """Return the prompt and the picture of a loglikelihood request; None if its picture is unknown.

    Requests with equal prompt and picture show the model the same thing, also if different tasks ask them.
    """
    context, _, doc_to_visual, *_ = request.args
    return (context, doc_to_visual) if knows_itself(doc_to_visual) else None


def group_requests(requests: Sequence[Instance], documents: Documents) -> list[Inquiry]:
    """Group loglikelihood requests by the prompt and the picture that the model sees.

    Parameters
    ----------
    requests : sequence of lmms_eval.api.instance.Instance
        Requests with the arguments context, continuation (or a function of the doc), doc_to_visual, doc_id, task,
        split.
    documents : mapping
        lmms-eval's `task_dict`.

    Returns
    -------
    list of Inquiry
        In the order of their first request. Requests with equal pictures, such as the clean picture of a sample in many
        tasks, are in one inquiry.
    """
    return group_by_sight(_sighted(request, documents) for request in requests)


def inquiry_of(request: Instance, documents: Documents) -> Inquiry:
    """Return what one request asks; see `group_requests`."""
    return _sighted(request, documents)[2]()


def _sighted(request: Instance, documents: Documents) -> tuple[object, Any, Callable[[], Inquiry]]:
    context, continuation, doc_to_visual, doc_id, task, split = request.args
    find_doc = _DocFinder(documents, task, split, doc_id)

    def inquiry() -> Inquiry:
        if knows_itself(doc_to_visual):
            return Inquiry.of_picture(context, doc_to_visual, find_doc)
        sample = f"doc {doc_id} of task {quoted(task)}"
        return Inquiry(sample, sample, context, doc_to_visual, find_doc)

    shown = _shown_question(request) or (context, (task, split, doc_id, doc_to_visual))
    return shown, continuation, inquiry


def group_requests_by_key(
    model: str, request_type: str, requests: Sequence[Instance], configurations: Mapping[str, str]
) -> list[tuple[str, list[list[int]]]]:
    """Group requests by the key under which their answers are stored.

    Parameters
    ----------
    model : str
        The model's identity; empty if its answers are not stored.
    request_type : str
        `loglikelihood`, `generate_until`, ...
    requests : sequence of lmms_eval.api.instance.Instance
        Requests of that type.
    configurations : mapping of str to str
        The result of `task_configurations`.

    Returns
    -------
    list of (str, list of (list of int))
        Keys in the order of their first request; a key is empty for randomly sampled answers, which are not stored. For
        each different request under a key, a list has the places of all requests that share its answer. The key of a
        Bench-C request consists of prompt, settings, picture and options, independent of the task; for other requests
        it also has the task and the place.
    """
    return group_by_key(model, (_kept_question(request_type, request, configurations) for request in requests))


def _kept_question(
    request_type: str, request: Instance, configurations: Mapping[str, str]
) -> tuple[tuple[str, ...] | None, str]:
    """Return everything that an answer depends on (None for a randomly sampled answer), and the option."""
    settings = extract_gen_kwargs(request)
    shown = _shown(request)
    texts = [argument for argument in request.args if isinstance(argument, str)]
    option = texts[1] if shown and request_type == "loglikelihood" else ""
    # A vote is sampled at random too, but an old vote is as good as a new one.
    if not is_deterministic(request_type, settings) and _vote_of(request) is None:
        return None, option
    task = request.task_name
    whose = (task, configurations.get(task, ""), str(request.doc_id), str(request.idx), *texts)
    return (request_type, json.dumps(settings, sort_keys=True, default=str), *(shown or whose)), option


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
                # The definition of RAS does not change responses.
                configuration["metadata"] = {key: metadata[key] for key in metadata if key not in OF_RAS}
            written = json.dumps(configuration, sort_keys=True, default=str)
            found[name] = answer_key(_ADDRESS.sub(">", written))
    return found


def in_pieces(questions: Sequence[Sequence[Instance]], size: int) -> Iterator[list[Instance]]:
    """Join whole questions into pieces of at most `size` requests."""
    piece: list[Instance] = []
    for question in questions:
        if piece and len(piece) + len(question) > size:
            yield piece
            piece = []
        piece = [*piece, *question]
    yield piece


def _shown(request: Instance) -> tuple[str, ...]:
    """Describe the prompt and the picture of a request; empty if its picture is unknown."""
    context, *arguments = request.args
    described = [context]
    for argument in arguments:
        if isinstance(argument, SettingsAndMessages):
            described.append(repr(argument.prompt))
            described += [f"seed {argument.seed}"] if argument.seed else []
        if isinstance(argument, ConditionedDocId):
            described += [argument.dataset, str(int(argument)), condition_state(argument.condition)]
            described += [] if argument.vote is None else [f"vote {argument.vote}"]
        elif knows_itself(argument):
            described += picture_state(argument)
    return tuple(described) if len(described) > 2 else ()


def _vote_of(request: Instance) -> int | None:
    return next((each.vote for each in request.args if isinstance(each, ConditionedDocId)), None)


def group_text_requests(requests: Sequence[Instance], documents: Documents) -> list[TextInquiry]:
    """Group requests for texts by the prompt and the picture that the model sees.

    Parameters
    ----------
    requests : sequence of lmms_eval.api.instance.Instance
        Requests with the arguments context, settings, doc_to_visual, doc_id, task and split.
    documents : mapping
        lmms-eval's `task_dict`.

    Returns
    -------
    list of TextInquiry
        In the order of their first request. All votes of a condition are in one inquiry; so are the clean answers of
        tasks that share a dataset.
    """
    inquiries: dict[object, TextInquiry] = {}
    for place, request in enumerate(requests):
        context, settings, doc_to_visual, doc_id, task, split = request.args
        more: dict[str, Any] = {}
        if isinstance(settings, SettingsAndMessages):
            more = {"expects_thinking": settings.expects_thinking, "seed": settings.seed}
        writing = WritingSettings.of_arguments(settings, **more)
        number = 0
        sample = f"doc {doc_id} of task {quoted(task)}"
        name, asked = sample, (context, writing, task, split, int(doc_id))
        if isinstance(doc_id, ConditionedDocId):
            number = doc_id.vote or 0
            sample = f"sample {quoted(documents[task][split][int(doc_id)]['id'])}"
            name = f"{sample} under {doc_id.condition}"
            asked = (context, writing, doc_id.dataset, doc_id.condition, int(doc_id))
        if asked not in inquiries:
            render = partial(_rendered, doc_to_visual, _DocFinder(documents, task, split, doc_id))
            inquiries[asked] = TextInquiry(name, sample, context, render, writing)
        inquiries[asked].add(place, number)
    return list(inquiries.values())


def _rendered(doc_to_visual: Callable[[Any], Any] | None, find_doc: Callable[[], Any]) -> Any:
    return None if doc_to_visual is None else doc_to_visual(find_doc())


@dataclass(frozen=True)
class _DocFinder:
    documents: Documents
    task: str
    split: str
    doc_id: int

    def __call__(self) -> Any:
        return self.documents[self.task][self.split][self.doc_id]
