"""Runs made from arrays, and written as lmms-eval writes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchc_metrics.benchmark import CONTROL, CORRUPTION_FAMILIES, LETTERS, SEVERITIES
from benchc_metrics.records import RECORD_KEY, SampleRecord
from benchc_metrics.runs import GivenPredictions, Run, RunMetadata

METADATA = RunMetadata(
    model="lab/model",
    backend="benchc",
    model_args="pretrained=lab/model",
    date="2026-03-01T11:00:00Z",
    benchc="0.1.0",
    lmms_eval="0.7.3",
    engine="1",
    dataset="f1" * 32,
    dataset_size=None,
    demonstration=False,
    prompt="{question}\nA. {option}",
    length_normalised=False,
)


def made_run(
    samples: int = 40,
    *,
    seed: int = 0,
    noise: float = 0.4,
    corruptions: tuple[str, ...] = tuple(CORRUPTION_FAMILIES),
    widths: tuple[int, int] = (2, 5),
    **metadata: Any,
) -> Run:
    """Make a run whose answers get noisier and less sure with severity; questions do not depend on `noise`."""
    draw = np.random.default_rng(seed)
    option_counts = draw.integers(*widths, samples, endpoint=True)
    answers = draw.integers(0, option_counts)
    width = int(option_counts.max())
    logits = draw.normal(size=(samples, width))
    logits[np.arange(samples), answers] += draw.normal(1.5, 1.0, samples)
    severity = np.array(SEVERITIES, dtype=float)[:, np.newaxis]
    shake = draw.normal(size=(samples, len(corruptions), len(SEVERITIES), width))
    corrupted = logits[:, np.newaxis, np.newaxis] * (1 - 0.1 * severity) + noise * severity * shake
    padding = np.arange(width) >= option_counts[:, np.newaxis]
    clean = np.where(padding, -np.inf, np.minimum(logits - 9, -0.1))
    corrupted = np.where(padding[:, np.newaxis, np.newaxis], -np.inf, np.minimum(corrupted - 9, -0.1))
    facts = {"dataset_size": samples, **metadata}
    return Run(
        name=str(facts.get("model", METADATA.model)),
        metadata=replace(METADATA, **facts),
        sample_ids=tuple(f"sample-{number:04}" for number in range(samples)),
        answers=answers.astype(np.int64),
        option_counts=option_counts.astype(np.int64),
        sources=("test",) * samples,
        categories=tuple(("colour", "shape", "number")[number % 3] for number in range(samples)),
        corruptions=corruptions,
        clean=clean,
        corrupted=corrupted,
    )


def records_of(run: Run, corruption: str) -> list[SampleRecord]:
    """The records of one task of a run, whichever way its predictions were obtained."""
    place = run.corruptions.index(corruption)
    severities = [number for number, _ in enumerate(SEVERITIES)]
    records = []
    for number, sample in enumerate(run.sample_ids):
        kept = [severity for severity in severities if run.asked[number, place, severity]]
        conditions = ("clean", *(f"{corruption}@{SEVERITIES[severity]}" for severity in kept))
        rows = [run.clean[number], *run.corrupted[number, place, kept]]
        chosen = [run.clean_predictions[number], *run.corrupted_predictions[number, place, kept]]
        predictions = [None if option < 0 else int(option) for option in chosen]
        given = [None if np.isnan(row[0]) else row[: run.option_counts[number]].tolist() for row in rows]
        of_kind: dict[str, Any] = (
            {"log_likelihoods": given}
            if run.has_distributions
            else {"texts": [None if option is None else LETTERS[option] for option in predictions]}
        )
        records.append(
            SampleRecord.from_fields(
                {
                    "dataset": run.metadata.dataset,
                    "engine": run.metadata.engine,
                    "benchc": run.metadata.benchc,
                    "prompt": run.metadata.prompt,
                    "context": run.metadata.context,
                    "sample": sample,
                    "source": run.sources[number],
                    "category": run.categories[number],
                    "option_count": int(run.option_counts[number]),
                    "answer": int(run.answers[number]),
                    "conditions": conditions,
                    "obtained": run.obtained,
                    "predictions": predictions,
                    "invalid": {
                        condition: "the backend answered nan"
                        for condition, prediction in zip(conditions, predictions, strict=True)
                        if prediction is None
                    },
                    **of_kind,
                }
            )
        )
    return records


def with_control(run: Run, noise: float = 0.05, seed: int = 1) -> Run:
    """The same run with a control, under which log-likelihoods move by so many nats at random."""
    draw = np.random.default_rng(seed)
    clean = run.clean[:, np.newaxis, np.newaxis]
    moved = np.minimum(clean + noise * draw.normal(size=(len(clean), 1, len(SEVERITIES), clean.shape[-1])), -1e-6)
    control = replace(run, corruptions=(CONTROL,), corrupted=moved, asked=np.ones(moved.shape[:-1], dtype=bool))
    return replace(run, control=control)


def without_distributions(run: Run) -> Run:
    """The same run, as if its letters had been generated."""
    return replace(
        run,
        clean=np.full_like(run.clean, np.nan),
        corrupted=np.full_like(run.corrupted, np.nan),
        given=GivenPredictions("generated letters", run.clean_predictions, run.corrupted_predictions),
        control=None if run.control is None else without_distributions(run.control),
    )


def write_run(
    run: Run,
    folder: Path,
    *,
    date: str = "20260301_190000",
    compressed: bool = False,
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows,
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Write a run as lmms-eval does; `change` may edit the rows of each log, `results` the results file."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "benchc" if run.has_distributions else "benchc-gen"
    parts = [(f"{prefix}_{corruption}", corruption, run) for corruption in run.corruptions]
    if run.control is not None:
        parts.append((f"{prefix}-{CONTROL}", CONTROL, run.control))
    for task, corruption, part in parts:
        rows = [
            {
                "doc_id": number,
                "target": "ABCDEFGHIJ"[record.answer],
                "filtered_resps": [],
                "doc_hash": "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
                "ras": 0.0,
                RECORD_KEY: record.to_json_dict(),
                "input": "",
            }
            for number, record in enumerate(records_of(part, corruption))
        ]
        text = "".join(json.dumps(row) + "\n" for row in change(rows))
        name = f"{date}_samples_{task}.jsonl"
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), 1))
        else:
            (folder / name).write_text(text, encoding="utf-8")
    written = {
        "results": {},
        "configs": {
            task: {
                "metadata": {
                    "corruption": corruption,
                    "dataset": run.metadata.dataset,
                    "demonstration": run.metadata.demonstration,
                    "engine": run.metadata.engine,
                }
            }
            for task, corruption, _ in parts
        },
        "n-samples": {
            task: {"original": run.metadata.dataset_size, "effective": len(run.sample_ids)} for task, _, _ in parts
        },
        "config": {
            "model": "benchc",
            "model_args": run.metadata.model_args,
            "resolved_cli_args": {"timezone": "Asia/Singapore"},
        },
        "lmms_eval_version": f"{run.metadata.lmms_eval}@unknown",
        "date": date,
        "model_name": run.metadata.model,
        **(results or {}),
    }
    (folder / f"{date}_results.json").write_text(json.dumps(written), encoding="utf-8")
    return folder
