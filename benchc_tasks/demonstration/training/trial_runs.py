"""Make several real runs for examples: variants of the demonstration model, evaluated by lmms-eval.

    python -m benchc_tasks.demonstration.training.trial_runs -o FOLDER

A model is trained for more steps of the last stage: once like the demonstration model, once with Gaussian noise on half
of the pictures. That gives five models: the initial one, and each training in the middle and at its end. Each is
evaluated over the bundled demonstration set, under all conditions.

`FOLDER/runs/MODEL` keeps the parts of each run that `benchc` reads: the results file, and compressed samples logs with
answers rounded to four digits after the point. The models are tiny and the pictures generated. The numbers are for
demonstration only and say nothing about any published model.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchc_metrics.records import RECORD_KEY
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.demonstration.training.stages import train_jointly
from benchc_tasks.demonstration.training.streams import Stream

__all__ = ["ABOUT", "MODELS", "TRIALS", "Trial", "keep_answers", "main", "train_trial"]

DIGITS = 4
STAGE = 4
"""Number of the stream of pictures; the demonstration model's own training uses lower numbers."""

ABOUT = (
    "Trial data for demonstration only: tiny models over generated pictures, whose numbers say nothing about any "
    "published model. “start” is the initial model of the others. “plain” was trained for more steps of the last stage "
    "of the demonstration model's training, “noise-augmented” for the same steps with Gaussian noise on half of the "
    "pictures. “half” marks the model in the middle of a training. Answers are rounded to four digits after the point."
)
"""A description of the runs, for `benchc report --about`."""

_RESULTS_KEYS = ("configs", "n-samples", "lmms_eval_version", "date", "model_name")


@dataclass(frozen=True)
class Trial:
    """One training that begins with a given model.

    Attributes
    ----------
    name : str
        The name of its model; the model in the middle of the training is `NAME-half`.
    noise : float
        Largest standard deviation of the noise on half of the pictures, on a scale from 0 to 1.
    """

    name: str
    noise: float


TRIALS = (Trial("plain", 0.0), Trial("noise-augmented", 0.3))
START = "start"
MODELS = (START, *(f"{trial.name}{suffix}" for trial in TRIALS for suffix in ("-half", "")))


def train_trial(trial: Trial, start: Path, output: Path, steps: int, batch: int, say: Callable[[str], None]) -> None:
    """Train one trial and write its two models.

    Parameters
    ----------
    trial : Trial
    start : Path
        The initial model.
    output : Path
        Folder of the models.
    steps, batch : int
        Number of steps, and pictures a step.
    say : callable
        Receives a line of progress every few steps.
    """
    model = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(start)

    def save(name: str) -> None:
        model.save_pretrained(output / name)
        processor.save_pretrained(output / name)

    halfway = f"step-{3 * max(1, steps // 6)}"

    def checkpoint(name: str) -> None:
        if name == halfway:
            save(f"{trial.name}-half")

    torch.manual_seed(STAGE)
    model.train()
    stream = Stream(processor.tokenizer, seed=0, stage=STAGE, noise=trial.noise)
    train_jointly(model, stream, steps, batch, say, checkpoint=checkpoint)
    save(trial.name)


def evaluate(folder: Path, model: str, limit: int | None) -> Path:
    """Run lmms-eval on a model, as a user would.

    Parameters
    ----------
    folder : Path
        The folder that contains the model's folder `trial/MODEL`.
    model : str
    limit : int or None
        The number of samples, from the first one on; by default all.

    Returns
    -------
    Path
        The folder that lmms-eval wrote.

    Raises
    ------
    RuntimeError
        If it left no results, which lmms-eval's exit status does not show.
    """
    output = folder / "evaluations" / model
    command = [sys.executable, "-m", "lmms_eval", "--model", "benchc", "--model_args", f"pretrained=trial/{model}"]
    if limit is not None:
        command += ["--limit", str(limit)]
    subprocess.run(
        [
            *command,
            "--tasks",
            "benchc,benchc-control",
            "--output_path",
            str(output.relative_to(folder)),
            "--log_samples",
        ],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        check=True,
    )
    results = sorted(output.rglob("*_results.json"))
    if not results:
        raise RuntimeError(f"lmms-eval left no results of {model}: its output says why")
    return results[-1].parent


def keep_answers(source: Path, target: Path, tasks: Sequence[str] | None = None, digits: int = DIGITS) -> None:
    """Keep the parts of a run that `benchc` reads.

    Parameters
    ----------
    source : Path
        The folder that lmms-eval wrote.
    target : Path
        The folder to write.
    tasks : sequence of str, optional
        The tasks to keep; by default all.
    digits : int
        The digits after the point that are kept of an answer.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*_results.json"):
        results = json.loads(file.read_text(encoding="utf-8"))
        shortened = json.dumps(_shortened_results(results, tasks), indent=1)
        (target / file.name).write_text(shortened, encoding="utf-8", newline="\n")
    for file in source.glob("*_samples_benchc[_-]*.jsonl"):
        if tasks is not None and file.stem.partition("_samples_")[2] not in tasks:
            continue
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        text = "".join(json.dumps(_shortened_row(row, digits), separators=(",", ":")) + "\n" for row in rows)
        # Without a modification time, the same run gives the same bytes.
        (target / f"{file.name}.gz").write_bytes(gzip.compress(text.encode("utf-8"), 9, mtime=0))


def _shortened_results(results: Mapping[str, Any], tasks: Sequence[str] | None = None) -> dict[str, Any]:
    kept = {key: results[key] for key in _RESULTS_KEYS if key in results}
    if tasks is not None:
        kept["n-samples"] = {task: sizes for task, sizes in results.get("n-samples", {}).items() if task in tasks}
    kept["configs"] = {
        task: {"metadata": config.get("metadata", {})}
        for task, config in results["configs"].items()
        if isinstance(config, dict) and (tasks is None or task in tasks)
    }
    config = results["config"]
    kept["config"] = {key: config.get(key) for key in ("model", "model_args")}
    kept["config"]["resolved_cli_args"] = {"timezone": config.get("resolved_cli_args", {}).get("timezone")}
    return kept


def _shortened_row(row: Mapping[str, Any], digits: int) -> dict[str, Any]:
    record = dict(row[RECORD_KEY])
    record["log_likelihoods"] = [
        None if options is None else [None if value is None else round(value, digits) for value in options]
        for options in record["log_likelihoods"]
    ]
    return {"doc_id": row["doc_id"], RECORD_KEY: record}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, evaluate, and keep what is needed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchc_tasks.demonstration.training.trial_runs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for models and runs")
    parser.add_argument("--start", type=Path, help="model to begin with; by default the bundled one")
    parser.add_argument("--steps", type=int, default=120, help="steps of each training (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="pictures a step (%(default)s)")
    parser.add_argument("--limit", type=int, help="samples of each evaluation; all by default")
    parser.add_argument("--threads", type=int, default=1, help="number of processor threads (%(default)s)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    train_all(chosen.output / "trial", chosen.start or DEMONSTRATION_MODEL, chosen.steps, chosen.batch)
    for name in MODELS:
        keep_answers(evaluate(chosen.output, name, chosen.limit), chosen.output / "runs" / name)
    (chosen.output / "runs" / "ABOUT.txt").write_text(f"{ABOUT}\n", encoding="utf-8", newline="\n")


def train_all(models: Path, start: Path, steps: int, batch: int) -> None:
    """Write all of `MODELS`; skip trainings whose model already exists."""
    if not (models / START).is_dir():
        AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32).save_pretrained(models / START)
        AutoProcessor.from_pretrained(start).save_pretrained(models / START)
    for trial in TRIALS:
        if not (models / trial.name).is_dir():
            train_trial(trial, models / START, models, steps, batch, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
