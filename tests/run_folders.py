"""Runs made from arrays, and written as lmms-eval writes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchc_metrics.benchmark import CLEAN, CONTROL, CORRUPTION_FAMILIES, LETTERS, RAS_VERSION, SEVERITIES, Condition
from benchc_metrics.designs import FULL, asked_by_design, conditions_per_sample, lite_conditions
from benchc_metrics.records import RECORD_KEY, SampleRecord
from benchc_metrics.runs import GivenPredictions, Run, RunMetadata, part_of_run

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


def record_of(run: Run, number: int, conditions: tuple[Condition, ...], design: str | None = None) -> SampleRecord:
    """The record of one sample of a run under some conditions, whichever way its predictions were obtained."""
    cells = [(run.corruptions.index(str(name)), severity - 1) for name, severity in conditions[1:]]
    rows = [run.clean[number], *(run.corrupted[number, place, severity] for place, severity in cells)]
    chosen = [
        run.clean_predictions[number],
        *(run.corrupted_predictions[number, place, severity] for place, severity in cells),
    ]
    names = [str(condition) for condition in conditions]
    predictions = [None if option < 0 else int(option) for option in chosen]
    given = [None if np.isnan(row[0]) else row[: run.option_counts[number]].tolist() for row in rows]
    of_kind: dict[str, Any] = (
        {"log_likelihoods": given}
        if run.has_distributions
        else {"texts": [None if option is None else LETTERS[option] for option in predictions]}
    )
    return SampleRecord.from_fields(
        {
            "dataset": run.metadata.dataset,
            "engine": run.metadata.engine,
            "benchc": run.metadata.benchc,
            "prompt": run.metadata.prompt,
            "context": run.metadata.context,
            "restoration": run.metadata.restoration,
            "sample": run.sample_ids[number],
            "source": run.sources[number],
            "category": run.categories[number],
            "option_count": int(run.option_counts[number]),
            "answer": int(run.answers[number]),
            "conditions": names,
            "design": design,
            "obtained": run.obtained,
            "predictions": predictions,
            "invalid": {
                condition: "the backend returned nan"
                for condition, prediction in zip(names, predictions, strict=True)
                if prediction is None
            },
            **of_kind,
        }
    )


def records_of(run: Run, corruption: str) -> list[SampleRecord]:
    """The records of one corruption's task of a run."""
    place = run.corruptions.index(corruption)
    return [
        record_of(
            run,
            number,
            (CLEAN, *(Condition(corruption, each) for each in SEVERITIES if run.asked[number, place, each - 1])),
        )
        for number in range(len(run.sample_ids))
    ]


def lite_records_of(run: Run) -> list[SampleRecord]:
    """The records of the task of a run of few conditions a sample."""
    design = run.metadata.design
    return [
        record_of(run, number, lite_conditions(sample, conditions_per_sample(design)), design)
        for number, sample in enumerate(run.sample_ids)
    ]


def lite(run: Run, design: str = "lite") -> Run:
    """A run of all conditions, as if it had been asked by a design."""
    return part_of_run(run, asked_by_design(design, run.sample_ids), design)


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
    if run.metadata.design == FULL:
        logs = {f"{prefix}_{corruption}": records_of(run, corruption) for corruption in run.corruptions}
        asked = {f"{prefix}_{corruption}": {"corruption": corruption} for corruption in run.corruptions}
    else:
        logs, asked = {f"{prefix}-lite": lite_records_of(run)}, {f"{prefix}-lite": {"design": "lite"}}
    if run.control is not None:
        logs[f"{prefix}-{CONTROL}"] = records_of(run.control, CONTROL)
        asked[f"{prefix}-{CONTROL}"] = {"corruption": CONTROL}
    for task, records in logs.items():
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
            for number, record in enumerate(records)
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
                    **metadata,
                    "dataset": run.metadata.dataset,
                    "demonstration": run.metadata.demonstration,
                    "engine": run.metadata.engine,
                    "ras_version": RAS_VERSION,
                }
            }
            for task, metadata in asked.items()
        },
        "n-samples": {
            task: {"original": run.metadata.dataset_size, "effective": len(run.sample_ids)} for task in asked
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
