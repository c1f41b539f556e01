"""The worked examples of docs/how_to_read.md: two real models, evaluated as a user would, and the page's numbers.

    python tests/benchmarks/worked_examples.py                  # print the tables from the runs that are kept
    python tests/benchmarks/worked_examples.py --make FOLDER    # evaluate again, and keep the runs in FOLDER

One model is the bundled one. The other is the same with dim eyes: it hears a twentieth of what its picture encoder says
of a picture, and for the rest the mean over all pictures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchc_metrics.metrics.views import condition_views, corruption_views
from benchc_metrics.runs import Run, read_run
from benchc_metrics.statistics.estimates import EstimatedRun, estimate
from benchc_metrics.statistics.floor import EstimatedFloor, estimate_floor
from benchc_tasks.datasets import decode_image, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL, DEMONSTRATION_SET

KEPT = Path(__file__).resolve().parents[1] / "fixtures" / "worked_examples"
TASKS = ("benchc_fog", "benchc_pixelate", "benchc-control")
SEEING, DIM = "bundled", "dim-eyes"
EXAMPLES = (("robust", SEEING, "pixelate"), ("brittle", SEEING, "fog"), ("indifferent", DIM, "fog"))
DIGITS = 6
HEARD = 0.05


def main() -> None:
    """Print the tables, or make the runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="evaluate again, and keep the runs there")
    chosen = parser.parse_args()
    if chosen.make is not None:
        make(chosen.make)
    print(table(chosen.make or KEPT))


@dataclass(frozen=True)
class Example:
    """One column of the table: a run, and what is said of it under one of its corruptions."""

    run: Run
    estimated: EstimatedRun
    floor: EstimatedFloor
    conditions: EstimatedFloor
    corruption: str

    def metric(self, name: str) -> str:
        """A metric under the corruption."""
        return _written(self.estimated.of(name, self.corruption))

    def distance(self, name: str) -> str:
        """A metric less its floor, and the p-value of the difference."""
        found = self.floor.distance(name, self.corruption)
        return f"{_written(found)}, p = {found.p_adjusted:.4f}"

    @property
    def one_letter(self) -> str:
        """Accuracy of always saying the letter that is right most often."""
        shares = [(self.run.answers == letter).mean() for letter in range(int(self.run.option_counts.max()))]
        return f"{max(shares):.3f}"

    @property
    def told(self) -> str:
        """The severities whose RAS can be told from the floor."""
        told = zip(self.conditions.views, self.conditions.is_told("ras"), strict=True)
        of_corruption = [is_told for view, is_told in told if view.corruptions == (self.corruption,)]
        return f"{sum(of_corruption)} of {len(of_corruption)}"


ROWS: dict[str, Callable[[Example], str]] = {
    "model": lambda one: "dim eyes" if one.run.name.endswith(DIM) else "bundled",
    "corruption": lambda one: f"`{one.corruption}`",
    "cautions": lambda one: ", ".join(caution.name for caution in one.run.cautions) or "none",
    "`acc_clean`": lambda one: one.metric("acc_clean"),
    "accuracy of one letter, always": lambda one: one.one_letter,
    "`acc_corrupted`": lambda one: one.metric("acc_corrupted"),
    "`acc_corrupted` less its floor": lambda one: one.distance("acc_corrupted"),
    "`ras`": lambda one: one.metric("ras"),
    "floor of `ras`": lambda one: _written(one.floor.of("ras"), 4),
    "`ras` less its floor": lambda one: one.distance("ras"),
    "severities told from the floor": lambda one: one.told,
    "`destroyed` and `corrected`": lambda one: (
        f"{one.estimated.of('destroyed', one.corruption).value:.3f} and "
        f"{one.estimated.of('corrected', one.corruption).value:.3f}"
    ),
}


def table(folder: Path) -> str:
    """Write the page's table from the runs in a folder, in Markdown."""
    examples = [_example(read_run(folder / model), corruption) for _, model, corruption in EXAMPLES]
    rows = [
        ("", *(f"**{name}**" for name, _, _ in EXAMPLES)),
        ("---", *("---:" for _ in EXAMPLES)),
        *((label, *(value(example) for example in examples)) for label, value in ROWS.items()),
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _example(run: Run, corruption: str) -> Example:
    floor, conditions = estimate_floor(run, corruption_views(run)), estimate_floor(run, condition_views(run))
    assert floor is not None
    assert conditions is not None
    return Example(run, estimate(run, corruption_views(run)), floor, conditions, corruption)


def _written(estimate: Sequence[float], digits: int = 3) -> str:
    # Adding zero makes the "-0.000" of a small negative number plain.
    value, low, high = (f"{round(number, digits) + 0.0:.{digits}f}" for number in estimate[:3])
    return f"{value} [{low}, {high}]"


def make(folder: Path) -> None:
    """Make the model with dim eyes, evaluate both, and keep what is needed."""
    from benchc_tasks.demonstration.training.trial_runs import keep_answers

    dim_eyes(folder / "toy" / DIM)
    for name, arguments in ((SEEING, []), (DIM, ["--model_args", f"pretrained=toy/{DIM}"])):
        command = [sys.executable, "-m", "lmms_eval", "--model", "benchc", *arguments, "--tasks", ",".join(TASKS)]
        subprocess.run(
            [*command, "--output_path", f"evaluations/{name}", "--log_samples"],
            cwd=folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            check=True,
        )
        (results,) = (folder / "evaluations" / name).rglob("*_results.json")
        keep_answers(results.parent, folder / name, TASKS, DIGITS)


def dim_eyes(folder: Path) -> None:
    """Write the bundled model with what it sees drawn towards the mean over pictures."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(DEMONSTRATION_MODEL, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(DEMONSTRATION_MODEL)
    projector = next(part for name, part in model.named_modules() if name.endswith("multi_modal_projector"))
    seen: list[torch.Tensor] = []
    hook = projector.register_forward_hook(lambda _, __, out: seen.append(out.reshape(-1, out.shape[-1])))
    samples = load_dataset(DEMONSTRATION_SET)
    with torch.no_grad():
        for place in range(0, len(samples), 6):
            picture = decode_image(samples[place]["image"], sample=samples[place]["id"])
            pixels = processor.image_processor(images=picture, return_tensors="pt")["pixel_values"]
            model.model.get_image_features(pixel_values=pixels)
        hook.remove()
        mean, last = torch.cat(seen).mean(dim=0), projector.linear_2
        last.bias.copy_(mean + HEARD * (last.bias - mean))
        last.weight.mul_(HEARD)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


if __name__ == "__main__":
    main()
