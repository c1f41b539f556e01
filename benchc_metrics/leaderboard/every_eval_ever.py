"""The Every Eval Ever record of a submission and its instance-level JSONL.

The models below are the fields of schema 0.3 that we write, with its own rules for them; that project's validator
(`pip install every-eval-ever`, which needs Python 3.12 and an older huggingface_hub than ours) accepts what they
accept, see `docs/submission.md`.

References
----------
https://github.com/evaleval/every_eval_ever, schemas `eval.schema.json` and `instance_level_eval.schema.json`, 0.3.0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from math import isinf
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from benchc_metrics.benchmark import CONDITIONS, LETTERS
from benchc_metrics.designs import FULL, describe_design
from benchc_metrics.leaderboard.schema import EstimateRecord, Relationship, SubmissionRecord
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.records import Obtained
from benchc_metrics.runs import Run

__all__ = ["EvaluationLog", "InstanceLog", "evaluation_log", "instance_logs", "log_paths"]

SCHEMA_VERSION: Literal["0.3.0"] = "0.3.0"
COLLECTION = "benchc"

Details: TypeAlias = dict[str, str]
Bound: TypeAlias = FiniteFloat | Literal["Infinity", "-Infinity"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class SourceMetadata(_Strict):
    """Who evaluated."""

    source_name: str
    source_type: Literal["evaluation_run"]
    source_organization_name: str
    additional_details: Details
    evaluator_relationship: Relationship


class EvalLibrary(_Strict):
    """What evaluated."""

    name: str
    version: str
    additional_details: Details


class ModelInfo(_Strict):
    """What was evaluated."""

    name: str
    id: str
    developer: str
    additional_details: Details


class SourceData(_Strict):
    """The dataset, by its id on the hub."""

    dataset_name: str
    source_type: Literal["hf_dataset"]
    hf_repo: str
    samples_number: int
    additional_details: Details


class MetricConfig(_Strict):
    """The definition of a metric."""

    evaluation_description: str
    metric_id: str
    metric_name: str
    lower_is_better: bool
    score_type: Literal["continuous"]
    min_score: Bound
    max_score: Bound


class ConfidenceInterval(_Strict):
    """A bootstrap interval."""

    lower: FiniteFloat
    upper: FiniteFloat
    confidence_level: Annotated[float, Field(ge=0, le=1)]
    method: str


class Uncertainty(_Strict):
    """The interval of a metric."""

    confidence_interval: ConfidenceInterval
    num_samples: int
    num_bootstrap_samples: int


class ScoreDetails(_Strict):
    """The value of a metric, and its interval."""

    score: FiniteFloat
    uncertainty: Uncertainty | None


class EvaluationResult(_Strict):
    """A metric of the run."""

    evaluation_result_id: str
    evaluation_name: str
    source_data: SourceData
    metric_config: MetricConfig
    score_details: ScoreDetails

    @model_validator(mode="after")
    def _score_is_within_bounds(self) -> EvaluationResult:
        low, high = float(self.metric_config.min_score), float(self.metric_config.max_score)
        if not low <= self.score_details.score <= high:
            raise ValueError(f"{self.evaluation_name}: score {self.score_details.score} is outside [{low}, {high}]")
        return self


class DetailedResults(_Strict):
    """Where the instance-level JSONL is."""

    format: Literal["jsonl"]
    file_path: Annotated[
        str,
        Field(
            pattern=r"^data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}_samples\.jsonl$"
        ),
    ]
    hash_algorithm: Literal["sha256"]
    checksum: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    total_rows: int


class EvaluationLog(_Strict):
    """The record of all metrics."""

    schema_version: Literal["0.3.0"]
    evaluation_id: str
    evaluation_timestamp: str | None
    retrieved_timestamp: Annotated[str, Field(pattern=r"^\d+$")]
    source_metadata: SourceMetadata
    eval_library: EvalLibrary
    model_info: ModelInfo
    evaluation_results: Annotated[list[EvaluationResult], Field(min_length=1)]
    detailed_evaluation_results: DetailedResults


class Input(_Strict):
    """The question, by reference: other people's texts and pictures stay where they are published."""

    raw: str
    reference: list[str]
    choices: list[str]


class Output(_Strict):
    """The letters that the model chose."""

    raw: list[str]


class Attribution(_Strict):
    """How the answer was read."""

    turn_idx: Literal[0]
    source: Literal["output.raw"]
    extracted_value: str
    extraction_method: str
    is_terminal: bool


class Evaluation(_Strict):
    """The value of a metric for a sample, and whether all its answers are right."""

    score: FiniteFloat
    is_correct: bool


class InstanceLog(_Strict):
    """A sample's part in one metric."""

    schema_version: Literal["0.3.0"]
    evaluation_id: str
    model_id: str
    evaluation_name: str
    evaluation_result_id: str
    sample_id: str
    sample_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    interaction_type: Literal["single_turn"]
    input: Input
    output: Output
    answer_attribution: list[Attribution]
    evaluation: Evaluation
    metadata: Details


def log_paths(record: SubmissionRecord) -> tuple[str, str]:
    """Where the two files stand in the project's data store: `data/COLLECTION/DEVELOPER/MODEL/UUID...`.

    Returns
    -------
    record_path, instances_path : str
        Relative to the folder `every_eval_ever` of the submission.
    """
    developer, model = record.model.id.split("/")
    digest = hashlib.sha256(_evaluation_id(record).encode()).digest()
    folder = f"data/{COLLECTION}/{developer}/{model}/{UUID(bytes=digest[:16], version=4)}"
    return f"{folder}.json", f"{folder}_samples.jsonl"


def evaluation_log(record: SubmissionRecord, instances: bytes) -> EvaluationLog:
    """Make the record of a submission.

    Parameters
    ----------
    record : SubmissionRecord
    instances : bytes
        The instance-level JSONL, whose checksum is written.
    """
    developer, model = record.model.id.split("/")
    return EvaluationLog(
        schema_version=SCHEMA_VERSION,
        evaluation_id=_evaluation_id(record),
        evaluation_timestamp=record.evaluated,
        retrieved_timestamp=_epoch(record),
        source_metadata=SourceMetadata(
            source_name=record.source.name,
            source_type="evaluation_run",
            source_organization_name=record.source.organisation,
            evaluator_relationship=record.source.relationship,
            additional_details={"url": record.source.url},
        ),
        eval_library=EvalLibrary(
            name=record.versions.stack,
            version=record.versions.lmms_eval,
            additional_details={
                "plugin": f"benchc {record.versions.benchc}",
                "corruption_engine": record.engine,
                "design": describe_design(record.design),
            },
        ),
        model_info=ModelInfo(
            name=model,
            id=record.model.id,
            developer=developer,
            additional_details={
                "backend": record.model.backend,
                "arguments": record.model.arguments,
                "deployment_type": "self_deployed",
                "model_availability": "unknown",
                **{
                    name: str(value)
                    for name in ("parameters", "licence", "link")
                    if (value := getattr(record.model, name)) is not None
                },
            },
        ),
        evaluation_results=[
            _evaluation_result(record, name, estimate, estimate.value)
            for name, estimate in record.metrics.items()
            if estimate.value is not None
        ],
        detailed_evaluation_results=DetailedResults(
            format="jsonl",
            file_path=log_paths(record)[1],
            hash_algorithm="sha256",
            checksum=hashlib.sha256(instances).hexdigest(),
            total_rows=instances.count(b"\n"),
        ),
    )


def instance_logs(record: SubmissionRecord, run: Run) -> Iterator[InstanceLog]:
    """Make the instance-level rows: each sample's accuracy when clean, under corruption, and RAS where defined."""
    clean = run.clean_predictions
    corrupted = run.corrupted_predictions.reshape(len(clean), -1)
    asked = run.asked.reshape(len(clean), -1)
    number_asked = asked.sum(axis=1)
    right_under_corruption = (corrupted == run.answers[:, np.newaxis]).sum(axis=1) / number_asked
    name_of_ras = "ras_votes" if run.votes is not None else "ras"
    mean_ras = (
        PairValues.of_run(run, record.reading).values[name_of_ras].sum(axis=(1, 2)) / number_asked
        if record.has_ras
        else None
    )
    conditions = f"{CONDITIONS[1]} to {CONDITIONS[-1]}"
    if record.design != FULL:
        conditions = f"those of {describe_design(record.design)} within {conditions}"
    method = _EXTRACTION[run.obtained]
    for number, sample in enumerate(run.sample_ids):
        letters = list(LETTERS[: run.option_counts[number]])
        right = letters[run.answers[number]]
        question = Input(
            raw=f"sample {sample} of the Bench-C dataset {record.dataset.fingerprint}",
            reference=[right],
            choices=letters,
        )
        under_corruption = [letters[place] for place in corrupted[number][asked[number]].tolist()]
        everything = [letters[clean[number]], *under_corruption]
        scores = [
            ("acc_clean", everything[:1], float(clean[number] == run.answers[number])),
            ("acc_corrupted", under_corruption, float(right_under_corruption[number])),
        ]
        if mean_ras is not None:
            scores.append((name_of_ras, everything, float(mean_ras[number])))
        for name, chosen, score in scores:
            yield InstanceLog(
                schema_version=SCHEMA_VERSION,
                evaluation_id=_evaluation_id(record),
                model_id=record.model.id,
                evaluation_name=_evaluation_name(name),
                evaluation_result_id=name,
                sample_id=sample,
                sample_hash=hashlib.sha256((question.raw + right).encode()).hexdigest(),
                interaction_type="single_turn",
                input=question,
                output=Output(raw=chosen),
                answer_attribution=[
                    Attribution(
                        turn_idx=0,
                        source="output.raw",
                        extracted_value=chosen[-1],
                        extraction_method=method,
                        is_terminal=True,
                    )
                ],
                evaluation=Evaluation(score=score, is_correct=all(letter == right for letter in chosen)),
                metadata={
                    "conditions": "clean" if name == "acc_clean" else conditions,
                    "category": run.categories[number] or "",
                    "source": run.sources[number] or "",
                },
            )


_EXTRACTION: Mapping[Obtained, str] = {
    "log-likelihoods": "option of the largest log-likelihood",
    "mean losses": "option of the largest log-likelihood",
    "votes": "option with the most votes",
    "generated letters": "option named in generated letters",
}


def _evaluation_id(record: SubmissionRecord) -> str:
    return f"{COLLECTION}/{record.model.id.replace('/', '_')}/{_epoch(record)}"


def _epoch(record: SubmissionRecord) -> str:
    created = datetime.fromisoformat(record.created.removesuffix("Z")).replace(tzinfo=timezone.utc)
    return str(int(created.timestamp()))


def _evaluation_name(metric: str) -> str:
    return f"Bench-C {EVERY_METRIC[metric].label}"


def _evaluation_result(record: SubmissionRecord, name: str, estimate: EstimateRecord, score: float) -> EvaluationResult:
    metric = EVERY_METRIC[name]
    uncertainty = None
    if estimate.low is not None and estimate.high is not None:
        uncertainty = Uncertainty(
            confidence_interval=ConfidenceInterval(
                lower=estimate.low,
                upper=estimate.high,
                confidence_level=record.bootstrap.level,
                method=f"bootstrap over samples ({metric.interval})",
            ),
            num_samples=record.dataset.samples,
            num_bootstrap_samples=record.bootstrap.resamples,
        )
    return EvaluationResult(
        evaluation_result_id=name,
        evaluation_name=_evaluation_name(name),
        source_data=SourceData(
            dataset_name="Bench-C",
            source_type="hf_dataset",
            hf_repo=record.dataset.id,
            samples_number=record.dataset.samples,
            additional_details={"fingerprint": record.dataset.fingerprint},
        ),
        metric_config=MetricConfig(
            evaluation_description=_description(record, name),
            metric_id=f"benchc.{name}",
            metric_name=metric.label,
            lower_is_better=metric.higher_is_better is False,
            score_type="continuous",
            min_score=_bound(metric.minimum),
            max_score=_bound(metric.maximum),
        ),
        score_details=ScoreDetails(score=score, uncertainty=uncertainty),
    )


def _description(record: SubmissionRecord, name: str) -> str:
    of_ras = record.ras is not None and name.startswith("ras")
    return f"{EVERY_METRIC[name].meaning} RAS {record.ras}." if of_ras else EVERY_METRIC[name].meaning


def _bound(value: float) -> Bound:
    if not isinf(value):
        return float(value)
    return "Infinity" if value > 0 else "-Infinity"


def dump(log: BaseModel, indent: int | None = None) -> str:
    """Write a record as strict JSON; what is null is left out, as the schema wants it."""
    return json.dumps(
        log.model_dump(mode="json", exclude_none=True), indent=indent, ensure_ascii=False, allow_nan=False
    )
