"""The demonstration model: a LLaVA of 1.8 million parameters from transformers' own configuration classes."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from benchc_tasks.demonstration.drawing.scenes import IMAGE_SIZE
from benchc_tasks.demonstration.training.vocabulary import IMAGE_TOKEN, MAX_LENGTH, PATCH_SIZE

__all__ = ["PATCHES", "PATCHES_ACROSS", "WIDTH", "build_model", "image_tokens"]

WIDTH = 128
_EMBEDDING_DEVIATION = 1.0
PATCHES_ACROSS = IMAGE_SIZE // PATCH_SIZE
PATCHES = PATCHES_ACROSS**2


def _vision_config() -> Any:
    return CLIPVisionConfig(
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        hidden_size=WIDTH,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        projection_dim=WIDTH,
        hidden_act="gelu",
    )


def _text_config(tokenizer: Any) -> Any:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=320,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.06,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def build_model(tokenizer: Any, seed: int) -> Any:
    """Build the model with random weights.

    Parameters
    ----------
    tokenizer
        The tokenizer whose vocabulary the model reads and writes.
    seed
        Seed of the weights.

    Returns
    -------
    LlavaForConditionalGeneration
        In float32, on the CPU.
    """
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=_vision_config(),
        text_config=_text_config(tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
        image_seq_length=PATCHES,
        projector_hidden_act="gelu",
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config).float()
    _open_the_residual_stream(model)
    return model


@torch.no_grad()
def _open_the_residual_stream(model: Any) -> None:
    """Initialise the language model so that every layer sees the words, and attends to equal words.

    With the usual initial weights, the output of the first layer has ten times the norm of the embeddings, and the
    layers above cannot recognise the words. So the embeddings are strong here, and the layers add nothing at first.
    Queries equal to keys attend to equal words, which helps to find an option or a shape by its name.
    """
    language = model.model.language_model
    torch.nn.init.normal_(language.embed_tokens.weight, std=_EMBEDDING_DEVIATION)
    torch.nn.init.constant_(language.norm.weight, 0.1 / _EMBEDDING_DEVIATION)
    for layer in language.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)


def image_tokens(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return each picture's image tokens for the language model: one vector a patch, shape (pictures, 49, 128)."""
    patches = model.model.vision_tower(pixels).last_hidden_state[:, 1:]
    tokens: torch.Tensor = model.model.multi_modal_projector(patches)
    return tokens
