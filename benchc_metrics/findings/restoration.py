"""What restoring pictures before answering cures and costs, in sentences, from a run with it and one without."""

from __future__ import annotations

from collections.abc import Sequence

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.views import corruption_views
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import ComparedRuns, Difference, compare
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, SEED
from benchc_metrics.wording import joined, signed

__all__ = ["note_on_restoration", "notes_on_restorations", "same_model"]


def notes_on_restorations(runs: Sequence[Run], reading: Reading = DEFAULT_READING) -> list[str]:
    """Say of each run with restoration what it cures and costs, beside the run of the same model without.

    Parameters
    ----------
    runs : sequence of Run
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    list of str
        One sentence or more a run with restoration; where no run without it can be paired, that it was restored.
    """
    notes = []
    for run in runs:
        if run.metadata.restoration is None:
            continue
        without = [other for other in runs if other.metadata.restoration is None and same_model(run, other)]
        if without:
            notes.append(note_on_restoration(run, without[0], reading))
        else:
            notes.append(
                f"{run.name}: every picture, clean ones too, was restored by {run.metadata.restoration} before the "
                "model saw it; a run without restoration beside it shows what that cures and costs."
            )
    return notes


def note_on_restoration(
    restored: Run, plain: Run, reading: Reading = DEFAULT_READING, *, resamples: int = RESAMPLES, seed: int = SEED
) -> str:
    """Say which corruptions a restoration cures, and what it costs on clean pictures.

    Parameters
    ----------
    restored, plain : Run
        The same samples and conditions, with restoration and without.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.
    resamples, seed : int
        Of intervals and of the permutation test.

    Returns
    -------
    str
        A corruption is cured or harmed where the accuracy under it differs with p below .05 after Holm's correction
        for the number of corruptions.

    Raises
    ------
    ValueError
        If the runs cannot be compared.
    """
    first, second = (PairValues.of_run(run, reading) for run in (restored, plain))
    whole = compare(first, second, resamples=resamples, seed=seed)
    by_corruption = compare(first, second, corruption_views(plain), resamples=resamples, seed=seed)
    clean = whole.of("acc_clean", whole.views[0].name)
    corrupted = whole.of("acc_corrupted", whole.views[0].name)
    return (
        f"{restored.name} against {plain.name}: restoration changes accuracy on clean pictures by "
        f"{_points(clean)} and under corruption by {_points(corrupted)}. {_cured(by_corruption)}"
    )


def _cured(compared: ComparedRuns) -> str:
    found = {view.name: compared.of("acc_corrupted", view.name) for view in compared.views}
    clear = {name: each.value for name, each in found.items() if each.p_adjusted < 1 - CONFIDENCE_LEVEL}
    parts = []
    for verb, sign in (("cures", 1), ("harms", -1)):
        some = sorted((-sign * value, name) for name, value in clear.items() if sign * value > 0)
        named = joined([f"{name} ({signed(100 * clear[name], 1)} points)" for _, name in some])
        parts.append(f"{verb} {named or 'none'}")
    return f"Of {len(found)} corruptions it {' and '.join(parts)} (p < .05 after Holm's correction)."


def same_model(run: Run, other: Run) -> bool:
    """Tell whether two runs are of one model over the same pictures, with restoration or without."""
    one, two = run.metadata, other.metadata
    return (one.model, one.backend, one.dataset, one.engine) == (two.model, two.backend, two.dataset, two.engine)


def _points(difference: Difference) -> str:
    low, high = signed(100 * difference.low, 1), signed(100 * difference.high, 1)
    return f"{signed(100 * difference.value, 1)} points [{low}, {high}]"
