"""Models of a current family with random weights: Qwen3-VL at the sizes of its 8B and 2B, and a toy for a CPU.

The shapes are those of the published configurations; the weights are drawn, since no checkpoint can be fetched on a
machine without a network. Speed and memory do not depend on the weights. The tokenizer is made here too: byte-level
BPE, trained on the questions that are asked, so that a prompt has about as many tokens as with the published one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import transformers as hf
from tiny_tokenizer import chat_template, make_tokenizer

__all__ = ["SHAPES", "build_model", "build_processor"]

TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
}
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
VOCABULARY = 151_936

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "8B": (
        {
            "hidden_size": 4096,
            "intermediate_size": 12288,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": VOCABULARY,
        },
        {
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "num_heads": 16,
            "out_hidden_size": 4096,
            "deepstack_visual_indexes": [8, 16, 24],
        },
    ),
    "2B": (
        {
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": VOCABULARY,
            "tie_word_embeddings": True,
        },
        {
            "depth": 24,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "deepstack_visual_indexes": [5, 11, 17],
        },
    ),
    "toy": (
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "vocab_size": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
                "rope_theta": 1e4,
            },
        },
        {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
    ),
}
"""For each size the arguments of its text model and of its vision tower."""

ROPE = {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True, "rope_theta": 5e6}


def build_processor(corpus: Iterable[str]) -> Any:
    """Make the family's processor around a tokenizer trained on `corpus`."""
    tokenizer = make_tokenizer(TOKENS, corpus)
    pictures: dict[str, Any] = {
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessor(**pictures), tokenizer, hf.Qwen3VLVideoProcessor(**pictures)
    )
    processor.chat_template = chat_template(IMAGE)
    return processor


def build_model(size: str, tokenizer: Any, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Any:
    """Draw the weights of a model on `device`.

    Parameters
    ----------
    size : str
        One of `SHAPES`.
    tokenizer : transformers.PreTrainedTokenizerFast
        Names the ids of the image's tokens.
    device : torch.device
    dtype : torch.dtype
    seed : int
        Of torch's generator of that device.

    Returns
    -------
    transformers.Qwen3VLForConditionalGeneration
        In evaluation mode.
    """
    text, vision = SHAPES[size]
    ids = {
        "image_token_id": tokenizer.convert_tokens_to_ids(TOKENS["image_token"]),
        "video_token_id": tokenizer.convert_tokens_to_ids(TOKENS["video_token"]),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids(TOKENS["vision_bos_token"]),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids(TOKENS["vision_eos_token"]),
    }
    config = hf.Qwen3VLConfig(
        text_config={"rope_parameters": ROPE, "max_position_embeddings": 32_768, **text},
        vision_config={"patch_size": 16, "spatial_merge_size": 2, **vision},
        tie_word_embeddings=text.get("tie_word_embeddings", False),
        **ids,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        model = hf.AutoModelForImageTextToText.from_config(config, dtype=dtype)
    return model.to(device).eval()
