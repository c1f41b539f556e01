"""Read responses of a model, and turn them into a distribution over a sample's options.

`OptionResponse` is the only form of an option's log-likelihood between a scorer and a record. lmms-eval turns it into
text, like the responses of its own backends; `parse_response` reads that text.

Arrays have the options on their last axis and any leading shape, usually (samples, conditions, options). Samples with
fewer options than the widest one are padded on the right with a log-likelihood of -inf; `option_count` gives the number
of real options. A sample's own values (its option count, its answer) are arrays over the first axes of the
distribution: the shape (samples,) fits both (samples, options) and (samples, conditions, options).
"""

from __future__ import annotations

import re
import reprlib
from math import isnan
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

NO_ANSWER = "no answer: "
"""The beginning of the response of the model `benchc` to a question without an answer; the reason follows."""

NO_TEXT = "[BENCHC_NO_ANSWER] "
"""The beginning of the response of the model `benchc` if it could not write a text; the reason follows."""

WIDER_PRECISION = "try float32 or bfloat16"
"""The cure for numbers that half precision cannot represent."""

# A pair as Python writes it (`(-0.5, True)`, `[nan, False]`), also with scalars as numpy writes them.
_NUMBER = r"[+-]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_WRITTEN_PAIR = re.compile(
    rf"[(\[]\s*(?:(?P<value>{_NUMBER})|(?:np|numpy)\.float\d+\(\s*(?P<numpy_value>{_NUMBER})\s*\))"
    rf"\s*,\s*(?:(?:np|numpy)\.)?(?P<truth>true|false)_?(?:\s*,\s*(?:None|(?P<missing_mass>{_NUMBER})))?\s*[)\]]",
    re.IGNORECASE,
)


Unusable: TypeAlias = "dict[str, str]"
"""`{"invalid": reason}`: a JSON type, because lmms-eval logs it."""

CheckedText: TypeAlias = "dict[str, str]"
"""`{"text": the model's text}`, or `Unusable`; a mapping, because lmms-eval removes reasoning from a plain text."""

# The beginning of a backend's text if lmms-eval could not get a response.
_FAILED = re.compile(r"\[LMMS_EVAL_[^\]\n]*\]?")


class OptionResponse(NamedTuple):
    """The response of a model for one option.

    Attributes
    ----------
    value : float
        The option's summed log-likelihood, or its mean loss if the backend returns that; nan and infinities are kept.
    is_greedy : bool
        True if the option is the model's greedy continuation.
    missing_mass : float or None
        Probability of all tokens that the backend did not show, in [0, 1]; None if it shows the whole distribution.
    """

    value: float
    is_greedy: bool
    missing_mass: float | None = None

    def __str__(self) -> str:
        """Write the response as a plain tuple for `parse_response`, because lmms-eval turns all tuples into text."""
        return str(tuple(self[:2] if self.missing_mass is None else self))


def parse_response(response: object) -> OptionResponse:
    """Read one response of a `loglikelihood` backend, in any form that lmms-eval passes on.

    Parameters
    ----------
    response : tuple, list or str
        The backend's own `(float, bool)`; the `[float, bool]` from the response cache; or the text `"(-0.5, True)"`
        that lmms-eval makes from the tuple, with `nan`, `inf`, `-inf` as words and scalars as numpy writes them. The
        text is matched, never evaluated. A missing mass in [0, 1] may be the third element.

    Returns
    -------
    OptionResponse

    Raises
    ------
    ValueError
        If the response is none of these.

    Examples
    --------
    >>> parse_response("(-0.5, True)")
    OptionResponse(value=-0.5, is_greedy=True, missing_mass=None)
    """
    read = _option_response(_parts_of_text(response) if isinstance(response, str) else response)
    if read is None:
        raise ValueError(
            f"response {reprlib.repr(response)} is not a pair of a number and a boolean: "
            "use a backend that answers `loglikelihood` requests"
        )
    return read


def checked_response(response: object) -> OptionResponse | Unusable:
    """Read one response; never raise an error.

    Parameters
    ----------
    response : object
        Anything that the backend returned for one option under one condition.

    Returns
    -------
    OptionResponse or dict
        `{"invalid": reason}` for a text that begins with `NO_ANSWER`, a nan, and a response that `parse_response`
        refuses. An infinity stays, because it can mean the probability 0; only the sample's other values show that.
    """
    if isinstance(response, str) and response.startswith(NO_ANSWER):
        return {"invalid": response.removeprefix(NO_ANSWER)}
    try:
        read = parse_response(response)
    except ValueError as error:
        return {"invalid": str(error)}
    return {"invalid": f"the backend returned nan: {WIDER_PRECISION}"} if isnan(read.value) else read


def checked_text(response: object) -> CheckedText:
    """Return a model's text, or the reason why it is unusable.

    Parameters
    ----------
    response : object
        The response from lmms-eval: a text; None or another object if a backend failed; or the sentence that
        lmms-eval's API models return when they give up on a request.

    Returns
    -------
    dict
        `{"text": the model's text}` or `{"invalid": reason}`.
    """
    if isinstance(response, str):
        if response.startswith(NO_TEXT):
            return {"invalid": response.removeprefix(NO_TEXT)}
        if failed := _FAILED.match(response):
            # The rest is a server's message, which may contain secrets such as a key.
            return {"invalid": f"the backend gave up on the request, lmms-eval's log says why: {failed[0]}"}
        return {"text": response}
    if response is None:
        return {"invalid": "the backend returned no text"}
    return {"invalid": f"the backend returned {reprlib.repr(response)}, which is not text"}


def option_log_likelihoods(values: ArrayLike) -> tuple[NDArray[np.float64], bool]:
    """Convert a sample's responses to log-likelihoods, from log-likelihoods or from mean losses.

    A log-likelihood is never positive and a mean loss never negative, so the sign of the values shows which they are.
    Zeros fit both; a sample with only zeros is read as log-likelihoods. The sign of an infinity counts only if there is
    no finite value, because one bad answer must not decide about the others.

    Parameters
    ----------
    values : array_like of float, any shape
        All responses of one sample (conditions, options), or of a set of samples that one backend answered.

    Returns
    -------
    log_likelihoods : ndarray of float64, the shape of `values`
        Summed log-likelihoods (nats) unchanged, or negated mean losses (nats a token). nan stays nan; use
        `valid_conditions` to find the usable conditions.
    length_normalised : bool
        True if the values were mean losses.

    Raises
    ------
    ValueError
        If some finite values are negative and some positive.

    Examples
    --------
    >>> option_log_likelihoods([[0.5, 2.0]])
    (array([[-0.5, -2. ]]), True)
    """
    responses = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(responses)
    has_negative = bool(np.any(responses[finite] < 0))
    has_positive = bool(np.any(responses[finite] > 0))
    if has_negative and has_positive:
        raise ValueError(
            "the values mix log-likelihoods (negative) and mean losses (positive): a backend must return one of the two"
        )
    if not has_negative and not has_positive:
        has_positive = bool(np.any(np.isposinf(responses))) and not bool(np.any(np.isneginf(responses)))
    if has_positive:
        return 0.0 - responses, True
    return responses.copy(), False


def option_distribution(log_likelihoods: ArrayLike, option_count: ArrayLike | None = None) -> NDArray[np.float64]:
    """Compute the softmax over the options; stable for log-likelihoods of any size.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (..., options)
        In nats. -inf gives an option the probability 0.
    option_count : array_like of int, optional
        Each sample's number of options (see the module's docstring). By default every option counts, and a padded
        option has the probability 0 because its log-likelihood is -inf.

    Returns
    -------
    ndarray of float64, shape (..., options)
        Probabilities that sum to 1; all nan for an invalid condition (see `valid_conditions`).

    Raises
    ------
    ValueError
        If an option count is below 2 or above the width of the options axis.
    """
    logits = _without_padding(log_likelihoods, option_count)
    # An invalid row (nan, +inf, or all -inf) becomes nan by itself, because inf - inf is nan.
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def valid_conditions(log_likelihoods: ArrayLike, option_count: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Mark the conditions that have a distribution: no nan, no +inf, and not -inf for every option.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (..., options)
        In nats.
    option_count : array_like of int, optional
        As in `option_distribution`.

    Returns
    -------
    ndarray of bool, shape (...)
    """
    logits = _without_padding(log_likelihoods, option_count)
    # The maximum shows all three cases: nan propagates through max, and the other two give +inf and -inf.
    return np.asarray(np.isfinite(logits.max(axis=-1)))


def option_counts(shape: tuple[int, ...], option_count: ArrayLike | None) -> NDArray[np.int64]:
    """Return each sample's number of options, ready to broadcast against the leading axes of an array of `shape`.

    Parameters
    ----------
    shape : tuple of int
        Shape (..., options) of the array of log-likelihoods or probabilities.
    option_count : array_like of int or None
        One entry for each sample; None if all options are real.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    ValueError
        If a count is below 2 or above the width of the options axis.
    """
    width = shape[-1] if shape else 0
    counts = _aligned_with_samples(width if option_count is None else option_count, len(shape) - 1)
    if np.any(counts < 2) or np.any(counts > width):
        raise ValueError(f"a sample has from 2 to {width} options here, not {counts.min()} to {counts.max()}")
    return counts


def answer_indices(
    shape: tuple[int, ...], answer: ArrayLike, option_count: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Return each sample's right option, ready to broadcast against the leading axes of an array of `shape`.

    Parameters
    ----------
    shape : tuple of int
        Shape (..., options) of the array of log-likelihoods or probabilities.
    answer : array_like of int
        Index of the right option, one entry for each sample.
    option_count : array_like of int, optional
        Each sample's number of options; by default the width of the options axis.

    Returns
    -------
    ndarray of int64

    Raises
    ------
    ValueError
        If an answer is not an integer, or not one of its sample's options.
    """
    indices = _aligned_with_samples(answer, len(shape) - 1)
    if np.any(indices < 0) or np.any(indices >= option_counts(shape, option_count)):
        raise ValueError(f"an answer is not one of its sample's options: answers here are from 0 to {shape[-1] - 1}")
    return indices


def _parts_of_text(text: str) -> tuple[float | bool, ...] | None:
    match = _WRITTEN_PAIR.fullmatch(text.strip())
    if match is None:
        return None
    pair = (float(match["value"] or match["numpy_value"]), match["truth"].lower() == "true")
    return pair if match["missing_mass"] is None else (*pair, float(match["missing_mass"]))


def _option_response(parts: object) -> OptionResponse | None:
    """Read a pair or triple; None for anything else."""
    if not isinstance(parts, (tuple, list)) or len(parts) not in (2, 3):
        return None
    value, is_greedy, missing_mass = (*parts, None) if len(parts) == 2 else parts
    if not _is_number(value) or not isinstance(is_greedy, (bool, np.bool_)):
        return None
    if missing_mass is None:
        return OptionResponse(float(value), bool(is_greedy))
    if not _is_number(missing_mass) or not 0 <= missing_mass <= 1:
        return None
    return OptionResponse(float(value), bool(is_greedy), float(missing_mass))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _aligned_with_samples(values: ArrayLike, dimensions: int) -> NDArray[np.int64]:
    """Extend an array with one entry for each sample to `dimensions` axes, aligned on the first ones.

    Numpy aligns on the last axes, and would match an array over samples with the conditions.
    """
    entries = np.asarray(values)
    if not np.issubdtype(entries.dtype, np.integer):
        raise ValueError(f"option counts and answers must be integers, not {entries.dtype}")
    if entries.ndim > dimensions:
        raise ValueError(f"an array of {entries.ndim} axes cannot belong to samples of {dimensions} leading axes")
    return entries.astype(np.int64).reshape(entries.shape + (1,) * (dimensions - entries.ndim))


def _without_padding(log_likelihoods: ArrayLike, option_count: ArrayLike | None) -> NDArray[np.float64]:
    """Return log-likelihoods as float64, with -inf beyond each sample's own options."""
    logits = np.asarray(log_likelihoods, dtype=np.float64)
    counts = option_counts(logits.shape, option_count)
    if option_count is None:
        return logits
    return np.where(np.arange(logits.shape[-1]) < counts[..., np.newaxis], logits, -np.inf)
