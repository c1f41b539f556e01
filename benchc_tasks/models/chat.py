"""A model's chat format: from question to model input, and from option to tokens."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from benchc_tasks.models.questions import describe

__all__ = ["ChatFormat"]

PROBE = "A"


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
        What else the chat template is told, such as `enable_thinking`.

    Raises
    ------
    ValueError
        If neither the processor nor its tokenizer has a chat template, or it is broken.
    """

    def __init__(
        self,
        processor: Any,
        tokenizer: Any,
        *,
        system_prompt: str | None = None,
        template_settings: Mapping[str, Any] | None = None,
    ) -> None:
        template = getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
        if template is None:
            raise ValueError(
                f"{type(processor).__name__} has no chat template: save one with the checkpoint as chat_template.jinja"
            )
        self._processor = processor
        self._tokenizer = tokenizer
        self._system_prompt = system_prompt
        self._settings = {"chat_template": template, **(template_settings or {})}
        # A fast tokenizer keeps its padding as state and refuses two users at once.
        self._lock = threading.Lock()
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        # A sample comes under many conditions, and its text is the same each time.
        self._rendered = functools.lru_cache(maxsize=1024)(self._render)
        self._tokens = functools.lru_cache(maxsize=4096)(self._encode)
        self._lead = self._find_lead()

    @property
    def fingerprint(self) -> str:
        """What a prompt depends on beside the question: the template, the system message and the settings."""
        parts = json.dumps([self._system_prompt, self._settings], sort_keys=True, default=str)
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    @property
    def image_token(self) -> str | None:
        """The placeholder of an image in a prompt, where the processor names it."""
        return getattr(self._processor, "image_token", None)

    def problem(self, context: str) -> str | None:
        """Say why a question's text cannot be asked; None if it can."""
        placeholder = self.image_token
        if not placeholder or placeholder not in context:
            return None
        return f"its text holds {placeholder!r}, the model's own placeholder of an image: write that in another way"

    def prompt(self, context: str, images: int) -> str:
        """Write the text that the model reads before it answers, with one placeholder for each of `images` images."""
        return self._rendered(context, images)

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
            raise ValueError(f"the option {option!r} has no token")
        return tokens

    def prompt_tokens(self, prompt: str) -> list[int]:
        """Tokenise a prompt as `model_input` does, but leave the placeholders of images as the template wrote them."""
        with self._lock:
            tokens: list[int] = self._tokenizer(prompt, **self._special_tokens(prompt))["input_ids"]
        return tokens

    def model_input(self, prompts: Sequence[str], images: Sequence[Sequence[Image.Image]]) -> Any:
        """Run the processor over a batch, padded on the left.

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
        with self._lock:
            batch = self._processor(
                text=list(prompts),
                images=[list(some) for some in images] if any(images) else None,
                **settings,
            )
        if not torch.all(batch["attention_mask"][:, -1] == 1):
            raise ValueError(f"{type(self._processor).__name__} pads on the right")
        return batch

    def _special_tokens(self, prompt: str) -> dict[str, bool]:
        """Keep the tokenizer from writing a beginning before the one that the template wrote."""
        begin = self._tokenizer.bos_token
        return {"add_special_tokens": False} if begin is not None and prompt.startswith(begin) else {}

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def _render(self, context: str, images: int, answer: str | None = None) -> str:
        content = [{"type": "image"}] * images + [{"type": "text", "text": context}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if self._system_prompt:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": self._system_prompt}]})
        if answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        return str(
            self._processor.apply_chat_template(messages, add_generation_prompt=answer is None, **self._settings)
        )

    def _find_lead(self) -> str:
        """Return the white space that the template writes between the prompt and an answer."""
        try:
            prompt = self._render(PROBE, 1)
        except Exception as fault:
            raise ValueError(
                f"the chat template of {type(self._processor).__name__} cannot be rendered "
                f"({describe(fault)}): correct the checkpoint's chat_template.jinja"
            ) from fault
        try:
            answered = self._render(PROBE, 1, answer=PROBE)
        except Exception:  # a template may refuse an assistant's message in any way it likes
            return ""
        if not answered.startswith(prompt):
            return ""
        lead, found, _ = answered[len(prompt) :].partition(PROBE)
        return lead if found and lead.isspace() else ""
