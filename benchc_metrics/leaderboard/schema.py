"""The files of a submission: names, typed contents, versions and size limits.

    benchc.json                     SubmissionRecord, our own record
    samples.parquet                 SAMPLES_SCHEMA, the answers from which all else can be computed again
    .eval_results/benchc.yaml       entries of Hugging Face's community evals (`huggingface_hub.EvalResultEntry`)
    every_eval_ever/data/...        one Every Eval Ever record and its instance-level JSONL
    unaggregated_results.csv        accuracy, corruption by severity, as RobustBench has it

Readers refuse what they do not know, and numbers are numbers.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from benchc_metrics.designs import check_design
from benchc_metrics.escaping import for_terminal
from benchc_metrics.leaderboard.strict_text import parse_json
from benchc_metrics.messages import quoted
from benchc_metrics.metrics.ras import DEFAULT_READING, RAS_VERSION, Reading
from benchc_metrics.metrics.registry import METRICS, METRICS_OF_VOTES
from benchc_metrics.records import Obtained
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, SEED

__all__ = [
    "ANSWERS_FILE",
    "EVAL_RESULTS_FILE",
    "LARGEST_RECORD",
    "LARGEST_SAMPLES",
    "LARGEST_SAMPLES_BY_OPTIONS",
    "LARGEST_SAMPLES_OF_VOTES",
    "MOST_VOTES",
    "OLDER_SAMPLES_VERSION",
    "RECORD_FILE",
    "SAMPLES_SCHEMA",
    "SAMPLES_VERSION",
    "STANDARD_BOOTSTRAP",
    "STANDARD_RAS",
    "SUBMISSION_SCHEMA",
    "UNAGGREGATED_FILE",
    "BootstrapFacts",
    "CellMetrics",
    "DatasetFacts",
    "EstimateRecord",
    "FileFacts",
    "FloorMetrics",
    "HubId",
    "Licence",
    "ModelFacts",
    "Name",
    "RasFacts",
    "Relationship",
    "Revision",
    "SourceFacts",
    "Strict",
    "SubmissionRecord",
    "Text",
    "Url",
    "Versions",
    "cell_metrics",
    "describe_size",
    "first_fault",
    "largest_size",
    "metrics_of_record",
    "parse_record",
    "parse_size",
]

SUBMISSION_SCHEMA: Literal["benchc.submission/4"] = "benchc.submission/4"
SAMPLES_VERSION = "benchc.answers/4"
OLDER_SAMPLES_VERSION = "benchc.answers/3"
"""Without votes; still read."""

LARGEST_SAMPLES = 5_000
"""Most samples of a dataset: its submissions can be checked within a minute and a gigabyte."""

LARGEST_SAMPLES_OF_VOTES = 2_000
"""The same for votes: the correction for their number takes more memory."""

LARGEST_SAMPLES_BY_OPTIONS = 25_000
"""Samples times the most options that one of them has."""

MOST_VOTES = 1_000
"""Sampled answers of one condition."""

LARGEST_RECORD = 1_000_000
"""Bytes of `benchc.json`."""

RECORD_FILE = "benchc.json"
ANSWERS_FILE = "samples.parquet"
EVAL_RESULTS_FILE = ".eval_results/benchc.yaml"
UNAGGREGATED_FILE = "unaggregated_results.csv"

SAMPLES_SCHEMA = pa.schema(
    [
        pa.field("sample", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("category", pa.string()),
        pa.field("answer", pa.int64(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("options", pa.int64(), nullable=False),
        pa.field("log_likelihoods", pa.list_(pa.float64())),
        pa.field("probabilities", pa.list_(pa.float64())),
        pa.field("prediction", pa.int64()),
        pa.field("votes", pa.list_(pa.int64())),
        pa.field("unparsed", pa.int64()),
        pa.field("unfinished", pa.int64()),
    ],
    metadata={"schema": SAMPLES_VERSION},
)
"""One row a sample and condition, `clean` first and the control's, where it was run, last. In a run with probabilities
the options' log-likelihoods in nats and their softmax; in one of generated letters the chosen option; in one of votes
how often each option was chosen, how many sampled answers name none, and how many of these end within their thinking.
"""


def metrics_of_record(obtained: Obtained) -> tuple[str, ...]:
    """List the metrics of a whole run, those that are not defined for it too; of votes only where there are votes."""
    return (*METRICS, *METRICS_OF_VOTES) if obtained == "votes" else tuple(METRICS)


def cell_metrics(obtained: Obtained = "log-likelihoods") -> tuple[str, ...]:
    """List the metrics of the corruption x severity table: those that corruption changes."""
    fixed = {"invalid_pairs", "temperature"}
    return tuple(name for name in metrics_of_record(obtained) if not name.endswith("_clean") and name not in fixed)


Relationship: TypeAlias = Literal["first_party", "third_party", "collaborative", "other"]
"""How the evaluator is related to the makers of the model, in Every Eval Ever's words."""

# ORG/NAME, as model and dataset hubs write it; both parts are safe as names of folders.
HubId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Revision: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]
Text: TypeAlias = Annotated[str, Field(max_length=4000)]


def _check_name(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds characters that control, hide or reorder text; write it in plain ones")
    return text


def _check_instant(text: str) -> str:
    instant = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)
    if instant.timestamp() < 0:
        raise ValueError("it is before 1970")
    return text


def _check_url(text: str) -> str:
    """Refuse an address that is not a plain web address, or leads elsewhere than it seems to."""
    parts = urlsplit(text)
    _ = parts.port  # raises where it is not a port number
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("it is not a web address such as https://host/path, with a host name in plain letters")
    if "@" in parts.netloc:
        raise ValueError(f"it leads to {parts.hostname}, whatever stands before the @")
    if not _URL_CHARACTERS.fullmatch(text):
        raise ValueError("it holds characters that an address must spell with %")
    return text


_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_name)]
_Remark: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_check_name)]
_Instant: TypeAlias = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z?$"), AfterValidator(_check_instant)
]
Url: TypeAlias = Annotated[str, Field(max_length=500), AfterValidator(_check_url)]


def _check_licence(text: str) -> str:
    if not _LICENCE.fullmatch(text):
        raise ValueError("it is not the short name of a licence, such as apache-2.0")
    return text


_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+ -]{0,59}")
Licence: TypeAlias = Annotated[str, AfterValidator(_check_licence)]
_SIZE = re.compile(r"(?P<number>[0-9]{1,6}(\.[0-9]{1,3})?) ?(?P<unit>[kKmMbBtT])|(?P<whole>[1-9][0-9]{0,15})", re.ASCII)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def parse_size(text: str) -> int:
    """Read a number of parameters.

    Raises
    ------
    ValueError
        If it is none; one sentence.

    Examples
    --------
    >>> parse_size("7.6B"), parse_size("500M"), parse_size("1370")
    (7600000000, 500000000, 1370)
    """
    found = _SIZE.fullmatch(text)
    number = 0
    if found:
        number = (
            int(found["whole"]) if found["whole"] else round(float(found["number"]) * _UNITS[found["unit"].upper()])
        )
    if not number:
        raise ValueError(f"{quoted(text)} is not a number of parameters: write it as 7.6B or 500M")
    return number


def describe_size(parameters: int) -> str:
    """Write a number of parameters with its unit, to three digits.

    Examples
    --------
    >>> describe_size(7_615_616_512), describe_size(500_000_000), describe_size(999_600)
    ('7.62B', '500M', '1M')
    """
    scaled = ((float(f"{parameters / power:.3g}"), unit) for unit, power in _UNITS.items())
    number, unit = next((number, unit) for number, unit in scaled if number < 1000 or unit == "T")
    return f"{number:g}{unit}"


class Strict(BaseModel):
    """Unknown keys, text for a number and infinities are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class EstimateRecord(Strict):
    """A metric with the bounds of its interval; null where undefined."""

    value: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None


class ModelFacts(Strict):
    """The model: its id ORG/NAME, the lmms-eval model that loaded it, and how.

    Attributes
    ----------
    parameters : int or None
        How many it has, as the evaluator states it; what follows is stated by the evaluator too.
    licence : str or None
        Its short name, such as `apache-2.0`.
    link : str or None
        Where the model is described.
    """

    id: HubId
    backend: Name
    arguments: Text
    parameters: Annotated[int, Field(ge=1, le=10**15)] | None = None
    licence: Licence | None = None
    link: Url | None = None

    @property
    def size(self) -> str:
        """The number of parameters with its unit; empty where it is not stated."""
        return "" if self.parameters is None else describe_size(self.parameters)

    @property
    def link_host(self) -> str:
        """Host that the link leads to; empty without a link."""
        return urlsplit(self.link or "").hostname or ""


class Versions(Strict):
    """Versions of what evaluated: benchc, and under the key `lmms_eval` the stack of that name or of another."""

    benchc: Name
    lmms_eval: Name
    stack: Name = "lmms-eval"


class DatasetFacts(Strict):
    """The dataset: its fingerprint decides, its id on a hub and the revision there are for people."""

    fingerprint: Name
    id: HubId
    revision: Revision | None
    samples: Annotated[int, Field(ge=1, le=LARGEST_SAMPLES)]
    demonstration: bool


class SourceFacts(Strict):
    """Who evaluated."""

    url: Url
    name: Name
    organisation: Name
    relationship: Relationship

    @property
    def host(self) -> str:
        """Host that the address leads to, which the name beside it need not be."""
        return urlsplit(self.url).hostname or ""


class BootstrapFacts(Strict):
    """How the intervals were made; see `benchc_metrics.statistics.resampling`."""

    resamples: Annotated[int, Field(ge=2, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    level: Annotated[float, Field(gt=0, lt=1)]


class CellMetrics(Strict):
    """The metrics of `cell_metrics` under one condition."""

    corruption: Name
    severity: Annotated[int, Field(ge=1, le=5)]
    metrics: dict[str, EstimateRecord]


class FloorMetrics(Strict):
    """The metrics of a run under the control, and what corruption adds to them.

    Attributes
    ----------
    metrics : dict of str to EstimateRecord
        Of the metrics that are means over pairs.
    distances : dict of str to EstimateRecord
        The same metrics under all corruptions together less those under the control, paired over samples.
    """

    metrics: dict[str, EstimateRecord]
    distances: dict[str, EstimateRecord]


class FileFacts(Strict):
    """A file beside the record."""

    path: Name
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RasFacts(Strict):
    """How RAS is defined: its version, and the reading of calibration alignment; see `benchc_metrics.metrics.ras`."""

    version: Annotated[int, Field(ge=1, le=1000)]
    reading: Reading

    @classmethod
    def read_as(cls, reading: Reading) -> RasFacts:
        """Take the version of this benchc."""
        return cls(version=RAS_VERSION, reading=reading)

    def __str__(self) -> str:
        """Write both in words."""
        return f"version {self.version} ({self.reading})"


class SubmissionRecord(Strict):
    """The content of `benchc.json`.

    Attributes
    ----------
    schema_version : str
        Written as `schema`.
    created : str
        When the submission was written, ISO 8601 in UTC.
    evaluated : str or None
        When the evaluation began.
    context : str or None
        Fingerprint of everything that was sent around the questions.
    obtained : str
        The origin of the predictions, as in `benchc_metrics.records.SampleRecord`.
    design : str
        Which conditions each sample was asked, see `benchc_metrics.designs`.
    ras : RasFacts or None
        None where RAS is not defined.
    sampling : str or None
        Number, temperature and seed of votes, as the evaluator states them.
    thinking : str or None
        What was done about the thinking of a model that thinks before it answers, where something was.
    restoration : str or None
        What was done to every picture before the model saw it, where something was.
    answered_by : tuple of str
        The names that the responses give the model.
    cautions : tuple of str
        Names of what a reader must know before believing the run; see `benchc_metrics.runs.cautions`.
    metrics : dict of str to EstimateRecord
        All metrics of the whole run.
    table : tuple of CellMetrics
        Corruption by corruption in the order of the papers, severity by severity.
    floor : FloorMetrics or None
        None for a run without the control.
    files : tuple of FileFacts
        All other files of the submission, in the order of the alphabet.
    """

    schema_version: Literal["benchc.submission/4"] = Field(alias="schema")
    created: _Instant
    evaluated: _Instant | None
    model: ModelFacts
    versions: Versions
    engine: Name
    prompt: Text
    context: Name | None
    obtained: Obtained
    design: Annotated[str, Field(max_length=20), AfterValidator(check_design)]
    ras: RasFacts | None
    sampling: _Remark | None = None
    thinking: _Remark | None = None
    restoration: _Remark | None = None
    answered_by: Annotated[tuple[Name, ...], Field(max_length=20)]
    cautions: Annotated[tuple[Name, ...], Field(max_length=20)]
    dataset: DatasetFacts
    source: SourceFacts
    bootstrap: BootstrapFacts
    metrics: dict[str, EstimateRecord]
    table: tuple[CellMetrics, ...]
    floor: FloorMetrics | None
    files: tuple[FileFacts, ...]

    @property
    def has_distributions(self) -> bool:
        """Whether there are probabilities of the options, which calibration needs."""
        return self.obtained in ("log-likelihoods", "mean losses")

    @property
    def has_ras(self) -> bool:
        """Whether RAS is defined, from probabilities or from votes."""
        return self.has_distributions or self.obtained == "votes"

    @property
    def method(self) -> str:
        """How predictions were obtained, and what was done about thinking and pictures, in words."""
        more = (("thinking", self.thinking), ("restoration", self.restoration))
        return ", ".join([self.obtained, *(f"{what}: {how}" for what, how in more if how)])

    @property
    def reading(self) -> Reading:
        """The reading of RAS, for what is computed of its run; the default where RAS is not defined."""
        return DEFAULT_READING if self.ras is None else self.ras.reading

    @model_validator(mode="after")
    def _check_ras(self) -> SubmissionRecord:
        if (self.ras is None) == self.has_ras:
            raise ValueError(f"ras does not go together with predictions from {self.obtained}")
        return self

    @model_validator(mode="after")
    def _check_votes(self) -> SubmissionRecord:
        if self.sampling is not None and self.obtained != "votes":
            raise ValueError(f"sampling does not go together with predictions from {self.obtained}")
        if self.obtained == "votes" and self.dataset.samples > LARGEST_SAMPLES_OF_VOTES:
            raise ValueError(
                f"predictions from votes can be checked for up to {LARGEST_SAMPLES_OF_VOTES} samples, and the dataset "
                f"has {self.dataset.samples}"
            )
        return self

    def to_json(self) -> str:
        """Write the record as the one text that stands for it."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


STANDARD_RAS = RasFacts.read_as(DEFAULT_READING)

STANDARD_BOOTSTRAP = BootstrapFacts(resamples=RESAMPLES, seed=SEED, level=CONFIDENCE_LEVEL)
"""Required of every submission, so that nobody can choose a seed by its intervals."""


_SCHEMA_OF = re.compile(r'\s*\{\s*"schema"\s*:\s*"benchc\.submission/([0-9])"')


def parse_record(text: str) -> SubmissionRecord:
    """Read `benchc.json`.

    Raises
    ------
    ValueError
        If it is not JSON, of another schema version, or a field is missing, unknown, twice there or of another type;
        one sentence on the first fault.
    """
    try:
        version = _SCHEMA_OF.match(text)
        if version and version[1] == "2":
            raise ValueError(
                "its schema is 'benchc.submission/2', whose RAS is version 1 and is not compared with version "
                f"{RAS_VERSION}: write the submission again from its run with `benchc submit`, which reads old records"
            )
        if version and version[1] == "3":
            text = json.dumps(_from_version_3(parse_json(text)))
        record = SubmissionRecord.model_validate_json(text)
        # The model's own reader takes the last one of two keys of one name.
        parse_json(text)
        return record
    except ValidationError as refusal:
        raise ValueError(f"{RECORD_FILE}: {first_fault(refusal)}") from None
    except ValueError as fault:
        raise ValueError(f"{RECORD_FILE}: the file: {fault}") from None


def _from_version_3(written: dict[str, Any]) -> dict[str, Any]:
    """Rename what version 3 called figures; what it does not say is absent from version 4 too."""
    renamed = {**_with_metrics(written), "schema": SUBMISSION_SCHEMA}
    if isinstance(table := renamed.get("table"), list):
        renamed["table"] = [_with_metrics(cell) for cell in table]
    return {**renamed, "floor": _with_metrics(renamed["floor"])} if "floor" in renamed else renamed


def _with_metrics(written: Any) -> Any:
    if not isinstance(written, dict) or "metrics" in written:
        return written
    return {"metrics" if key == "figures" else key: value for key, value in written.items()}


def first_fault(refusal: ValidationError) -> str:
    """Return a model's first fault as one clause that begins with the field's name."""
    fault = refusal.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, fault["loc"])) or "the file"
    message = fault["msg"].removeprefix("Value error, ")
    return for_terminal(f"{place}: {message[:1].lower()}{message[1:]}")


def largest_size(path: str, samples: int) -> int:
    """Return how many bytes a file of a submission may have: some ten times what is usual.

    Parameters
    ----------
    path : str
        Relative to the submission.
    samples : int
        Of the dataset, as the record says.
    """
    if path == ANSWERS_FILE:
        return min(100_000 + 50_000 * samples, 100_000_000)
    if path.endswith(".jsonl"):
        return min(100_000 + 30_000 * samples, 100_000_000)
    return 20_000 if path == UNAGGREGATED_FILE else 200_000
