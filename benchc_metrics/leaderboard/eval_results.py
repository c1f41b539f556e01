"""`.eval_results/benchc.yaml`: the metrics in the form of Hugging Face's community evals, one entry a metric."""

from __future__ import annotations

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml, parse_eval_result_entries

from benchc_metrics.designs import FULL, describe_design
from benchc_metrics.leaderboard.schema import EVAL_RESULTS_FILE, SubmissionRecord
from benchc_metrics.leaderboard.strict_text import parse_yaml
from benchc_metrics.messages import reason_of

__all__ = ["eval_results_of", "parse_eval_results", "write_eval_results"]


def eval_results_of(record: SubmissionRecord) -> list[EvalResultEntry]:
    """Make the entries of a submission: a metric's name is its task id.

    Parameters
    ----------
    record : SubmissionRecord

    Returns
    -------
    list of EvalResultEntry
        One for each metric that is defined, in the order of the record.
    """
    how = (
        f"benchc {record.versions.benchc}, corruption engine {record.engine}, "
        f"{record.versions.stack} {record.versions.lmms_eval}, "
        f"backend {record.model.backend}, dataset {record.dataset.fingerprint[:16]}"
    )
    if record.ras is not None:
        how += f", RAS {record.ras}"
    if record.obtained != "log-likelihoods":
        how += f", predictions from {record.method}"
    elif record.method != record.obtained:
        how += f", {record.method}"
    if record.sampling is not None:
        how += f", votes: {record.sampling}"
    if record.design != FULL:
        how += f", design {describe_design(record.design)}"
    if record.cautions:
        how += f", caution: {', '.join(record.cautions)}"
    if record.dataset.demonstration:
        how += ", bundled demonstration set: not a Bench-C result"
    return [
        EvalResultEntry(
            dataset_id=record.dataset.id,
            task_id=name,
            value=estimate.value,
            dataset_revision=record.dataset.revision,
            date=record.evaluated or record.created,
            source_url=record.source.url,
            source_name=record.source.name,
            notes=f"95 % interval [{estimate.low}, {estimate.high}]; {how}" if estimate.low is not None else how,
        )
        for name, estimate in record.metrics.items()
        if estimate.value is not None
    ]


def write_eval_results(record: SubmissionRecord) -> str:
    """Write the entries as YAML."""
    entries = eval_result_entries_to_yaml(eval_results_of(record))
    return str(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120))


def parse_eval_results(text: str) -> list[EvalResultEntry]:
    """Read what `write_eval_results` wrote.

    Raises
    ------
    ValueError
        If it is not YAML, has aliases or a key twice, or an entry lacks what it must have; one sentence.
    """
    try:
        written = parse_yaml(text)
        if not isinstance(written, list) or not all(isinstance(entry, dict) for entry in written):
            raise ValueError("it is not a list of entries")
        return parse_eval_result_entries(written)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as fault:
        raise ValueError(f"{EVAL_RESULTS_FILE}: it is not a list of evaluation results ({reason_of(fault)})") from None
