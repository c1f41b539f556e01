"""Answers of models, read in a stream from samples logs, tables and arrays."""

from benchc_tasks.selection.answers.batches import CLEAN, AnswerBatch, AnswerSource
from benchc_tasks.selection.answers.sources import open_answers
from benchc_tasks.selection.answers.tally import ReadingCounts, Tally, bytes_to_read, tally_answers

__all__ = [
    "CLEAN",
    "AnswerBatch",
    "AnswerSource",
    "ReadingCounts",
    "Tally",
    "bytes_to_read",
    "open_answers",
    "tally_answers",
]
