"""The option log-likelihoods of a model that vLLM runs in this process."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from multiprocessing import active_children
from threading import Thread
from typing import Any, TypeAlias, TypeVar

from loguru import logger

from benchc_metrics.messages import quoted
from benchc_tasks.models.chat import ChatFormat
from benchc_tasks.models.checkpoints import checkpoint_state, library_versions
from benchc_tasks.models.costs import Usage
from benchc_tasks.models.questions import EngineError, Outcome, Question, ScoringError, describe
from benchc_tasks.models.sight import contrast
from benchc_tasks.models.visible_tokens import only_token, score_visible_options

__all__ = ["BATCH_SIZE", "EngineStarter", "PreparedQuestion", "StartedEngine", "VllmChoiceScorer", "start_engine"]

EngineStarter: TypeAlias = "Callable[[str, Mapping[str, Any]], tuple[Any, str | None]]"
"""Starts vLLM with a model and settings; returns its `LLM`, and the chat template that the settings name, if any."""

Answered = TypeVar("Answered")

BATCH_SIZE = 64
"""Questions that the engine is given at once where the user leaves it to benchc."""

WITHOUT_EFFECT = ("max_pixels", "min_pixels", "min_image_pixels")
SECONDS_BETWEEN_LOOKS = 1.0
LOOKED_AT = 4
"""Questions of the first ones that are asked again with other pictures."""
SAME_NATS = 1e-2
"""The largest difference of an option's log-probability, in nats, that asking again makes in half precision."""
ENGINE_DIED = (
    "vLLM's engine has died, and the lines of EngineCore and Worker above say why, unless the system killed it for "
    "want of memory: run again with the same --use_cache, and the answers that it keeps are not asked for again"
)
LENGTH_LIMIT = re.compile(r"max\w*[ _](context|model)[ _]len", re.IGNORECASE)


@dataclass(frozen=True)
class StartedEngine:
    """An engine that is ready, and what writes its prompts.

    Attributes
    ----------
    client : vllm.LLM
        The engine.
    processor : transformers.ProcessorMixin
        The checkpoint's processor. The engine has one of its own, which its threads use.
    chat_template : str or None
        The template that the user named in place of the checkpoint's.
    """

    client: Any
    processor: Any
    chat_template: str | None


def start_engine(model: str, arguments: Mapping[str, Any], start: EngineStarter, *, dtype: str | None) -> StartedEngine:
    """Start vLLM.

    Parameters
    ----------
    model : str
        A folder or a hub id.
    arguments : mapping
        Arguments of `start` and of vLLM's engine: `tensor_parallel_size`, `gpu_memory_utilization`, `max_model_len`,
        `enforce_eager`, ...
    start : callable
        Starts it.
    dtype : str or None
        Precision of the weights, or "auto" for the checkpoint's own; None for float32 where vLLM runs on a CPU, else
        the checkpoint's own.

    Raises
    ------
    ValueError
        If vLLM is not installed, does not start, or the model takes no images; the message says what and the cure.
    """
    _refuse_what_would_change_scores(arguments)
    device = _device_type()
    settings = {"dtype": dtype or ("float32" if device == "cpu" else "auto"), **arguments}
    try:
        client, chat_template = start(model, settings)
    # It may fail in any way; its arguments are named without their values.
    except Exception as fault:
        raise ValueError(
            f"vLLM could not start model {quoted(model)} with {', '.join(sorted(settings))}: {_reason(fault)}"
        ) from fault
    _refuse_without_images(client.model_config)
    return StartedEngine(client, _load_processor(model, arguments), chat_template)


@dataclass(frozen=True)
class PreparedQuestion:
    """A question as the engine reads it.

    Attributes
    ----------
    question : Question
        The question.
    prompt : mapping
        vLLM's tokens of the prompt, and its images.
    tokens : tuple of int
        The token of each option.
    sampling : vllm.SamplingParams
        Asks for one token and its log-probabilities.
    """

    question: Question
    prompt: Mapping[str, Any]
    tokens: tuple[int, ...]
    sampling: Any


class VllmChoiceScorer:
    """Scores options with a vLLM engine in this process, from the log-probabilities of one generated token.

    The prompt is written by `ChatFormat`, as for a transformers model, and handed over as tokens: vLLM's own chat
    interface would render it by rules of its own, and would tokenise a prompt that is given as text with a second
    beginning where the template wrote one.

    Parameters
    ----------
    engine : vllm.LLM
        The engine.
    chat : ChatFormat
        Its model's chat format.
    batch_size : int
        How many questions the engine is given at once.
    top : int or None
        How many of its most probable tokens the engine is to show. None asks it for the very tokens of the options
        where the installed vLLM can be asked, else for as many as it shows.
    """

    def __init__(self, engine: Any, chat: ChatFormat, batch_size: int = BATCH_SIZE, *, top: int | None = None) -> None:
        self.batch_size = batch_size
        self.usage = Usage()
        self._engine = engine
        self._chat = chat
        self._top = _most_shown(engine) if top is None and not _tokens_can_be_asked_for() else top
        self._has_looked = False
        self._processes = [process for process in active_children() if "EngineCore" in process.name]

    @property
    def thinking(self) -> str | None:
        """How thinking is skipped; None where it is not."""
        return self._chat.thinking

    @property
    def chat(self) -> ChatFormat:
        """The chat format."""
        return self._chat

    @property
    def fingerprint(self) -> str:
        """The checkpoint's files, the versions of the libraries, precision and device in force, and the chat format."""
        import vllm

        config = self._engine.model_config
        parts = (
            f"vllm {vllm.__version__}",
            checkpoint_state(str(config.model), getattr(config.hf_config, "_commit_hash", None)),
            str(config.dtype),
            _device_type(),
            "options" if self._top is None else f"top {self._top}",
            self._chat.fingerprint,
            library_versions("torch", "transformers"),
        )
        return " ".join(parts)

    def prepare(self, questions: Sequence[Question]) -> list[PreparedQuestion | ScoringError]:
        """Write and tokenise prompts and options; safe beside `score` in another thread."""
        return list(map(self._prepare, questions))

    def score(self, prepared: Sequence[PreparedQuestion | ScoringError]) -> list[Outcome]:
        """Hand the questions to the engine, all at once.

        A batch that it refuses is halved until the question is found that it refuses.

        Raises
        ------
        EngineError
            If the engine's process has died, or the first pictures make no difference to the model.
        """
        ready = [one for one in prepared if isinstance(one, PreparedQuestion)]
        answered = self.ask(ready, self._outcome) if ready else []
        self._look(ready, answered)
        outcomes = iter(answered)
        return [next(outcomes) if isinstance(one, PreparedQuestion) else one for one in prepared]

    def _prepare(self, question: Question) -> PreparedQuestion | ScoringError:
        try:
            return self._prepared(question)
        except ScoringError as fault:
            return fault
        except Exception as fault:
            return ScoringError(f"{question.name}: the prompt could not be written ({describe(fault)})")

    def _prepared(self, question: Question) -> PreparedQuestion:
        from vllm import SamplingParams

        prompt = self.prompt_of(question)
        text = self._chat.prompt(question.context, len(question.images))
        tokens = tuple(
            only_token(question, option, self._chat.option_tokens(text, option)) for option in question.options
        )
        wanted = {"logprob_token_ids": sorted(set(tokens))} if self._top is None else {"logprobs": self._top}
        return PreparedQuestion(
            question, prompt, tokens, SamplingParams(max_tokens=1, temperature=0.0, detokenize=False, **wanted)
        )

    def prompt_of(self, question: Question) -> dict[str, Any]:
        """Write and tokenise the prompt of a question, with its images beside it.

        Raises
        ------
        ScoringError
            If the question's text cannot be asked.
        """
        # vLLM would leave a placeholder too many as it is, and answer.
        if problem := self._chat.problem(question.context):
            raise ScoringError(f"{question.name}: {problem}")
        text = self._chat.prompt(question.context, len(question.images))
        prompt: dict[str, Any] = {"prompt_token_ids": self._chat.prompt_tokens(text)}
        if question.images:
            prompt["multi_modal_data"] = {"image": list(question.images)}
        return prompt

    def ask(
        self, ready: Sequence[PreparedQuestion], read: Callable[[PreparedQuestion, Any], Answered | ScoringError]
    ) -> list[Answered | ScoringError]:
        """Hand questions to the engine and read its outputs; what it refuses is found by halves.

        Raises
        ------
        EngineError
            If the engine's process has died.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            outputs = self._generate(ready)
        except EngineDeadError as fault:
            raise EngineError(ENGINE_DIED) from fault
        except EngineError:
            raise
        except Exception as fault:
            if len(ready) == 1:
                return [_refusal(ready[0].question, fault)]
        else:
            return [read(one, output) for one, output in zip(ready, outputs, strict=True)]
        middle = len(ready) // 2
        return [*self.ask(ready[:middle], read), *self.ask(ready[middle:], read)]

    def _look(self, asked: Sequence[PreparedQuestion], answered: Sequence[Outcome]) -> None:
        """Refuse a model to which the first pictures make no difference."""
        pairs = [
            (one.question, outcome)
            for one, outcome in zip(asked, answered, strict=True)
            if one.question.images and not isinstance(outcome, ScoringError)
        ][:LOOKED_AT]
        if self._has_looked or not pairs:
            return
        self._has_looked = True
        others = [replace(question, images=tuple(map(contrast, question.images))) for question, _ in pairs]
        ready = [one for one in map(self._prepare, others) if isinstance(one, PreparedQuestion)]
        there = self.ask(ready, self._outcome) if len(ready) == len(others) else []
        if any(isinstance(outcome, ScoringError) for outcome in there) or not there:
            logger.warning("it could not be tried whether the model looks at pictures")
            return
        differences = [
            abs(one.value - other.value)
            for (_, here), elsewhere in zip(pairs, there, strict=True)
            for one, other in zip(here, elsewhere, strict=True)  # type: ignore[arg-type]
            if one.value > -math.inf and other.value > -math.inf
        ]
        if differences and max(differences) <= SAME_NATS:
            raise EngineError(
                f"model {quoted(self._engine.model_config.model)} answers the same in vLLM whatever its "
                "pictures show: name a checkpoint with the image processor that belongs to it"
            )

    def _generate(self, ready: Sequence[PreparedQuestion]) -> Sequence[Any]:
        """Wait for the engine's answer, but no longer than its process lives.

        vLLM 0.32 waits for ever for the answer of a process that was killed, as one is that takes too much memory.
        """
        answer: Future[Sequence[Any]] = Future()

        def ask() -> None:
            try:
                prompts, sampling = [dict(one.prompt) for one in ready], [one.sampling for one in ready]
                answer.set_result(self._engine.generate(prompts, sampling, use_tqdm=False))
            except BaseException as fault:
                answer.set_exception(fault)

        # A daemon, which the end of this process doesn't wait for.
        Thread(target=ask, name="benchc-vllm", daemon=True).start()
        while not wait([answer], timeout=SECONDS_BETWEEN_LOOKS).done:
            if not all(process.is_alive() for process in self._processes):
                raise EngineError(ENGINE_DIED)
        return answer.result()

    def _outcome(self, asked: PreparedQuestion, output: Any) -> Outcome:
        (generated,) = output.outputs
        # Of a picture the engine has as many tokens as the model reads, where the prompt has one.
        self.usage.add(len(getattr(output, "prompt_token_ids", None) or asked.prompt["prompt_token_ids"]), 1)
        shown = generated.logprobs[0] if generated.logprobs else {}
        try:
            return score_visible_options(
                asked.question,
                asked.tokens,
                [(token, entry.logprob) for token, entry in shown.items()],
                asked_for_by_name=self._top is None,
            )
        except ScoringError as fault:
            return fault


def _refusal(question: Question, fault: Exception) -> ScoringError:
    reason = describe(fault)
    cure = ": give a larger max_model_len" if LENGTH_LIMIT.search(reason) else ""
    return ScoringError(f"{question.name}: vLLM refused the question ({reason}){cure}")


def _device_type() -> str:
    """Import vLLM and return the type of the device that it runs on."""
    try:
        from vllm.platforms import current_platform
    except ImportError as fault:
        raise ValueError(
            f"backend 'vllm' needs {fault.name or 'a package'}, which is not installed: pip install vllm"
        ) from fault
    return str(current_platform.device_type)


def _refuse_what_would_change_scores(arguments: Mapping[str, Any]) -> None:
    mode = arguments.get("logprobs_mode", "raw_logprobs")
    if mode != "raw_logprobs":
        raise ValueError(
            f"logprobs_mode is {quoted(mode)}, and benchc needs the model's own log-probabilities: leave it out"
        )
    for name in WITHOUT_EFFECT:
        if name in arguments:
            raise ValueError(
                f"argument {quoted(name)} has no effect on images in vLLM: give mm_processor_kwargs, a "
                "JSON object with it"
            )


def _most_shown(engine: Any) -> int:
    config = engine.model_config
    return int(config.max_logprobs if config.max_logprobs >= 0 else config.get_vocab_size())


def _refuse_without_images(config: Any) -> None:
    if not config.is_multimodal_model:
        raise ValueError(f"model {quoted(config.model)} takes no images in vLLM: name a vision-language model")


def _tokens_can_be_asked_for() -> bool:
    from vllm import SamplingParams

    return "logprob_token_ids" in inspect.signature(SamplingParams).parameters


def _load_processor(model: str, arguments: Mapping[str, Any]) -> Any:
    from transformers import AutoProcessor

    names = ("revision", "trust_remote_code")
    try:
        # lmms-eval's class trusts remote code unless an argument forbids it.
        settings = {"trust_remote_code": True, **{name: arguments[name] for name in names if name in arguments}}
        return AutoProcessor.from_pretrained(model, **settings)
    except Exception as fault:
        raise ValueError(f"the processor of model {quoted(model)} could not be loaded: {_reason(fault)}") from fault


def _reason(fault: BaseException) -> str:
    """Say in a line why something failed."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()] or [""]
    if "Engine core initialization failed" in lines[0]:
        return "its process failed, and the lines of EngineCore and Worker above say why"
    # pydantic counts the errors in its first line, and names the first of them in the lines behind.
    found = next((line for line in lines if line.startswith("Value error, ")), lines[0])
    return f"{type(fault).__name__}: {found.removeprefix('Value error, ')}"
