"""Convert a model's responses to a distribution over the options, or a text to the option that it names."""

from benchc_metrics.responses.distributions import (
    NO_ANSWER,
    NO_TEXT,
    WIDER_PRECISION,
    CheckedText,
    OptionResponse,
    Unusable,
    answer_indices,
    checked_response,
    checked_text,
    option_counts,
    option_distribution,
    option_log_likelihoods,
    parse_response,
    valid_conditions,
)

__all__ = [
    "NO_ANSWER",
    "NO_TEXT",
    "WIDER_PRECISION",
    "CheckedText",
    "OptionResponse",
    "Unusable",
    "answer_indices",
    "checked_response",
    "checked_text",
    "option_counts",
    "option_distribution",
    "option_log_likelihoods",
    "parse_response",
    "valid_conditions",
]
