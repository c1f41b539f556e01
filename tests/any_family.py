"""A tiny randomly initialised checkpoint of any vision-language family of transformers, shrunk from its defaults.

`tiny_models` writes some families by hand. Here the default configuration of any family is made small by rules, its
processor is put together of its default parts, and its tokenizer gets every special token that its code names.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tiny_models
import torch
import transformers as hf
from tiny_tokenizer import chat_template, make_tokenizer
from transformers.models.auto import (
    configuration_auto,
    feature_extraction_auto,
    image_processing_auto,
    modeling_auto,
    processing_auto,
    video_processing_auto,
)

__all__ = ["FAMILIES", "MOST_PARAMETERS", "NotBuilt", "build_any", "model_class"]

FAMILIES: Mapping[str, str] = modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
"""Each entry of transformers' mapping: the type of a configuration, and the model's class."""

MOST_PARAMETERS = 50_000_000
"""A model that the rules leave larger is not built."""

WIDTH, HEADS, LAYERS, PATCH, SIDE = 64, 4, 2, 8, 32

SMALL: dict[str, int] = {
    **dict.fromkeys(
        (
            "hidden_size", "d_model", "embed_dim", "n_embd", "out_hidden_size", "text_hidden_size", "embedding_size",
            "projection_dim", "dim", "encoder_hidden_size", "vision_hidden_size", "vision_output_dim", "mm_hidden_size",
            "projection_dims", "output_dim", "aligner_projection_size",
        ),
        WIDTH,
    ),
    **dict.fromkeys(
        (
            "intermediate_size", "ffn_dim", "mlp_dim", "encoder_ffn_dim", "decoder_ffn_dim", "intermediate_size_mlp",
            "projector_intermediate_size", "dense_intermediate_size", "connector_intermediate_size", "ffn_hidden_size",
        ),
        96,
    ),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(
        ("num_hidden_layers", "num_layers", "depth", "n_layer", "encoder_layers", "decoder_layers", "layers"), LAYERS
    ),
    **dict.fromkeys(
        (
            "num_attention_heads", "num_heads", "n_head", "attention_heads", "encoder_attention_heads",
            "decoder_attention_heads",
        ),
        HEADS,
    ),
    "num_key_value_heads": 2,
    **dict.fromkeys(
        (
            "head_dim", "q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim",
            "linear_key_head_dim", "linear_value_head_dim", "sliding_window", "hidden_size_per_layer_input",
        ),
        WIDTH // HEADS,
    ),
    **dict.fromkeys(
        ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "linear_num_value_heads"), 4
    ),
    **dict.fromkeys(("num_experts_per_tok", "top_k", "linear_num_key_heads"), 2),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace"), 1),
    "num_kv_shared_layers": 0,
    "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip
"""What a number of a configuration is set to, by its name, wherever in the configuration."""

FORGOTTEN = frozenset(("id2label", "label2id", "architectures", "transformers_version", "per_layer_config"))
"""What is left to the configuration itself once its sizes have changed."""

TOKENS = (
    "<image>", "<video>", "<audio>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
    "<unk>", "<|image|>", "<|video|>", "<img>", "</img>", "<start_of_image>", "<end_of_image>",
)  # fmt: skip

LITERAL = re.compile(r"""["'](<[^"'\s{}]{1,40}>|\[[A-Z_]{2,20}\])["']""")


class NotBuilt(RuntimeError):
    """Raised where a family has no tiny model; the message says why."""


@dataclass(frozen=True)
class Special:
    """Exceptions of a family from the rules.

    Attributes
    ----------
    config : mapping
        Values of the configuration, by dotted names.
    image : str or None
        What its chat template writes for an image; None for the processor's own token.
    begin : str
        What its chat template begins with.
    processor : str
        Class of its processor.
    settings : mapping
        Arguments of the processor.
    images : mapping
        Attributes of the image processor.
    tokens : mapping
        Attributes of the tokenizer that are special tokens.
    change : callable
        Changes the model once it is made.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    image: str | None = None
    begin: str = ""
    processor: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[Any], None] = lambda model: None


def _id_of(token: str) -> Callable[[Any], int]:
    return lambda tokenizer: int(tokenizer.convert_tokens_to_ids(token))


def _open_gates(model: Any) -> None:
    """Let pictures through gates that are closed at first."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "alpha" in name or "gate" in name:
                parameter.fill_(0.7)


ROPE = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 1e4}
GRID = [[32, 32], [32, 64], [64, 32], [64, 64]]
SQUARE = {"height": SIDE, "width": SIDE}
CLIP = {"num_additional_image_tokens": 1}
GLM = Special(config={"text_config.rope_parameters": ROPE | {"partial_rotary_factor": 1.0}})
BLIP = Special(
    config={"image_token_index": _id_of("<image>"), "text_config.word_embed_proj_dim": WIDTH},
    settings={"num_query_tokens": 32},
    image="",
)
SOUNDS = {f"{role}_token": f"<{role}>" for role in ("audio", "boa", "eoa")}
INKLING = Special(images={"size": {"height": 2 * PATCH, "width": 2 * PATCH}})
IMAGE_TOKENS = 16
MISTRAL = {
    "rope_type": "default",
    "rope_theta": 1e4,
    "partial_rotary_factor": 0.5,
    "llama_4_scaling_beta": 0.1,
    "original_max_position_embeddings": 8192,
}


def _vocabulary(tokenizer: Any) -> dict[str, int]:
    return dict(tokenizer.get_vocab())


PINPOINTS = Special(config={"image_grid_pinpoints": GRID}, images={"image_grid_pinpoints": GRID}, settings=CLIP)

SPECIAL: dict[str, Special] = {
    "aya_vision": Special(
        config={"image_token_index": _id_of("<|IMG_PATCH|>"), "image_token_id": _id_of("<|IMG_PATCH|>")},
        settings={"patch_size": PATCH, "img_size": SIDE, "downsample_factor": 2},
    ),
    "aria": Special(
        config={
            "vision_config.image_size": 980,
            "vision_config.patch_size": 70,
            "vision_feature_layer": -1,
            "projector_patch_to_query_dict": {196: 4},
        },
        settings={"size_conversion": {490: 4, 980: 4}},
    ),
    "blip-2": BLIP,
    "deepseek_vl": Special(settings={"num_image_tokens": 16}),
    "chameleon": Special(
        config={"vocabulary_map": _vocabulary, "vq_config.num_embeddings": 10, "vq_config.resolution": SIDE},
        tokens={f"image_{number}": f"IMGIMG{chr(65 + number)}Z" for number in range(10)},
        settings={"image_seq_length": 4},
    ),
    "cohere2_vision": Special(images={"patch_size": 2}),
    "cohere_compass": Special(config={"text_config.rope_parameters": {"full_attention": ROPE}}),
    "deepseek_vl_hybrid": Special(
        config={"high_res_vision_config.global_attn_indexes": [1]},
        settings={"num_image_tokens": 16},
        images={"high_res_size": SQUARE},
    ),
    "dots3_note": Special(
        config={
            "text_config.num_key_value_heads": HEADS,
            "audio_config.num_key_value_heads": HEADS,
            "audio_config.adapter_input_size": WIDTH,
            "audio_config.adapter_out_dim": WIDTH,
            "vision_config.adapter_in_dim": WIDTH,
            "vision_config.adapter_out_dim": WIDTH,
        }
    ),
    "emu3": Special(
        config={"vocabulary_map": _vocabulary, "vq_config.codebook_size": 10, "vq_config.base_channels": 32},
        tokens={
            "end_of_line": "<|extra_200|>",
            **{f"image_{number}": f"<|visual token {number:06d}|>" for number in range(10)},
        },
    ),
    "ernie4_5_vl_moe": Special(
        config={"text_config.rope_parameters": ROPE | {"mrope_section": [3, 3, 2]}, "text_config.moe_k": 2}
    ),
    "fuyu": Special(
        image="",
        config={"patch_size": 30},
        images={"size": {"height": 60, "width": 60}},
        tokens={"speaker": "|SPEAKER|", "new_line": "|NEWLINE|"},
    ),
    "gemma3n": Special(config={"text_config.activation_sparsity_pattern": None}),
    "gemma4": Special(
        tokens=SOUNDS,
        config={
            f"vision_config.{name}": SMALL[name]
            for name in (
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "head_dim",
                "patch_size",
            )
        },
        images={"max_soft_tokens": 70},
    ),
    "gemma4_unified": Special(
        tokens=SOUNDS,
        config={
            "vision_config.patch_size": PATCH,
            "vision_config.mm_embed_dim": WIDTH,
            "vision_config.output_proj_dims": WIDTH,
        },
        images={"max_soft_tokens": 70},
    ),
    "git": Special(image=""),
    "glm46v": GLM,
    "glm4v": GLM,
    "glm4v_moe": Special(
        config={"text_config.rope_parameters": ROPE | {"mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5}}
    ),
    "glm5_next": Special(config={"text_config.num_key_value_heads": HEADS, "text_config.qk_rope_head_dim": 0}),
    "glmga": GLM,
    "glm_ocr": Special(processor="Glm46VProcessor", config={"text_config.rope_parameters": ROPE}),
    "got_ocr2": Special(config={"vision_config.image_size": 512}, images={"size": {"height": 512, "width": 512}}),
    "granite_docling": Special(settings={"image_seq_len": 1}),
    "hunyuan_vl": Special(
        image="<begin><image><end>",
        config={"text_config.head_dim": WIDTH // HEADS, "text_config.rope_parameters": ROPE},
        tokens={"image_token": "<image>", "image_start_token": "<begin>", "image_end_token": "<end>"},
    ),
    "inkling2": INKLING,
    "inkling2_loop": INKLING,
    "kimi_k25": Special(config={"projection_hidden_size": WIDTH, "text_config.num_key_value_heads": HEADS}),
    "llama4": Special(
        config={
            "image_token_index": _id_of("<|patch|>"),
            "vision_config.intermediate_size": 4 * WIDTH,
            "vision_config.projector_input_dim": WIDTH,
            "vision_config.projector_output_dim": WIDTH,
        }
    ),
    "molmo2": Special(
        config={
            "adapter_config.vision_feature_layer": [1, 0],
            "vision_config.num_position_embeddings": IMAGE_TOKENS,
            "image_patch_id": _id_of("<im_patch>"),
        },
        images={"overlap_margins": [1, 1]},
    ),
    "mistral_large4": Special(
        settings={"spatial_merge_size": 2},
        config={
            "text_config.kv_source_layers": None,
            "text_config.no_rope_layers": None,
            "text_config.indexer_types": None,
            "text_config.num_key_value_heads": HEADS,
        },
    ),
    "muse_glimmer": Special(config={"out_hidden_size": 4 * WIDTH, "projector_hidden_size": WIDTH}),
    "muse_spark": Special(
        config={
            "audio_config.num_hidden_layers": 4,
            "audio_config.hidden_sizes": [32, 32, 64, 64],
            "out_hidden_size": 4 * WIDTH,
            "projector_hidden_size": WIDTH,
        }
    ),
    "idefics": Special(change=_open_gates, settings={"image_size": SIDE}),
    "instructblip": BLIP,
    "janus": Special(config={"vq_config.base_channels": 32}, settings={"num_image_tokens": IMAGE_TOKENS}),
    "kosmos-2": Special(settings={"num_patch_index_tokens": 16}, image="", config={"latent_query_num": 64}),
    "kosmos-2.5": Special(image=""),
    "lfm2_vl": Special(images={"encoder_patch_size": PATCH}),
    "llava_next": PINPOINTS,
    "llava_next_video": PINPOINTS,
    "mistral3": Special(settings={"spatial_merge_size": 2}),
    "ovis2": Special(config={"image_token_id": _id_of("<IMG_ATOM>")}, settings={"image_seq_length": IMAGE_TOKENS}),
    "paddleocr_vl": Special(config={"text_config.rope_parameters": ROPE}),
    "paligemma": Special(images={"image_seq_length": 16}),
    "qianfan_ocr": Special(image="<image>", settings={"image_seq_length": 4}),
    "qwen2_vl": Special(config={"text_config.rope_parameters": ROPE}),
    "vipllava": Special(config={"vision_feature_layers": [-2, -1]}, settings=CLIP),
    "video_llava": Special(settings=CLIP),
    "fast_vlm": Special(processor="LlavaProcessor"),
    "cosmos3_omni": Special(processor="Qwen3VLProcessor"),
    "mistral4": Special(
        processor="PixtralProcessor",
        config={"rope_parameters": MISTRAL},
    ),
}
"""What rules do not give."""


def model_class(family: str) -> Any:
    """Return the class of a family's model."""
    return getattr(hf, FAMILIES[family])


def build_any(family: str, folder: Path) -> Path:
    """Save a tiny checkpoint of a family.

    Raises
    ------
    NotBuilt
        If it cannot be made; the message says what failed.
    """
    if family in tiny_models.FAMILIES:
        return tiny_models.build_checkpoint(family, folder)
    needed = SPECIAL.get(family, Special())
    try:
        processor = _processor(family, needed)
        config = _configuration(family, needed, processor)
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in model_class(family)(config).parameters())
        if size > MOST_PARAMETERS:
            raise NotBuilt(f"it has {size:,} parameters when shrunk")
        torch.manual_seed(20)
        model = model_class(family)(config)
    except NotBuilt:
        raise
    except Exception as fault:
        raise NotBuilt(f"{type(fault).__name__}: {' '.join(str(fault).split())[:200]}") from fault
    image = _image_of(processor) if needed.image is None else needed.image
    processor.chat_template = chat_template(image, needed.begin)
    needed.change(model)
    generator = torch.Generator().manual_seed(21)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.2 / parameter[0].numel() ** 0.5, generator=generator)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _image_of(processor: Any) -> str:
    token = str(getattr(processor, "image_token", None) or "<image>")
    start, end = (getattr(processor, f"vision_{place}_token", None) for place in ("start", "end"))
    return f"{start}{token}{end}" if isinstance(start, str) and isinstance(end, str) else token


# The processor


def _processor(family: str, needed: Special) -> Any:
    name = needed.processor or processing_auto.PROCESSOR_MAPPING_NAMES.get(family)
    name = name or re.sub(r"(For[A-Z]\w+|Model)$", "Processor", FAMILIES[family])
    processor_class = getattr(hf, name, None)
    if processor_class is None:
        raise NotBuilt(f"transformers has no processor for it ({name})")
    source = inspect.getsource(inspect.getmodule(processor_class))
    found = list(dict.fromkeys((*TOKENS, *LITERAL.findall(source))))
    attributes = dict(needed.tokens)
    parameters = inspect.signature(processor_class.__init__).parameters
    for _ in range(20):
        named = {f"token_{place}": token for place, token in enumerate(found)} | attributes
        tokenizer = make_tokenizer(named)
        tokenizer.unk_token = "<unk>"
        parts = {part: _part(part, family, needed, tokenizer) for part in parameters if part in PARTS}
        settings = {**_settings(parameters), **needed.settings}
        try:
            return processor_class(**parts, **settings)
        except AttributeError as fault:
            missing = re.search(r"has no attribute '?(\w+?)(_id)?'?$", str(fault))
            if not missing or missing[1] in attributes or not missing[1].endswith("token"):
                raise
            attributes[missing[1]] = f"<{missing[1]}>"
    raise NotBuilt("its tokenizer wants ever more tokens")


LIKE = {
    "cosmos3_omni": "qwen3_vl",
    "fast_vlm": "llava",
    "glm4v_moe": "glm4v",
    "glm_ocr": "glm46v",
    "mistral4": "mistral3",
    "qwen3_vl_moe": "qwen3_vl",
}
"""Families whose processor has the parts of another's."""

PARTS = {
    "image_processor": image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES,
    "video_processor": video_processing_auto.VIDEO_PROCESSOR_MAPPING_NAMES,
    "feature_extractor": feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING_NAMES,
    "tokenizer": {},
    "qformer_tokenizer": {},
    "protein_tokenizer": {},
}


def _part(part: str, family: str, needed: Special, tokenizer: Any) -> Any:
    if part.endswith("tokenizer"):
        return tokenizer
    name = PARTS[part].get(family, PARTS[part].get(LIKE.get(family, "")))
    if isinstance(name, Mapping):
        name = name.get("torchvision") or next(iter(name.values()))
    if isinstance(name, (tuple, list)):
        name = next(each for each in reversed(name) if each)
    if name is None:
        raise NotBuilt(f"transformers has no {part} for it")
    made = getattr(hf, name)()
    if hasattr(made, "draw_on_frames"):
        made.draw_on_frames = False  # it wants a font
    if part != "feature_extractor":
        for attribute, value in (*_sizes(made).items(), *(needed.images if part == "image_processor" else {}).items()):
            setattr(made, attribute, value)
    return made


def _sizes(images: Any) -> dict[str, Any]:
    """Small sizes in place of an image processor's own."""
    found: dict[str, Any] = {}
    if isinstance(getattr(images, "patch_size", None), int):
        found["patch_size"] = PATCH
    for name in ("size", "crop_size"):
        size = getattr(images, name, None)
        if size is None:
            continue
        keys = {key for key, value in dict(size).items() if value is not None}
        if keys == {"shortest_edge", "longest_edge"}:
            found[name] = {"shortest_edge": (2 * PATCH) ** 2, "longest_edge": (2 * SIDE) ** 2}
        else:
            found[name] = dict.fromkeys(keys, SIDE)
    if isinstance(getattr(images, "image_size", None), int):
        found["image_size"] = SIDE
    return found


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    known = {"patch_size": PATCH, "img_size": SIDE, "vision_feature_select_strategy": "default"}
    return {name: value for name, value in known.items() if name in parameters}


# The configuration


def _configuration(family: str, needed: Special, processor: Any) -> Any:
    tokenizer = processor.tokenizer
    configuration = configuration_auto.CONFIG_MAPPING[family]
    shrunk = _shrunk(configuration().to_dict(), processor, tokenizer)
    for name, value in needed.config.items():
        *outer, last = name.split(".")
        place = shrunk
        for each in outer:
            place[each] = place.get(each) or {}
            place = place[each]
        place[last] = value(tokenizer) if callable(value) else value
    shrunk.pop("model_type", None)
    return configuration(**shrunk)


def _shrunk(written: Mapping[str, Any], processor: Any, tokenizer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in written.items():
        if name in FORGOTTEN:
            continue
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            found[name] = _shrunk(value, processor, tokenizer)
        elif "vocab_size" in name and is_number:
            found[name] = len(tokenizer)
        elif re.search(r"token_(id|index)$", name) and (is_number or (value is None and "image_token" in name)):
            found[name] = _token_id(name, processor, tokenizer)
        elif name in SMALL and is_number:
            found[name] = SMALL[name]
        elif name in SMALL and isinstance(value, (list, tuple)) and all(isinstance(each, int) for each in value):
            found[name] = [SMALL[name]] * (LAYERS if len(value) > 4 else len(value))
        elif name.endswith("layer_types") and value:
            found[name] = (list(dict.fromkeys(value)) * LAYERS)[-LAYERS:]
        elif re.search(r"(layers?|block|visual)_ind(ex|ice)e?s$", name) and value:
            found[name] = list(range(LAYERS))
        elif name == "mrope_section" and value:
            found[name] = [4, 2, 2]
        else:
            found[name] = value
    return found


def _token_id(name: str, processor: Any, tokenizer: Any) -> int:
    """Return the id of the token that a configuration names, as the processor or the tokenizer has it."""
    role = re.sub(r"_(id|index)$", "", name)
    for holder in (processor, tokenizer):
        token = getattr(holder, role, None)
        if token is not None:
            return int(tokenizer.convert_tokens_to_ids(str(token)))
    if role == "image_token":
        return int(tokenizer.convert_tokens_to_ids("<image>"))
    return int(
        tokenizer.convert_tokens_to_ids("<|pad|>" if "pad" in role else "<audio>" if "audio" in role else "<video>")
    )
