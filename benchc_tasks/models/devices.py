"""Where a model runs and in which precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from loguru import logger

from benchc_metrics.messages import quoted
from benchc_tasks.datasets.schema import reason_of
from benchc_tasks.models.processes import processes_on_this_machine

__all__ = ["available_cores", "choose_device", "choose_dtype", "torch_threads"]

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def choose_device(wanted: str | torch.device | None, accelerator: Accelerator) -> torch.device:
    """Choose the device of this process.

    Parameters
    ----------
    wanted : str, torch.device or None
        What the user asked for; empty or None means CUDA if there, else Apple's `mps` if there, else the CPU.
    accelerator : accelerate.Accelerator
        Knows the device of each of several processes.

    Returns
    -------
    torch.device
        The CPU, with a warning, where CUDA is asked for and not there.

    Raises
    ------
    ValueError
        If torch knows no such device or cannot compute on it, or it is the CPU while the processes meet on their
        GPUs.
    """
    if not wanted:
        wanted = _preferred()
    try:
        device = torch.device(wanted)
    except RuntimeError as fault:
        raise ValueError(f"device {quoted(wanted)} is unknown to torch: name cpu, cuda, cuda:0 or mps") from fault
    if device.type == "cpu" and accelerator.num_processes > 1 and accelerator.device.type != "cpu":
        raise ValueError(
            f"device {quoted(wanted)} was asked for, and the {accelerator.num_processes} processes of this run meet on "
            f"{accelerator.device.type}: set ACCELERATE_USE_CPU=true so that they meet on the CPU"
        )
    if device.type != "cuda":
        _try_out(device)
        return device
    if not torch.cuda.is_available():
        logger.warning(f"device {quoted(wanted)} was asked for and torch sees no CUDA device: benchc runs on the CPU")
        return torch.device("cpu")
    if accelerator.num_processes > 1:
        return torch.device(accelerator.device)
    # Counted and not tried out: an engine may want to be the first to open the device.
    if (device.index or 0) >= (present := torch.cuda.device_count()):
        raise ValueError(
            f"device {quoted(wanted)} was asked for and torch sees {present} CUDA devices: count from cuda:0"
        )
    return device


def _preferred() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _try_out(device: torch.device) -> None:
    try:
        torch.zeros(1, device=device).item()
    except Exception as fault:
        raise ValueError(
            f"device {quoted(str(device))} computes nothing here ({reason_of(fault)}): name cpu, cuda, cuda:0 or mps"
        ) from fault


def choose_dtype(wanted: str | torch.dtype | None, device: torch.device) -> torch.dtype | None:
    """Choose the precision of the weights.

    Parameters
    ----------
    wanted : str, torch.dtype or None
        Such as "float32" or "bfloat16"; "auto" means the checkpoint's own.
    device : torch.device
        Where the model runs.

    Returns
    -------
    torch.dtype or None
        None means the checkpoint's own. Without a wish it is float32 on a CPU, where half precision is slow.

    Raises
    ------
    ValueError
        If `wanted` names no precision that a model computes in.
    """
    if not wanted:
        return torch.float32 if device.type == "cpu" else None
    if wanted == "auto":
        return None
    dtype = wanted if isinstance(wanted, torch.dtype) else getattr(torch, str(wanted).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or dtype not in PRECISIONS:
        raise ValueError(f"dtype {quoted(wanted)} is not a precision: name float32, bfloat16, float16 or auto")
    return dtype


def available_cores() -> int:
    """Return how many cores this process may use: its share, where a launcher started several on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes_on_this_machine())


@contextmanager
def torch_threads(limit: int) -> Iterator[None]:
    """Let torch use at most `limit` threads, at least one, inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, limit)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
