"""The filters of Bench-C's tasks: lmms-eval's face of `benchc_metrics.responses`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_eval.api.filter import Filter

from benchc_metrics.responses import CheckedText, OptionResponse, Unusable, checked_response, checked_text

__all__ = ["GeneratedAnswerFilter", "OptionLogLikelihoodFilter"]


class OptionLogLikelihoodFilter(Filter):  # type: ignore[misc]  # lmms-eval has no types
    """Turn whatever a backend returned for each (condition, option) into an `OptionResponse`.

    In a task's YAML:

    ```yaml
    filter_list:
      - name: none
        filter:
          - function: !function benchc_tasks.stacks.lmms_eval.filters.OptionLogLikelihoodFilter
    ```
    """

    def apply(self, resps: Sequence[Sequence[object]], docs: Sequence[Any]) -> list[OptionResponse | Unusable]:
        """Read the first response of every request.

        Parameters
        ----------
        resps : sequence of sequences
            For each request its responses, one for each repeat; a log-likelihood does not vary between them.
        docs : sequence
            The requests' rows, not looked at.

        Returns
        -------
        list
            For each request an `OptionResponse`, or `{"invalid": reason}`; one bad response raises nothing.
        """
        return [
            checked_response(responses[0])
            if responses
            else {"invalid": "the backend returned no response: its own log may say why"}
            for responses in resps
        ]


class GeneratedAnswerFilter(Filter):  # type: ignore[misc]  # lmms-eval has no types
    """Take the text that a backend generated under each condition, whole.

    It stands in a mapping, because lmms-eval would cut reasoning out of a plain text, and the record keeps all of it.
    In a task's YAML:

    ```yaml
    filter_list:
      - name: none
        filter:
          - function: !function benchc_tasks.stacks.lmms_eval.filters.GeneratedAnswerFilter
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
