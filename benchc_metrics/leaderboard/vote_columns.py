"""The columns of `samples.parquet` that hold votes: written from a run, checked, and made votes of a run again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchc_metrics.leaderboard.schema import MOST_VOTES
from benchc_metrics.runs import Run
from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = ["VOTE_COLUMNS", "VoteColumns"]

VOTE_COLUMNS = ("votes", "unparsed", "unfinished")

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VoteColumns:
    """The votes of an answer table, one row a sample and condition.

    Attributes
    ----------
    votes : ndarray of int64, shape (rows, options)
        How often each option was chosen; 0 beyond a sample's own options.
    unparsed, unfinished : ndarray of int64, shape (rows,)
        How many sampled answers name no option, and how many of these end within their thinking.
    """

    votes: Counts
    unparsed: Counts
    unfinished: Counts

    @classmethod
    def of_run(cls, run: Run, asked: NDArray[np.bool_]) -> VoteColumns:
        """Take the votes of a run.

        Parameters
        ----------
        run : Run
            One with votes.
        asked : ndarray of bool, shape (samples, conditions)
            Clean first and the control last.
        """
        parts = [part.votes for part in (run, run.control) if part is not None and part.votes is not None]
        samples = len(run.sample_ids)

        def rows(clean: Counts, corrupted: list[Counts], *rest: int) -> Counts:
            under = [each.reshape(samples, -1, *rest) for each in corrupted]
            return np.concatenate([clean[:, np.newaxis], *under], axis=1)[asked]

        first = parts[0]
        return cls(
            rows(first.clean, [part.corrupted for part in parts], first.clean.shape[-1]),
            rows(first.clean_unparsed, [part.corrupted_unparsed for part in parts]),
            rows(first.clean_unfinished, [part.corrupted_unfinished for part in parts]),
        )

    def to_arrays(self, option_counts: Counts) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Write the columns `VOTE_COLUMNS`; a row's list is as long as its sample has options."""
        real = np.arange(self.votes.shape[1]) < option_counts[:, np.newaxis]
        offsets = pa.array(np.concatenate([[0], np.cumsum(option_counts)]), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, pa.array(self.votes[real], pa.int64()))
        return lists, pa.array(self.unparsed, pa.int64()), pa.array(self.unfinished, pa.int64())

    @property
    def predictions(self) -> Counts:
        """Option with the most votes, the lowest on a tie; shape (rows,)."""
        return np.asarray(self.votes.argmax(axis=1), dtype=np.int64)

    @property
    def impossible(self) -> NDArray[np.bool_]:
        """Mark the rows whose numbers cannot be: negative, too many, or more unfinished answers than unparsed ones."""
        numbers = np.concatenate([self.votes, self.unparsed[:, np.newaxis], self.unfinished[:, np.newaxis]], axis=1)
        within = ((numbers >= 0) & (numbers <= MOST_VOTES)).all(axis=1)
        total = np.where(within, self.votes.sum(axis=1) + self.unparsed, 0)
        return np.asarray(~within | (total > MOST_VOTES) | (self.unfinished > self.unparsed))

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Mark the rows that have no vote for an option."""
        return np.asarray((self.votes <= 0).all(axis=1))

    def to_counts(self, places: tuple[NDArray[np.int64], ...], shape: tuple[int, int, int]) -> VoteCounts:
        """Make the votes of a run.

        Parameters
        ----------
        places : tuple of two ndarray of int64, shape (rows,)
            Sample and condition of each row, the clean condition first.
        shape : tuple of int
            Numbers of samples, corruptions (the control among them) and severities.
        """
        samples, corruptions, severities = shape
        conditions = 1 + corruptions * severities

        def arrays(rows: Counts) -> tuple[Counts, Counts]:
            found = np.zeros((samples, conditions, *rows.shape[1:]), dtype=np.int64)
            found[places] = rows
            return found[:, 0], found[:, 1:].reshape(*shape, *rows.shape[1:])

        columns = (arrays(rows) for rows in (self.votes, self.unparsed, self.unfinished))
        return VoteCounts(*(array for column in columns for array in column))
