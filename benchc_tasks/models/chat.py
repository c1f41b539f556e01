"""A model's chat format: from question to model input, and from option to tokens."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from loguru import logger
from PIL import Image

from benchc_metrics.messages import quoted
from benchc_tasks.models.copies import Copies
from benchc_tasks.models.questions import describe
from benchc_tasks.models.thinking import Skip, find_skip, open_thinking

__all__ = ["ChatFormat"]

PROBE = "A"
DEFAULT_TEMPLATE = "default"
PYTHON_DATA = "{'type'"
"""What a template writes that takes text only, and is given a message's parts."""


class ChatFormat:
    """The processor's chat template around a question, and the tokens of an option that follows it.

    Parameters
    ----------
    processor : transformers.ProcessorMixin
        Makes the model's input out of texts and images.
    tokenizer : transformers.PreTrainedTokenizerBase
        The processor's tokenizer.
    system_prompt : str or None
        Text of a system message; None leaves it to the template.
    template_settings : mapping
        Further settings of the chat template, such as `enable_thinking`.
    skips_thinking : bool
        Keep the template from letting the model think before it answers, see `benchc_tasks.models.thinking`.

    Attributes
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        The processor's tokenizer.
    opened_thinking : str
        The mark with which a prompt ends within a thinking block; empty where it ends outside.
    thinking : str or None
        How thinking is skipped; None where it is not.

    Raises
    ------
    ValueError
        If neither the processor nor its tokenizer has a chat template, it is broken, or it has no place for the system
        message.

    Notes
    -----
    A warning in the log tells where the template opens a thinking block, or writes no beginning of an answer: the
    letters are then scored in a place where they cannot stand.
    """

    def __init__(
        self,
        processor: Any,
        tokenizer: Any,
        *,
        system_prompt: str | None = None,
        template_settings: Mapping[str, Any] | None = None,
        skips_thinking: bool = False,
    ) -> None:
        template = getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
        self._name = type(processor).__name__
        if template is None:
            raise ValueError(f"{self._name} has no chat template: save one with the checkpoint as chat_template.jinja")
        if isinstance(template, Mapping):
            template = self._only_template(template)
        self._processor = processor
        self._tokenizer = self.tokenizer = tokenizer
        self._system_prompt = system_prompt
        self._settings = {"chat_template": template, **(template_settings or {})}
        # A fast tokenizer keeps its padding as state and refuses two users at once.
        self._lock = threading.Lock()
        self._processors = Copies(processor)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        # A sample comes under many conditions, and its text is the same each time.
        self._rendered = functools.lru_cache(maxsize=1024)(self._render)
        self._tokens = functools.lru_cache(maxsize=4096)(self._encode)
        self._wants_flat_images = False
        self._system_parts = True
        self._skip = Skip()
        prompt = self._first_prompt()
        if skips_thinking:
            self._skip = find_skip(self._beginning, str(template), f"the chat template of {self._name}")
            self._settings |= self._skip.settings
            prompt = self._render(PROBE, 1, with_system=False)
        self.thinking = str(self._skip) if skips_thinking else None
        if system_prompt:
            self._system_parts = self._find_system_form()
        self._lead = "" if self._skip.suffix else self._find_lead(prompt)
        self.opened_thinking = open_thinking(self._beginning() + self._skip.suffix) or ""
        self._warn_of_a_wrong_place(prompt)

    @property
    def fingerprint(self) -> str:
        """What a prompt depends on beside the question: the template, the system message and the settings."""
        said = [self._system_prompt, self._settings, *([self._skip.suffix] if self._skip.suffix else [])]
        parts = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    @property
    def image_token(self) -> str | None:
        """The placeholder of an image in a prompt, where the processor names it."""
        token = getattr(self._processor, "image_token", None)
        # A token that is added to a vocabulary is an object of its own.
        return None if token is None else str(token)

    def problem(self, context: str) -> str | None:
        """Say why a question's text cannot be asked; None if it can."""
        placeholder = self.image_token
        if not placeholder or placeholder not in context:
            return None
        return (
            f"its text holds {quoted(placeholder)}, the model's own placeholder of an image: write that in another way"
        )

    def prompt(self, context: str, images: int) -> str:
        """Write the text that the model reads before it answers, with one placeholder for each of `images` images."""
        return self._rendered(context, images) + self._skip.suffix

    def option_tokens(self, prompt: str, option: str) -> tuple[int, ...]:
        """Tokenise an option as it stands behind the prompt.

        White space that the chat template writes between the prompt and an answer counts as part of the option: behind
        "ASSISTANT:" LLaVA-1.5's template writes a space, and the token of " A" is another than that of "A".

        Parameters
        ----------
        prompt : str
            What `prompt` returned.
        option : str
            The continuation.

        Returns
        -------
        tuple of int
            What follows the prompt's tokens in the tokens of prompt and option together; if the tokenizer merges across
            the border, the tokens of the option alone.

        Raises
        ------
        ValueError
            If the option has no token.
        """
        lead = "" if option[:1].isspace() else self._lead
        with self._lock:
            before, whole = self._tokens(prompt), self._tokens(prompt + lead + option)
            joins = whole[: len(before)] == before and len(whole) > len(before)
            tokens = whole[len(before) :] if joins else self._tokens(option)
        if not tokens:
            raise ValueError(f"the option {quoted(option)} has no token")
        return tokens

    def text_tokens(self, prompt: str) -> tuple[int, ...]:
        """Tokenise a prompt without special tokens around it, and leave the placeholders of images as they are."""
        with self._lock:
            return self._tokens(prompt)

    def prompt_tokens(self, prompt: str) -> list[int]:
        """Tokenise a prompt as `model_input` does, but leave the placeholders of images as the template wrote them."""
        with self._lock:
            tokens: list[int] = self._tokenizer(prompt, **self._special_tokens(prompt))["input_ids"]
        return tokens

    def model_input(self, prompts: Sequence[str], images: Sequence[Sequence[Image.Image]]) -> Any:
        """Run the processor over a batch, padded on the left; several threads at once have a copy of it each.

        Parameters
        ----------
        prompts : sequence of str
            What `prompt` returned, one a question.
        images : sequence of sequence of PIL.Image.Image
            The images of each question.

        Returns
        -------
        transformers.BatchFeature
            Tensors on the CPU.

        Raises
        ------
        ValueError
            If the processor pads on the right all the same.
        """
        settings: dict[str, Any] = {"return_tensors": "pt", "padding": True, "padding_side": "left"}
        settings |= self._special_tokens(prompts[0])
        if "mm_token_type_ids" in getattr(self._processor, "model_input_names", ()):
            settings["return_mm_token_type_ids"] = True  # some processors return them only where asked
        with self._processors.one() as processor, self._lock if processor is self._processor else nullcontext():
            batch = self._process(processor, list(prompts), [list(some) for some in images], settings)
        if not torch.all(batch["attention_mask"][:, -1] == 1):
            raise ValueError(f"{type(self._processor).__name__} pads on the right")
        return batch

    def _process(
        self, processor: Any, prompts: list[str], images: list[list[Image.Image]], settings: Mapping[str, Any]
    ) -> Any:
        """Call the processor with one list of images a prompt; where it refuses that, as GOT-OCR2's, with one list."""
        if not any(images):
            return processor(text=prompts, images=None, **settings)
        one_each = all(len(some) == 1 for some in images)
        flat = [image for some in images for image in some]
        if self._wants_flat_images and one_each:
            return processor(text=prompts, images=flat, **settings)
        try:
            return processor(text=prompts, images=images, **settings)
        except Exception:  # a processor may refuse lists of lists in any way it likes
            if not one_each:
                raise
            try:
                batch = processor(text=prompts, images=flat, **settings)
            except Exception:
                batch = None
            if batch is None:
                raise
        self._wants_flat_images = True
        return batch

    def _special_tokens(self, prompt: str) -> dict[str, bool]:
        """Keep the tokenizer from writing a beginning before the one that the template wrote."""
        begin = self._tokenizer.bos_token
        return {"add_special_tokens": False} if begin is not None and prompt.startswith(begin) else {}

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _render(
        self,
        context: str,
        images: int,
        answer: str | None = None,
        *,
        with_system: bool = True,
        with_beginning: bool = True,
        **settings: Any,
    ) -> str:
        content = [{"type": "image"}] * images + [{"type": "text", "text": context}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if self._system_prompt and with_system:
            text = self._system_prompt
            parts = [{"type": "text", "text": text}]
            messages.insert(0, {"role": "system", "content": parts if self._system_parts else text})
        if answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        begins_answer = answer is None and with_beginning
        return str(
            self._processor.apply_chat_template(
                messages, add_generation_prompt=begins_answer, **{**self._settings, **settings}
            )
        )

    def _only_template(self, templates: Mapping[str, Any]) -> Any:
        """Choose among named templates the default one, or the only one."""
        if DEFAULT_TEMPLATE in templates:
            return templates[DEFAULT_TEMPLATE]
        if len(templates) == 1:
            return next(iter(templates.values()))
        raise ValueError(
            f"{self._name} has the chat templates {', '.join(sorted(templates))}, and none of them is called "
            f"{DEFAULT_TEMPLATE!r}: save the one to use with the checkpoint as chat_template.jinja"
        )

    def _first_prompt(self) -> str:
        """Render a question, without the system message, of which `_find_system_form` tells."""
        try:
            prompt = self._render(PROBE, 1, with_system=False)
        except Exception as fault:
            raise ValueError(
                f"the chat template of {self._name} cannot be rendered "
                f"({describe(fault)}): correct the checkpoint's chat_template.jinja"
            ) from fault
        if PYTHON_DATA in prompt:
            raise ValueError(
                f"the chat template of {self._name} is one for text and takes no parts of messages: save the "
                "template of a vision-language model with the checkpoint as chat_template.jinja"
            )
        return prompt

    def _find_system_form(self) -> bool:
        """Tell whether the template takes a system message in parts; else it takes text.

        Raises
        ------
        ValueError
            If it leaves the message out, or refuses it.
        """
        wanted = "".join(str(self._system_prompt).split())
        reason = "leaves it out"
        for in_parts in (True, False):
            self._system_parts = in_parts
            try:
                prompt = self._render(PROBE, 1)
            except Exception as fault:  # a template may refuse a message in any way it likes
                reason = f"refuses it ({describe(fault)})"
                continue
            if PYTHON_DATA not in prompt and wanted in "".join(prompt.split()):
                return in_parts
        raise ValueError(
            f"the chat template of {self._name} has no place for a system message, it {reason}: leave system_prompt "
            "out, or write the text into the task's pre_prompt"
        )

    def _beginning(self, **settings: Any) -> str:
        """Write what the template puts before an answer, as far as it can be told apart from the question."""
        prompt = self._render(PROBE, 1, with_system=False, **settings)
        try:
            before = self._render(PROBE, 1, with_system=False, with_beginning=False, **settings)
        except Exception:  # a template may refuse a message without an answer in any way it likes
            return prompt
        return prompt.removeprefix(before)

    def _warn_of_a_wrong_place(self, prompt: str) -> None:
        """Warn where the option's letter cannot be what comes next."""
        try:
            before = self._render(PROBE, 1, with_system=False, with_beginning=False)
        except Exception:  # a template may refuse a message without an answer in any way it likes
            return
        if prompt == before:
            logger.warning(
                f"the chat template of {self._name} writes no beginning of the assistant's answer, so that the letters "
                "are scored behind the user's words: let it write one where add_generation_prompt is true, in the "
                "checkpoint's chat_template.jinja"
            )
        opened = open_thinking(prompt.removeprefix(before) + self._skip.suffix)
        if opened is None:
            return
        try:
            without = self._render(PROBE, 1, with_system=False, enable_thinking=False)
        except Exception:
            without = prompt
        cure = (
            "give enable_thinking=False"
            if open_thinking(without.removeprefix(before)) is None
            else "it has no setting enable_thinking, so close the block in the checkpoint's chat_template.jinja"
        )
        logger.warning(
            f"the chat template of {self._name} opens a thinking block ({quoted(opened)}) where the answer "
            f"is scored, and the letters are not what comes next: {cure}"
        )

    def _find_lead(self, prompt: str) -> str:
        """Return the white space that the template writes between the prompt and an answer."""
        try:
            answered = self._render(PROBE, 1, answer=PROBE, with_system=False)
        except Exception:  # a template may refuse an assistant's message in any way it likes
            return ""
        if not answered.startswith(prompt):
            return ""
        lead, found, _ = answered[len(prompt) :].partition(PROBE)
        return lead if found and lead.isspace() else ""
