"""Define the filters of Bench-C's tasks, which connect lmms-eval to `benchc_metrics.responses`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_eval.api.filter import Filter

from benchc_metrics.responses import CheckedText, OptionResponse, Unusable, checked_response, checked_text

__all__ = ["GeneratedAnswerFilter", "OptionLogLikelihoodFilter"]


class OptionLogLikelihoodFilter(Filter):  # type: ignore[misc]  # lmms-eval has no types
    """Turn a backend's response for each (condition, option) into an `OptionResponse`.

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
            The requests' rows; not used.

        Returns
        -------
        list
            For each request an `OptionResponse`, or `{"invalid": reason}`; a bad response raises no error.
        """
        return [
            checked_response(responses[0])
            if responses
            else {"invalid": "the backend returned no response: its own log may say why"}
            for responses in resps
        ]


class GeneratedAnswerFilter(Filter):  # type: ignore[misc]  # lmms-eval has no types
    """Take the complete text that a backend generated under each condition.

    The text is put into a mapping, because lmms-eval removes reasoning from a plain text, and the record keeps all of
    it. In a task's YAML:

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
            Not used.

        Returns
        -------
        list
            For each request `{"text": answer}` or `{"invalid": reason}`.
        """
        return [checked_text(responses[0] if responses else None) for responses in resps]
