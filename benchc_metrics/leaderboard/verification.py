"""Whether a submission says what its answers say. Nothing in it is believed.

First what cannot harm: names, links and sizes, before a file is opened. Then the record and the answers, each against
its schema. Then everything is computed again from the answers and compared, number by number.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import reprlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml
from huggingface_hub import eval_result_entries_to_yaml

from benchc_metrics.benchmark import CONDITIONS, Condition
from benchc_metrics.leaderboard.answers import AnswerTable
from benchc_metrics.leaderboard.eval_results import parse_eval_results
from benchc_metrics.leaderboard.schema import (
    ANSWERS_FILE,
    EVAL_RESULTS_FILE,
    RECORD_FILE,
    STANDARD_BOOTSTRAP,
    UNAGGREGATED_FILE,
    BootstrapFacts,
    EstimateRecord,
    SubmissionRecord,
    largest_size,
    parse_record,
)
from benchc_metrics.leaderboard.submission import derived_files, figures_of_run
from benchc_metrics.runs import Run, RunMetadata

__all__ = ["Finding", "SampleFacts", "Verification", "read_submission", "verify"]

# Logarithms and exponentials differ in the last digits between machines; a figure is told apart far above that.
SAME_NUMBER = 1e-9
_SHOWN_DIFFERENCES = 20
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_LARGEST_RECORD = 1_000_000


class Finding(NamedTuple):
    """What is wrong with a submission.

    Attributes
    ----------
    file : str
        Path in the submission.
    text : str
        What is wrong, in a sentence.
    """

    file: str
    text: str

    def __str__(self) -> str:
        """Write file and sentence in one line, without the control characters that names may hold."""
        line = f"{self.file}: {self.text}"
        return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


class SampleFacts(NamedTuple):
    """What the dataset says of a sample: the right option's index, the number of options, its source and category."""

    answer: int
    option_count: int
    source: str | None
    category: str | None


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found in a submission.

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
    bootstrap : BootstrapFacts
        How the intervals must have been made.

    Returns
    -------
    Verification

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}: give the folder that `benchc submit` wrote")
    try:
        record, run = _opened(place)
    except _RefusedError as refusal:
        return Verification(place, tuple(refusal.findings), None, None)
    findings = [
        *_findings_of_facts(record, engine, dataset, bootstrap),
        *(_findings_of_samples(run, samples) if samples is not None else ()),
        *_findings_of_figures(record, run),
        *_findings_of_derived_files(place, record, run),
        *_findings_of_wording(place, record),
    ]
    return Verification(place, tuple(findings), None if findings else record, None if findings else run)


def read_submission(folder: str | PathLike[str]) -> tuple[SubmissionRecord, Run]:
    """Read a submission that was verified: sizes, links, record and answers are checked again, the figures are not.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If something does not hold; a line for each.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}: give the folder that `benchc submit` wrote")
    try:
        return _opened(place)
    except _RefusedError as refusal:
        raise ValueError(f"{place}: " + "; ".join(map(str, refusal.findings))) from None


class _RefusedError(Exception):
    """Ends the checks; reaches no user."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = findings


def _opened(place: Path) -> tuple[SubmissionRecord, Run]:
    """Record and run of a submission, or the findings that forbid to go on."""
    present = _present_files(place)
    record = _read_record(place, present)
    _check_files(place, record, present)
    limit = largest_size(ANSWERS_FILE, record.dataset.samples)
    try:
        answers = AnswerTable.read(place / ANSWERS_FILE, record.dataset.samples * len(CONDITIONS) * 2, limit)
    except ValueError as fault:
        raise _RefusedError([Finding(ANSWERS_FILE, str(fault).removeprefix(f"{ANSWERS_FILE}: "))]) from None
    faults = answers.faults(record.dataset.samples)
    if faults:
        raise _RefusedError([Finding(ANSWERS_FILE, fault) for fault in faults])
    return record, answers.to_run(record.model.id, _metadata(record))


def _present_files(place: Path) -> dict[str, int]:
    """Sizes of all files by path; links and what is no file are refused unopened."""
    sizes: dict[str, int] = {}
    findings = []
    for root, folders, names in os.walk(place):
        for name in (*folders, *names):
            path = Path(root, name)
            relative = path.relative_to(place).as_posix()
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                leaves = not path.resolve().is_relative_to(place.resolve())
                text = "it is a link that leaves the folder" if leaves else "it is a link; give the file itself"
                findings.append(Finding(relative, text))
            elif stat.S_ISREG(facts.st_mode):
                sizes[relative] = facts.st_size
            elif not stat.S_ISDIR(facts.st_mode):
                findings.append(Finding(relative, "it is neither a file nor a folder"))
    if findings:
        raise _RefusedError(findings)
    return sizes


def _read_record(place: Path, present: Mapping[str, int]) -> SubmissionRecord:
    if RECORD_FILE not in present:
        raise _RefusedError([Finding(RECORD_FILE, "it is missing")])
    if present[RECORD_FILE] > _LARGEST_RECORD:
        raise _RefusedError([_too_large(RECORD_FILE, present[RECORD_FILE], _LARGEST_RECORD)])
    try:
        return parse_record((place / RECORD_FILE).read_text(encoding="utf-8"))
    except ValueError as fault:
        raise _RefusedError([Finding(RECORD_FILE, str(fault).removeprefix(f"{RECORD_FILE}: "))]) from None


def _too_large(path: str, size: int, limit: int) -> Finding:
    return Finding(path, f"it has {size} bytes where at most {limit} are allowed")


def _check_files(place: Path, record: SubmissionRecord, present: Mapping[str, int]) -> None:
    """Compare the files that are there with those that the record lists, by path, size and hash."""
    listed = {facts.path: facts for facts in record.files}
    outside = [path for path in listed if _leaves_folder(path)]
    findings = [Finding(RECORD_FILE, f"its path {path!r} leaves the folder") for path in outside]
    if len(listed) != len(record.files):
        findings.append(Finding(RECORD_FILE, "it lists a file twice"))
    findings += [
        Finding(path, "it is missing") for path in sorted(listed.keys() - present.keys()) if path not in outside
    ]
    findings += [
        Finding(path, "no submission has this file") for path in sorted(present.keys() - listed - {RECORD_FILE})
    ]
    for path in sorted(listed.keys() & present.keys()):
        limit = largest_size(path, record.dataset.samples)
        if present[path] > limit:
            findings.append(_too_large(path, present[path], limit))
        elif present[path] != listed[path].bytes:
            findings.append(Finding(path, f"it has {present[path]} bytes where the record says {listed[path].bytes}"))
        elif _sha256(place / path) != listed[path].sha256:
            findings.append(Finding(path, "its content is not what was hashed in the record"))
    if ANSWERS_FILE not in listed:
        findings.append(Finding(RECORD_FILE, f"it does not list {ANSWERS_FILE}"))
    if findings:
        raise _RefusedError(findings)


def _leaves_folder(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _metadata(record: SubmissionRecord) -> RunMetadata:
    return RunMetadata(
        model=record.model.id,
        backend=record.model.backend,
        model_args=record.model.arguments,
        date=record.evaluated,
        benchc=record.versions.benchc,
        lmms_eval=record.versions.lmms_eval,
        engine=record.engine,
        dataset=record.dataset.fingerprint,
        dataset_size=record.dataset.samples,
        demonstration=record.dataset.demonstration,
        prompt=record.prompt,
        length_normalised=record.length_normalised,
    )


def _findings_of_facts(
    record: SubmissionRecord, engine: str, dataset: str | None, bootstrap: BootstrapFacts
) -> Iterator[Finding]:
    if record.engine != engine:
        yield Finding(RECORD_FILE, f"its images are of corruption engine {record.engine!r}, not {engine!r}")
    if dataset is not None and record.dataset.fingerprint != dataset:
        yield Finding(RECORD_FILE, f"its dataset {record.dataset.fingerprint!r} is not {dataset!r}")
    if record.bootstrap != bootstrap:
        yield Finding(RECORD_FILE, f"its intervals were made with {record.bootstrap}, not with {bootstrap}")


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
            yield Finding(ANSWERS_FILE, f"{len(found)} {what}, {min(found)!r} the first")


def _findings_of_figures(record: SubmissionRecord, run: Run) -> Iterator[Finding]:
    figures, table = figures_of_run(run, record.bootstrap)
    yield from _findings_of_estimates("", record.figures, figures)
    stated = [str(Condition(cell.corruption, cell.severity)) for cell in record.table]
    if stated != list(CONDITIONS[1:]):
        amiss = sorted(set(stated) ^ set(CONDITIONS[1:]))
        what = f"has or lacks {', '.join(amiss[:5])}" if amiss else "is in another order or repeats a condition"
        yield Finding(RECORD_FILE, f"its table is not of the benchmark's conditions one by one: it {what}")
        return
    for condition, said, computed in zip(stated, record.table, table, strict=True):
        yield from _findings_of_estimates(f"{condition} ", said.figures, computed.figures)


def _findings_of_estimates(
    where: str, said: Mapping[str, EstimateRecord], computed: Mapping[str, EstimateRecord]
) -> Iterator[Finding]:
    if list(said) != list(computed):
        yield Finding(RECORD_FILE, f"{where}has the figures {', '.join(said)} where it must have {', '.join(computed)}")
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


def _findings_of_derived_files(place: Path, record: SubmissionRecord, run: Run) -> Iterator[Finding]:
    expected = derived_files(record, run)
    listed = {facts.path for facts in record.files} - {ANSWERS_FILE}
    for path in sorted(expected.keys() ^ listed):
        yield Finding(path, "it is missing" if path in expected else "no submission has this file")
    for path in sorted(expected.keys() & listed):
        content = (place / path).read_bytes()
        if content == expected[path]:
            continue
        try:
            differing = list(_differences(_parsed(path, expected[path]), _parsed(path, content)))
        except (ValueError, RecursionError, csv.Error) as fault:
            yield Finding(path, f"it cannot be read ({fault})")
            continue
        for difference in differing[:_SHOWN_DIFFERENCES]:
            yield Finding(path, difference)
        if len(differing) > _SHOWN_DIFFERENCES:
            yield Finding(path, f"{len(differing) - _SHOWN_DIFFERENCES} more differences")


def _findings_of_wording(place: Path, record: SubmissionRecord) -> Iterator[Finding]:
    """Refuse another wording: of a key that stands twice, one program reads the first and another the last."""
    if (place / RECORD_FILE).read_text(encoding="utf-8") != record.to_json():
        yield Finding(RECORD_FILE, "it is not written as benchc writes it: submit the file as it was")


def _parsed(path: str, content: bytes) -> Any:
    """Read a derived file as lists, dicts, texts and numbers."""
    text = content.decode("utf-8")
    if path == EVAL_RESULTS_FILE:
        # Hugging Face's own reader must take it, and see all that is in it.
        entries = parse_eval_results(text)
        written = yaml.safe_load(text)
        if eval_result_entries_to_yaml(entries) != written:
            raise ValueError("Hugging Face's reader does not see the same entries in it")
        return written
    if path == UNAGGREGATED_FILE:
        return [[_number_or_text(field) for field in row] for row in csv.reader(text.splitlines())]
    if path.endswith(".jsonl"):
        return [_strict_json(line) for line in text.splitlines()]
    return _strict_json(text)


def _strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key stands twice in it")
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=without_repeats)


def _number_or_text(field: str) -> float | str:
    try:
        return float(field)
    except ValueError:
        return field


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
        yield f"{where} is {_shown(found)} where the answers give {_shown(expected)}"


def _shown(value: Any) -> str:
    return _SHORT.repr(value)
