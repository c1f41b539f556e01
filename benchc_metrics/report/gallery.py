"""The gallery: samples that corruption destroyed or corrected most, as the models saw them.

Pictures and questions come from the dataset, which this package does not know: a function that shows a sample under a
condition is handed in.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchc_metrics.benchmark import LETTERS, Condition
from benchc_metrics.findings.analysis import RunAnalysis
from benchc_metrics.messages import quoted

__all__ = ["Candidate", "Card", "OptionBars", "ShowSample", "ShownSample", "candidates", "show_card"]

GALLERY_SIZE = 6
THUMBNAIL_SIDE = 360
_QUALITY = 80

Kind = Literal["destroyed", "corrected"]


class ShownSample(NamedTuple):
    """A sample as a model saw it: clean, and under one condition.

    Attributes
    ----------
    question : str
    options : sequence of str
    clean, corrupted : PIL.Image.Image
    """

    question: str
    options: Sequence[str]
    clean: Image.Image
    corrupted: Image.Image


ShowSample: TypeAlias = Callable[[str, Condition], ShownSample]
"""From a sample's id and a condition to what a model saw."""


@dataclass(frozen=True)
class Candidate:
    """A sample that is worth showing, and the pair that shows it best.

    Attributes
    ----------
    kind : {"destroyed", "corrected"}
    sample : str
        Its id.
    condition : Condition
    model : str
        Whose answer moved most under this condition.
    rate : float
        Share of the sample's pairs, over all models and conditions, that are of this kind.
    answer : int
        Index of the right option.
    before, after : tuple of float
        That model's option distributions; nan throughout for a run without probabilities.
    chosen_before, chosen_after : int
        That model's predictions.
    """

    kind: Kind
    sample: str
    condition: Condition
    model: str
    rate: float
    answer: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    chosen_before: int
    chosen_after: int


@dataclass(frozen=True)
class OptionBars:
    """One option with its probabilities before and after.

    Attributes
    ----------
    letter, text : str
    is_right : bool
    chosen : str
        `""`, or when the model chose it: `clean`, `corrupted` or `clean and corrupted`.
    before, after : float
        nan for a run without probabilities.
    """

    letter: str
    text: str
    is_right: bool
    chosen: str
    before: float
    after: float


@dataclass(frozen=True)
class Card:
    """One sample of the gallery, ready to be written.

    Attributes
    ----------
    candidate : Candidate
    question : str
    options : tuple of OptionBars
    clean, corrupted : str
        The pictures as data URIs.
    """

    candidate: Candidate
    question: str
    options: tuple[OptionBars, ...]
    clean: str
    corrupted: str


def candidates(analyses: Sequence[RunAnalysis], kind: Kind, size: int = GALLERY_SIZE) -> list[Candidate]:
    """Choose the samples whose pairs are most often destroyed (or corrected), over all models and conditions.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
        Over the same samples and conditions.
    kind : {"destroyed", "corrected"}
    size : int
        How many at most.

    Returns
    -------
    list of Candidate
        The most striking first. Of each sample, the pair of this kind whose right option's probability moved most.
    """
    kinds = np.stack([analysis.pairs.values[kind] for analysis in analyses])
    valid = np.stack([analysis.pairs.valid for analysis in analyses])
    shifts = np.abs(np.stack([_shift_of_right_option(analysis) for analysis in analyses]))
    rates = kinds.sum(axis=(0, 2, 3)) / np.maximum(valid.sum(axis=(0, 2, 3)), 1)
    strongest = np.where(kinds > 0, shifts, 0.0)
    # Among samples of one rate the larger shift goes first; the rest is the order of the ids.
    order = np.lexsort((-strongest.max(axis=(0, 2, 3)), -rates))
    return [_candidate(analyses, kind, int(place), strongest, rates) for place in order[:size] if rates[place] > 0]


def show_card(candidate: Candidate, show: ShowSample) -> Card:
    """Fetch question and pictures of a candidate.

    Parameters
    ----------
    candidate : Candidate
    show : callable
        See `ShowSample`.

    Returns
    -------
    Card

    Raises
    ------
    ValueError
        If the sample has another number of options in the dataset than in the run.
    """
    shown = show(candidate.sample, candidate.condition)
    if len(shown.options) != len(candidate.before):
        raise ValueError(
            f"sample {quoted(candidate.sample)} has {len(shown.options)} options in the dataset and "
            f"{len(candidate.before)} in the run: give the dataset that the run was made on"
        )
    return Card(
        candidate=candidate,
        question=shown.question,
        options=tuple(_bars(candidate, shown.options)),
        clean=data_uri(shown.clean),
        corrupted=data_uri(shown.corrupted),
    )


def data_uri(image: Image.Image, side: int = THUMBNAIL_SIDE) -> str:
    """Write a picture into a text, small enough for a page.

    Parameters
    ----------
    image : PIL.Image.Image
    side : int
        Pixels of its longer side at most.

    Returns
    -------
    str
        A `data:` URI of a WebP image.
    """
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _shift_of_right_option(analysis: RunAnalysis) -> NDArray[np.float64]:
    """How far the right option's probability moved, (samples, corruptions, severities); 1 without probabilities."""
    run = analysis.run
    if not run.has_distributions:
        return np.ones(analysis.pairs.valid.shape)
    sample = np.arange(len(run.sample_ids))
    before = run.clean_distributions()[sample, run.answers]
    after = np.take_along_axis(run.corrupted_distributions(), run.answers[:, None, None, None], axis=-1)[..., 0]
    return np.asarray(np.nan_to_num(after - before[:, np.newaxis, np.newaxis]))


def _candidate(
    analyses: Sequence[RunAnalysis], kind: Kind, sample: int, strongest: NDArray[np.float64], rates: NDArray[np.float64]
) -> Candidate:
    of_sample = strongest[:, sample]
    model, corruption, severity = np.unravel_index(int(of_sample.argmax()), of_sample.shape)
    run = analyses[int(model)].run
    count = int(run.option_counts[sample])
    return Candidate(
        kind=kind,
        sample=run.sample_ids[sample],
        condition=Condition(run.corruptions[int(corruption)], run.severities[int(severity)]),
        model=run.name,
        rate=float(rates[sample]),
        answer=int(run.answers[sample]),
        before=tuple(run.clean_distributions()[sample, :count].tolist()),
        after=tuple(run.corrupted_distributions()[sample, corruption, severity, :count].tolist()),
        chosen_before=int(run.clean_predictions[sample]),
        chosen_after=int(run.corrupted_predictions[sample, corruption, severity]),
    )


def _bars(candidate: Candidate, options: Sequence[str]) -> Iterator[OptionBars]:
    choices = (("clean", candidate.chosen_before), ("corrupted", candidate.chosen_after))
    for place, text in enumerate(options):
        chosen = (word for word, choice in choices if choice == place)
        yield OptionBars(
            letter=LETTERS[place],
            text=text,
            is_right=place == candidate.answer,
            chosen=" and ".join(chosen),
            before=candidate.before[place],
            after=candidate.after[place],
        )
