"""The definitions of docs/metrics.md, one response at a time, with scipy's softmax and entropy: an outside oracle."""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

NAN = float("nan")


def metrics_by_loops(log_likelihoods, answer, option_count=None, temperature=None):
    """All metrics of a run, from log-likelihoods (samples, conditions, options), clean first, nan if invalid.

    Of a part of a run, with the temperature of the whole run.
    """
    log_likelihoods = np.asarray(log_likelihoods, dtype=float)
    widths = option_count if option_count is not None else [log_likelihoods.shape[-1]] * len(answer)
    if temperature is None:
        temperature = temperature_by_loops(log_likelihoods[:, 0], answer, widths)
    of_temperature = {
        "ras_tempered": _metrics_at(log_likelihoods / temperature, answer, widths)["ras"],
        "temperature": temperature,
    }
    metrics = list(_metrics_at(log_likelihoods, answer, widths).items())
    place = [name for name, _ in metrics].index("ras_corrective") + 1
    return dict([*metrics[:place], *of_temperature.items(), *metrics[place:]])


def temperature_by_loops(clean, answer, option_count):
    """The temperature of clean answers (samples, options): where the slope of their mean loss by 1 / T is 0."""
    rows = [
        ([value - max(row[:count]) for value in row[:count]], y)
        for row, y, count in zip(clean.tolist(), answer, option_count, strict=True)
        if not math.isnan(row[0])
    ]
    behind = [-gap for row, _ in rows for gap in row if -math.inf < gap < 0]
    if not rows or not behind:
        return 1.0 if rows else NAN
    unit = float(np.median(behind))

    def slope(sharpness):
        slopes = []
        for row, y in rows:
            weights = [math.exp(gap * sharpness) for gap in row]
            mean = sum(w * g for w, g in zip(weights, row, strict=True) if w) / sum(weights)
            if row[y] > -math.inf:
                slopes.append(mean - row[y])
        return sum(slopes) / len(slopes)

    flattest, sharpest = 1 / (50 * unit), 1 / (0.02 * unit)
    if slope(flattest) >= 0 or slope(sharpest) <= 0:
        return 1 / (flattest if slope(flattest) >= 0 else sharpest)
    return 1 / scipy.optimize.bisect(slope, flattest, sharpest, xtol=1e-300, rtol=1e-15, maxiter=500)


def _metrics_at(log_likelihoods, answer, widths):
    within = np.arange(log_likelihoods.shape[-1]) < np.asarray(widths)[:, np.newaxis, np.newaxis]
    p = scipy.special.softmax(np.where(within, log_likelihoods, -np.inf), axis=-1)
    entropy = scipy.stats.entropy(p, axis=-1)
    samples = []
    for of_sample, nats, y, count in zip(p.tolist(), entropy.tolist(), answer, widths, strict=True):
        responses = []
        for row, u in zip(of_sample, nats, strict=True):
            if math.isnan(row[0]):
                responses.append(None)
                continue
            c, chosen = max(row), row.index(max(row))
            a = 1.0 if chosen == y else 0.0
            brier = sum((p_k - (k == y)) ** 2 for k, p_k in enumerate(row))
            nll = -math.log(max(row[y], np.finfo(np.float64).tiny))
            responses.append((u / math.log(count), c, a, 1 - brier / 2, chosen, brier, nll))
        samples.append(responses)
    clean = [responses[0] for responses in samples if responses[0]]
    pairs = [
        [(responses[0], response) for response in responses[1:] if response]
        for responses in samples
        if responses[0] is not None
    ]
    pairs = [of_sample for of_sample in pairs if of_sample]

    def mean(values):
        values = list(values)
        return sum(values) / len(values) if values else NAN

    def over_pairs(function, kept=lambda p: True):
        return mean(mean(function(p, q) for p, q in of_sample) for of_sample in pairs if kept(of_sample[0][0]))

    def score(p, q):
        return (q[3] - p[3]) - abs(q[0] - p[0])

    def ece(responses):
        bins = {}
        for response in responses:
            edge = sum(response[1] >= k / 15 for k in range(1, 15))
            bins.setdefault(edge, []).append(response[2] - response[1])
        return sum(abs(sum(gaps)) for gaps in bins.values()) / len(responses) if responses else NAN

    acc_clean_of_pairs, acc_corrupted = over_pairs(lambda p, q: p[2]), over_pairs(lambda p, q: q[2])
    return {
        "acc_clean": mean(response[2] for response in clean),
        "acc_corrupted": acc_corrupted,
        "acc_drop": (acc_clean_of_pairs - acc_corrupted) / acc_clean_of_pairs if acc_clean_of_pairs > 0 else NAN,
        "ras": over_pairs(score),
        "ras_destructive": over_pairs(score, lambda p: p[2] == 1),
        "ras_corrective": over_pairs(score, lambda p: p[2] == 0),
        "erroneous_confidence": over_pairs(lambda p, q: q[2] == 0 and q[1] >= p[1] - 1e-9),
        "hesitation": over_pairs(lambda p, q: q[2] == 1 and q[0] > p[0] + 1e-9),
        "flip": over_pairs(lambda p, q: q[4] != p[4]),
        "destroyed": over_pairs(lambda p, q: p[2] == 1 and q[2] == 0),
        "corrected": over_pairs(lambda p, q: p[2] == 0 and q[2] == 1),
        "brier_clean": mean(response[5] for response in clean),
        "brier_corrupted": over_pairs(lambda p, q: q[5]),
        "nll_clean": mean(response[6] for response in clean),
        "nll_corrupted": over_pairs(lambda p, q: q[6]),
        "ece_clean": ece(clean),
        "ece_corrupted": ece([q for of_sample in pairs for _, q in of_sample]),
        "invalid_pairs": sum(
            responses[0] is None or response is None for responses in samples for response in responses[1:]
        ),
    }
