from __future__ import annotations

import math

import pytest

from benchc_tasks.models.questions import Question, ScoringError
from benchc_tasks.models.visible_tokens import missing_mass, only_token, score_visible_options

QUESTION = Question("sample 'one' under fog@3", "Which?", ("A", "B"), ())


def shown(**probabilities: float) -> list[tuple[str, float]]:
    return [(token, math.log(value)) for token, value in probabilities.items()]


def test_scores_stand_in_the_order_of_the_options_whatever_order_the_engine_shows() -> None:
    first, second = score_visible_options(QUESTION, ("A", "B"), shown(C=0.5, B=0.3, A=0.1))
    assert math.exp(first.value) == pytest.approx(0.1)
    assert math.exp(second.value) == pytest.approx(0.3)
    assert not first.is_greedy
    assert not second.is_greedy


def test_what_is_not_shown_is_recorded_with_every_option() -> None:
    scores = score_visible_options(QUESTION, ("A", "B"), shown(A=0.6, B=0.1, the=0.05))
    assert [score.missing_mass for score in scores] == [pytest.approx(0.25)] * 2
    assert [score.is_greedy for score in scores] == [True, False]


def test_nothing_is_missing_where_tokens_were_asked_for_by_name() -> None:
    scores = score_visible_options(QUESTION, (7, 9), [(7, -3.0), (9, -4.0), (2, -0.1)], asked_for_by_name=True)
    assert scores == [(-3.0, False, None), (-4.0, False, None)]


def test_an_option_that_is_not_shown_is_never_guessed() -> None:
    with pytest.raises(
        ScoringError, match=r"^sample 'one' under fog@3: the options 'B' are not among the 2 tokens .* 0\.1 of"
    ):
        score_visible_options(QUESTION, ("A", "B"), shown(A=0.6, the=0.3))


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.5])
def test_what_is_no_log_probability_is_refused(value: float) -> None:
    with pytest.raises(ScoringError, match="sample 'one' under fog@3: the engine gives token 'B' the log-probability"):
        score_visible_options(QUESTION, ("A", "B"), [("A", -1.0), ("B", value)])


def test_a_token_of_probability_zero_is_shown() -> None:
    assert score_visible_options(QUESTION, ("A", "B"), [("A", 0.0), ("B", -math.inf)])[1].value == -math.inf


def test_rounding_above_zero_does_not_look_like_a_loss() -> None:
    (first, _) = score_visible_options(QUESTION, ("A", "B"), [("A", 1e-6), ("B", -20.0)])
    assert first == (0.0, True, 0.0)


def test_an_engine_that_shows_nothing_is_no_answer() -> None:
    with pytest.raises(ScoringError, match="shows no log-probabilities"):
        score_visible_options(QUESTION, ("A", "B"), [])


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_token_that_is_shown_twice_is_refused(order: slice) -> None:
    entries = [("A", math.log(0.4)), ("A", math.log(0.1)), ("B", math.log(0.2))][order]
    with pytest.raises(ScoringError, match=r"^sample 'one' under fog@3: the engine shows token 'A' 2 times$"):
        score_visible_options(QUESTION, ("A", "B"), entries)


@pytest.mark.parametrize("by_name", [True, False])
def test_probabilities_that_sum_to_more_than_one_are_refused(by_name: bool) -> None:
    entries = [("A", -0.1), ("B", -0.2), ("C", -0.3), ("D", -0.15)]
    with pytest.raises(ScoringError, match=r"of the 4 tokens that the engine shows sum to 3\.33$"):
        score_visible_options(QUESTION, ("A", "B"), entries, asked_for_by_name=by_name)


def test_a_sum_that_rounding_explains_is_taken() -> None:
    entries = [("A", math.log(0.6) + 2e-3), ("B", math.log(0.4) + 2e-3)]
    assert score_visible_options(QUESTION, ("A", "B"), entries)[0].missing_mass == 0.0


def test_the_most_probable_tokens_leave_no_more_than_less_probable_ones_can_have() -> None:
    """Logits below zero, for instance. Of tokens that were asked for by name this tells nothing."""
    entries = [("A", -3.0), ("B", -25.0)]
    with pytest.raises(ScoringError, match=r"sum to 0\.0498, and less probable ones cannot make up for the rest$"):
        score_visible_options(QUESTION, ("A", "B"), entries)
    assert score_visible_options(QUESTION, ("A", "B"), entries, asked_for_by_name=True)[0].value == -3.0


@pytest.mark.parametrize("value", ["-0.1", None, False, True, [-0.1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ScoringError, match=r"gives token 'B' the log-probability .*, not a number$"):
        score_visible_options(QUESTION, ("A", "B"), [("A", -1.0), ("B", value)])  # type: ignore[list-item]


def test_of_two_equally_probable_tokens_one_is_greedy() -> None:
    assert [score.is_greedy for score in score_visible_options(QUESTION, ("A", "B"), shown(B=0.5, A=0.5))] == [
        False,
        True,
    ]


def test_missing_mass_is_never_negative() -> None:
    assert missing_mass([math.log(0.75), math.log(0.25) + 1e-9]) == 0.0
    assert missing_mass([]) == 1.0


def test_only_token_is_refused_for_none_and_for_several() -> None:
    assert only_token(QUESTION, "A", (5,)) == 5
    for tokens in ((), (5, 6)):
        with pytest.raises(ScoringError, match=rf"^sample 'one' under fog@3: the option 'A' has {len(tokens)} tokens"):
            only_token(QUESTION, "A", tokens)
