from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchc_metrics.records import SampleRecord
from benchc_tasks.datasets import SampleDataset, load_dataset, write_dataset
from benchc_tasks.selection.pool import Pool

LETTERS = "ABCDEFGH"
CONDITIONS = ("clean", "fog@1", "fog@5", "snow@3")


@dataclass
class World:
    """A small pool with answers that are known: (models, conditions, samples, options) log-likelihoods."""

    folder: Path
    rows: list[dict[str, Any]]
    models: list[str]
    conditions: tuple[str, ...]
    log_likelihoods: np.ndarray

    @property
    def dataset(self) -> SampleDataset:
        return load_dataset(self.folder / "pool")

    @property
    def pool(self) -> Pool:
        return Pool.from_dataset(self.dataset)

    @property
    def counts(self) -> list[int]:
        return [len(row["options"]) for row in self.rows]

    @property
    def probabilities(self) -> np.ndarray:
        weights = np.exp(self.log_likelihoods)
        return weights / weights.sum(axis=-1, keepdims=True)

    @property
    def predictions(self) -> np.ndarray:
        return self.log_likelihoods.argmax(axis=-1)

    def answers(self) -> list[tuple[int, int, int]]:
        """All (model, condition, sample), shuffled: no reader may rely on an order."""
        shape = self.log_likelihoods.shape[:3]
        order = np.random.default_rng(5).permutation(int(np.prod(shape)))
        return [tuple(map(int, np.unravel_index(place, shape))) for place in order]  # type: ignore[misc]

    def long_table(self, kind: str = "logits", keep: Callable[[int, int, int], bool] | None = None) -> pa.Table:
        rows = []
        for model, condition, sample in self.answers():
            if keep is not None and not keep(model, condition, sample):
                continue
            row: dict[str, Any] = {
                "model": self.models[model],
                "sample": self.rows[sample]["id"],
                "condition": self.conditions[condition],
            }
            count = self.counts[sample]
            if kind == "prediction":
                row["prediction"] = LETTERS[self.predictions[model, condition, sample]]
            else:
                values = self.log_likelihoods if kind == "logits" else self.probabilities
                row[kind] = values[model, condition, sample, :count].tolist()
            rows.append(row)
        return pa.Table.from_pylist(rows)

    def write_table(self, name: str = "answers.parquet", **settings: Any) -> str:
        path = self.folder / name
        pq.write_table(self.long_table(**settings), path)
        return str(path)

    def write_generated_logs(self) -> str:
        """The same logs of models whose letters were generated, under a folder of their own."""
        logs = Path(self.write_logs())
        for path in logs.rglob("*.jsonl"):
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            records = [SampleRecord.from_json_dict(row["benchc"]) for row in rows]
            lines = [json.dumps({"doc_id": row["doc_id"], "benchc": generated(record).to_json_dict()})
                     for row, record in zip(rows, records, strict=True)]  # fmt: skip
            target = self.folder / "generated" / path.relative_to(logs)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(self.folder / "generated")

    def write_logs(self, compressed: bool = False, fingerprint: str | None = None, **changes: Any) -> str:
        """Samples logs as lmms-eval writes them: a folder a model, a file a task, clean in each of them."""
        fingerprint = fingerprint or self.dataset.fingerprint
        tasks = {"fog": [0, 1, 2], "snow": [0, 3]}
        for model, name in enumerate(self.models):
            for task, conditions in tasks.items():
                lines = []
                for sample, row in enumerate(self.rows):
                    values = self.log_likelihoods[model][conditions, sample, : self.counts[sample]]
                    fields: dict[str, Any] = {
                        "schema": "benchc.sample/2", "missing_mass": None,
                        "dataset": fingerprint, "engine": "1", "benchc": "0", "prompt": "p", "sample": row["id"],
                        "source": None, "category": None, "answer": row["answer"],
                        "conditions": tuple(self.conditions[place] for place in conditions),
                        "log_likelihoods": tuple(tuple(options) for options in values.tolist()),
                        "length_normalised": False, "invalid": {},
                    }  # fmt: skip
                    record = SampleRecord.from_json_dict({**fields, **changes})
                    lines.append(json.dumps({"doc_id": sample, "benchc": record.to_json_dict()}))
                path = self.folder / "runs" / name / f"20250101_000000_samples_benchc_{task}.jsonl"
                path.parent.mkdir(parents=True, exist_ok=True)
                text = ("\n".join(lines) + "\n").encode()
                if compressed:
                    path.with_name(path.name + ".gz").write_bytes(gzip.compress(text))
                else:
                    path.write_bytes(text)
        return str(self.folder / "runs")


def generated(record: SampleRecord) -> SampleRecord:
    """The record of a model that wrote the letter of its prediction."""
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    texts = [None if option is None else LETTERS[option] for option in record.predictions]
    return SampleRecord.from_fields(
        {**fields, "obtained": "generated letters", "log_likelihoods": None, "texts": texts}
    )


def make_world(folder: Path, samples: int = 40, models: int = 5, seed: int = 0) -> World:
    draw = np.random.default_rng(seed)
    rows = []
    topics = ("river water fish", "engine wheel road", "piano song violin", "bread cheese apple")
    for number in range(samples):
        stream = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (16, 18, 3), dtype=np.uint8)).save(stream, "PNG")
        topic = number % len(topics)
        words = topics[topic].split()
        count = 2 + number % 3
        rows.append(
            {
                "id": f"s{number:03d}",
                "image": stream.getvalue(),
                "question": f"Which {words[number % 3]} belongs to the {words[(number + 1) % 3]} here?",
                "options": [f"{words[option % 3]} {option}" for option in range(count)],
                "answer": number % count,
                "source": "made up",
                "category": f"topic {topic}",
            }
        )
    write_dataset(folder / "pool" / "data.parquet", rows)
    logits = draw.normal(size=(models, len(CONDITIONS), samples, 4))
    hardness = draw.normal(size=samples)
    for sample, row in enumerate(rows):
        strength = np.arange(models)[:, np.newaxis] / 2 - hardness[sample] - np.array([0, 0.3, 1.0, 0.6])
        logits[:, :, sample, row["answer"]] += 1 + strength
        logits[:, :, sample, len(row["options"]) :] = -np.inf
    log_likelihoods = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)) - 0.25
    return World(folder, rows, [f"model-{number}" for number in range(models)], CONDITIONS, log_likelihoods)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture(name="make_world")
def make_world_fixture() -> Callable[..., World]:
    return make_world
