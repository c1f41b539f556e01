"""Facts that runs share, and what a reader has to know of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchc_metrics.designs import describe_design
from benchc_metrics.findings.analysis import RunAnalysis
from benchc_metrics.findings.designs import note_on_design, note_on_designs
from benchc_metrics.runs import Run
from benchc_metrics.wording import joined

__all__ = ["cautions_of_runs", "facts_of", "notes_of_runs", "notes_on_analyses"]


def facts_of(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Say in names and values what the runs share."""
    first = runs[0]
    dataset = "demonstration set" if first.metadata.demonstration else first.metadata.dataset[:16]
    restorations = sorted({run.metadata.restoration or "none" for run in runs})
    return [
        ("models", str(len(runs))),
        ("samples", f"{len(first.sample_ids):,}"),
        ("predictions from", joined(sorted({run.obtained for run in runs}))),
        ("corruptions", f"{len(first.corruptions)} at {len(first.severities)} severities"),
        ("design", joined(sorted({describe_design(run.metadata.design) for run in runs}))),
        *([] if restorations == ["none"] else [("restoration", joined(restorations))]),
        ("dataset", dataset),
        ("corruption engine", first.metadata.engine),
        ("benchc", joined(sorted({run.metadata.benchc for run in runs}))),
        ("evaluated", _dates(runs)),
    ]


def _dates(runs: Iterable[Run]) -> str:
    days = sorted({run.metadata.date[:10] for run in runs if run.metadata.date})
    if not days:
        return "date unknown"
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def notes_of_runs(runs: Sequence[Run]) -> list[str]:
    """Say what a reader should know of the runs, and of each thing once, whose it is."""
    whose: dict[str, list[str]] = {}
    for run in runs:
        for note in _notes_of_run(run):
            whose.setdefault(note, []).append(run.name)
    return [
        f"{'All models' if len(names) == len(runs) > 1 else joined(names)}: {note}" for note, names in whose.items()
    ]


def cautions_of_runs(runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """Say why a reader should doubt runs: the caution's name, whose it is and its sentence, each sentence once."""
    whose: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for caution in run.cautions:
            whose.setdefault((caution.name, caution.sentence), []).append(run.name)
    return [(name, joined(names), sentence) for (name, sentence), names in whose.items()]


def notes_on_analyses(analyses: Sequence[RunAnalysis]) -> Iterator[str]:
    """Say what a reader should know of designs that leave conditions out."""
    for each in analyses:
        if note := note_on_design(each.whole, each.corruptions):
            yield f"{each.name}: {note}"
    if differing := note_on_designs([each.run for each in analyses]):
        yield differing


def _notes_of_run(run: Run) -> Iterator[str]:
    yield from run.notes
    if run.note_on_temperature:
        yield run.note_on_temperature
    if run.missing:
        yield f"{len(run.missing):,} pairs or clean answers were not run and are left out."
    if run.invalid:
        yield f"{len(run.invalid):,} answers could not be used and are left out."
    if run.metadata.dataset_size is not None and run.metadata.dataset_size > len(run.sample_ids):
        yield f"{len(run.sample_ids):,} of the dataset's {run.metadata.dataset_size:,} samples were run."
