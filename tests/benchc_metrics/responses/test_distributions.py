"""Responses of every form, and distributions against scipy's softmax."""

import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lmms_eval.api.instance import unwrap_generation_output

from benchc_metrics.responses import (
    NO_ANSWER,
    OptionResponse,
    answer_indices,
    checked_response,
    option_distribution,
    option_log_likelihoods,
    parse_response,
    valid_conditions,
)

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    "response",
    [
        (-0.5, True),
        [-0.5, True],
        (np.float64(-0.5), np.True_),
        (np.float32(-0.5), True),
        "(-0.5, True)",
        "  ( -0.5 ,True )\n",
        "[-0.5, true]",
        "(np.float64(-0.5), True)",
        "(np.float32(-0.5), np.True_)",
        "(-5e-1, True)",
        "(-.5, True)",
    ],
)
def test_response_of_every_form_is_read(response):
    assert parse_response(response) == OptionResponse(-0.5, True)


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ("(inf, False)", INF),
        ("(-inf, False)", -INF),
        ("(Infinity, False)", INF),
        ("(np.float64(-inf), np.False_)", -INF),
        ((INF, False), INF),
        ([0, False], 0.0),
        ("(0, False)", 0.0),
        ("(12.25, False)", 12.25),
    ],
)
def test_infinities_and_integers_are_read(response, value):
    assert parse_response(response) == OptionResponse(value, False)


@pytest.mark.parametrize("response", ["(nan, False)", "(np.float64(nan), False)", (NAN, False), [np.nan, False]])
def test_nan_is_read_as_nan(response):
    value, is_greedy, missing_mass = parse_response(response)
    assert np.isnan(value)
    assert is_greedy is False
    assert missing_mass is None


@given(st.floats(allow_nan=False), st.booleans())
def test_what_lmms_eval_makes_of_a_pair_is_read_back_exactly(value, is_greedy):
    written, _ = unwrap_generation_output((value, is_greedy))
    assert isinstance(written, str)
    assert parse_response(written) == OptionResponse(value, is_greedy)
    written_numpy, _ = unwrap_generation_output((np.float64(value), is_greedy))
    assert parse_response(written_numpy) == OptionResponse(value, is_greedy)


@given(st.floats(allow_nan=False), st.booleans(), st.floats(0, 1))
def test_a_missing_mass_is_read_back_exactly(value, is_greedy, missing_mass):
    answer = (value, is_greedy, missing_mass)
    written, _ = unwrap_generation_output(answer)
    assert isinstance(written, str)
    assert parse_response(written) == parse_response(list(answer)) == OptionResponse(*answer)


@pytest.mark.parametrize(
    "response",
    [
        "A",
        "",
        "-0.5",
        "(-0.5)",
        "(-0.5, True, 1.5)",
        "(-0.5, True, nan)",
        "(-0.5, True, -0.1)",
        "(-0.5, True, True)",
        "(-0.5, True, 0.5, 0.5)",
        (-0.5, True, 1.5),
        (-0.5, True, float("nan")),
        (-0.5, True, True),
        (-0.5, True, "0.5"),
        (-0.5, True, 0.5, 0.5),
        "(-0.5, maybe)",
        "(1_0.5, True)",
        "(-0.5, True) extra",
        "(__import__('os').getcwd(), True)",
        "(1 - 1, True)",
        None,
        -0.5,
        (True, True),
        (-0.5, 1),
        (-0.5, "True"),
        ("-0.5", True),
        (-0.5,),
        {"value": -0.5},
        b"(-0.5, True)",
    ],
)
def test_anything_else_is_refused_in_one_sentence(response):
    with pytest.raises(ValueError, match=r"^response .* is not a pair .*$") as refusal:
        parse_response(response)
    assert len(str(refusal.value)) < 200


def test_long_response_is_shortened_in_its_refusal():
    with pytest.raises(ValueError, match="is not a pair") as refusal:
        parse_response("word " * 10_000)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("response", [OptionResponse(-0.5, True), OptionResponse(-INF, False, 0.25)])
def test_a_response_survives_lmms_evals_text_and_a_cache(response):
    assert parse_response(str(response)) == response
    assert parse_response(str(tuple(response))) == response
    assert parse_response(json.loads(json.dumps(response))) == response


def test_checked_response_marks_what_says_nothing():
    assert checked_response("(-0.5, True)") == OptionResponse(-0.5, True)
    assert checked_response((-INF, False)) == OptionResponse(-INF, False)
    assert checked_response((NAN, False)) == {"invalid": "the backend returned nan: try float32 or bfloat16"}
    assert "'A' is not a pair" in checked_response("A")["invalid"]
    assert checked_response("(-0.5, True, 0.25)") == OptionResponse(-0.5, True, 0.25)
    assert checked_response(f"{NO_ANSWER}sample 's' under clean: why") == {"invalid": "sample 's' under clean: why"}


def test_log_likelihoods_stay_and_losses_are_negated():
    log_likelihoods, length_normalised = option_log_likelihoods([[-1.0, -2.0], [0.0, -INF]])
    assert length_normalised is False
    np.testing.assert_array_equal(log_likelihoods, [[-1.0, -2.0], [0.0, -INF]])
    log_likelihoods, length_normalised = option_log_likelihoods([[1.0, 2.0], [0.0, INF]])
    assert length_normalised is True
    np.testing.assert_array_equal(log_likelihoods, [[-1.0, -2.0], [0.0, -INF]])
    assert not np.signbit(log_likelihoods[1, 0]), "a loss of 0 becomes 0, not -0"


def test_input_is_left_as_it_was():
    values = np.array([-1.0, -2.0])
    log_likelihoods, _ = option_log_likelihoods(values)
    log_likelihoods[0] = 5.0
    assert values.tolist() == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("values", "length_normalised"),
    [
        ([0.0, 0.0], False),
        ([0.0, -INF], False),
        ([0.0, INF], True),
        ([NAN, 0.5], True),
        ([NAN, -0.5], False),
        ([INF, -0.5], False),
        ([-INF, 0.5], True),
        ([INF, -INF], False),
        ([NAN, NAN], False),
    ],
)
def test_sign_of_the_finite_values_decides(values, length_normalised):
    log_likelihoods, decided = option_log_likelihoods(values)
    assert decided is length_normalised
    np.testing.assert_array_equal(log_likelihoods, -np.array(values) if length_normalised else values)


def test_mixed_signs_are_refused():
    with pytest.raises(ValueError, match=r"mix log-likelihoods \(negative\) and mean losses \(positive\)"):
        option_log_likelihoods([[-0.5, -1.0], [0.5, 1.0]])


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, min_side=2), elements=st.floats(-1e4, 0)))
def test_distribution_is_scipys_softmax(log_likelihoods):
    p = option_distribution(log_likelihoods)
    np.testing.assert_allclose(p, scipy.special.softmax(log_likelihoods, axis=-1), atol=1e-15)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, atol=1e-12)
    assert p.dtype == np.float64


def test_distribution_of_float32_is_float64_and_survives_large_values():
    p = option_distribution(np.array([-80_000.0, -80_001.0], dtype=np.float32))
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, [1 / (1 + np.exp(-1)), 1 / (1 + np.e)])


def test_option_of_minus_infinity_has_probability_zero():
    np.testing.assert_array_equal(option_distribution([-1.0, -INF, -1.0]), [0.5, 0.0, 0.5])


@pytest.mark.parametrize("row", [[NAN, -1.0], [INF, -1.0], [INF, INF], [-INF, -INF]])
def test_invalid_condition_has_a_distribution_of_nan(row):
    log_likelihoods = np.array([row, [-1.0, -1.0]])
    np.testing.assert_array_equal(valid_conditions(log_likelihoods), [False, True])
    np.testing.assert_array_equal(option_distribution(log_likelihoods), [[NAN, NAN], [0.5, 0.5]])


def test_padded_samples_have_the_distribution_of_their_own_options():
    narrow, wide = [[-1.0, -2.0], [-3.0, -0.5]], [[-1.0, -2.0, -3.0, -4.0], [-4.0, -1.0, -9.0, -2.0]]
    padded = np.full((2, 2, 4), 7.0)  # not -inf: the option count alone must do
    padded[0, :, :2], padded[1] = narrow, wide
    p = option_distribution(padded, option_count=[2, 4])
    np.testing.assert_allclose(p[0, :, :2], scipy.special.softmax(narrow, axis=-1))
    np.testing.assert_array_equal(p[0, :, 2:], 0.0)
    np.testing.assert_allclose(p[1], scipy.special.softmax(wide, axis=-1))
    padded[0, :, 2:] = -INF
    np.testing.assert_array_equal(option_distribution(padded), p)
    padded[0, :, 2:] = NAN
    assert valid_conditions(padded, option_count=[2, 4]).all()
    assert not valid_conditions(padded)[0].any()


@pytest.mark.parametrize("option_count", [1, 5, [2, 1], [[2, 5], [2, 2]]])
def test_impossible_option_count_is_refused(option_count):
    with pytest.raises(ValueError, match="a sample has from 2 to 4 options here"):
        option_distribution(np.zeros((2, 2, 4)), option_count=option_count)


def test_what_belongs_to_samples_aligns_on_the_first_axes():
    # As many samples as conditions: numpy's own alignment would take these for conditions.
    assert answer_indices((2, 2, 4), [0, 3]).tolist() == [[0], [3]]
    assert answer_indices((2, 2, 4), 1).tolist() == [[1]]
    assert answer_indices((2, 2, 4), [[0, 1], [2, 3]]).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("answer", "option_count", "sentence"),
    [
        ([0, 4], None, "not one of its sample's options"),
        ([0, -1], None, "not one of its sample's options"),
        ([0, 2], [4, 2], "not one of its sample's options"),
        ([0.0, 1.0], None, "must be integers, not float64"),
        ([True, False], None, "must be integers, not bool"),
        ([[[0]]], None, "3 axes cannot belong to samples of 2 leading axes"),
    ],
)
def test_impossible_answer_is_refused(answer, option_count, sentence):
    with pytest.raises(ValueError, match=sentence):
        answer_indices((2, 3, 4), answer, option_count)
