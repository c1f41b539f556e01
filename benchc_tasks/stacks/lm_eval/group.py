"""`BenchCGroup`: many corruptions over one dataset, with the metrics of all their responses together.

The harness finds the children of a group among its own tasks only, and averages over tasks. So this group is what a
task's YAML names as its class, builds its tasks itself and puts their records together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.group import Group
from lm_eval.config.group import AggMetricConfig, GroupConfig

from benchc_tasks.stacks.aggregators import over_tasks
from benchc_tasks.stacks.lm_eval.task import BenchCTask, GenerationTask, SampleTask

__all__ = ["BenchCGroup", "GenerationGroup"]


class BenchCGroup(Group):  # type: ignore[misc]  # lm-evaluation-harness is skipped
    """The tasks of some corruptions.

    Parameters
    ----------
    config : mapping
        The group's YAML: that of its tasks, with `metadata.corruptions` in place of `metadata.corruption`. `task` is
        the group's name.
    """

    kind: type[SampleTask] = BenchCTask
    prefix = "benchc"

    def __init__(self, config: Mapping[str, Any]) -> None:
        metadata = dict(config["metadata"])
        corruptions: Sequence[str] = metadata.pop("corruptions")
        tasks = [
            self.kind(
                {
                    **config,
                    "task": f"{self.prefix}_{corruption}",
                    "task_alias": corruption,
                    "metadata": {**metadata, "corruption": corruption},
                }
            )
            for corruption in corruptions
        ]
        settings = GroupConfig(
            group=str(config["task"]),
            group_alias=config.get("task_alias"),
            task=[task.task_name for task in tasks],
            aggregate_metric_list=[
                AggMetricConfig(metric=name, filter_list=["none"], weight_by_size=False)
                for name in tasks[0].metric_names
            ],
            metadata=metadata,
        )
        super().__init__(
            name=settings.group,
            alias=settings.group_alias,
            aggregate_metric_list=settings.aggregate_metric_list,
            metadata=metadata,
            _config=settings,
        )
        for task in tasks:
            self.add(task)

    def aggregate(self, task_metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Compute the group's metrics over the records of all its tasks.

        Parameters
        ----------
        task_metrics : mapping
            The rows of all tasks of the run.

        Returns
        -------
        dict
            The group's row.
        """
        rows = [task_metrics[name] for name in self.child_names]
        sizes = [row["sample_len"] for row in rows]
        row: dict[str, Any] = {"alias": self.alias or self.name, "name": self.name, "sample_len": sum(sizes)}
        for entry in self.aggregate_metric_list:
            key = f"{entry.metric},none"
            row[key] = over_tasks([of_task[key] for of_task in rows], sizes)
            row[f"{entry.metric}_stderr,none"] = "N/A"
        return row


class GenerationGroup(BenchCGroup):
    """The tasks of some corruptions for models without log-probabilities.

    Parameters
    ----------
    config : mapping
        As in `BenchCGroup`.
    """

    kind = GenerationTask
    prefix = "benchc-gen"
