"""The model `benchc`: lmms-eval's face of the choice scorer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, NoReturn

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm  # type: ignore[import-untyped]

from benchc_tasks.scorers.backends import DEMONSTRATION_MODEL, LoadedModel, load_backend, load_checkpoint
from benchc_tasks.scorers.chat import ChatFormat
from benchc_tasks.scorers.choice import TransformersChoiceScorer
from benchc_tasks.scorers.devices import available_cores, choose_device, choose_dtype, torch_threads
from benchc_tasks.scorers.questions import ChoiceScorer
from benchc_tasks.scorers.rendering import in_batches, map_ahead
from benchc_tasks.scorers.requests import Inquiry, group_requests

__all__ = ["BenchCModel"]

AUTOMATIC_BATCH_SIZE = {"cuda": 16, "cpu": 8}


class BenchCModel(lmms):  # type: ignore[misc]  # lmms-eval is untyped
    """Option log-likelihoods by one forward pass for a sample under a condition.

    Parameters
    ----------
    backend : str, optional
        The lmms-eval model whose model and processor are used. Without it, transformers loads `pretrained`.
    pretrained : str, optional
        Folder or hub id of the checkpoint. Without it and without `backend`, the bundled demonstration model.
    batch_size : int or str
        Conditions in a forward pass; "auto" chooses.
    max_batch_size : int, optional
        The most that "auto" chooses.
    device : str, optional
        CUDA if there, else the CPU.
    dtype : str, optional
        Precision of the weights, or "auto" for the checkpoint's own. float32 on a CPU, else the checkpoint's own.
    system_prompt : str, optional
        A system message, or the path of a file with it.
    enable_thinking : bool, optional
        Handed to the chat template.
    render_threads : int, optional
        Background threads that render images; half of the cores, 8 at most.
    look_ahead : int
        Batches that may wait rendered.
    **arguments
        The backend's; without a backend, those of `benchc_tasks.scorers.backends.load_checkpoint`.

    Raises
    ------
    ValueError
        If an argument names nothing that exists; the message says what and the cure.
    """

    is_simple = True

    def __init__(
        self,
        backend: str | None = None,
        pretrained: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        system_prompt: str | None = None,
        enable_thinking: bool | None = None,
        render_threads: int | None = None,
        look_ahead: int = 3,
        **arguments: Any,
    ) -> None:
        super().__init__()
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self._device = choose_device(device, self.accelerator)
        self._render_threads = _positive("render_threads", render_threads or max(1, min(8, available_cores() // 2)))
        self._look_ahead = _positive("look_ahead", look_ahead)
        loaded = _load(backend, pretrained, arguments, self._device, choose_dtype(dtype, self._device))
        chat = ChatFormat(
            loaded.processor,
            loaded.tokenizer,
            system_prompt=self._resolve_system_prompt(system_prompt),
            template_settings=None if enable_thinking is None else {"enable_thinking": enable_thinking},
        )
        size = _batch_size(batch_size, max_batch_size, self._device)
        self._scorer: ChoiceScorer[Any] | None = TransformersChoiceScorer(loaded.model, chat, size)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self._device

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Score continuations.

        Parameters
        ----------
        requests : sequence of lmms_eval.api.instance.Instance
            See `benchc_tasks.scorers.requests.group_requests`.

        Returns
        -------
        list of (float, bool)
            For each request, in order: its continuation's summed log-likelihood, and whether it is the greedy choice.

        Raises
        ------
        ScoringError
            If an image cannot be rendered or a question cannot be scored; names the sample and the condition.
        """
        scorer = self._working_scorer()
        answers: list[tuple[float, bool]] = [(float("nan"), False)] * len(requests)
        inquiries = group_requests(requests, self.task_dict)
        pictures = map_ahead(
            Inquiry.question,
            inquiries,
            threads=self._render_threads,
            look_ahead=self._look_ahead * scorer.batch_size,
        )
        prepared = map_ahead(
            scorer.prepare, in_batches(pictures, scorer.batch_size), threads=1, look_ahead=self._look_ahead - 1
        )
        bar = tqdm(total=len(inquiries), unit=" conditions", desc="benchc", disable=self.rank != 0)
        with self._spare_cores(), bar, closing(pictures), closing(prepared):
            for batch, ready in zip(in_batches(inquiries, scorer.batch_size), prepared, strict=True):
                for inquiry, scores in zip(batch, scorer.score(ready), strict=True):
                    for place, option in inquiry.places:
                        answers[place] = (scores[option].log_likelihood, scores[option].is_greedy)
                bar.update(len(batch))
        return answers

    def generate_until(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse to generate."""
        raise NotImplementedError(
            "benchc scores options and does not generate: run tasks that generate with the backend itself as --model"
        )

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse to generate."""
        self.generate_until(requests)

    def clean(self) -> None:
        """Give the model's memory back; nothing can be scored afterwards."""
        self._scorer = None
        super().clean()

    def _working_scorer(self) -> ChoiceScorer[Any]:
        if self._scorer is None:
            raise RuntimeError("the benchc model was cleaned up and scores nothing more: build it anew")
        return self._scorer

    def _spare_cores(self) -> AbstractContextManager[None]:
        """Leave the rendering threads their cores while the model computes on the others."""
        on_cpu = self._device.type == "cpu"
        return torch_threads(available_cores() - self._render_threads if on_cpu else torch.get_num_threads())


def _load(
    backend: str | None,
    pretrained: str | None,
    arguments: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype | None,
) -> LoadedModel:
    if backend:
        named = {"pretrained": pretrained} if pretrained else {}
        return load_backend(backend, {**named, **arguments}, device=device, dtype=dtype)
    return load_checkpoint(str(pretrained or DEMONSTRATION_MODEL), arguments, device=device, dtype=dtype)


def _batch_size(wanted: int | str, limit: int | None, device: torch.device) -> int:
    if str(wanted).startswith("auto"):
        size = AUTOMATIC_BATCH_SIZE.get(device.type, 1)
        return min(size, int(limit)) if limit else size
    try:
        return _positive("batch_size", int(wanted))
    except (TypeError, ValueError) as fault:
        raise ValueError(f"batch_size is {wanted!r}: give a number of 1 or more, or auto") from fault


def _positive(name: str, number: int) -> int:
    if number < 1:
        raise ValueError(f"{name} is {number}: give a number of 1 or more")
    return int(number)
