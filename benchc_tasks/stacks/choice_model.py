"""`ChoiceModel`: what the model `benchc` of every stack does; a stack adds its own class and its own requests."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Any, TypeAlias, TypeVar

import torch
from accelerate import Accelerator
from loguru import logger

from benchc_metrics.messages import quoted
from benchc_metrics.responses import NO_ANSWER, NO_TEXT
from benchc_tasks.models.choice import TransformersChoiceScorer
from benchc_tasks.models.costs import Limits, Prices
from benchc_tasks.models.devices import available_cores, choose_device, torch_threads
from benchc_tasks.models.engines import EngineSettings
from benchc_tasks.models.generation.engines import generator_of
from benchc_tasks.models.generation.pipeline import generate_ahead
from benchc_tasks.models.generation.questions import TextGenerator, TextOutcome
from benchc_tasks.models.ordering import side_by_side
from benchc_tasks.models.pipeline import score_ahead, within_limits
from benchc_tasks.models.prefixes import PrefixSharingScorer
from benchc_tasks.models.processes import fail_together, is_one_in_place_of_several
from benchc_tasks.models.questions import ChoiceScorer, EngineError, NoProbabilitiesError, Outcome, ScoringError
from benchc_tasks.models.thinking import check_think
from benchc_tasks.restoration import find_restorer
from benchc_tasks.stacks.common import AnsweringModel, text_of
from benchc_tasks.stacks.inquiries import Inquiry, TextInquiry, name_pixels
from benchc_tasks.stacks.progress import HEARTBEAT_SECONDS, Progress
from benchc_tasks.stacks.waiting import waiting_for

__all__ = ["Answer", "ChoiceModel"]

ONE_PROCESS = (
    "accelerate launch --cpu starts a single process, however many it is asked for: this run is one process. "
    "For several on a CPU use torchrun --nproc_per_node, or accelerate launch --multi_gpu, which need no GPU here."
)

Answered = TypeVar("Answered")
Loaded = TypeVar("Loaded")
Request = TypeVar("Request")

Answer: TypeAlias = "tuple[float, bool] | tuple[float, bool, float] | str"
"""An `OptionResponse` as the plain pair that a stack's method promises, with the missing mass third where there is
one; or, where there is no response, `NO_ANSWER` and why."""


class ChoiceModel:
    """Option log-likelihoods by one forward pass for a sample under a condition.

    Parameters
    ----------
    build : callable
        Builds the scorer; see `benchc_tasks.models.engines.build_scorer`.
    build_generator : callable, optional
        Builds what writes texts where that is not the scorer's own model; returns None where it is.
    backend : str, optional
        The engine, by the stack's name. Without it, transformers loads `pretrained`.
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
    restore : str, optional
        What is done to every picture before the model sees it: a name in `benchc_tasks.restoration.RESTORERS`, or
        `module:function`.
    share_prefix : bool
        Read a picture once for all questions about it; see `benchc_tasks.models.prefixes`.
    think : "skip", optional
        Keep a model that thinks from thinking before it answers, see `benchc_tasks.models.thinking`.
    render_threads : int, optional
        Background threads that render images; half of the cores, 8 at most.
    look_ahead : int
        Batches that may wait rendered.
    heartbeat : float
        Seconds between two lines in the log that say how far the run is, where there is no terminal.
    max_passes : int, optional
        Stop after so many forward passes; the same command goes on from the answers that `--use_cache` keeps.
    budget : float, optional
        Stop before more than this is spent, in the currency of the prices.
    price_input, price_output : float
        Price of a million tokens that the model reads and writes, of a served model.
    **arguments
        The backend's; without a backend, those of `benchc_tasks.models.loading.load_checkpoint`.

    Attributes
    ----------
    accelerator : accelerate.Accelerator
        Knows the processes of the run.
    answering : AnsweringModel
        What the model says of itself.

    Raises
    ------
    ValueError
        If an argument names nothing that exists; the message says what and the cure.
    EngineError
        If the engine can answer nothing.
    """

    def __init__(
        self,
        build: Callable[[EngineSettings], ChoiceScorer[Any]],
        build_generator: Callable[[EngineSettings], TextGenerator[Any] | None] | None = None,
        *,
        backend: str | None = None,
        pretrained: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        system_prompt: str | None = None,
        enable_thinking: bool | None = None,
        restore: str | None = None,
        share_prefix: bool = False,
        think: str | None = None,
        render_threads: int | None = None,
        look_ahead: int = 3,
        heartbeat: float = HEARTBEAT_SECONDS,
        max_passes: int | None = None,
        budget: float | None = None,
        price_input: float = 0.0,
        price_output: float = 0.0,
        **arguments: Any,
    ) -> None:
        self.accelerator = Accelerator()
        if is_one_in_place_of_several(os.environ):
            logger.warning(ONE_PROCESS)
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self._device = choose_device(device, self.accelerator)
        threads = max(1, min(8, available_cores() // 2)) if render_threads is None else render_threads
        self._render_threads = _positive("render_threads", threads)
        self._look_ahead = _positive("look_ahead", look_ahead)
        if not isinstance(heartbeat, (int, float)) or heartbeat <= 0:
            raise ValueError(f"heartbeat is {quoted(heartbeat)}: give a number of seconds above 0")
        self._heartbeat = heartbeat
        self._prices = Prices(price_input, price_output)
        self._limits = Limits(max_passes, budget, self._prices).share(self._world_size)
        self._passes_made = 0
        self._restorer = find_restorer(restore) if restore else None
        system = text_of(system_prompt)
        settings = None if enable_thinking is None else {"enable_thinking": enable_thinking}
        check_think(think)
        if not isinstance(share_prefix, bool):
            raise ValueError(f"share_prefix is {quoted(share_prefix)}: give True or False")
        self._settings = EngineSettings(
            backend=backend,
            pretrained=pretrained,
            arguments=arguments,
            device=self._device,
            dtype=dtype,
            batch_size=batch_size,
            max_batch_size=max_batch_size,
            system_prompt=system,
            template_settings=settings,
            skips_thinking=think is not None,
            shares_prefixes=share_prefix,
        )
        self._scorer: ChoiceScorer[Any] | None = None
        self._generator: TextGenerator[Any] | None = None
        self._refusal: EngineError | None = None
        try:
            self._scorer = self._load(build)
        except NoProbabilitiesError as fault:
            # It can still write, which only the tasks tell.
            self._refusal = fault
            self._generator = self._load(build_generator) if build_generator is not None else None
            if self._generator is None:
                raise
        engine = self._scorer or self._generator
        self.answering = AnsweringModel(
            getattr(engine, "answered_by", None),
            system,
            settings,
            restoration=restore or None,
            thinking=getattr(engine, "thinking", None),
            draws_by_seed=isinstance(engine, (TransformersChoiceScorer, PrefixSharingScorer)),
        )
        self._build_generator = build_generator

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self._device

    @property
    def scorer(self) -> ChoiceScorer[Any]:
        """The scorer of the questions.

        Raises
        ------
        RuntimeError
            If the model was cleaned up.
        EngineError
            If it can write, but not score options.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._scorer is None:
            raise RuntimeError("the benchc model was cleaned up and scores nothing more: build it anew")
        return self._scorer

    @property
    def fingerprint(self) -> str:
        """What the answers depend on beside the model's arguments; see `ChoiceScorer`."""
        engine: Any = self._generator if self._refusal is not None else self.scorer
        fingerprint = str(engine.fingerprint)
        return fingerprint if self._restorer is None else f"{fingerprint} restored by {self._restorer.state}"

    @property
    def generator(self) -> TextGenerator[Any]:
        """What writes texts, with the model of the scorer."""
        if self._generator is None and self._build_generator is not None:
            self._generator = self._load(self._build_generator)
        if self._generator is None:
            self._generator = generator_of(self.scorer)
        return self._generator

    def _load(self, build: Callable[[EngineSettings], Loaded]) -> Loaded:
        """Build what scores or writes, and say so as long as it takes."""
        with waiting_for(_loading(self._settings.pretrained, self._settings.backend)):
            return build(self._settings)

    def wanted_order(self, requests: Sequence[Request], inquiry_of: Callable[[Request], Inquiry]) -> Sequence[int]:
        """Return the places of requests in the order in which they are scored: those about one picture together.

        Parameters
        ----------
        requests : sequence
            Of a stack, each for another question.
        inquiry_of : callable
            Returns the inquiry of a request.
        """
        if not self._settings.shares_prefixes:
            return range(len(requests))
        inquiries = list(map(inquiry_of, requests))
        name_pixels(inquiries)
        place_of = {id(inquiry): place for place, inquiry in enumerate(inquiries)}
        units = side_by_side(inquiries, self.scorer.batch_size)
        return [place_of[id(inquiry)] for unit in units for inquiry in unit]

    def stream_texts(self, inquiries: Sequence[TextInquiry], tasks: Sequence[str]) -> Generator[str, None, None]:
        """Write texts and give the one of each request as soon as it and those before it are there.

        Parameters
        ----------
        inquiries : sequence of TextInquiry
            Their places number the requests through.
        tasks : sequence of str
            The task of each request.

        Yields
        ------
        str
            One for each request, in order; `NO_TEXT` and the reason where there is none.

        Raises
        ------
        EngineError
            If the engine answers nothing more.
        StoppedError
            If the limit of the run is reached.
        """
        if not tasks:
            return
        generator = self.generator
        yield from self._stream_in_order(
            inquiries,
            tasks,
            generator,
            partial(generate_ahead, generator=generator, threads=self._render_threads, look_ahead=self._look_ahead),
            _text,
            pictures=len(inquiries),
        )

    def stream_answers(self, inquiries: Sequence[Inquiry], tasks: Sequence[str]) -> Generator[Answer, None, None]:
        """Score inquiries and give the answer to each request as soon as it and those before it are there.

        Parameters
        ----------
        inquiries : sequence of Inquiry
            Their places number the requests through.
        tasks : sequence of str
            The task of each request.

        Yields
        ------
        Answer
            One for each request, in order. A question that cannot be answered leaves the others alone.

        Raises
        ------
        EngineError
            If the engine answers nothing more.
        StoppedError
            If the limit of the run is reached.
        """
        scorer = self.scorer
        if not tasks:
            return
        if self._settings.shares_prefixes:
            name_pixels(inquiries)
        yield from self._stream_in_order(
            inquiries,
            tasks,
            scorer,
            partial(score_ahead, scorer=scorer, threads=self._render_threads, look_ahead=self._look_ahead),
            _answer,
            pictures=sum(inquiry.doc_to_visual is not None for inquiry in inquiries),
        )

    def _stream_in_order(
        self,
        inquiries: Sequence[Any],
        tasks: Sequence[str],
        engine: Any,
        ask: Callable[[Sequence[Any]], Generator[list[tuple[Any, Any]], None, None]],
        answer_of: Callable[[Any, int], Answered],
        *,
        pictures: int,
    ) -> Generator[Answered, None, None]:
        """Ask batch by batch within the run's limits, and give the answers in the order of their requests."""
        for inquiry in inquiries:
            inquiry.restore = self._restorer
        progress = Progress(
            tasks,
            len(inquiries),
            rank=self._rank,
            world_size=self._world_size,
            heartbeat=self._heartbeat,
            samples=len({inquiry.sample for inquiry in inquiries}),
            pictures=pictures,
            usage=getattr(engine, "usage", None),
            prices=self._prices,
        )
        batches = within_limits(self._limits, inquiries, engine, ask, self._passes_made)
        waiting: dict[int, Answered] = {}
        following = 0
        with fail_together(), progress, closing(batches):
            while following < len(tasks):
                with self._spare_cores(), progress.waiting_for_the_first():
                    batch = next(batches)
                self._passes_made += len(batch)
                progress.update(batch)
                for inquiry, outcome in batch:
                    waiting.update((place, answer_of(outcome, number)) for place, number in inquiry.places)
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1

    def refuse_limits(self) -> None:
        """Refuse a limit at which the run is to stop, where nothing is kept.

        Raises
        ------
        ValueError
            If there is one.
        """
        if self._limits.are_given:
            raise ValueError(
                "max_passes and budget stop a run that goes on later, and without a cache nothing is kept for that: "
                "add --use_cache DIR"
            )

    def release(self) -> None:
        """Give the model's memory back; nothing can be scored afterwards."""
        self._scorer = self._generator = None

    def _spare_cores(self) -> AbstractContextManager[None]:
        """Leave the rendering threads their cores while the model computes on the others."""
        on_cpu = self._device.type == "cpu"
        return torch_threads(available_cores() - self._render_threads if on_cpu else torch.get_num_threads())


def _loading(pretrained: str | None, backend: str | None) -> str:
    what = f"loading {quoted(pretrained)}" if pretrained else "loading the bundled demonstration model"
    return f"{what} by backend {quoted(backend)}" if backend else what


def _text(outcome: TextOutcome, number: int) -> str:
    return f"{NO_TEXT}{outcome}" if isinstance(outcome, ScoringError) else outcome[number]


def _answer(outcome: Outcome, option: int) -> Answer:
    if isinstance(outcome, ScoringError):
        return f"{NO_ANSWER}{outcome}"
    value, is_greedy, missing_mass = outcome[option]
    return (value, is_greedy) if missing_mass is None else (value, is_greedy, missing_mass)


def _positive(name: str, number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{name} is {quoted(number)}: give a number of 1 or more")
    return number
