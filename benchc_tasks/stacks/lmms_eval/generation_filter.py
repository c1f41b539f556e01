"""The filter of `benchc-gen` tasks: lmms-eval's face of `benchc_metrics.responses.checked_text`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_eval.api.filter import Filter

from benchc_metrics.responses import CheckedText, checked_text

__all__ = ["GeneratedAnswerFilter"]


class GeneratedAnswerFilter(Filter):  # type: ignore[misc]  # lmms-eval has no types
    """Take the text that a backend generated under each condition, whole.

    It stands in a mapping, because lmms-eval would cut reasoning out of a plain text, and the record keeps all of it.
    In a task's YAML:

    ```yaml
    filter_list:
      - name: none
        filter:
          - function: !function benchc_tasks.stacks.lmms_eval.generation_filter.GeneratedAnswerFilter
    ```
    """

    def apply(self, resps: Sequence[Sequence[object]], docs: Sequence[Any]) -> list[CheckedText]:
        """Take the first response of every request.

        Parameters
        ----------
        resps : sequence of sequences
            For each request its responses.
        docs : sequence
            Not looked at.

        Returns
        -------
        list
            For each request `{"text": answer}` or `{"invalid": reason}`.
        """
        return [checked_text(responses[0] if responses else None) for responses in resps]
