"""Sum answers over conditions, for each model and sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from benchc_metrics.messages import quoted
from benchc_metrics.responses import option_distribution
from benchc_tasks.selection.answers.batches import CLEAN, AnswerBatch, AnswerSource, Labels
from benchc_tasks.selection.pool import Pool

__all__ = ["ReadingCounts", "Tally", "bytes_to_read", "tally_answers"]

NO_PREDICTION = -1

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass
class ReadingCounts:
    """Count the answers, and those that could not be used.

    Attributes
    ----------
    read : int
        Answers in all sources, the clean ones once.
    used : int
        Those that entered the tally.
    not_in_pool : int
        About samples that the pool does not have.
    without_prediction : int
        With a nan, no distribution, no predicted option, or one that the sample does not have.
    repeated_clean : int
        A clean answer that stood in the log of another task before; the first one counts.
    repeated_clean_differs : int
        Of these, those that predict another option than the first one.
    without_clean : int
        Used for correctness and votes, but not compared, as that model has no clean answer to the sample.
    """

    read: int = 0
    used: int = 0
    not_in_pool: int = 0
    without_prediction: int = 0
    repeated_clean: int = 0
    repeated_clean_differs: int = 0
    without_clean: int = 0


@dataclass(frozen=True)
class Tally:
    """Sums over the conditions of every model's answers to every sample.

    The first axis is the models', the second one the samples'.

    Attributes
    ----------
    models, conditions : tuple of str
        Sorted; `clean` is among the conditions where there is a clean answer.
    answers : ndarray of int64, shape (models, samples)
        Number of answers.
    correct : ndarray of int64, shape (models, samples)
        How many of them are right.
    votes : ndarray of int64, shape (models, samples, options)
        How many predict each option.
    right_probability : ndarray of float64, shape (models, samples)
        Sum of the right option's probabilities, over the answers that have some.
    distributions : ndarray of int64, shape (models, samples)
        How many have probabilities.
    pairs, flips : ndarray of int64, shape (models, samples)
        Corrupted answers that have a clean one beside them, and how many predict another option.
    divergence : ndarray of float64, shape (models, samples)
        Sum of the Jensen-Shannon divergences from the clean distribution, in bits.
    divergences : ndarray of int64, shape (models, samples)
        Over how many pairs.
    seen : ndarray of bool, shape (models, conditions, samples)
        Which answers there are.
    condition_correct, condition_probability : ndarray of float64, shape (models, conditions)
        Sums over the samples.
    """

    models: tuple[str, ...]
    conditions: tuple[str, ...]
    answers: IntArray
    correct: IntArray
    votes: IntArray
    right_probability: FloatArray
    distributions: IntArray
    pairs: IntArray
    flips: IntArray
    divergence: FloatArray
    divergences: IntArray
    seen: NDArray[np.bool_]
    condition_correct: FloatArray
    condition_probability: FloatArray

    @property
    def has_probabilities(self) -> bool:
        """True where every answer has probabilities."""
        return bool(np.array_equal(self.distributions, self.answers))

    def of_models(self, models: Sequence[int] | IntArray) -> Tally:
        """Keep some of the models."""
        rows = np.asarray(models, dtype=np.int64)
        kept = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in ("models", "conditions")}
        return replace(self, models=tuple(self.models[row] for row in rows.tolist()), **kept)


def bytes_to_read(sources: Iterable[AnswerSource]) -> int:
    """Count the bytes that `tally_answers` will read; those of a source that is read twice are counted twice."""
    return sum(source.size * (1 if source.brings_clean else 2) for source in sources)


def tally_answers(
    pool: Pool, sources: Iterable[AnswerSource], report: Callable[[int], None] = lambda read: None
) -> tuple[Tally, ReadingCounts]:
    """Read all answers in a stream, and keep their sums.

    A source whose clean answers may stand anywhere is read twice: first for them, as the others are compared with
    them. Memory grows with models x samples x (options + conditions), not with the number of answers times options.

    Parameters
    ----------
    pool : Pool
        What the answers are about.
    sources : iterable of AnswerSource
        Where they are.
    report : callable, optional
        Called with the bytes read since the last call; in all `bytes_to_read(sources)`.

    Returns
    -------
    tally : Tally
    counts : ReadingCounts

    Raises
    ------
    ValueError
        If a model answers a sample twice under one condition, no answer can be used, or a source is refused; one
        sentence.
    """
    accumulator = _Accumulator(pool)
    for source in sources:
        for only_clean in (False,) if source.brings_clean else (True, False):
            done = 0
            for batch, position in source.batches(pool, only_clean):
                if only_clean:
                    accumulator.add(batch, source.repeats_clean)
                else:
                    accumulator.add(batch if source.brings_clean else _corrupted(batch), source.repeats_clean)
                report(position - done)
                done = position
            report(source.size - done)
    return accumulator.finish(), accumulator.counts


def _corrupted(batch: AnswerBatch) -> AnswerBatch:
    return batch.take(~_is_clean(batch.condition))


def _is_clean(condition: Labels) -> NDArray[np.bool_]:
    return np.array([name == CLEAN for name in condition.names], dtype=bool)[condition.codes]


@dataclass
class _Accumulator:
    """A tally that grows with the models and conditions that turn up."""

    pool: Pool
    counts: ReadingCounts = field(default_factory=ReadingCounts)
    models: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, int] = field(default_factory=lambda: {CLEAN: 0})
    strangers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        samples, width = len(self.pool), self.pool.width
        self.answers = np.zeros((0, samples), dtype=np.int64)
        self.correct = self.answers.copy()
        self.distributions = self.answers.copy()
        self.pairs = self.answers.copy()
        self.flips = self.answers.copy()
        self.divergences = self.answers.copy()
        self.votes = np.zeros((0, samples, width), dtype=np.int64)
        self.right_probability = np.zeros((0, samples))
        self.divergence = np.zeros((0, samples))
        self.seen = np.zeros((0, 1, samples), dtype=bool)
        self.condition_correct = np.zeros((0, 1))
        self.condition_probability = np.zeros((0, 1))
        self.clean_prediction = np.full((0, samples), NO_PREDICTION, dtype=np.int64)
        self.clean_distribution = np.zeros((0, samples, width))
        self.clean_entropy = np.full((0, samples), np.nan)

    def add(self, batch: AnswerBatch, repeats_clean: bool) -> None:
        """Add a batch of answers, the clean ones before those that are compared with them."""
        self.counts.read += len(batch)
        is_known = batch.sample >= 0
        if not is_known.all():
            self.counts.not_in_pool += int((~is_known).sum())
            self.strangers += batch.strangers
            batch = batch.take(is_known)
        prediction, distribution = self._read(batch)
        is_usable = prediction >= 0
        if not is_usable.all():
            self.counts.without_prediction += int((~is_usable).sum())
            batch, prediction = batch.take(is_usable), prediction[is_usable]
            distribution = None if distribution is None else distribution[is_usable]
        if not len(batch):
            return
        model = self._codes(batch.model, self.models)[batch.model.codes]
        condition = self._codes(batch.condition, self.conditions)[batch.condition.codes]
        self._grow()
        rows = _Rows(model, condition, batch.sample, prediction, distribution)
        rows = self._without_repeats(batch, rows, repeats_clean)
        is_clean = rows.condition == 0
        for part in (rows.take(is_clean), rows.take(~is_clean)) if is_clean.any() else (rows,):
            self._add_rows(part)

    def finish(self) -> Tally:
        """Return the tally, models and conditions in the order of their names."""
        if not self.counts.used:
            others = f" (the pool does not have {', '.join(map(quoted, self.strangers[:3]))})" if self.strangers else ""
            raise ValueError(
                f"none of the {self.counts.read} answers can be used{others}; "
                "give answers to the pool's samples, under the pool's ids"
            )
        models = sorted(self.models, key=self.models.__getitem__)
        conditions = sorted(self.conditions, key=self.conditions.__getitem__)
        by_model = np.argsort(models, kind="stable")
        by_condition = np.array([0, *(1 + np.argsort(conditions[1:], kind="stable"))], dtype=np.int64)
        arrays = {f.name: getattr(self, f.name) for f in fields(Tally) if f.name not in ("models", "conditions")}
        sorted_arrays = {
            name: array[by_model][:, by_condition] if _has_conditions(name) else array[by_model]
            for name, array in arrays.items()
        }
        return Tally(
            models=tuple(models[row] for row in by_model),
            conditions=tuple(conditions[row] for row in by_condition),
            **sorted_arrays,
        )

    def _read(self, batch: AnswerBatch) -> tuple[IntArray, FloatArray | None]:
        """Give each answer's prediction, -1 where there is none, and its distribution if it has one."""
        counts = self.pool.option_counts[batch.sample]
        if batch.kind == "predictions":
            chosen = np.asarray(batch.values, dtype=np.int64)
            return np.where(chosen < counts, chosen, NO_PREDICTION), None
        values = np.asarray(batch.values, dtype=np.float64)
        distribution = option_distribution(values) if batch.kind == "logits" else values
        is_valid = np.isfinite(distribution).all(axis=1)
        return np.where(is_valid, np.argmax(values, axis=1), NO_PREDICTION), distribution

    def _codes(self, labels: Labels, known: dict[str, int]) -> IntArray:
        used = np.unique(labels.codes)
        codes = np.full(len(labels.names), -1, dtype=np.int64)
        codes[used] = [known.setdefault(labels.names[code], len(known)) for code in used.tolist()]
        return codes

    def _grow(self) -> None:
        """Make room for models and conditions that have turned up."""
        models, conditions = len(self.models), len(self.conditions)
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                missing = [models - array.shape[0], conditions - array.shape[1] if _has_conditions(name) else 0]
                if any(missing):
                    filling = {"clean_prediction": NO_PREDICTION, "clean_entropy": np.nan}.get(name, 0)
                    widths = [(0, extra) for extra in missing] + [(0, 0)] * (array.ndim - 2)
                    setattr(self, name, np.pad(array, widths, constant_values=filling))

    def _without_repeats(self, batch: AnswerBatch, rows: _Rows, repeats_clean: bool) -> _Rows:
        """Drop clean answers that are there already, and refuse any other that is."""
        place = np.ravel_multi_index((rows.model, rows.condition, rows.sample), self.seen.shape)
        flat = self.seen.reshape(-1)
        is_repeated = flat[place]
        flat[place] = True
        order = np.argsort(place, kind="stable")
        is_repeated[order[1:][place[order[1:]] == place[order[:-1]]]] = True
        if not is_repeated.any():
            return rows
        refused = is_repeated if not repeats_clean else is_repeated & (rows.condition != 0)
        for row in np.flatnonzero(refused)[:1].tolist():
            raise ValueError(
                f"{batch.describe(row, self.pool)} is answered twice; "
                "give each run once, or name runs apart with NAME=PATH"
            )
        first = self.clean_prediction[rows.model, rows.sample]
        self.counts.repeated_clean += int(is_repeated.sum())
        self.counts.repeated_clean_differs += int(
            (is_repeated & (first != NO_PREDICTION) & (first != rows.prediction)).sum()
        )
        return rows.take(~is_repeated)

    def _add_rows(self, rows: _Rows) -> None:
        """Add answers of which all are clean or none is."""
        if not len(rows.model):
            return
        self.counts.used += len(rows.model)
        samples = len(self.pool)
        cell = rows.model * samples + rows.sample
        is_right = rows.prediction == self.pool.answers[rows.sample]
        conditions = len(self.conditions)
        condition_cell = rows.model * conditions + rows.condition
        _add(self.answers, cell)
        _add(self.correct, cell[is_right])
        _add(self.votes, cell * self.pool.width + rows.prediction)
        _add(self.condition_correct, condition_cell, is_right.astype(np.float64))
        if rows.distribution is not None:
            right = rows.distribution[np.arange(len(cell)), self.pool.answers[rows.sample]]
            _add(self.right_probability, cell, right)
            _add(self.distributions, cell)
            _add(self.condition_probability, condition_cell, right)
        if rows.condition[0] == 0:
            self._keep_clean(rows)
        else:
            self._compare(rows, cell)

    def _keep_clean(self, rows: _Rows) -> None:
        self.clean_prediction[rows.model, rows.sample] = rows.prediction
        if rows.distribution is not None:
            self.clean_distribution[rows.model, rows.sample] = rows.distribution
            self.clean_entropy[rows.model, rows.sample] = entr(rows.distribution).sum(axis=1)

    def _compare(self, rows: _Rows, cell: IntArray) -> None:
        clean = self.clean_prediction.reshape(-1)[cell]
        has_clean = clean != NO_PREDICTION
        self.counts.without_clean += int((~has_clean).sum())
        _add(self.pairs, cell[has_clean])
        _add(self.flips, cell[has_clean & (clean != rows.prediction)])
        if rows.distribution is None:
            return
        clean_entropy = self.clean_entropy.reshape(-1)[cell]
        is_comparable = ~np.isnan(clean_entropy)
        cell, distribution = cell[is_comparable], rows.distribution[is_comparable]
        mixture = (distribution + self.clean_distribution.reshape(-1, self.pool.width)[cell]) / 2
        entropies = (entr(distribution).sum(axis=1) + clean_entropy[is_comparable]) / 2
        # Equal distributions come out as 1e-17 or -1e-17; a divergence is never negative.
        divergence = np.maximum(entr(mixture).sum(axis=1) - entropies, 0.0) / np.log(2.0)
        _add(self.divergence, cell, divergence)
        _add(self.divergences, cell)


def _has_conditions(name: str) -> bool:
    """Say whether an array's second axis is the conditions'."""
    return name == "seen" or name.startswith("condition_")


@dataclass(frozen=True)
class _Rows:
    """n usable answers as indices."""

    model: IntArray
    condition: IntArray
    sample: IntArray
    prediction: IntArray
    distribution: FloatArray | None

    def take(self, rows: NDArray[np.bool_]) -> _Rows:
        kept = None if self.distribution is None else self.distribution[rows]
        return _Rows(self.model[rows], self.condition[rows], self.sample[rows], self.prediction[rows], kept)


def _add(total: NDArray[np.int64] | NDArray[np.float64], cells: IntArray, values: FloatArray | int = 1) -> None:
    """Add to cells of a contiguous array, a cell as often as it is named, in that order."""
    np.add.at(total.reshape(-1), cells, values)
