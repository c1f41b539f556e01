"""Verify a submission by recomputing everything from its answers; nothing in it is believed.

The cheap and harmless checks come first: names, links and sizes, before a file is opened. Then the record is read, and
its dataset, engine and prompt must be accepted ones. Only then the answers are read, within our own limits. Finally
everything is recomputed from them with our own settings and compared number by number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias

from huggingface_hub import eval_result_entries_to_yaml

from benchc_metrics.benchmark import CONDITIONS, DEMONSTRATION_FINGERPRINT, Condition
from benchc_metrics.leaderboard.answers import AnswerKind, AnswerTable
from benchc_metrics.leaderboard.eval_results import parse_eval_results
from benchc_metrics.leaderboard.folder import Finding, RefusedError, SubmissionFolder, too_large
from benchc_metrics.leaderboard.schema import (
    ANSWERS_FILE,
    EVAL_RESULTS_FILE,
    LARGEST_RECORD,
    RECORD_FILE,
    STANDARD_BOOTSTRAP,
    UNAGGREGATED_FILE,
    BootstrapFacts,
    CellMetrics,
    EstimateRecord,
    FloorMetrics,
    SubmissionRecord,
    largest_size,
    parse_record,
)
from benchc_metrics.leaderboard.strict_text import parse_csv, parse_json, parse_yaml
from benchc_metrics.leaderboard.submission import derived_files, floor_of_run, metrics_of_run
from benchc_metrics.messages import quoted, reason_of
from benchc_metrics.metrics.ras import RAS_VERSION, Reading
from benchc_metrics.records import Obtained
from benchc_metrics.runs import Run, RunMetadata

__all__ = ["Finding", "SampleFacts", "Verification", "read_submission", "verify"]

# Machines compute different last digits of logarithms and exponentials; a changed metric differs by far more.
SAME_NUMBER = 1e-9
_SHOWN_DIFFERENCES = 20


class SampleFacts(NamedTuple):
    """What the dataset says of a sample: the right option's index, the number of options, its source and category."""

    answer: int
    option_count: int
    source: str | None
    category: str | None


@dataclass(frozen=True, eq=False)
class Verification:
    """The findings about a submission.

    Attributes
    ----------
    folder : Path
    findings : tuple of Finding
        Empty if the submission is sound.
    record : SubmissionRecord or None
    run : Run or None
        Both None if there are findings.
    """

    folder: Path
    findings: tuple[Finding, ...]
    record: SubmissionRecord | None
    run: Run | None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    folder: str | PathLike[str],
    *,
    engine: str,
    dataset: str | None = None,
    samples: Mapping[str, SampleFacts] | None = None,
    prompt: str | None = None,
    ras_reading: Reading | None = None,
    bootstrap: BootstrapFacts = STANDARD_BOOTSTRAP,
) -> Verification:
    """Check a submission; never raises for what is in it.

    Parameters
    ----------
    folder : str or path-like
    engine : str
        The corruption engine's version whose submissions are accepted.
    dataset : str, optional
        The fingerprint of the dataset whose submissions are accepted; any by default.
    samples : mapping of str to SampleFacts, optional
        The dataset's samples by their ids. Without them the right answers are those that the submission states.
    prompt : str, optional
        The fixed part of the prompt whose submissions are accepted; any by default.
    ras_reading : {"brier", "probability", "confidence", "certainty"}, optional
        The reading of RAS whose submissions are accepted; any by default. The version must be that of this benchc.
    bootstrap : BootstrapFacts
        How the intervals must have been made, and how they are made again.

    Returns
    -------
    Verification

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    place = _existing(folder)
    try:
        accepted = _accepted(engine, dataset, samples, prompt, ras_reading, bootstrap)
        record, contents, run = _opened(place, list(accepted))
        findings = [
            *(_findings_of_samples(run, samples) if samples is not None else ()),
            *_findings_of_content(record, contents, run, bootstrap),
        ]
    except RefusedError as refusal:
        findings = list(refusal.findings)
    # One stranger's folder must not end the check of the others, whatever it makes a library raise.
    except Exception as fault:
        findings = [Finding(".", f"it cannot be checked ({type(fault).__name__}: {reason_of(fault)})")]
    return Verification(place, tuple(findings), None, None) if findings else Verification(place, (), record, run)


def read_submission(folder: str | PathLike[str]) -> tuple[SubmissionRecord, Run]:
    """Read a submission that was verified: sizes, links, record and answers are checked again, the metrics are not.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If something does not hold; a line for each.
    """
    place = _existing(folder)
    try:
        record, _, run = _opened(place, [])
    except RefusedError as refusal:
        raise ValueError(f"{place}: " + "; ".join(map(str, refusal.findings))) from None
    return record, run


def _existing(folder: str | PathLike[str]) -> Path:
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}: give the folder that `benchc submit` wrote")
    return place


def _opened(place: Path, accepted: Iterable[Check]) -> tuple[SubmissionRecord, dict[str, bytes], Run]:
    """Return record, derived files and run of a submission, or raise the findings that forbid to go on."""
    folder = SubmissionFolder.scan(place)
    record = _read_record(folder)
    findings = [
        Finding(RECORD_FILE, fault) for check in (_fault_of_demonstration, *accepted) if (fault := check(record))
    ]
    if findings:
        raise RefusedError(findings)
    contents = _read_files(folder, record)
    try:
        answers = AnswerTable.read(contents.pop(ANSWERS_FILE), record.dataset.samples)
    except ValueError as fault:
        raise RefusedError([Finding(ANSWERS_FILE, str(fault))]) from None
    if answers.kind != _KIND_OF_ANSWERS[record.obtained]:
        said = f"it has {answers.kind}, and the record says {quoted(record.obtained)}"
        raise RefusedError([Finding(ANSWERS_FILE, said)])
    if faults := answers.faults(record.dataset.samples, record.design):
        raise RefusedError([Finding(ANSWERS_FILE, fault) for fault in faults])
    return record, contents, answers.to_run(record.model.id, _metadata(record), record.obtained)


_KIND_OF_ANSWERS: Mapping[Obtained, AnswerKind] = {
    "log-likelihoods": "log-likelihoods",
    "mean losses": "log-likelihoods",
    "votes": "votes",
    "generated letters": "chosen options only",
}


def _read_record(folder: SubmissionFolder) -> SubmissionRecord:
    try:
        return parse_record(folder.read(RECORD_FILE, LARGEST_RECORD).decode())
    except UnicodeDecodeError as fault:
        raise RefusedError([Finding(RECORD_FILE, f"it is not UTF-8 ({reason_of(fault)})")]) from None
    except ValueError as fault:
        raise RefusedError([Finding(RECORD_FILE, str(fault).removeprefix(f"{RECORD_FILE}: "))]) from None


Check: TypeAlias = Callable[[SubmissionRecord], str | None]
"""Says what is wrong with a record, None if nothing is."""


def _fault_of_demonstration(record: SubmissionRecord) -> str | None:
    is_bundled = record.dataset.fingerprint == DEMONSTRATION_FINGERPRINT
    if is_bundled == record.dataset.demonstration:
        return None
    return (
        f"it says demonstration: {str(record.dataset.demonstration).lower()}, and its dataset is "
        f"{'' if is_bundled else 'not '}the bundled demonstration set"
    )


def _accepted(
    engine: str,
    dataset: str | None,
    samples: Mapping[str, SampleFacts] | None,
    prompt: str | None,
    ras_reading: Reading | None,
    bootstrap: BootstrapFacts,
) -> Iterator[Check]:
    """Yield the checks of what a record says it is about; they cost nothing."""
    yield (
        lambda record: (
            None
            if record.engine == engine
            else f"its images are of corruption engine {quoted(record.engine)}, not {quoted(engine)}"
        )
    )
    if dataset is not None:
        yield (
            lambda record: (
                None
                if record.dataset.fingerprint == dataset
                else f"its dataset {quoted(record.dataset.fingerprint)} is not {quoted(dataset)}"
            )
        )
    if samples is not None:
        yield (
            lambda record: (
                None
                if record.dataset.samples == len(samples)
                else f"it is over {record.dataset.samples} samples where the dataset has {len(samples)}"
            )
        )
    if prompt is not None:
        yield (
            lambda record: (
                None if record.prompt == prompt else f"its prompt {quoted(record.prompt)} is not {quoted(prompt)}"
            )
        )
    yield (
        lambda record: (
            None
            if record.ras is None or record.ras.version == RAS_VERSION
            else f"its RAS is {record.ras}, and this benchc computes version {RAS_VERSION}: write it again from its run"
        )
    )
    if ras_reading is not None:
        yield (
            lambda record: (
                None
                if record.ras is None or record.ras.reading == ras_reading
                else f"its RAS is read as {record.ras.reading}, not as {ras_reading}: write it again from its run with "
                f"`benchc submit --ras-reading {ras_reading}`"
            )
        )
    yield (
        lambda record: (
            None
            if record.bootstrap == bootstrap
            else f"its intervals were made with {record.bootstrap}, not with {bootstrap}"
        )
    )


def _read_files(folder: SubmissionFolder, record: SubmissionRecord) -> dict[str, bytes]:
    """Read the files that the record lists, and compare path, size and hash."""
    listed = {facts.path: facts for facts in record.files}
    outside = [path for path in listed if _leaves_folder(path)]
    findings = [Finding(RECORD_FILE, f"its path {quoted(path)} leaves the folder") for path in outside]
    if len(listed) != len(record.files):
        findings.append(Finding(RECORD_FILE, "it lists a file twice"))
    findings += [
        Finding(path, "it is missing") for path in sorted(listed.keys() - folder.sizes.keys()) if path not in outside
    ]
    findings += [
        Finding(path, "no submission has this file") for path in sorted(folder.sizes.keys() - listed - {RECORD_FILE})
    ]
    contents: dict[str, bytes] = {}
    for path in sorted(listed.keys() & folder.sizes.keys() - {RECORD_FILE}):
        limit, size = largest_size(path, record.dataset.samples), folder.sizes[path]
        if size > limit:
            findings.append(too_large(path, size, limit))
        elif size != listed[path].bytes:
            findings.append(Finding(path, f"it has {size} bytes where the record says {listed[path].bytes}"))
        else:
            contents[path] = folder.read(path, limit)
            if hashlib.sha256(contents[path]).hexdigest() != listed[path].sha256:
                findings.append(Finding(path, "its content is not what was hashed in the record"))
    if ANSWERS_FILE not in listed:
        findings.append(Finding(RECORD_FILE, f"it does not list {ANSWERS_FILE}"))
    if RECORD_FILE in listed:
        findings.append(Finding(RECORD_FILE, "it lists itself"))
    if findings:
        raise RefusedError(findings)
    return contents


def _leaves_folder(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path


def _metadata(record: SubmissionRecord) -> RunMetadata:
    return RunMetadata(
        model=record.model.id,
        backend=record.model.backend,
        model_args=record.model.arguments,
        date=record.evaluated,
        benchc=record.versions.benchc,
        lmms_eval=record.versions.lmms_eval,
        stack=record.versions.stack,
        engine=record.engine,
        dataset=record.dataset.fingerprint,
        dataset_size=record.dataset.samples,
        demonstration=record.dataset.demonstration,
        prompt=record.prompt,
        length_normalised=record.obtained == "mean losses",
        context=record.context,
        answered_by=record.answered_by,
        design=record.design,
        sampling=record.sampling,
        thinking=record.thinking,
        restoration=record.restoration,
    )


def _findings_of_samples(run: Run, samples: Mapping[str, SampleFacts]) -> Iterator[Finding]:
    stated = {
        sample: SampleFacts(int(answer), int(count), source, category)
        for sample, answer, count, source, category in zip(
            run.sample_ids, run.answers, run.option_counts, run.sources, run.categories, strict=True
        )
    }
    for what, found in (
        ("samples of the dataset are missing", samples.keys() - stated.keys()),
        ("samples are not in the dataset", stated.keys() - samples.keys()),
        (
            "samples have another right answer, options, source or category than in the dataset",
            {sample for sample in stated.keys() & samples.keys() if stated[sample] != samples[sample]},
        ),
    ):
        if found:
            yield Finding(ANSWERS_FILE, f"{len(found)} {what}, {quoted(min(found))} the first")


def _findings_of_content(
    record: SubmissionRecord, contents: Mapping[str, bytes], run: Run, bootstrap: BootstrapFacts
) -> Iterator[Finding]:
    hidden = [caution for caution in run.cautions if caution.name not in record.cautions]
    for caution in hidden:
        yield Finding(RECORD_FILE, f"it hides the caution {quoted(caution.name)}: {caution.sentence}")
    metrics, table = metrics_of_run(run, bootstrap, record.reading)
    floor = floor_of_run(run, bootstrap, record.reading)
    differing = [
        *_findings_of_estimates("", record.metrics, metrics),
        *_findings_of_table(record, table),
        *_findings_of_floor(record.floor, floor),
    ]
    yield from differing
    # The numbers of a record that is not believed may be none that the other formats can hold.
    believed = record.model_copy(update={"metrics": metrics, "table": table, "floor": floor}) if differing else record
    yield from _findings_of_derived_files(contents, derived_files(believed, run, contents))


def _findings_of_table(record: SubmissionRecord, table: tuple[CellMetrics, ...]) -> Iterator[Finding]:
    stated = [str(Condition(cell.corruption, cell.severity)) for cell in record.table]
    if stated != list(CONDITIONS[1:]):
        amiss = sorted(set(stated) ^ set(CONDITIONS[1:]))
        what = f"has or lacks {', '.join(amiss[:5])}" if amiss else "is in another order or repeats a condition"
        yield Finding(RECORD_FILE, f"its table is not of the benchmark's conditions one by one: it {what}")
        return
    for condition, said, computed in zip(stated, record.table, table, strict=True):
        yield from _findings_of_estimates(f"{condition} ", said.metrics, computed.metrics)


def _findings_of_floor(said: FloorMetrics | None, computed: FloorMetrics | None) -> Iterator[Finding]:
    if said is None and computed is None:
        return
    if said is None or computed is None:
        what = "lacks the floor that its answers have" if said is None else "has a floor, and its answers no control"
        yield Finding(RECORD_FILE, f"it {what}")
        return
    yield from _findings_of_estimates("floor: ", said.metrics, computed.metrics)
    yield from _findings_of_estimates("distance from the floor: ", said.distances, computed.distances)


def _findings_of_estimates(
    where: str, said: Mapping[str, EstimateRecord], computed: Mapping[str, EstimateRecord]
) -> Iterator[Finding]:
    if list(said) != list(computed):
        yield Finding(
            RECORD_FILE, f"{where}has the metrics {_listed_names(said)} where it must have {_listed_names(computed)}"
        )
        return
    for name, estimate in computed.items():
        for part, number in estimate:
            stated = getattr(said[name], part)
            if not _is_same(stated, number):
                what = name if part == "value" else f"{part} bound of {name}"
                yield Finding(RECORD_FILE, f"{where}{what} is {stated} where the answers give {number}")


def _is_same(stated: Any, computed: Any) -> bool:
    numbers = (int, float)
    if isinstance(stated, numbers) and isinstance(computed, numbers) and bool not in (type(stated), type(computed)):
        try:
            return math.isclose(stated, computed, rel_tol=SAME_NUMBER, abs_tol=SAME_NUMBER)
        except OverflowError:
            return False
    return type(stated) is type(computed) and bool(stated == computed)


def _findings_of_derived_files(contents: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Iterator[Finding]:
    for path in sorted(expected.keys() ^ contents.keys()):
        yield Finding(path, "it is missing" if path in expected else "no submission has this file")
    for path in sorted(expected.keys() & contents.keys()):
        try:
            differing = list(_differences_of_files(path, expected[path], contents[path]))
        except UnicodeDecodeError as fault:
            yield Finding(path, f"it cannot be read (it is not UTF-8: {reason_of(fault)})")
        except ValueError as fault:
            yield Finding(path, f"it cannot be read ({fault})")
        else:
            yield from (Finding(path, difference) for difference in differing[:_SHOWN_DIFFERENCES])
            if len(differing) > _SHOWN_DIFFERENCES:
                yield Finding(path, f"{len(differing) - _SHOWN_DIFFERENCES} more differences")


def _differences_of_files(path: str, expected: bytes, found: bytes) -> Iterator[str]:
    """Name every place where a file differs from what it must be; its bytes need not be the same."""
    if found == expected:
        return
    if path.endswith(".jsonl"):
        yield from _differences_of_lines(expected, found)
    else:
        _check_length(expected, found)
        parse = {EVAL_RESULTS_FILE: _parse_eval_results, UNAGGREGATED_FILE: parse_csv}.get(path, parse_json)
        yield from _differences(parse(expected.decode()), parse(found.decode()))


def _differences_of_lines(expected: bytes, found: bytes) -> Iterator[str]:
    # Counted before they are cut: a file of line ends alone would be more lines than fit into memory.
    there, wanted = (text.count(b"\n") + (not text.endswith(b"\n")) for text in (found, expected))
    if there != wanted:
        yield f"it has {there} entries where {wanted} are expected"
        return
    for number, (one, other) in enumerate(zip(expected.split(b"\n"), found.split(b"\n"), strict=False)):
        if one != other:
            _check_length(one, other)
            yield from _differences(parse_json(one.decode()), parse_json(other.decode()), f"[{number}]")


def _check_length(expected: bytes, found: bytes) -> None:
    """Refuse a text much longer than it must be: parsed, it can take fifty times its size."""
    limit = 2 * len(expected) + 1000
    if len(found) > limit:
        raise ValueError(f"{len(found)} bytes stand where at most {limit} are expected")


def _parse_eval_results(text: str) -> Any:
    """Read the hub's file: Hugging Face's own reader must take it, and see all that is in it."""
    entries = parse_eval_results(text)
    written = parse_yaml(text)
    if eval_result_entries_to_yaml(entries) != written:
        raise ValueError("Hugging Face's reader does not see the same entries in it")
    return written


def _listed_names(names: Iterable[str]) -> str:
    return quoted(", ".join(names))


def _differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Name every place where two parsed files differ; numbers may differ by rounding."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys(), key=str):
            if key not in found or key not in expected:
                yield f"{where}.{key} {'is missing' if key not in found else 'should not be there'}"
            else:
                yield from _differences(expected[key], found[key], f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where or 'it'} has {len(found)} entries where {len(expected)} are expected"
        else:
            for place, (one, other) in enumerate(zip(expected, found, strict=True)):
                yield from _differences(one, other, f"{where}[{place}]")
    elif not _is_same(found, expected):
        yield f"{where} is {quoted(found)} where the answers give {quoted(expected)}"
