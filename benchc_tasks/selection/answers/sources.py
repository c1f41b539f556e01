"""Open the sources of answers that `--answers` names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchc_metrics.messages import quoted
from benchc_tasks.selection.answers.arrays import ArrayAnswers
from benchc_tasks.selection.answers.batches import AnswerSource
from benchc_tasks.selection.answers.samples_logs import LOG_SUFFIXES, LogAnswers
from benchc_tasks.selection.answers.tables import TABLE_SUFFIXES, TableAnswers

__all__ = ["open_answers"]

_LOG_PATTERNS = ("*_samples_*.jsonl", "*_samples_*.jsonl.gz", "samples_*.jsonl", "samples_*.jsonl.gz")
"""Samples logs of lmms-eval and of lm-evaluation-harness."""


def open_answers(given: Iterable[str]) -> list[AnswerSource]:
    """Open the sources of answers.

    Parameters
    ----------
    given : iterable of str
        Each `PATH` or `MODEL=PATH`. A path is a parquet or CSV table, an npz file, a samples log (`.jsonl`,
        `.jsonl.gz`), or a folder that holds samples logs at any depth, or else parquet files. A samples log's model is
        the name of the folder that it lies in, as lmms-eval names it, unless `MODEL=` says another.

    Returns
    -------
    list of AnswerSource
        Sorted by name, so that the order on a command line does not count.

    Raises
    ------
    ValueError
        If a path does not exist, or holds no answers.
    """
    sources: list[AnswerSource] = []
    logs: dict[str, list[Path]] = {}
    for entry in given:
        model, path = _split(entry)
        found = _logs_in(path)
        if found:
            for log in found:
                logs.setdefault(model or _folder_name(log), []).append(log)
        else:
            sources.append(_open_file(path, model))
    sources += [LogAnswers(model, _distinct(paths)) for model, paths in logs.items()]
    return sorted(sources, key=lambda source: source.name)


def _split(entry: str) -> tuple[str | None, Path]:
    path = Path(entry)
    if path.exists():
        return None, path
    model, equals, rest = entry.partition("=")
    if equals and model and Path(rest).exists():
        return model, Path(rest)
    raise ValueError(f"answers {quoted(entry)} do not exist; give a file or folder, PATH or MODEL=PATH")


def _logs_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name.endswith(LOG_SUFFIXES) else []
    return sorted(found for pattern in _LOG_PATTERNS for found in path.rglob(pattern))


def _open_file(path: Path, model: str | None) -> AnswerSource:
    if path.name.endswith(".npz"):
        if model is not None:
            raise ValueError(f"{path} names its models itself: leave {model}= out")
        return ArrayAnswers(path)
    if path.is_dir() and any(path.rglob("*.parquet")):
        return TableAnswers(path, model)
    if path.is_file() and path.name.endswith(TABLE_SUFFIXES):
        return TableAnswers(path, model)
    raise ValueError(
        f"answers {quoted(str(path))} hold no answers; give samples logs (made with --log_samples), a parquet "
        "or CSV table, or an npz file"
    )


def _folder_name(log: Path) -> str:
    return log.resolve().parent.name


def _distinct(paths: Sequence[Path]) -> list[Path]:
    return list({path.resolve(): path for path in paths}.values())
