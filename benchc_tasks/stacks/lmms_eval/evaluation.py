"""Provide `evaluate`: the README's main command from Python.

It runs lmms-eval in a separate process, because lmms-eval changes its process (random seeds, logging, file locks, SSL
contexts), keeps the model's memory, and reports a failure only in its log.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from benchc_metrics.runs import Run, read_run
from benchc_tasks.stacks.lmms_eval.launching import Launch

__all__ = ["EvaluationError", "evaluate"]

RESULTS_PATTERN = "*_results.json"
_KEPT_LINES = 200


class EvaluationError(RuntimeError):
    """Raised when lmms-eval leaves no results; the message is its last error line."""


def evaluate(
    output: str | PathLike[str],
    *,
    model: str = "benchc",
    model_args: str | Mapping[str, object] = "",
    tasks: str = "benchc",
    dataset: str | PathLike[str] | None = None,
    limit: int | None = None,
    options: Mapping[str, object] | None = None,
    echo: bool = True,
) -> Run:
    """Evaluate a model as `python -m lmms_eval --model benchc --tasks benchc` does, and return the run.

    Parameters
    ----------
    output : str or path-like
        The folder for results, lmms-eval's `--output_path`.
    model : str
        lmms-eval's name of the model.
    model_args : str or mapping
        Arguments of the model, such as `{"pretrained": "lab/model"}`.
    tasks : str
        Names of tasks or groups, separated by commas.
    dataset : str or path-like, optional
        As in BENCHC_DATASET; by default that of the environment, else the bundled demonstration set.
    limit : int, optional
        Evaluate the first samples only.
    options : mapping, optional
        Other options of lmms-eval by their names without dashes, such as `{"batch_size": 8}`; True for a flag.
    echo : bool
        True to show lmms-eval's progress and log on standard error.

    Returns
    -------
    Run

    Raises
    ------
    EvaluationError
        If lmms-eval leaves no results.
    ValueError, FileNotFoundError
        As in `benchc_metrics.read_run`.
    """
    folder = Path(output)
    before = set(folder.rglob(RESULTS_PATTERN))
    written = (
        model_args if isinstance(model_args, str) else ",".join(f"{name}={value}" for name, value in model_args.items())
    )
    launch = Launch(
        output=str(folder),
        model=model,
        model_args=written,
        tasks=tasks,
        dataset=None if dataset is None else os.fspath(dataset),
        limit=limit,
        options=_words(options or {}),
    )
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        [sys.executable, *launch.words()],
        env=launch.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as running:
        for line in running.stderr or ():
            lines.append(line.rstrip())
            if echo:
                sys.stderr.write(line)
    made = sorted(set(folder.rglob(RESULTS_PATTERN)) - before)
    if not made:
        errors = [line for line in lines if "ERROR" in line or "Error" in line] or list(lines)[-1:]
        raise EvaluationError(f"lmms-eval left no results in {folder}: {errors[-1] if errors else 'it named no error'}")
    return read_run(made[-1].parent)


def _words(options: Mapping[str, object]) -> list[str]:
    """Convert options of lmms-eval to words of its command line."""
    return [
        word
        for name, value in options.items()
        for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
