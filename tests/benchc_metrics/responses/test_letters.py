"""The option that a generated answer names: a table of answers, and properties over all letters."""
# ruff: noqa: RUF001  # letters that look like others are what is tested

from __future__ import annotations

import time

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.responses.letters import parse_letter

ANIMALS = ("dog", "cat", "bird", "fish")
COLOURS = ("red", "blue")
PLANS = ("Plan B", "Plan A")
LANGUAGES = ("Java", "C++", "C")

NAMED = [
    # a letter alone
    ("A", "A"),
    ("b", "B"),
    ("a", "A"),
    ("B.", "B"),
    ("B!", "B"),
    ("a)", "A"),
    ("(B)", "B"),
    ("[[D]]", "D"),
    ("{B}", "B"),
    ("<B>", "B"),
    ('"B"', "B"),
    ("“B”", "B"),
    ("`B`", "B"),
    ("*B*", "B"),
    ("**C**", "C"),
    ("**B", "B"),
    ("- B", "B"),
    ("> B", "B"),
    ("<b>B</b>", "B"),
    ("\n\n B \n", "B"),
    ("B</s>", "B"),
    ("B<|im_end|>", "B"),
    ("<|begin_of_box|>B<|end_of_box|>", "B"),
    ("\u200bB\ufeff", "B"),
    ("Ｂ", "B"),
    ("（Ｂ）", "B"),
    ("Ⓑ", "B"),
    ("Option B", "B"),
    ("option (c).", "C"),
    ("选项B", "B"),
    ("Bです。", "B"),
    # with the option's text, or the text alone
    ("B. cat", "B"),
    ("B) cat", "B"),
    ("(B) cat", "B"),
    ("B: cat", "B"),
    ("B - cat.", "B"),
    ("B.cat", "B"),
    ("B cat", "B"),
    ("B (cat)", "B"),
    ("**B. cat**", "B"),
    ("cat (B)", "B"),
    ("cat", "B"),
    ("Cat.", "B"),
    ("a cat", "B"),
    ("A cat", "B"),
    ("A dog", "A"),
    ("It is a cat.", "B"),
    ("The image shows a cat.", "B"),
    ("Cat, because of the whiskers.", "B"),
    # a declared answer
    ("Answer: D", "D"),
    ("answer: d", "D"),
    ("ANSWER:B", "B"),
    ("Answer B", "B"),
    ("Answer - B", "B"),
    ("**Answer:** B", "B"),
    ("**Answer: B**", "B"),
    ("### Answer\nB", "B"),
    ("Answer\n\n**B.** cat", "B"),
    ("Final answer: **B**", "B"),
    ("The answer is (B).", "B"),
    ("The answer is “B”", "B"),
    ("The answer is A because of its ears.", "A"),
    ("The answer is a.", "A"),
    ("The answer is a bird", "C"),
    ("The answer is B (cat).", "B"),
    ("Answer: A cat", "B"),
    ("The correct option is B.", "B"),
    ("The correct choice would be B, cat.", "B"),
    ("The answer to the question is B.", "B"),
    ("Based on the image, the answer is most likely B.", "B"),
    ("My best guess is B.", "B"),
    ("I would choose B.", "B"),
    ("I would go with B, not A.", "B"),
    (r"\boxed{C}", "C"),
    (r"The final answer is $\boxed{\text{C}}$.", "C"),
    ("<answer>B</answer>", "B"),
    ("<answer>\ncat\n</answer>", "B"),
    ('{"answer": "B"}', "B"),
    ('```json\n{"reasoning": "A or D", "answer": "B"}\n```', "B"),
    ('{"options": ["dog", "cat"], "answer": {"letter": "B"}}', "B"),
    ('["B"]', "B"),
    ("{'answer': 'B'}", "B"),
    ('It is a cat, so: {"answer": "B"}', "B"),
    # other languages
    ("Antwort: B", "B"),
    ("Die richtige Antwort ist B.", "B"),
    ("Réponse : B", "B"),
    ("La bonne réponse est la B.", "B"),
    ("La respuesta correcta es la B", "B"),
    ("Risposta: B", "B"),
    ("A resposta é a B.", "B"),
    ("Odpowiedź: B", "B"),
    ("Ответ: B", "B"),
    ("Cevap: B", "B"),
    ("Yanıt: B", "B"),
    ("Đáp án: B", "B"),
    ("答案：B", "B"),
    ("答案是（B）。", "B"),
    ("故选Ｂ", "B"),
    ("正解はBです。", "B"),
    ("정답은 B입니다", "B"),
    ("الإجابة: B", "B"),
    ("उत्तर: B", "B"),
    ("คำตอบคือ B", "B"),
    # reasoning
    ("<think>A or D?</think>\n\nB", "B"),
    ("<THINK>it is A</THINK>B", "B"),
    ("It may be A, option A.</think>C", "C"),
    ("<think>A</think><think>D</think>B", "B"),
    ("◁think▷A◁/think▷B", "B"),
    ("The picture shows whiskers.\n\nB", "B"),
    ("Option A shows a dog, option B a cat. So the answer is B.", "B"),
    ("A. dog\nB. cat\nC. bird\nD. fish\nAnswer: C", "C"),
    ("Answer with the option's letter from the given choices directly.\nB", "B"),
    # the beginning, or in passing
    ("B, because the animal has whiskers.", "B"),
    ("B\n\nThe image shows a cat.", "B"),
    ("B. I think it is the cat.", "B"),
    ("B is correct.", "B"),
    ("A is correct.", "A"),
    ("I think it's B.", "B"),
    ("I'd say it is option B", "B"),
    ("It looks like option B rather than option A", "B"),
    ("Among these, (B) fits best", "B"),
    ("Definitely B.", "B"),
    ("我认为是B。", "B"),
]

NOT_NAMED = [
    ("", "the answer is empty"),
    (" \n\t", "the answer is empty"),
    ("**", "the answer is empty"),
    ("<think>It is B", "the answer ends within its reasoning: allow it more tokens"),
    ("B <think>or is it", "the answer ends within its reasoning: allow it more tokens"),
    ("<think>A</think>B<think>", "the answer ends within its reasoning: allow it more tokens"),
    ("A or B", "the answer names no option"),
    ("A/B", "the answer names no option"),
    ("A, B", "the answer names A and B"),
    ("(A)(B)", "the answer names A and B"),
    ("A\nB", "the answer names A and B"),
    ("A: B", "the answer names A and B"),
    ("Answer: A, C", "the answer names A and C"),
    ("Answer: A or C", "the answer names A and C"),
    ("Answer: (A) dog or (B) cat", "the answer names A and B"),
    ("Answer: A\nAnswer: B", "the answer names A and B"),
    ("选A还是选B", "the answer names A and B"),
    (r"Answer: A. \boxed{B}", "the answer names A and B"),
    ('{"answer": ["A", "B"]}', "the answer names A and B"),
    ("It could be option A, option C or option D", "the answer names A, C and D"),
    ("B. dog", "the answer names A and B"),
    ("The answer is B (dog).", "the answer names A and B"),
    ("cat (A)", "the answer names A and B"),
    ("E", "the answer names E, but there are 4 options"),
    ("Answer: E", "the answer names E, but there are 4 options"),
    ("Answer: A or E", "the answer names A and E"),
    ("A dog is on the left", "the answer names no option"),
    ("A dog is on the left, a cat on the right.", "the answer names no option"),
    ("A dog and B cats", "the answer names no option"),
    ("A is a dog and B is a cat", "the answer names no option"),
    ("A. dog\nB. cat\nC. bird\nD. fish", "the answer names no option"),
    ("Dog or cat", "the answer names no option"),
    ("dog, cat and bird", "the answer names no option"),
    ("I don't know", "the answer names no option"),
    ("I cannot see the image.", "the answer names no option"),
    ("The answer is not A", "the answer names no option"),
    ("The wrong answer is A.", "the answer names no option"),
    ("Option A is wrong.", "the answer names no option"),
    ("Answer A is wrong.", "the answer names no option"),
    ("Answer: B-side", "the answer names no option"),
    ("Answer: C#", "the answer names no option"),
    ("It is not option A", "the answer names no option"),
    ("Neither A nor B", "the answer names no option"),
    ("Both A and B", "the answer names no option"),
    ("All of the above", "the answer names no option"),
    ("Vitamin C", "the answer names no option"),
    ("The T-shirt says B", "the answer names no option"),
    ("U.S.A", "the answer names no option"),
    ("B-side", "the answer names no option"),
    ("C++", "the answer names no option"),
    ("A*", "the answer names no option"),
    ("25 °C", "the answer names no option"),
    ("E.g. the cat", "the answer names no option"),
    ("Bcat", "the answer names no option"),
    ("The second option", "the answer names no option"),
    ("2", "the answer names no option"),
    ("Ответ: В", "the answer names no option"),
    ("Answer: İ", "the answer names no option"),
    ('{"A": 0.1, "B": 0.9}', "the answer names no option"),
    ('{"answer": null}', "the answer names no option"),
]

OPTIONS_THAT_LOOK_ALIKE = [
    ("Plan B", PLANS, "A"),
    ("B", PLANS, "B"),
    ("A. Plan B", PLANS, "A"),
    ("B. Plan B", PLANS, None),
    ("Answer: Plan A", PLANS, "B"),
    ("C++", LANGUAGES, "B"),
    ("The answer is C++.", LANGUAGES, "B"),
    ("The answer is C", LANGUAGES, "C"),
    ("cat", ("cat", "cat and dog"), "A"),
    ("cat and dog", ("cat", "cat and dog"), "B"),
    ("The answer is cat and dog.", ("cat", "cat and dog"), "B"),
    ("A dog", ("dog", "a dog"), None),
    ("A dog is on the left", ("a cat is on the left", "a dog is on the left"), "B"),
    ("It is vitamin C", ("iron", "vitamin C", "zinc"), "B"),
    ("Cat", ("cat", "Cat"), "B"),
    ("CAT", ("cat", "Cat"), None),
    ("-5", ("5", "-5"), "B"),
    ("(0, 1)", ("[0, 1]", "(0, 1)"), "B"),
    (">", ("<", ">"), "B"),
    ("The answer is 5 cm.", ("3 cm", "5 cm"), "B"),
    ("B", ("B", "C"), "B"),
    ("E", ("E", "F"), "A"),
    ("Answer: E", ("E", "F"), "A"),
    ("The sign shows the letter B.", ("B", "C"), None),
    ("I see the sign (B) there.", ("the sign (B)", "the sign (A)"), None),
    ("Yes, there is a dog.", ("yes", "no"), "A"),
    ("No.", ("yes", "no"), "B"),
    ("Red, blue and green", COLOURS, None),
    ("red.\nblue.", COLOURS, None),
    ("The colour is red (option A).", COLOURS, "A"),
    ("猫", ("狗", "猫"), "B"),
    ("答案是猫。", ("狗", "猫"), "B"),
    ("قط", ("كلب", "قط"), "B"),
    ('{"answer": true}', ("False", "True"), "B"),
]


@pytest.mark.parametrize(("answer", "letter"), NAMED)
def test_an_answer_that_names_one_option(answer, letter):
    assert parse_letter(answer, ANIMALS) == (LETTERS.index(letter), None)


@pytest.mark.parametrize(("answer", "reason"), NOT_NAMED)
def test_an_answer_that_does_not_is_not_guessed(answer, reason):
    assert parse_letter(answer, ANIMALS) == (None, reason)


@pytest.mark.parametrize(("answer", "options", "letter"), OPTIONS_THAT_LOOK_ALIKE)
def test_options_that_look_like_letters_or_like_each_other(answer, options, letter):
    assert parse_letter(answer, options).option == (None if letter is None else LETTERS.index(letter))


def test_tags_of_reasoning_are_the_caller_s():
    answer = "<plan>The answer is A.</plan>The answer is B."
    assert parse_letter(answer, ANIMALS, [("<plan>", "</plan>")]) == (1, None)
    assert parse_letter(answer, ANIMALS).option is None


FORMATS = [
    "{}",
    "{}.",
    "({})",
    "{})",
    "[{}]",
    "**{}**",
    "`{}`",
    "Option {}",
    "Answer: {}",
    "**Answer:** {}",
    "The answer is {}.",
    "The answer is ({}).",
    "The correct answer is option {}.",
    "Final answer: **{}**",
    "<think>A, B, C or D?</think>\n{}",
    "<answer>{}</answer>",
    "\\boxed{{{}}}",
    '{{"answer": "{}"}}',
    "Die Antwort ist {}",
    "La réponse est {}.",
    "答案：{}",
    "答案是{}。",
    "정답은 {}입니다.",
    "{}\n\nThis is what the image shows.",
    "{}, because this is what the image shows.",
    "I would say it is option {}.",
]


@given(st.sampled_from(FORMATS), st.integers(0, 25), st.integers(0, 24), st.booleans())
def test_every_letter_is_read_from_every_format(form, letter, more, full_width):
    options = [f"thing number {number}" for number in range(max(2, min(26, letter + 1 + more)))]
    written = chr(ord("Ａ") + letter) if full_width else LETTERS[letter]
    assert parse_letter(form.format(written), options) == (letter, None)


@given(st.integers(2, 26), st.data())
def test_the_text_of_an_option_is_read_with_its_letter_and_alone(count, data):
    words = st.text(st.characters(categories=["Ll", "Lo", "Nd"]), min_size=2, max_size=9)
    options = data.draw(st.lists(words, min_size=count, max_size=count, unique_by=lambda text: text.casefold()))
    option = data.draw(st.integers(0, count - 1))
    named = {
        parse_letter(answer, options).option for answer in (options[option], f"{LETTERS[option]}. {options[option]}")
    }
    # Two texts may differ by nothing that is looked at: then none is named.
    assert named <= {option, None}
    if all(text.isascii() for text in options):
        assert named == {option}


PIECES = st.sampled_from(
    [
        *LETTERS,
        *ANIMALS,
        *("a", "b", "e", "İ", "ı", "\ud83d", "(", ")", "[", "]", "{", "}", ".", ":", ",", "\n", " ", "**", '"'),
        *(
            "answer",
            "is",
            "not",
            "or",
            "option",
            "the",
            "It's",
            "because",
            "\\boxed{",
            "<think>",
            "</think>",
            "答案",
            "选",
        ),
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join), st.lists(PIECES).map(" ".join)), st.integers(2, 26))
@example("Answer: K", 5)
def test_an_answer_is_an_option_or_a_reason_whatever_the_text(answer, count):
    options = [*ANIMALS, *(f"thing {number}" for number in range(22))][:count]
    option, reason = parse_letter(answer, options)
    assert (option is None) == bool(reason)
    assert option is None or 0 <= option < count


@given(st.lists(st.text(min_size=1), min_size=2, max_size=26), st.integers(0, 25))
def test_a_letter_alone_is_the_letter_whatever_the_options(options, letter):
    assume(letter < len(options))
    assert parse_letter(LETTERS[letter], options).option == letter


def test_a_long_answer_is_read_in_time():
    started = time.process_time()
    for piece in ("answer is ", "A, ", "(", "B. cat\n", "\\(", "*", "<think>", "option A "):
        parse_letter(piece * (20_000 // len(piece)), ANIMALS)
    assert time.process_time() - started < 5
