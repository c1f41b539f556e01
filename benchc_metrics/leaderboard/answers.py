"""`samples.parquet`: the answers of a run, and the run made of them again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchc_metrics.benchmark import (
    CONDITIONS,
    CONTROL,
    CONTROL_CONDITIONS,
    CORRUPTION_FAMILIES,
    LETTERS,
    SEVERITIES,
)
from benchc_metrics.designs import FULL, asked_by_design
from benchc_metrics.leaderboard.parquet_pages import unpacked_size
from benchc_metrics.leaderboard.schema import (
    ANSWERS_FILE,
    LARGEST_SAMPLES_BY_OPTIONS,
    OLDER_SAMPLES_VERSION,
    SAMPLES_SCHEMA,
    SAMPLES_VERSION,
    largest_size,
)
from benchc_metrics.leaderboard.vote_columns import VOTE_COLUMNS, VoteColumns
from benchc_metrics.messages import quoted, reason_of
from benchc_metrics.records import Obtained
from benchc_metrics.responses import option_distribution
from benchc_metrics.runs import GivenPredictions, Run, RunMetadata, with_control_apart

__all__ = ["AnswerKind", "AnswerTable", "answers_to_parquet"]

AnswerKind: TypeAlias = Literal["log-likelihoods", "votes", "chosen options only"]
"""What the rows of a table hold."""

# Softmax on another machine may differ in the last digits.
_SAME_PROBABILITY = 1e-9
_SHOWN = 5


def answers_to_parquet(run: Run) -> bytes:
    """Write the answers of a whole run.

    Parameters
    ----------
    run : Run
        All that its design asks, none invalid: see `benchc_metrics.leaderboard.submission.what_is_missing`.

    Returns
    -------
    bytes
        A parquet file in `SAMPLES_SCHEMA`.
    """
    conditions = _conditions(has_control=run.control is not None)
    asked = _asked(run.asked, None if run.control is None else run.control.asked)
    rows, places = np.nonzero(asked)
    counts = run.option_counts[rows]
    table = pa.table(
        [
            pa.array([run.sample_ids[row] for row in rows.tolist()], pa.string()),
            pa.array([run.sources[row] for row in rows.tolist()], pa.string()),
            pa.array([run.categories[row] for row in rows.tolist()], pa.string()),
            pa.array(run.answers[rows], pa.int64()),
            pa.array([conditions[place] for place in places.tolist()], pa.string()),
            pa.array(counts, pa.int64()),
            *_answers(run, asked, counts),
        ],
        schema=SAMPLES_SCHEMA,
    )
    written = io.BytesIO()
    pq.write_table(table, written, compression="zstd", compression_level=9)
    return written.getvalue()


def _conditions(*, has_control: bool) -> tuple[str, ...]:
    """List the conditions of a whole run, those of the control last."""
    return CONDITIONS + CONTROL_CONDITIONS if has_control else CONDITIONS


def _asked(corrupted: NDArray[np.bool_], control: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Mark the conditions that were asked, clean first and the control last, shape (samples, conditions)."""
    samples = len(corrupted)
    parts = [np.ones((samples, 1), dtype=bool), corrupted.reshape(samples, -1)]
    return np.concatenate(parts if control is None else [*parts, control.reshape(samples, -1)], axis=1)


def _answers(run: Run, asked: NDArray[np.bool_], counts: NDArray[np.int64]) -> Iterator[pa.Array]:
    """Fill the columns of the kind of run, and leave the others null."""
    rows = len(counts)
    if run.votes is not None:
        yield from (pa.nulls(rows, field.type) for field in (SAMPLES_SCHEMA.field(name) for name in _OF_ANSWERS))
        yield from VoteColumns.of_run(run, asked).to_arrays(counts)
        return
    yield from _distributions(run, asked, counts) if run.has_distributions else _predictions(run, asked)
    yield from (pa.nulls(rows, SAMPLES_SCHEMA.field(name).type) for name in VOTE_COLUMNS)


def _distributions(
    run: Run, asked: NDArray[np.bool_], counts: NDArray[np.int64]
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Log-likelihoods and their softmax, from which the predictions follow."""
    samples, width = run.clean.shape
    parts = [run] if run.control is None else [run, run.control]
    log_likelihoods = np.concatenate(
        [run.clean[:, np.newaxis], *(part.corrupted.reshape(samples, -1, width) for part in parts)], axis=1
    )
    real = np.arange(width) < counts[:, np.newaxis]
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())

    def ragged(values: NDArray[np.float64]) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values[asked][real]))

    probabilities = option_distribution(log_likelihoods, run.option_counts)
    return ragged(log_likelihoods), ragged(probabilities), pa.nulls(len(counts), pa.int64())


def _predictions(run: Run, asked: NDArray[np.bool_]) -> tuple[pa.Array, pa.Array, pa.Array]:
    samples = len(run.sample_ids)
    parts = [run] if run.control is None else [run, run.control]
    chosen = np.concatenate(
        [run.clean_predictions[:, np.newaxis], *(part.corrupted_predictions.reshape(samples, -1) for part in parts)],
        axis=1,
    )
    rows, lists = int(asked.sum()), pa.list_(pa.float64())
    return pa.nulls(rows, lists), pa.nulls(rows, lists), pa.array(chosen[asked], pa.int64())


@dataclass(frozen=True, eq=False)
class _Texts:
    """A column of texts: for each row the place of its text among all texts, -1 where there is none."""

    places: NDArray[np.int64]
    texts: tuple[str, ...]

    @classmethod
    def of_column(cls, column: pa.ChunkedArray) -> _Texts:
        """Read a column of dictionaries; the texts come out sorted, each once."""
        encoded = column.unify_dictionaries().combine_chunks()
        dictionary = encoded.dictionary.to_pylist()
        texts = tuple(sorted(set(dictionary)))
        place = {text: number for number, text in enumerate(texts)}
        places = np.array([place[text] for text in dictionary] + [-1], dtype=np.int64)
        return cls(places[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)], texts)

    def of_row(self, row: int) -> str | None:
        place = int(self.places[row])
        return None if place < 0 else self.texts[place]


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """A `samples.parquet` of any origin, whose types are right and whose content is not yet believed.

    Attributes
    ----------
    samples, sources, categories, conditions : _Texts
        One entry a row, as all that follows.
    answers : ndarray of int64, shape (rows,)
    option_counts : ndarray of int64, shape (rows,)
    log_likelihoods, probabilities : ndarray of float64, shape (rows, options)
        Padded with -inf and 0; nan where the table has none.
    predictions : ndarray of int64, shape (rows,)
        -1 where the table has none.
    votes : VoteColumns or None
        Predictions are from them where they are there.
    kind : str
        See `AnswerKind`.
    faults_of_lists : tuple of str
        What is wrong with the lists, so that they are not read at all.
    """

    samples: _Texts
    sources: _Texts
    categories: _Texts
    conditions: _Texts
    answers: NDArray[np.int64]
    option_counts: NDArray[np.int64]
    log_likelihoods: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    predictions: NDArray[np.int64]
    votes: VoteColumns | None
    kind: AnswerKind
    faults_of_lists: tuple[str, ...]

    @classmethod
    def read(cls, content: bytes, samples: int) -> AnswerTable:
        """Read a file, after a look at what it really takes in memory.

        Parameters
        ----------
        content : bytes
            The file.
        samples : int
            How many samples it may have.

        Raises
        ------
        ValueError
            If it is not a parquet file, of another schema or version, or larger than it may be; one sentence.
        """
        _check_size(content, samples)
        try:
            with pq.ParquetFile(io.BytesIO(content), pre_buffer=False) as opened:
                schema = opened.schema_arrow
            is_older = (schema.metadata or {}).get(b"schema") == OLDER_SAMPLES_VERSION.encode()
            version = OLDER_SAMPLES_VERSION if is_older else SAMPLES_VERSION
            if not schema.equals(_OLDER_SCHEMA if is_older else SAMPLES_SCHEMA):
                raise ValueError(f"its columns are not those of {version}")
            if (schema.metadata or {}).get(b"schema") != version.encode():
                raise ValueError(f"it does not say that it is {version}")
            # A text that stands in all rows is held once, and never written out for each of them.
            with pq.ParquetFile(io.BytesIO(content), pre_buffer=False, read_dictionary=list(_TEXTS)) as opened:
                table = opened.read(use_threads=False)
            table.validate(full=True)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
            raise ValueError(f"it cannot be read as parquet ({reason_of(fault)})") from None
        for name in _TEXTS:
            for chunk in table.column(name).chunks:
                if (pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0) > _LONGEST_TEXT:
                    raise ValueError(f"a {name} is longer than {_LONGEST_TEXT} bytes")
        for name in VOTE_COLUMNS if is_older else ():
            table = table.append_column(name, pa.nulls(table.num_rows, SAMPLES_SCHEMA.field(name).type))
        return cls._of_table(table)

    @classmethod
    def _of_table(cls, table: pa.Table) -> AnswerTable:
        texts = {name: _Texts.of_column(table.column(name)) for name in _TEXTS}
        lists = [table.column(name).combine_chunks() for name in _LISTS]
        counts = table.column("options").to_numpy().astype(np.int64)
        predictions = table.column("prediction").combine_chunks()
        of_votes = [table.column(name).combine_chunks() for name in VOTE_COLUMNS]
        kind = _kind(predictions, of_votes[0])
        faults = list(_faults_of_lists(lists, predictions, of_votes, counts, kind))
        log_likelihoods, probabilities = (
            _padded(counts, None if faults or kind != "log-likelihoods" else column.flatten().to_numpy(), fill)
            for column, fill in zip(lists, (-np.inf, 0.0), strict=True)
        )
        votes = None if faults or kind != "votes" else _votes(counts, of_votes)
        return cls(
            samples=texts["sample"],
            sources=texts["source"],
            categories=texts["category"],
            conditions=texts["condition"],
            answers=table.column("answer").to_numpy().astype(np.int64),
            option_counts=counts,
            log_likelihoods=log_likelihoods,
            probabilities=probabilities,
            predictions=pc.fill_null(predictions, -1).to_numpy(zero_copy_only=False).astype(np.int64)
            if votes is None
            else votes.predictions,
            votes=votes,
            kind=kind,
            faults_of_lists=tuple(faults),
        )

    def faults(self, expected_samples: int, design: str = FULL) -> list[str]:
        """List what is wrong with the answers, a sentence each; none if a run can be made of them.

        Parameters
        ----------
        expected_samples : int
            How many samples the dataset has.
        design : str
            Which conditions each sample must have, see `benchc_metrics.designs`.
        """
        if self.faults_of_lists:
            return list(self.faults_of_lists)
        return [
            *self._faults_of_rows(expected_samples, design),
            *self._faults_of_samples(),
            *self._faults_of_values(),
        ]

    def to_run(self, name: str, metadata: RunMetadata, obtained: Obtained) -> Run:
        """Make the run of a table that has no faults."""
        samples, places = len(self.samples.texts), self._condition_places()
        at, number = (self.samples.places, places), len(self.expected_conditions)
        log_likelihoods = np.full((samples, number, self.log_likelihoods.shape[1]), np.nan)
        log_likelihoods[at] = self.log_likelihoods
        predictions = np.full((samples, number), -1, dtype=np.int64)
        predictions[at] = self.predictions
        asked = np.zeros((samples, number), dtype=bool)
        asked[at] = True
        corruptions = (*CORRUPTION_FAMILIES, CONTROL) if self.has_control else tuple(CORRUPTION_FAMILIES)
        cells = (samples, len(corruptions), len(SEVERITIES))
        first = np.flatnonzero(places == 0)
        first = first[np.argsort(self.samples.places[first])]
        run = Run(
            name=name,
            metadata=metadata,
            sample_ids=self.samples.texts,
            answers=self.answers[first],
            option_counts=self.option_counts[first],
            sources=tuple(self.sources.of_row(row) for row in first.tolist()),
            categories=tuple(self.categories.of_row(row) for row in first.tolist()),
            corruptions=corruptions,
            clean=log_likelihoods[:, 0],
            corrupted=log_likelihoods[:, 1:].reshape(*cells, -1),
            asked=asked[:, 1:].reshape(cells),
            votes=None if self.votes is None else self.votes.to_counts(at, cells),
            given=None
            if self.kind == "log-likelihoods"
            else GivenPredictions(obtained, predictions[:, 0], predictions[:, 1:].reshape(cells)),
        )
        return with_control_apart(run)

    @property
    def has_control(self) -> bool:
        """Whether there is an answer under the control."""
        return not set(CONTROL_CONDITIONS).isdisjoint(self.conditions.texts)

    @property
    def expected_conditions(self) -> tuple[str, ...]:
        """The conditions under which each sample must have an answer: all of the control, or none."""
        return _conditions(has_control=self.has_control)

    def _condition_places(self) -> NDArray[np.int64]:
        """Each row's place in `expected_conditions`, -1 where its condition is none of them."""
        places = {condition: place for place, condition in enumerate(self.expected_conditions)}
        return np.array([places.get(text, -1) for text in self.conditions.texts], dtype=np.int64)[
            self.conditions.places
        ]

    def _faults_of_rows(self, expected_samples: int, design: str) -> list[str]:
        ids, conditions = self.samples.texts, self.expected_conditions
        faults = []
        if len(ids) != expected_samples:
            faults.append(f"it has {len(ids)} samples where the dataset has {expected_samples}")
        unknown = sorted(set(self.conditions.texts) - set(conditions))
        faults += _listed("unknown conditions", [_short(text) for text in unknown[:_SHOWN]], len(unknown))
        places = self._condition_places()
        known = places >= 0
        found = np.bincount(
            self.samples.places[known] * len(conditions) + places[known], minlength=len(ids) * len(conditions)
        )
        of_control = np.ones((len(ids), len(CONTROL_CONDITIONS)), dtype=bool) if self.has_control else None
        asked = _asked(asked_by_design(design, ids), of_control).ravel()
        for what, amiss in (
            ("duplicated answers", found > 1),
            ("missing answers", (found == 0) & asked),
            (f"answers that the design {quoted(design)} does not ask", (found > 0) & ~asked),
        ):
            cells = np.flatnonzero(amiss)
            names = [
                _answer_name(ids[cell // len(conditions)], conditions[cell % len(conditions)])
                for cell in cells[:_SHOWN]
            ]
            faults += _listed(what, names, len(cells))
        return faults

    def _faults_of_samples(self) -> list[str]:
        """Find samples whose facts change between conditions."""
        places = self.samples.places
        _, first = np.unique(places, return_index=True)
        changing = np.zeros(len(self.samples.texts), dtype=bool)
        for facts in (self.answers, self.option_counts, self.sources.places, self.categories.places):
            changing[places[facts != facts[first][places]]] = True
        names = [self.samples.texts[place] for place in np.flatnonzero(changing)]
        what = "samples whose answer, category or options change between conditions"
        return _listed(what, [_short(name) for name in names[:_SHOWN]], len(names))

    def _faults_of_values(self) -> list[str]:
        log_likelihoods, probabilities, counts = self.log_likelihoods, self.probabilities, self.option_counts
        wrong_answer = self._listed_rows(
            "right options that the sample does not have", (self.answers < 0) | (self.answers >= counts)
        )
        if self.votes is not None:
            return [
                *wrong_answer,
                *self._listed_rows("numbers of votes that cannot be", self.votes.impossible),
                *self._listed_rows("conditions without a vote for an option", self.votes.absent),
            ]
        if self.kind == "chosen options only":
            none = (self.predictions < 0) | (self.predictions >= counts)
            return [*wrong_answer, *self._listed_rows("chosen options that the sample does not have", none)]
        wrong_value = ~np.isfinite(log_likelihoods.max(axis=1)) | (log_likelihoods > 0).any(axis=1)
        with np.errstate(all="ignore"):
            wrong_sum = ~(np.abs(probabilities.sum(axis=1) - 1) <= _SAME_PROBABILITY) | (probabilities < 0).any(axis=1)
            softmax = option_distribution(log_likelihoods, counts)
            same = (np.abs(softmax - probabilities) <= _SAME_PROBABILITY).all(axis=1)
        return [
            *wrong_answer,
            *self._listed_rows("log-likelihoods that are not valid", wrong_value),
            *self._listed_rows("probabilities that do not sum to one", wrong_sum),
            *self._listed_rows(
                "probabilities that are not those of the log-likelihoods", ~wrong_value & ~wrong_sum & ~same
            ),
        ]

    def _listed_rows(self, what: str, mask: NDArray[np.bool_]) -> list[str]:
        rows = np.flatnonzero(mask)
        names = [_answer_name(self.samples.of_row(row), self.conditions.of_row(row)) for row in rows[:_SHOWN].tolist()]
        return _listed(what, names, len(rows))


_TEXTS = ("sample", "source", "category", "condition")
_LONGEST_TEXT = 1000
_LISTS = ("log_likelihoods", "probabilities")
_OF_ANSWERS = (*_LISTS, "prediction")
_OLDER_SCHEMA = pa.schema(
    [field for field in SAMPLES_SCHEMA if field.name not in VOTE_COLUMNS], metadata={"schema": OLDER_SAMPLES_VERSION}
)


def _kind(predictions: pa.Array, votes: pa.Array) -> AnswerKind:
    if votes.null_count < len(votes):
        return "votes"
    return "log-likelihoods" if predictions.null_count == len(predictions) else "chosen options only"


def _votes(counts: NDArray[np.int64], columns: Sequence[pa.Array]) -> VoteColumns:
    lists, unparsed, unfinished = columns
    votes = np.zeros((len(counts), int(counts.max())), dtype=np.int64)
    votes[np.arange(votes.shape[1]) < counts[:, np.newaxis]] = lists.flatten().to_numpy()
    return VoteColumns(votes, unparsed.to_numpy(), unfinished.to_numpy())


def _faults_of_lists(
    lists: Sequence[pa.ListArray],
    predictions: pa.Array,
    of_votes: Sequence[pa.Array],
    counts: NDArray[np.int64],
    kind: AnswerKind,
) -> Iterator[str]:
    """Say why the answers of the rows cannot be read at all, the first reason only."""
    of_kind: dict[AnswerKind, Sequence[pa.Array]] = {
        "log-likelihoods": lists,
        "votes": of_votes,
        "chosen options only": [predictions],
    }
    needed = of_kind[kind]
    others = [column for columns in of_kind.values() if columns is not needed for column in columns]
    ragged = [column for column in needed if pa.types.is_list(column.type)]
    if (counts < 2).any() or (counts > len(LETTERS)).any():
        yield f"its {kind} are not of the same 2 to 26 options"
    elif len(counts) // len(CONDITIONS) * int(counts.max()) > LARGEST_SAMPLES_BY_OPTIONS:
        yield (
            "it has more answers than can be checked: samples times most options are above "
            f"{LARGEST_SAMPLES_BY_OPTIONS}"
        )
    elif any(column.null_count != len(column) for column in others):
        yield f"it has values of another kind beside {kind}"
    elif any(column.null_count for column in needed) or any(column.flatten().null_count for column in ragged):
        yield "it has nulls where each answer needs a value"
    elif any((np.diff(column.offsets.to_numpy()) != counts).any() for column in ragged):
        yield f"its {kind} are not of the same 2 to 26 options"


def _check_size(content: bytes, samples: int) -> None:
    """Refuse what would not fit into memory, before anything is unpacked."""
    size = unpacked_size(content)
    if size.rows == 0:
        raise ValueError("it has no answer")
    rows, limit = samples * len(CONDITIONS) * 2, largest_size(ANSWERS_FILE, samples)
    values = min(rows * len(LETTERS), 2 * len(CONDITIONS) * LARGEST_SAMPLES_BY_OPTIONS)
    if size.rows > rows or size.bytes > limit or size.values > values:
        raise ValueError(
            f"{size.rows} rows of {size.values} values in {size.bytes} bytes are more than the {rows} rows in {limit} "
            "bytes that it may have"
        )


def _padded(counts: NDArray[np.int64], values: NDArray[np.float64] | None, fill: float) -> NDArray[np.float64]:
    """Make a column of lists an array (rows, widest list); nan throughout where there are none."""
    if values is None:
        # A count that was refused is not a width.
        return np.full((len(counts), min(int(counts.max(initial=0)), len(LETTERS))), np.nan)
    padded = np.full((len(counts), int(counts.max(initial=0))), fill)
    padded[np.arange(padded.shape[1]) < counts[:, np.newaxis]] = values
    return padded


def _answer_name(sample: str | None, condition: str | None) -> str:
    return f"{_short(sample)} under {_short(condition)}"


def _short(name: str | None) -> str:
    return quoted(name)[1:-1]


def _listed(what: str, names: Sequence[str], number: int) -> list[str]:
    """One sentence that counts and shows the first few; none where there are none."""
    if not number:
        return []
    more = f" and {number - len(names)} more" if number > len(names) else ""
    return [f"{number} {what}: {', '.join(names)}{more}"]
