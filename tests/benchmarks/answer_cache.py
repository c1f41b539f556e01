"""Measure the cost of `--use_cache`: the time to keep answers and to find them, against the time to score them.

    python tests/benchmarks/answer_cache.py [--answers N] [--scored N]

Keeps the first N answers of the bundled set with lmms-eval's own response cache and with benchc's, from a model that
has them ready, and scores some of the same conditions with the bundled model at batch size 1 for comparison. Exits
with 1 if benchc's takes a tenth of the scoring time or more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.utils import load_yaml_config
from loguru import logger

from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.lmms_eval.requests import group_requests
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from task_yamls import tasks_path

CORRUPTIONS = ("brightness", "contrast", "fog")
LARGEST_SHARE = 0.1


class ReadyModel:
    """Has every answer at once."""

    fingerprint = "ready"

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Return what is there."""
        return [(-1 / (number + 3), number % 4 == 0) for number in range(len(requests))]

    def stream_loglikelihood(self, requests: Sequence[Any]) -> Iterator[tuple[float, bool]]:
        """Yield what is there."""
        yield from self.loglikelihood(requests)


def tasks() -> dict[str, BenchCTask]:
    """Load tasks over the bundled set and build their requests."""
    made = {}
    for name in CORRUPTIONS:
        config = load_yaml_config(str(tasks_path() / f"benchc_{name}.yaml"), mode="full")
        task = BenchCTask(config=config)
        task.build_all_requests(limit=None, rank=0, world_size=1)
        made[f"benchc_{name}"] = task
    return made


def seconds_to_score(made: dict[str, BenchCTask], requests: Sequence[Any], conditions: int) -> float:
    """Score the first conditions with the bundled model and return the seconds that one takes."""
    model = BenchCModel()
    for name, task in made.items():
        model.task_dict[name] = task.dataset
    inquiries = group_requests(requests, model.task_dict)[:conditions]
    places = sorted(place for inquiry in inquiries for place, _ in inquiry.places)
    model.loglikelihood([requests[place] for place in places[:40]])  # compiles
    started = time.perf_counter()
    model.loglikelihood([requests[place] for place in places])
    return (time.perf_counter() - started) / len(inquiries)


def seconds_of(create: Callable[..., Any], requests: Sequence[Any]) -> tuple[float, float]:
    """Return the seconds to keep all answers, and those to find them again."""
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            started = time.perf_counter()
            cache = create(cache_root=folder, model="benchc", model_args="", task_dict={})
            cache.execute(ReadyModel(), "loglikelihood", requests)
            cache.finalize(success=True)
            spent.append(time.perf_counter() - started)
    return spent[0], spent[1]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--scored", type=int, default=300, help="conditions to score for comparison")
    chosen = parser.parse_args()
    logger.remove()
    made = tasks()
    requests = [request for task in made.values() for request in task.instances][: chosen.answers]
    conditions = len(group_requests(requests, {}))
    scoring = seconds_to_score(made, requests, chosen.scored) * conditions
    print(
        f"{len(requests):,} answers of {conditions:,} conditions; the bundled model takes {scoring:.1f} s to score them"
    )
    share = 1.0
    for name, create in (("lmms-eval's", ResponseCache.create), ("benchc's", AnswerCache.create)):
        kept, found = seconds_of(create, requests)
        share = kept / scoring
        print(f"{name:>12}: kept in {kept:7.2f} s ({share:6.1%} of the scoring), found in {found:6.2f} s")
    return 0 if share < LARGEST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
