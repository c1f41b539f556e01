"""A small tokenizer and a chat template for models whose weights are random; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

__all__ = ["CORPUS", "chat_template", "make_tokenizer"]

CORPUS = ["What colour is the big square? A red B green C blue D yellow. Answer with the option's letter."] * 4 + [
    "north northwest northeast south southwest southeast; one two three four; circle square triangle star"
] * 4


def chat_template(image: str, begin: str = "") -> str:
    """A chat template that takes content as a string or as a list of parts."""
    return (
        begin + "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + image + "{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def make_tokenizer(tokens: Mapping[str, str], corpus: Iterable[str] = CORPUS) -> Any:
    """A byte-level BPE tokenizer with the tokens of chat, images and padding."""
    special = ["<|pad|>", "<s>", "<|im_start|>", "<|im_end|>", *tokens.values()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<s>",
        eos_token="<|im_end|>",
        extra_special_tokens={name: token for name, token in tokens.items() if name.endswith("_token")},
    )
