"""vLLM's own OpenAI-compatible server on loopback, for tests that ask a real engine."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SERVED_NAME", "vllm_server", "why_no_vllm"]

SERVED_NAME = "bundled"
START_SECONDS = 420.0
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1
OPTIONS = ("--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--limit-mm-per-prompt", '{"image": 1}')


def why_no_vllm() -> str | None:
    """Why tests with vLLM can't run in this environment; None where they can."""
    if importlib.util.find_spec("vllm") is None:
        return "vLLM is not installed here; .ci/vllm-environment makes an environment that has it"
    return None


@contextmanager
def vllm_server(checkpoint: Path, log: Path, *, options: Sequence[str] = OPTIONS) -> Iterator[str]:
    """Serve a checkpoint, as `SERVED_NAME`, and stop with all processes that were started.

    Parameters
    ----------
    checkpoint : Path
        The folder.
    log : Path
        Where the server's output goes.
    options : sequence of str
        Of the server.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    RuntimeError
        If it does not start; the message has the end of its output.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint)]
    command += ["--served-model-name", SERVED_NAME, "--host", "127.0.0.1", "--port", str(port), *options]
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_the_parent,
        )
    try:
        _wait_for(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _stop(server)


def _end_with_the_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent is gone, even if it was killed and could not stop its server."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.25)
    end = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise RuntimeError(f"vLLM's server did not start within {START_SECONDS:.0f} s (status {server.poll()}):\n{end}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and the engine's process, which are a group of their own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, sign)
            server.wait(timeout=STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
