"""Tiny randomly initialised models of many families, made here and saved as checkpoints; nothing is downloaded."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from tiny_tokenizer import chat_template, make_tokenizer

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

    from benchc_tasks.stacks.lmms_eval.model import BenchCModel

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Family:
    """Parts of the tiny model of a family.

    `tokens` names special tokens as the family's tokenizer does; `image` is what its chat template writes for an image.
    """

    build: Callable[[Any], tuple[Any, Any]]
    tokens: dict[str, str]
    image: str


def llava(tokenizer: Any) -> tuple[Any, Any]:
    vision = hf.CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    text = hf.LlamaConfig(vocab_size=len(tokenizer), **TEXT)
    config = hf.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>")
    )
    size = {"height": 32, "width": 32}
    processor = hf.LlavaProcessor(
        hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def llava_onevision(tokenizer: Any) -> tuple[Any, Any]:
    pinpoints = [[32, 32], [32, 64], [64, 32], [64, 64]]
    vision = hf.SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        vision_use_head=False,
    )
    text = hf.Qwen2Config(vocab_size=len(tokenizer), **TEXT)
    config = hf.LlavaOnevisionConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    size = {"height": 32, "width": 32}
    processor = hf.LlavaOnevisionProcessor(
        hf.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=pinpoints),
        tokenizer,
        hf.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("image_token", "video_token", "vision_start_token", "vision_end_token")
    marks = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    return {f"{name}_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in zip(names, marks, strict=True)}


def qwen_pictures(patch: int) -> dict[str, Any]:
    return {
        "patch_size": patch,
        "merge_size": 2,
        "size": {"shortest_edge": 4 * patch * patch * 4, "longest_edge": 12845056},
    }


def qwen2_5_vl(tokenizer: Any) -> tuple[Any, Any]:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 14,
        "out_hidden_size": 64,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    text = {
        "vocab_size": len(tokenizer),
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        **TEXT,
    }
    config = hf.Qwen2_5_VLConfig(vision_config=vision, text_config=text, **qwen_ids(tokenizer))
    processor = hf.Qwen2_5_VLProcessor(
        hf.Qwen2VLImageProcessor(**qwen_pictures(14)), tokenizer, hf.Qwen2VLVideoProcessor(**qwen_pictures(14))
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl(tokenizer: Any) -> tuple[Any, Any]:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0, 1],
    }
    text = {
        "vocab_size": len(tokenizer),
        "head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
            "rope_theta": 1e4,
        },
        **TEXT,
    }
    config = hf.Qwen3VLConfig(vision_config=vision, text_config=text, **qwen_ids(tokenizer))
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessor(**qwen_pictures(16)), tokenizer, hf.Qwen3VLVideoProcessor(**qwen_pictures(16))
    )
    return hf.Qwen3VLForConditionalGeneration(config), processor


def qwen3_5(tokenizer: Any) -> tuple[Any, Any]:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
    }
    text = {
        "vocab_size": len(tokenizer),
        "head_dim": 16,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "layer_types": ["linear_attention", "full_attention"],
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
            "rope_theta": 1e4,
            "partial_rotary_factor": 1.0,
        },
        **TEXT,
    }
    config = hf.Qwen3_5Config(vision_config=vision, text_config=text, **qwen_ids(tokenizer))
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessor(**qwen_pictures(16)), tokenizer, hf.Qwen3VLVideoProcessor(**qwen_pictures(16))
    )
    return hf.Qwen3_5ForConditionalGeneration(config), processor


def internvl(tokenizer: Any) -> tuple[Any, Any]:
    vision = hf.InternVLVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=[32, 32],
        patch_size=[8, 8],
    )
    text = hf.Qwen2Config(vocab_size=len(tokenizer), **TEXT)
    config = hf.InternVLConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    size = {"height": 32, "width": 32}
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=4),
        tokenizer,
        hf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def idefics3(tokenizer: Any) -> tuple[Any, Any]:
    processor = hf.Idefics3Processor(
        hf.Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}),
        tokenizer,
        image_seq_len=4,
    )
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    text = hf.LlamaConfig(vocab_size=len(tokenizer), **TEXT)
    config = hf.Idefics3Config(
        vision_config=vision,
        text_config=text,
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def gemma3(tokenizer: Any) -> tuple[Any, Any]:
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    # A window shorter than the prompt: the cache of such a layer forgets its beginning.
    text = {
        "vocab_size": len(tokenizer),
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 12,
        "layer_types": ["sliding_attention", "full_attention"],
        **TEXT,
    }
    config = hf.Gemma3Config(
        vision_config=vision,
        text_config=text,
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    processor = hf.Gemma3Processor(
        hf.Gemma3ImageProcessor(size={"height": 32, "width": 32}), tokenizer, image_seq_length=4
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def mllama(tokenizer: Any) -> tuple[Any, Any]:
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 64,
        "max_num_tiles": 4,
        "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1], [2, 2], [1, 3], [3, 1], [1, 4], [4, 1]],
    }
    # Pictures are attended to across, in layers of their own: what follows the prompt needs its mask.
    text = {
        **TEXT,
        "vocab_size": len(tokenizer),
        "num_hidden_layers": 4,
        "cross_attention_layers": [1, 3],
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    config = hf.MllamaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<|image|>")
    )
    images = hf.MllamaImageProcessor(size={"height": 32, "width": 32}, max_image_tiles=4)
    model = hf.MllamaForConditionalGeneration(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gate" in name:  # closed at first
                parameter.fill_(0.7)
    return model, hf.MllamaProcessor(images, tokenizer)


QWEN_TOKENS = {"a": "<|vision_start|>", "b": "<|vision_end|>", "c": "<|image_pad|>", "d": "<|video_pad|>"}
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
FAMILIES = {
    "llava": Family(llava, {"a": "<image>"}, "<image>\n"),
    "llava_onevision": Family(llava_onevision, {"a": "<image>", "b": "<video>"}, "<image>\n"),
    "qwen2_5_vl": Family(qwen2_5_vl, QWEN_TOKENS, QWEN_IMAGE),
    "qwen3_vl": Family(qwen3_vl, QWEN_TOKENS, QWEN_IMAGE),
    "qwen3_5": Family(qwen3_5, QWEN_TOKENS, QWEN_IMAGE),
    "internvl": Family(
        internvl,
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        "<IMG_CONTEXT>\n",
    ),
    "idefics3": Family(
        idefics3, {"a": "<image>", "b": "<fake_token_around_image>", "c": "<end_of_utterance>"}, "<image>"
    ),
    "mllama": Family(mllama, {"image_token": "<|image|>"}, "<|image|>"),
    "gemma3": Family(
        gemma3,
        {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
        "<start_of_image>",
    ),
}

BACKENDS = {
    "qwen2_5_vl": ("qwen2_5_vl", (460, 450)),
    "qwen3_vl": ("qwen3_vl", (460, 450)),
    "qwen3_5": ("qwen3_5", (300, 290)),
    "internvl_hf": ("internvl", (60, 40)),
    "llava_hf": ("llava", (60, 40)),
    "gemma3": ("gemma3", (60, 40)),
}
"""lmms-eval's backends that are built here, the family of the checkpoint, and a size between the backend's limits."""


def build_checkpoint(family: str, folder: Path) -> Path:
    """Save a tiny model of `family` and its processor; weights wide enough that every part of it matters."""
    made = FAMILIES[family]
    tokenizer = make_tokenizer(made.tokens)
    torch.manual_seed(20)
    model, processor = made.build(tokenizer)
    processor.chat_template = chat_template(made.image, "<s>" if family in ("gemma3", "mllama") else "")
    generator = torch.Generator().manual_seed(21)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.2 / parameter[0].numel() ** 0.5, generator=generator)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a family's name to the folder of its tiny checkpoint, made once a session."""

    @functools.cache
    def folder_of(family: str) -> Path:
        return build_checkpoint(family, tmp_path_factory.mktemp(family))

    return folder_of


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., Image.Image]:
    """A function from a seed and a size to a picture of coloured blocks."""

    def picture(seed: int, width: int = 40, height: int = 40) -> Image.Image:
        blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        return Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)

    return picture


@pytest.fixture(scope="session")
def make_request() -> Callable[..., Instance]:
    """A function that makes a loglikelihood request as lmms-eval does."""
    from lmms_eval.api.instance import Instance

    def request(
        context: str,
        continuation: Any,
        doc_to_visual: Callable[[Any], Any] | None,
        doc_id: int,
        *,
        task: str = "task",
    ) -> Instance:
        return Instance(
            request_type="loglikelihood",
            arguments=(context, continuation, doc_to_visual, doc_id, task, "test"),
            idx=0,
            metadata={"task": task, "doc_id": doc_id, "repeats": 1},
        )

    return request


@pytest.fixture(scope="session")
def slow_reference(checkpoint: Callable[[str], Path]) -> Callable[..., tuple[float, bool]]:
    """A function that scores one option the slow way, with nothing of benchc's.

    The whole sequence, prompt and option, goes through the model once, unpadded and without a cache; the model counts
    its own positions; log-softmax in float64; the sum is over the option's tokens.
    """

    @functools.cache
    def parts(family: str) -> tuple[Any, Any]:
        folder = checkpoint(family)
        model = hf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        return hf.AutoProcessor.from_pretrained(folder), model.eval()

    def score(family: str, images: list[Image.Image], context: str, option: str) -> tuple[float, bool]:
        processor, model = parts(family)
        content = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": context}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        tokens = torch.tensor([processor.tokenizer.encode(option, add_special_tokens=False)])
        shape = inputs["input_ids"].shape
        added = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        sequence = {
            name: torch.cat([value, added.get(name, torch.zeros_like(tokens))], 1) if value.shape == shape else value
            for name, value in inputs.items()
        }
        if (mask := sequence.get("cross_attention_mask")) is not None:
            seen = mask[:, -1:].expand(-1, tokens.shape[1], -1, -1)
            sequence["cross_attention_mask"] = torch.cat([mask, seen], 1)
        with torch.no_grad():
            logits = model(**sequence, use_cache=False).logits[0].double()
        steps = logits[shape[1] - 1 : -1].log_softmax(-1)
        total = sum(float(step[token]) for step, token in zip(steps, tokens[0], strict=True))
        return total, bool((steps.argmax(-1) == tokens[0]).all())

    return score


@pytest.fixture
def count_passes() -> Iterator[Callable[[BenchCModel], list[int]]]:
    """A function that lists, from now on, how many sequences each forward pass of a model holds."""
    handles: list[Any] = []

    def watch(benchc: BenchCModel) -> list[int]:
        passes: list[int] = []

        def note(module: Any, positional: Any, named: dict[str, Any]) -> None:
            passes.append(len(named["input_ids"]))

        # The passes that try the model out are not of the questions.
        benchc._scorer._has_looked = benchc._scorer._has_tried = True
        benchc._scorer._batches_to_compare = set()
        handles.append(benchc._scorer._model.register_forward_pre_hook(note, with_kwargs=True))
        return passes

    yield watch
    for handle in handles:
        handle.remove()
