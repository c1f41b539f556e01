"""What was measured, as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["table_of"]


def table_of(written: Mapping[str, Any]) -> str:
    """Write the measurements of one run of `measure.py`.

    Parameters
    ----------
    written : mapping
        The content of `gpu.json`.
    """
    facts = ", ".join(f"{name} {written[name]}" for name in ("card", "cores", "torch", "transformers", "dtype", "side"))
    lines = [f"# Option scoring: {facts}"]
    told: set[str] = set()
    for title, ending, head, rows in SECTIONS:
        parts = {name: value for name, value in written.items() if name.endswith(ending) and isinstance(value, dict)}
        if not parts:
            continue
        told |= parts.keys()
        body = [row for name, value in parts.items() for row in rows(name.removesuffix(ending).rstrip("_"), value)]
        lines += ["", f"## {title}", "", *table(head, body)]
    others = [(name.replace("_", " "), value) for name, value in written.items() if name not in told]
    lines += ["", "## Beside these", "", *table(("what", "value"), others)]
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Write one table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(shown, row))} |"


def shown(value: Any) -> str:
    """Write one cell."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{str(name).replace('_', ' ')}: {some}" for name, some in value.items())
    return f"{value:.4g}" if isinstance(value, float) and value < 1 else str(value)


def of_batches(model: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row a batch size."""
    for batch, row in value.items():
        yield model, batch, row["conditions_a_second"], row["peak_gib"], row["prepare_ms_a_condition"]


def of_threads(model: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row a number of render threads."""
    for threads, row in value["by_render_threads"].items():
        yield (
            model,
            value["batch_size"],
            threads,
            row["conditions"],
            row["conditions_a_second"],
            row["waiting"],
            row["between_batches"],
        )


def of_hours(model: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row a model."""
    yield model, value["full"], value["lite"], value["from_conditions"]


def of_passes(model: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row for each number of options and batch size."""
    for options, row in value.items():
        for batch, times in row["ours_times_as_fast"].items():
            ours = row["ours_a_second"][batch]
            yield model, options, row["one_pass_an_option_a_second"], batch, ours, f"{times} x"


def of_precision(model: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row for each precision and batch size."""
    for name, row in value.items():
        metrics = [round(row[metric], 4) if metric in row else None for metric in ("acc_clean", "acc_corrupted", "ras")]
        apart = [f"{row[key]:.2g}" for key in ("largest_difference_nats", "mean_difference_nats")]
        yield model, name, *apart, row["same_predictions"], *metrics


def of_families(_: str, value: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """One row a family."""
    for family, row in value.items():
        differences = [f"{row[name]:.2g}" if name in row else None for name in ("float32", "bfloat16")]
        others = {name: some for name, some in row.items() if name not in ("float32", "bfloat16", "same_texts")}
        yield family, *differences, row.get("same_texts"), others


SECTIONS = (
    (
        "Prepared batches, nothing keeps the card waiting",
        "prepared_batches",
        ("model", "batch", "conditions a second", "GiB at the peak", "ms to prepare one, one thread"),
        of_batches,
    ),
    (
        "From the picture's file to the options' log-likelihoods",
        "end_to_end",
        (
            "model",
            "batch",
            "render threads",
            "conditions",
            "conditions a second",
            "slower than batches that lie ready, share",
            "between batches, share",
        ),
        of_threads,
    ),
    ("Hours of a whole run", "hours_for_849_samples", ("model", "full", "lite", "conditions measured"), of_hours),
    (
        "Against one pass an option",
        "against_one_pass_an_option",
        ("model", "options", "one pass an option, conditions a second", "our batch", "ours", "as fast"),
        of_passes,
    ),
    (
        "Precisions, against float32 at batch 1",
        "by_precision",
        ("model", "precision", "largest, nats", "mean, nats", "same predictions", "acc_clean", "acc_corrupted", "ras"),
        of_precision,
    ),
    (
        "Tiny models against float32 on the CPU at batch 1",
        "against_the_cpu",
        ("family", "float32, nats", "bfloat16, nats", "same texts in float32", "beside"),
        of_families,
    ),
)
"""For each: title, how the part's name ends, the table's head, and its rows."""
