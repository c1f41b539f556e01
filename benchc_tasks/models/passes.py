"""Forward passes of a transformers model, prepared as the model's own generation prepares them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers.generation import utils as generation

__all__ = ["Prefix", "Reader", "Steps", "Tokens", "WholeSequence", "log_softmax"]

Tokens = tuple[int, ...]

TRAINING_INPUTS = frozenset(("labels",))
"""What some processors, such as PaliGemma's, return for training; a model that gets it computes a loss."""
PICTURE_INPUTS = frozenset(("pixel_values", *getattr(generation, "MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL", ())))
"""What generation gives to the first pass only: the cache holds what came of it."""
ROW_LAST_BUT_ONE = frozenset(("position_ids",))
"""Inputs with their rows in the last dimension but one: images may take several axes of positions."""


@dataclass(frozen=True)
class Prefix:
    """The outcome of one forward pass over N prompts.

    Attributes
    ----------
    log_probabilities : torch.Tensor
        Of the next token, (N, vocabulary), float64.
    input_ids : torch.Tensor
        Tokens of the prompts, (N, length).
    arguments : mapping
        The other inputs of generation, as they were before the pass.
    output : transformers.utils.ModelOutput
        What the model returned, with the cache of the N prompts where it is needed again.
    """

    log_probabilities: torch.Tensor
    input_ids: torch.Tensor
    arguments: Mapping[str, Any]
    output: Any


@dataclass(frozen=True)
class WholeSequence:
    """An option read behind its prompt in one pass without a cache.

    Attributes
    ----------
    log_probabilities : torch.Tensor
        Of each token of the option, (T,), float64.
    greedy : torch.Tensor
        Whether each is the most probable one, (T,), bool.
    rounding : float
        The distance of neighbouring numbers in the model's precision, at its largest logit.
    """

    log_probabilities: torch.Tensor
    greedy: torch.Tensor
    rounding: float


@dataclass
class Steps:
    """Texts that are being written, R of them.

    Attributes
    ----------
    input_ids : torch.Tensor
        Tokens so far, (R, length).
    arguments : dict
        The other inputs of generation, the cache with them.
    """

    input_ids: torch.Tensor
    arguments: dict[str, Any]


class Reader:
    """Reads prompts, and options behind them, with one model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A model with a language-model head, in evaluation mode.

    Notes
    -----
    Inputs take the way that they take in `transformers.GenerationMixin.generate`: positions are counted by
    `_prepare_position_ids_for_generation`, each pass gets what `prepare_inputs_for_generation` returns, and tokens are
    added by `_update_model_kwargs_for_generation`. So a model that does something of its own there is read as it
    generates.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        forward = inspect.signature(model.forward).parameters
        self._prepare = _preparing(model)
        prepare = inspect.signature(self._prepare).parameters
        base = inspect.signature(generation.GenerationMixin.prepare_inputs_for_generation).parameters
        self._takes = frozenset(forward) | frozenset(prepare)
        self._takes_anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in forward.values())
        self._counts_positions = "position_ids" in forward
        self._keeps_logits = "logits_to_keep" in forward
        update = generation.GenerationMixin._update_model_kwargs_for_generation
        self._adds_several = type(model)._update_model_kwargs_for_generation is update
        self._cache = "cache" if "cache" in base else "past_key_values"  # transformers renamed it in 5.2x
        self._copying: Any = torch.cuda.Stream(model.device) if model.device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, inputs: Any) -> Any:
        """Copy a batch of prompts to a GPU beside the pass that runs there; safe in several threads.

        Parameters
        ----------
        inputs : transformers.BatchFeature
            What the processor returned.

        Returns
        -------
        transformers.BatchFeature
            On the model's device and in its precision. On the CPU as they were, where the model is there, or where its
            device has no memory left: the pass will tell.
        """
        if self._copying is None:
            return inputs
        device = self._model.device
        try:
            with torch.cuda.stream(self._copying):
                inputs = inputs.to(device, dtype=self._model.dtype)
            self._copying.synchronize()
        except torch.OutOfMemoryError:
            return inputs
        for value in inputs.values():
            if isinstance(value, torch.Tensor) and value.is_cuda:
                # Else its memory could be given to the next batch while a pass still reads it.
                value.record_stream(torch.cuda.default_stream(device))
        return inputs

    def read_prompts(self, inputs: Any, *, keep_cache: bool, count_positions: bool = True) -> Prefix:
        """Read a batch of prompts in one pass.

        Parameters
        ----------
        inputs : transformers.BatchFeature
            What the processor returned, padded on the left, N rows.
        keep_cache : bool
            Whether `read_tails` will continue from here.
        count_positions : bool
            Count positions as generation does: padding is skipped. Else the model counts for itself, which is right
            for one row without padding.
        """
        inputs = inputs.to(self._model.device, dtype=self._model.dtype)
        arguments = {name: value for name, value in inputs.items() if self._wants(name)}
        input_ids = arguments.pop("input_ids")
        if count_positions and self._counts_positions:
            arguments["position_ids"] = self._model._prepare_position_ids_for_generation(
                input_ids, {"input_ids": input_ids, **arguments}
            )
        arguments["use_cache"] = keep_cache
        output = self._pass(input_ids, arguments, is_first_iteration=True, keep=1)
        log_probabilities = log_softmax(_logits(output)[:, -1]).to(input_ids.device)
        return Prefix(log_probabilities, input_ids, arguments, output)

    def read_tails(
        self, prefix: Prefix, rows: Sequence[int], options: Sequence[Tokens]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Continue prompts by the tokens of options but the first, from the prompts' cache.

        Parameters
        ----------
        prefix : Prefix
            The prompts, with their cache.
        rows : sequence of int
            The prompt of each of R options.
        options : sequence of tuple of int
            Their tokens, two or more each.

        Returns
        -------
        totals : torch.Tensor
            Summed log-likelihoods of the tokens behind the first, (R,), float64.
        greedy : torch.Tensor
            Whether all of them are the most probable ones, (R,), bool.
        """
        device = prefix.input_ids.device
        length = max(map(len, options)) - 1
        # Behind the end of a shorter option stands token 0: causal attention keeps it from all that is read.
        tokens = torch.zeros(len(options), length + 1, dtype=torch.long, device=device)
        is_read = torch.zeros(len(options), length, dtype=torch.bool, device=device)
        for number, option in enumerate(options):
            tokens[number, : len(option)] = torch.tensor(option, device=device)
            is_read[number, : len(option) - 1] = True
        input_ids, arguments = self._behind(prefix, rows, length)
        sequences = torch.cat([input_ids, tokens[:, :-1]], dim=1)
        output = self._pass(sequences, arguments, next_sequence_length=length)
        log_probabilities = log_softmax(_logits(output)[:, -length:]).to(device)
        targets = tokens[:, 1:]
        read = log_probabilities.gather(-1, targets[..., None])[..., 0]
        greedy = (log_probabilities.argmax(-1) == targets) | ~is_read
        return torch.where(is_read, read, 0.0).sum(-1), greedy.all(-1)

    def read_rests(self, prefix: Prefix, rows: Sequence[int], rests: Sequence[Tokens]) -> torch.Tensor:
        """Read the rests of prompts behind their beginnings, from the beginnings' cache.

        Parameters
        ----------
        prefix : Prefix
            The beginnings, with their cache.
        rows : sequence of int
            The beginning of each of R prompts.
        rests : sequence of tuple of int
            The tokens behind it, one or more each.

        Returns
        -------
        torch.Tensor
            Log-probabilities of the next token, (R, vocabulary), float64.
        """
        device = prefix.input_ids.device
        length = max(map(len, rests))
        # Padded on the right: causal attention keeps it from all that is read.
        tokens = torch.tensor([[*rest, *[0] * (length - len(rest))] for rest in rests], device=device)
        ends = [len(rest) - 1 for rest in rests]
        kept = sorted(set(ends))
        input_ids, arguments = self._behind(prefix, rows, length)
        sequences = torch.cat([input_ids, tokens], dim=1)
        keep = torch.tensor(kept, device=device)
        logits = _logits(self._pass(sequences, arguments, keep=keep, next_sequence_length=length))
        # A model that cannot leave logits out returns those of all positions.
        places = [kept.index(end) for end in ends] if logits.shape[1] == len(kept) else ends
        return log_softmax(logits[range(len(rests)), places]).to(device)

    def branch(self, prefix: Prefix, rows: Sequence[int]) -> Steps:
        """Begin to write behind prompts, as often behind each as `rows` names it; the prompts are not read again."""
        return Steps(*self._behind(prefix, rows, 1))

    def step(self, steps: Steps, tokens: torch.Tensor) -> torch.Tensor:
        """Add one token to each sequence; return the log-probabilities of the next, (R, vocabulary), float64."""
        added = tokens.to(steps.input_ids.device)[:, None]
        steps.input_ids = torch.cat([steps.input_ids, added], dim=1)
        output = self._pass(steps.input_ids, steps.arguments, next_sequence_length=1)
        steps.arguments = self._model._update_model_kwargs_for_generation(
            output, steps.arguments, is_encoder_decoder=False
        )
        return log_softmax(_logits(output)[:, -1]).to(steps.input_ids.device)

    def read_whole(self, prefix: Prefix, option: Tokens) -> WholeSequence:
        """Read one prompt and an option behind it in one pass, without a cache.

        Parameters
        ----------
        prefix : Prefix
            One prompt, read without a cache and without counting positions.
        option : tuple of int
            The option's tokens.
        """
        tokens = torch.tensor([option], device=prefix.input_ids.device)
        arguments = self._continued(prefix, len(option), drop_pictures=False)
        shape = prefix.input_ids.shape
        for name, value in arguments.items():
            # What generation leaves as long as the prompt, as Kosmos-2's mask of the picture, says 0 of an option.
            if isinstance(value, torch.Tensor) and value.shape == shape:
                arguments[name] = torch.cat([value, value.new_zeros(tokens.shape)], dim=1)
        sequence = torch.cat([prefix.input_ids, tokens], dim=1)
        output = self._pass(sequence, arguments, is_first_iteration=True, keep=len(option) + 1)
        logits = _logits(output)[0, -len(option) - 1 : -1]
        log_probabilities = log_softmax(logits).to(tokens.device)
        read = log_probabilities.gather(-1, tokens[0, :, None])[..., 0]
        greedy = log_probabilities.argmax(-1) == tokens[0]
        finite = logits[logits.isfinite()]
        largest = float(finite.abs().max()) if len(finite) else 0.0
        return WholeSequence(read, greedy, largest * torch.finfo(self._model.dtype).eps)

    def _wants(self, name: str) -> bool:
        return name not in TRAINING_INPUTS and (self._takes_anything or name in self._takes)

    def _behind(self, prefix: Prefix, rows: Sequence[int], length: int) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return tokens and other inputs of prompts, as often as `rows` names them, before `length` more tokens."""
        chosen = torch.tensor(rows, device=prefix.input_ids.device)
        count = len(prefix.input_ids)
        continued = self._continued(prefix, length)
        arguments = {name: _rows(name, value, chosen, count) for name, value in continued.items()}
        arguments[self._cache] = _rows_of_cache(_cache(prefix.output, self._cache), chosen)
        return prefix.input_ids[chosen], arguments

    def _continued(self, prefix: Prefix, length: int, *, drop_pictures: bool = True) -> dict[str, Any]:
        """Return the inputs of `prefix` as they are after `length` more tokens."""
        arguments = {
            name: value for name, value in prefix.arguments.items() if not (drop_pictures and name in PICTURE_INPUTS)
        }
        add = partial(self._model._update_model_kwargs_for_generation, prefix.output, is_encoder_decoder=False)
        if self._adds_several:
            # Asked for several at once, it repeats the last types in place of the last one.
            types = arguments.pop("token_type_ids", None)
            arguments = add(model_kwargs=arguments, num_new_tokens=length)
            if types is not None:
                arguments["token_type_ids"] = torch.cat([types, types[:, -1:].expand(-1, length)], dim=1)
        else:
            # One token after the other: some models' own way adds one at a time.
            for _ in range(length):
                arguments = add(model_kwargs=arguments)
        arguments.pop(self._cache, None)
        return arguments

    def _pass(
        self,
        input_ids: torch.Tensor,
        arguments: Mapping[str, Any],
        *,
        keep: int | torch.Tensor | None = None,
        **settings: Any,
    ) -> Any:
        """Run one forward pass as generation does; `keep`: how many last logits are wanted, or of which positions."""
        if keep is not None and self._keeps_logits:
            arguments = {**arguments, "logits_to_keep": keep}
        prepared = self._prepare(input_ids, **arguments, **settings)
        return self._model(**prepared, return_dict=True)


def _preparing(model: Any) -> Callable[..., dict[str, Any]]:
    """Return what prepares a pass: the model's own way, or that of its text model, through which Kosmos-2 generates."""
    general = generation.GenerationMixin.prepare_inputs_for_generation
    own = getattr(type(model), "prepare_inputs_for_generation", None)
    of_text = getattr(type(getattr(model, "text_model", None)), "prepare_inputs_for_generation", None)
    holder = model.text_model if own is general and of_text not in (None, general) else model
    prepare: Callable[..., dict[str, Any]] = holder.prepare_inputs_for_generation
    return prepare


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities in float64, where the device has it, whatever the logits' dtype."""
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    return torch.log_softmax(logits.to(wide), dim=-1)


def _rows(name: str, value: Any, rows: torch.Tensor, count: int) -> Any:
    """Select rows of an input that has `count` of them; anything else stays as it is."""
    if not isinstance(value, torch.Tensor) or not value.ndim:
        return value
    if name in ROW_LAST_BUT_ONE:
        return value[..., rows.to(value.device), :]
    return value[rows.to(value.device)] if len(value) == count else value


def _rows_of_cache(cache: Any, rows: torch.Tensor) -> Any:
    """Copy rows of a cache, as often as they are named; the cache itself stays as it is, and its tensors are shared."""
    selected = copy.copy(cache)
    selected.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in selected.layers:
        for name, value in vars(layer).items():
            if isinstance(value, (dict, list)):
                setattr(layer, name, copy.copy(value))
    selected.reorder_cache(rows)
    return selected


def _cache(output: Any, name: str) -> Any:
    cache = getattr(output, name, None)
    if cache is None:
        raise ValueError("the model returns no cache of its prompt")
    return cache


def _logits(output: Any) -> torch.Tensor:
    logits: torch.Tensor | None = getattr(output, "logits", None)
    if logits is None:
        raise ValueError("the model has no language-model head, its output has no logits")
    return logits
