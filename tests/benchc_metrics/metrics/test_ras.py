"""RAS and its parts against scipy's entropy, scikit-learn, cases worked out by hand, and their own properties."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss

from benchc_metrics.metrics import ras
from benchc_metrics.responses import option_distribution

NAN = float("nan")


VERSION_1 = {"reading": "confidence"}


def with_share(share, option_count):
    """A distribution with this probability of the first option, the right one, and the others alike."""
    return np.r_[share, np.full(option_count - 1, (1 - share) / (option_count - 1))]


def lowest_score(option_count):
    """The lowest score for K options: a spread answer, the right option ahead, becomes a sure and wrong one."""

    def score(share):
        before = with_share(share, option_count)
        return (0 - (1 - np.sum((before - np.eye(option_count)[0]) ** 2) / 2)) - ras.uncertainty(before)

    return scipy.optimize.minimize_scalar(score, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}).fun


def lowest_score_of_version_1(option_count):
    """The infimum of the score for K options; -2 is its limit for many."""
    return -np.log2(3) if option_count == 2 else -(2 - 1 / option_count)


@st.composite
def pairs(draw, max_options=6):
    """A clean and a corrupted distribution over the same options, and the right option."""
    option_count = draw(st.integers(2, max_options))
    # Rounded logits make ties common; wide ones make probabilities of exactly 0 and 1.
    logit = st.one_of(st.integers(-3, 0).map(float), st.floats(-800, 0))
    logits = draw(st.lists(st.lists(logit, min_size=option_count, max_size=option_count), min_size=2, max_size=2))
    clean, corrupted = option_distribution(logits)
    return clean, corrupted, draw(st.integers(0, option_count - 1))


def test_uncertainty_is_scipys_entropy_over_ln_k():
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=(7, 3))
    np.testing.assert_allclose(ras.uncertainty(p), scipy.stats.entropy(p, axis=-1) / np.log(5))


def test_uncertainty_at_its_ends():
    assert ras.uncertainty([0.0, 1.0, 0.0]) == 0.0
    assert ras.uncertainty(np.full(26, 1 / 26)) == pytest.approx(1.0)
    assert ras.uncertainty([0.5, 0.5, 0.0, 0.0]) == pytest.approx(0.5)


def test_uncertainty_uses_each_samples_own_option_count():
    p = np.array([[[0.5, 0.5, 0.0, 0.0]] * 3, [[0.25, 0.25, 0.25, 0.25]] * 3])
    np.testing.assert_allclose(ras.uncertainty(p, option_count=[2, 4]), np.ones((2, 3)))
    np.testing.assert_allclose(ras.uncertainty(p), [[0.5] * 3, [1.0] * 3])


def test_prediction_takes_the_lowest_index_on_a_tie():
    p = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7], [1 / 3, 1 / 3, 1 / 3]]
    assert ras.prediction(p).tolist() == [0, 1, 2, 0]
    assert ras.correctness(p, [1, 1, 2, 0]).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert ras.confidence(p).tolist() == [0.4, 0.4, 0.7, 1 / 3]


def test_mean_correctness_is_scikit_learns_accuracy():
    generator = np.random.default_rng(1)
    p = generator.dirichlet(np.ones(4), size=500)
    answer = generator.integers(0, 4, size=500)
    assert ras.correctness(p, answer).mean() == accuracy_score(answer, p.argmax(axis=1))


def test_calibration_alignment_by_hand():
    p = [[0.7, 0.3], [0.7, 0.3], [1.0, 0.0], [1.0, 0.0]]
    # Both options are off by 0.3, then by 0.7: 1 - 2 * 0.3^2 / 2, 1 - 2 * 0.7^2 / 2; surely right; surely wrong.
    np.testing.assert_allclose(ras.calibration_alignment(p, [0, 1, 0, 1]), [0.91, 0.51, 1.0, 0.0])


def test_the_reading_is_that_of_version_2():
    assert (ras.RAS_VERSION, ras.DEFAULT_READING) == (2, "brier")


def test_ras_by_hand():
    # Right and sure -> fully uncertain, K = 2: A from 1 to 1 - (0.5^2 + 0.5^2) / 2, U from 0 to 1.
    assert ras.robustness_alignment_score([1.0, 0.0], [0.5, 0.5], 0) == pytest.approx((0.75 - 1.0) - 1.0)
    assert ras.robustness_alignment_score([0.0, 1.0], [0.5, 0.5], 1) == pytest.approx((0.75 - 1.0) - 1.0)
    # Right and sure -> wrong and sure: A from 1 to 0, U stays 0.
    assert ras.robustness_alignment_score([1.0, 0.0], [0.0, 1.0], 0) == -1.0
    # Wrong and sure -> right and sure: the best there is.
    assert ras.robustness_alignment_score([1.0, 0.0], [0.0, 1.0], 1) == 1.0
    # (0.8, 0.2), right -> (0.6, 0.4), right: A = 0.96 -> 0.84; U = 0.7219281 -> 0.9709506 bits
    risen = 0.9709505945 - 0.7219280949
    assert ras.robustness_alignment_score([0.8, 0.2], [0.6, 0.4], 0) == pytest.approx((0.84 - 0.96) - risen)
    # The same distributions, wrong: A = 0.36 -> 0.64.
    assert ras.robustness_alignment_score([0.8, 0.2], [0.6, 0.4], 1) == pytest.approx((0.64 - 0.36) - risen)


def test_version_1_by_hand():
    # Right and sure -> fully uncertain, K = 2: A from 1 to 0.5, the tie being right (0) or wrong (1), U from 0 to 1.
    assert ras.robustness_alignment_score([1.0, 0.0], [0.5, 0.5], 0, **VERSION_1) == pytest.approx((0.5 - 1.0) - 1.0)
    assert ras.robustness_alignment_score([0.0, 1.0], [0.5, 0.5], 1, **VERSION_1) == pytest.approx((0.5 - 1.0) - 1.0)
    # Right and sure -> wrong and sure: A from 1 to 0, U stays 0.
    assert ras.robustness_alignment_score([1.0, 0.0], [0.0, 1.0], 0, **VERSION_1) == -1.0
    # (0.8, 0.2), right -> (0.6, 0.4), right: dA = 0.6 - 0.8; U = 0.7219281 -> 0.9709506 bits
    assert ras.robustness_alignment_score([0.8, 0.2], [0.6, 0.4], 0, **VERSION_1) == pytest.approx(
        -0.2 - (0.9709505945 - 0.7219280949)
    )
    # The same distributions, wrong: dA = 0.4 - 0.2, and uncertainty moved by more than that.
    assert ras.robustness_alignment_score([0.8, 0.2], [0.6, 0.4], 1, **VERSION_1) == pytest.approx(
        0.2 - (0.9709505945 - 0.7219280949)
    )


@pytest.mark.parametrize(
    ("option_count", "share", "lowest"), [(2, 0.627, -1.81382), (4, 0.470, -1.73145), (26, 0.300, -1.62426)]
)
def test_lowest_score_is_a_spread_answer_lost_to_a_sure_and_wrong_one(option_count, share, lowest):
    clean, corrupted = with_share(share, option_count), np.eye(option_count)[1]
    assert ras.robustness_alignment_score(clean, corrupted, 0) == pytest.approx(lowest, abs=1e-5)
    assert lowest_score(option_count) == pytest.approx(lowest, abs=1e-5)


@pytest.mark.parametrize("option_count", [3, 4, 26])
def test_lowest_score_of_version_1_is_a_sure_answer_lost_to_the_uniform_one(option_count):
    clean = np.eye(option_count)[0]
    corrupted = np.full(option_count, 1 / option_count)
    assert ras.robustness_alignment_score(clean, corrupted, 0, **VERSION_1) == pytest.approx(
        lowest_score_of_version_1(option_count)
    )


def test_lowest_score_of_version_1_of_two_options_is_a_sure_answer_lost_to_the_wrong_one_at_two_thirds():
    # -(c + U) is lowest at c = 2/3, where U = log2 3 - 2/3.
    assert ras.robustness_alignment_score([1.0, 0.0], [1 / 3, 2 / 3], 0, **VERSION_1) == pytest.approx(
        lowest_score_of_version_1(2)
    )


def test_one_clean_condition_serves_all_conditions_of_a_sample():
    generator = np.random.default_rng(2)
    p = generator.dirichlet(np.ones(3), size=(5, 4))
    answer = generator.integers(0, 3, size=5)
    together = ras.robustness_alignment_score(p[:, :1], p[:, 1:], answer)
    assert together.shape == (5, 3)
    for sample in range(5):
        for condition in range(3):
            alone = ras.robustness_alignment_score(p[sample, 0], p[sample, condition + 1], answer[sample])
            assert together[sample, condition] == pytest.approx(alone, abs=1e-15)


def test_mixed_option_counts_in_one_array_give_what_each_sample_gives_alone():
    generator = np.random.default_rng(3)
    option_count = np.array([2, 3, 5, 4])
    p, answer = np.zeros((4, 6, 5)), np.array([1, 0, 4, 2])
    for sample, count in enumerate(option_count):
        p[sample, :, :count] = generator.dirichlet(np.ones(count), size=6)
    clean, corrupted = p[:, :1], p[:, 1:]
    scores = ras.robustness_alignment_score(clean, corrupted, answer, option_count)
    shown = ras.patterns(clean, corrupted, answer, option_count)
    for sample, count in enumerate(option_count):
        own = clean[sample, :, :count], corrupted[sample, :, :count], answer[sample]
        np.testing.assert_allclose(scores[sample], ras.robustness_alignment_score(*own), atol=1e-15)
        for mixed, alone in zip(shown, ras.patterns(*own), strict=True):
            assert mixed[sample].tolist() == alone.tolist()


def test_patterns_by_hand():
    answer = 0
    clean = np.array([[0.7, 0.3], [0.7, 0.3], [0.7, 0.3], [0.3, 0.7], [0.3, 0.7], [0.3, 0.7], [0.7, 0.3], [0.7, 0.3]])
    corrupted = np.array(
        [[0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.6, 0.4], [0.3, 0.7], [0.4, 0.6], [0.7, 0.3], [0.9, 0.1]]
    )
    shown = ras.patterns(clean, corrupted, answer)
    # wrong and surer; wrong and less sure; right and less sure; corrected (and less sure); wrong and as sure as
    # before; wrong and less sure; untouched; right and surer
    assert shown.erroneous_confidence.tolist() == [True, False, False, False, True, False, False, False]
    assert shown.hesitation.tolist() == [False, False, True, True, False, False, False, False]
    assert shown.flip.tolist() == [True, True, False, True, False, False, False, False]
    assert shown.destroyed.tolist() == [True, True, False, False, False, False, False, False]
    assert shown.corrected.tolist() == [False, False, False, True, False, False, False, False]


def test_flip_between_wrong_options_is_neither_destroyed_nor_corrected():
    shown = ras.patterns([0.1, 0.7, 0.2], [0.1, 0.2, 0.7], 0)
    assert (shown.flip, shown.destroyed, shown.corrected) == (True, False, False)


@given(pairs())
def test_parts_and_score_stay_in_their_ranges(pair):
    clean, corrupted, answer = pair
    for p in (clean, corrupted):
        assert 0.0 <= ras.uncertainty(p) <= 1.0
        assert 0.0 <= ras.calibration_alignment(p, answer) <= 1.0
        assert 1 / p.size <= ras.confidence(p) * (1 + 1e-15) <= 1.0 + 2e-15
    score = ras.robustness_alignment_score(clean, corrupted, answer)
    assert lowest_score(clean.size) - 1e-9 <= score <= 1.0
    score = ras.robustness_alignment_score(clean, corrupted, answer, **VERSION_1)
    assert lowest_score_of_version_1(clean.size) - 1e-12 <= score <= 1.0


@given(pairs())
def test_score_of_identical_distributions_is_zero(pair):
    clean, _, answer = pair
    assert ras.robustness_alignment_score(clean, clean, answer) == 0.0
    shown = ras.patterns(clean, clean, answer)
    assert [bool(shown.hesitation), bool(shown.flip), bool(shown.destroyed), bool(shown.corrected)] == [False] * 4
    assert shown.erroneous_confidence == (ras.correctness(clean, answer) == 0)


@given(pairs(), st.randoms(use_true_random=False))
def test_score_is_invariant_under_a_permutation_of_the_options(pair, random):
    clean, corrupted, answer = pair
    order = list(range(clean.size))
    random.shuffle(order)
    permuted = clean[order], corrupted[order], order.index(answer)
    for reading in ("brier", "probability"):
        assert ras.robustness_alignment_score(*permuted, reading=reading) == pytest.approx(
            ras.robustness_alignment_score(clean, corrupted, answer, reading=reading), abs=1e-12
        )
    # On a tie the lowest index is predicted, which a permutation changes; that is the definition and not a fault.
    for p in (clean, corrupted):
        assume(np.sort(p)[-1] > np.sort(p)[-2])
    for reading in ("confidence", "certainty"):
        assert ras.robustness_alignment_score(*permuted, reading=reading) == pytest.approx(
            ras.robustness_alignment_score(clean, corrupted, answer, reading=reading), abs=1e-12
        )
    before, after = ras.patterns(clean, corrupted, answer), ras.patterns(*permuted)
    for name in ("flip", "destroyed", "corrected", "erroneous_confidence"):
        assert getattr(before, name) == getattr(after, name)


def test_permutation_of_tied_options_moves_the_prediction_to_the_lowest_index():
    clean, corrupted = np.array([0.4, 0.4, 0.2]), np.array([0.2, 0.2, 0.6])
    assert ras.correctness(clean, 0) == 1.0
    assert ras.correctness(clean[[1, 0, 2]], 1) == 0.0
    assert ras.robustness_alignment_score(clean, corrupted, 0, **VERSION_1) != ras.robustness_alignment_score(
        clean[[1, 0, 2]], corrupted[[1, 0, 2]], 1, **VERSION_1
    )


@given(st.lists(pairs(max_options=4), min_size=1, max_size=30))
def test_score_splits_into_the_destructive_and_the_corrective_part(several):
    scores = np.array([ras.robustness_alignment_score(*pair) for pair in several])
    right = np.array([ras.correctness(clean, answer) == 1 for clean, _, answer in several])
    accuracy = right.mean()
    destructive = scores[right].mean() if right.any() else 0.0
    corrective = scores[~right].mean() if not right.all() else 0.0
    assert scores.mean() == pytest.approx(accuracy * destructive + (1 - accuracy) * corrective, abs=1e-12)


@pytest.mark.parametrize("invalid", ["clean", "corrupted"])
def test_invalid_pair_gives_nan_and_shows_no_pattern(invalid):
    distributions = {"clean": [[0.3, 0.7]], "corrupted": [[0.6, 0.4]], invalid: [[NAN, NAN]]}
    clean, corrupted = distributions["clean"], distributions["corrupted"]
    assert np.isnan(ras.robustness_alignment_score(clean, corrupted, 0)).all()
    assert not any(pattern.any() for pattern in ras.patterns(clean, corrupted, 0))
    assert ras.prediction(distributions[invalid]).tolist() == [-1]
    assert np.isnan(ras.correctness(distributions[invalid], 0)).all()
    assert np.isnan(ras.uncertainty(distributions[invalid])).all()
    assert np.isnan(ras.confidence(distributions[invalid])).all()


@pytest.mark.parametrize("corrupted", [np.full((2, 3), 1 / 3), np.full((2, 1, 2), 0.5)])
def test_distributions_that_do_not_pair_are_refused(corrupted):
    for function in (ras.robustness_alignment_score, ras.patterns):
        with pytest.raises(ValueError, match="do not pair"):
            function(np.full((2, 2), 0.5), corrupted, 0)


def test_answer_outside_the_options_is_refused():
    with pytest.raises(ValueError, match="not one of its sample's options"):
        ras.correctness([0.5, 0.5], 2)


# All of the data of which the fixture is a part; beside a checkout, where somebody put it.
WHOLE = Path(__file__).parents[4] / "shared" / "mmbench-logits" / "mmbench_logits.npz"
REAL = Path(__file__).parents[2] / "fixtures" / "mmbench_logits" / "logits.npz"


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        # Right and 0.7 sure; wrong and 0.7 sure; surely right; surely wrong.
        ("brier", [1 - 2 * 0.3**2 / 2, 1 - 2 * 0.7**2 / 2, 1, 0]),
        ("probability", [0.7, 0.3, 1, 0]),
        ("confidence", [0.7, 0.3, 1, 0]),
        ("certainty", [1 - 0.8812908992, 0.8812908992, 1, 0]),
    ],
)
def test_readings_by_hand(reading, expected):
    p = [[0.7, 0.3], [0.7, 0.3], [1.0, 0.0], [1.0, 0.0]]
    np.testing.assert_allclose(ras.calibration_alignment(p, [0, 1, 0, 1], reading=reading), expected)


def test_brier_reading_is_scikit_learns_score():
    generator = np.random.default_rng(4)
    p = generator.dirichlet(np.ones(4), size=300)
    answer = generator.integers(0, 4, size=300)
    expected = 1 - brier_score_loss(answer, p, labels=range(4), scale_by_half=True)
    assert ras.calibration_alignment(p, answer, reading="brier").mean() == pytest.approx(expected)


@given(pairs(), st.sampled_from(list(ras.READINGS)))
def test_every_reading_keeps_the_range(pair, reading):
    clean, corrupted, answer = pair
    assert 0 <= ras.calibration_alignment(clean, answer, reading=reading) <= 1
    assert -2 <= ras.robustness_alignment_score(clean, corrupted, answer, reading=reading) <= 1
    assert ras.robustness_alignment_score(clean, clean, answer, reading=reading) == 0


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="reading 'luck' of RAS is none of brier, probability, confidence, certainty"):
        ras.robustness_alignment_score([0.5, 0.5], [0.5, 0.5], 0, reading="luck")


def test_a_destroyed_answer_is_a_gain_in_the_old_reading_only():
    destroyed = [0.4, 0.2, 0.2, 0.2], [0.2, 0.4, 0.2, 0.2], 0
    assert ras.robustness_alignment_score(*destroyed, reading="confidence") == pytest.approx(0.2)
    for reading in ("brier", "probability"):
        assert ras.robustness_alignment_score(*destroyed, reading=reading) == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("reading", "least", "most"),
    [("brier", 0, 0.001), ("probability", 0, 0.001), ("confidence", 0.2, 0.5), ("certainty", 0.6, 0.9)],
)
def test_share_of_destroyed_answers_of_real_models_that_count_as_a_gain(reading, least, most):
    with np.load(REAL) as real:
        logits, answer = real["logits"].astype(float), real["answer"].astype(int)
    p = np.moveaxis(scipy.special.softmax(logits, axis=-1), 1, 0)
    clean, corrupted = p[:, :, :1], p[:, :, 1:]
    destroyed = ras.patterns(clean, corrupted, answer).destroyed
    scores = ras.robustness_alignment_score(clean, corrupted, answer, reading=reading)[destroyed]
    assert scores.size > 1000
    assert least <= np.mean(scores > 0) <= most


@pytest.mark.skipif(not WHOLE.is_file(), reason="needs the option logits of 26 models beside the checkout")
def test_at_most_one_in_a_thousand_destroyed_answers_counts_as_a_gain():
    """Every item of MMBench-dev in its rotations: the first one of a question is clean, the others are corrupted."""
    with np.load(WHOLE) as real:
        logits, identifiers, answers = real["logits"][..., :4].astype(float), real["ids"], real["answer"]
    p = scipy.special.softmax(logits, axis=-1)
    items = [json.loads(line) for line in (WHOLE.parent / "mmbench_items.jsonl").read_text().splitlines()]
    assert [item["index"] for item in items] == identifiers.tolist()
    texts = [[str(item[letter]) for letter in "ABCD"] for item in items]
    question = identifiers % 1_000_000
    gains = total = 0
    for rotations in (np.flatnonzero(question == one) for one in np.unique(question)):
        first, *others = rotations[np.argsort(identifiers[rotations])]
        for other in others:
            # Some questions of fewer options are padded with options that differ between the rotations.
            if not len(set(texts[first])) == len(set(texts[first]) & set(texts[other])) == 4:
                continue
            clean, corrupted = p[:, first], p[:, other][:, [texts[other].index(text) for text in texts[first]]]
            right = np.full(len(p), answers[first])
            destroyed = ras.patterns(clean, corrupted, right).destroyed
            gains += np.count_nonzero(ras.robustness_alignment_score(clean, corrupted, right)[destroyed] > 0)
            total += np.count_nonzero(destroyed)
    assert total > 5000
    assert gains <= 0.001 * total
