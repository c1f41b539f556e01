"""Count how often the bundled model writes the letter that its log-likelihoods prefer.

python tests/benchmarks/generated_letters.py [--limit N]

Prints how many answers agree, and each that does not: sample, condition, preferred option, option read, text.
"""

from __future__ import annotations

import argparse

from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from benchc_metrics.records import SampleRecord
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from task_yamls import tasks_path

CORRUPTIONS = ("fog", "gaussian_noise", "pixelate")


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int)
    limit = parser.parse_args().limit
    results = simple_evaluate(
        model=BenchCModel(batch_size=8, device="cpu"),
        tasks=[f"{prefix}_{name}" for name in CORRUPTIONS for prefix in ("benchc", "benchc-gen")],
        task_manager=TaskManager(include_path=str(tasks_path()), include_defaults=False),
        bootstrap_iters=0,
        limit=limit,
        log_samples=True,
    )
    assert results is not None
    number, others = 0, []
    for name in CORRUPTIONS:
        scored, written = (
            {record.sample: record for record in map(of_row, results["samples"][f"{prefix}_{name}"])}
            for prefix in ("benchc", "benchc-gen")
        )
        for sample, record in written.items():
            pairs = zip(record.conditions, scored[sample].predictions, record.predictions, strict=True)
            for place, (condition, preferred, read) in enumerate(pairs):
                number += 1
                if preferred != read:
                    others.append((sample, condition, preferred, read, (record.texts or ())[place]))
    print(f"{number - len(others)} of {number} answers agree")
    for other in others:
        print(*other, sep="\t")


def of_row(row: dict) -> SampleRecord:
    """Read a row of the samples log."""
    return SampleRecord.from_json_dict(row["benchc"])


if __name__ == "__main__":
    main()
