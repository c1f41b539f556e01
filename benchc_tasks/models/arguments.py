"""Names of the arguments that the model `benchc` takes; read before torch is imported."""

from __future__ import annotations

__all__ = ["BENCHC_ARGUMENTS", "MODEL_ARGUMENTS", "PROCESSOR_ARGUMENTS"]

MODEL_ARGUMENTS = (
    "attn_implementation",
    "device_map",
    "low_cpu_mem_usage",
    "max_memory",
    "revision",
    "trust_remote_code",
)
PROCESSOR_ARGUMENTS = ("revision", "trust_remote_code")
BENCHC_ARGUMENTS = (
    "backend",
    "batch_size",
    "budget",
    "device",
    "dtype",
    "enable_thinking",
    "heartbeat",
    "look_ahead",
    "max_batch_size",
    "max_passes",
    "pretrained",
    "price_input",
    "price_output",
    "render_threads",
    "restore",
    "share_prefix",
    "system_prompt",
    "think",
)
"""What the model `benchc` takes itself: a misspelt one arrives here among a checkpoint's arguments."""
