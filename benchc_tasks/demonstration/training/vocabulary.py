"""Build the demonstration model's tokenizer, chat template and processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

from benchc_metrics.benchmark import INSTRUCTION
from benchc_metrics.messages import quoted
from benchc_tasks.demonstration.drawing.questions import COUNTS, phrases
from benchc_tasks.demonstration.drawing.scenes import COLOURS, DIGITS, IMAGE_SIZE, PLACES
from benchc_tasks.demonstration.drawing.shapes import SHAPES
from benchc_tasks.stacks.prompting import question_with_options

__all__ = [
    "BLANK",
    "CHAT_TEMPLATE",
    "IMAGE_TOKEN",
    "MAX_LENGTH",
    "PATCH_SIZE",
    "WORDS",
    "build_processor",
    "prompt_text",
    "word_id",
]

PATCH_SIZE = 16
MAX_LENGTH = 1024
BLANK = "background"
WORDS = (*COLOURS, *SHAPES, *PLACES, *COUNTS, *DIGITS, BLANK)
"""The words that can describe a patch of the picture."""

IMAGE_TOKEN, PAD_TOKEN, END_TOKEN = "<image>", "<|pad|>", "<|end|>"
_SPECIAL_TOKENS = (PAD_TOKEN, END_TOKEN, "<|system|>", "<|user|>", "<|assistant|>", IMAGE_TOKEN)
_VOCABULARY_SIZE = 800

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<image>\\n' -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def prompt_text(question: str, options: Sequence[str]) -> str:
    """Return the benchmark's prompt: the question, the lettered options and the instruction."""
    return f"{question_with_options(question, options)}\n{INSTRUCTION}"


def _corpus() -> Iterator[str]:
    """Yield the text for learning the byte-pair merges; every word of `WORDS` becomes one token."""
    for phrase in phrases():
        for word in WORDS:
            yield prompt_text(phrase.format(word), (word, word))
            yield f"It is {word}."


def _build_tokenizer() -> Any:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        special_tokens=list(_SPECIAL_TOKENS),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD_TOKEN,
        eos_token=END_TOKEN,
        model_max_length=MAX_LENGTH,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> Any:
    """Build the model's LlavaProcessor: byte-level BPE tokenizer, image processor and chat template."""
    side = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    image_processor = CLIPImageProcessor(
        size=side,
        do_center_crop=False,
        crop_size=side,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )
    return LlavaProcessor(
        image_processor=image_processor,
        tokenizer=_build_tokenizer(),
        patch_size=PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=CHAT_TEMPLATE,
    )


def word_id(tokenizer: Any, word: str) -> int:
    """Return the single token of a word with a space before it, as in options and answers."""
    tokens = tokenizer.encode(f" {word}", add_special_tokens=False)
    if len(tokens) != 1:
        raise ValueError(f"the tokenizer splits {quoted(word)} into {len(tokens)} tokens")
    return int(tokens[0])
