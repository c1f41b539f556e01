"""Count how often each option was chosen in the sampled generations of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.records import SampleRecord

__all__ = ["VoteCounts"]

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VoteCounts:
    """The votes of a run; zeros for conditions that were not asked.

    Attributes
    ----------
    clean : ndarray of int64, shape (samples, options)
        How often each option was chosen on the clean image.
    corrupted : ndarray of int64, shape (samples, corruptions, severities, options)
    clean_unparsed, corrupted_unparsed : ndarray of int64, shapes without the options
        The number of generations that name no option, including those that end within their thinking.
    clean_unfinished, corrupted_unfinished : ndarray of int64
        The number of generations that end within their thinking.
    """

    clean: Counts
    corrupted: Counts
    clean_unparsed: Counts
    corrupted_unparsed: Counts
    clean_unfinished: Counts
    corrupted_unfinished: Counts

    @classmethod
    def of_records(
        cls,
        records: Sequence[SampleRecord],
        samples: Mapping[str, int],
        cells: Mapping[str, tuple[int, int]],
        shape: tuple[int, int, int],
        width: int,
    ) -> VoteCounts:
        """Put the votes of records into arrays.

        Parameters
        ----------
        records : sequence of SampleRecord
            All with votes. If several records have a sample's clean votes, the first one is used.
        samples : mapping of str to int
            The place of each sample.
        cells : mapping of str to (int, int)
            The place of each corrupted condition on the axes of corruptions and severities.
        shape : tuple of int
            Numbers of samples, corruptions and severities.
        width : int
            The largest number of options.
        """
        empty = cls(
            *(np.zeros((*of, *rest), dtype=np.int64) for rest in ((width,), (), ()) for of in (shape[:1], shape))
        )
        seen: set[str] = set()
        for record in records:
            row = samples[record.sample]
            for number, condition in enumerate(record.conditions):
                if number == 0 and record.sample in seen:
                    continue
                empty._add(record, number, (row,) if number == 0 else (row, *cells[condition]))
            seen.add(record.sample)
        return empty

    @property
    def clean_number(self) -> Counts:
        """The number of generations on the clean image, shape (samples,)."""
        return np.asarray(self.clean.sum(axis=-1) + self.clean_unparsed)

    @property
    def corrupted_number(self) -> Counts:
        """The number of generations under corruption, shape (samples, corruptions, severities)."""
        return np.asarray(self.corrupted.sum(axis=-1) + self.corrupted_unparsed)

    def under(self, places: Sequence[int]) -> VoteCounts:
        """Keep the conditions of some corruptions."""
        return replace(
            self,
            corrupted=self.corrupted[:, places],
            corrupted_unparsed=self.corrupted_unparsed[:, places],
            corrupted_unfinished=self.corrupted_unfinished[:, places],
        )

    def where(self, kept: NDArray[np.bool_]) -> VoteCounts:
        """Keep the votes of some corrupted conditions, shape (samples, corruptions, severities)."""
        return replace(
            self,
            corrupted=np.where(kept[..., np.newaxis], self.corrupted, 0),
            corrupted_unparsed=np.where(kept, self.corrupted_unparsed, 0),
            corrupted_unfinished=np.where(kept, self.corrupted_unfinished, 0),
        )

    def _add(self, record: SampleRecord, number: int, cell: tuple[int, ...]) -> None:
        is_clean = len(cell) == 1
        votes = None if record.votes is None else record.votes[number]
        counts = self.clean if is_clean else self.corrupted
        counts[cell][: len(votes or ())] = votes or ()
        if record.unparsed is not None:
            (self.clean_unparsed if is_clean else self.corrupted_unparsed)[cell] = record.unparsed[number]
        if record.unfinished is not None:
            (self.clean_unfinished if is_clean else self.corrupted_unfinished)[cell] = record.unfinished[number]
