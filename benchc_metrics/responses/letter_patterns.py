"""Define the words and marks by which generated answers name an option, for `benchc_metrics.responses.letters`.

The searched texts are in Unicode's form NFKC, which turns full-width marks into plain ones, and their quotation marks
are straight. The words here are in the same form.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = [
    "AFTER_SMALL_LETTER",
    "ALTERNATIVE",
    "ANSWER_KEY",
    "BEGINNING",
    "BRACKETED",
    "CONNECTIVE",
    "DECLARED",
    "ENCLOSED",
    "FIRST_LETTER",
    "LETTER_THEN_TEXT",
    "LONE_LETTER",
    "NAMED_OPTION",
    "NEXT_LETTER",
    "NEXT_WORD",
    "REJECTED_AFTER",
    "REJECTED_BEFORE",
    "SAID",
    "SENTENCE_END",
    "SHOWN",
    "TEXT_THEN_LETTER",
]


def _any(words: str) -> str:
    """Make an alternation of words, the longest first; `_` stands for a space."""
    ordered = sorted(unicodedata.normalize("NFKC", words).split(), key=len, reverse=True)
    return "(?:" + "|".join(word.replace("_", r"\s+") for word in ordered) + ")"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


OPEN = r"[(\[{<\"'«「『【《]*"
CLOSE = r"[)\]}>\"'»」』】》]*"
LATIN = r"A-Za-zÀ-ÖØ-öø-ɏ"

# A single letter that is not a part of a word, a name or a unit: B-side, C#, U.S.A, A/B, 5°C.
LETTER = (
    rf"(?<![{LATIN}\d_°])(?<![{LATIN}\d_][-/&'.])"
    rf"(?P<letter>(?-i:[A-Za-z]))(?![{LATIN}\d_+#*°%]|[-/&'.][{LATIN}\d_])"
)
OPTION_WORD = _any(
    "options? choices? letters? alternatives? buchstabe lettre letra lettera opci[oó]n opç[aã]o opzione optie opcja "
    "seçenek pilihan вариант буква 选项 選項 選択肢 보기"
)
ANSWER_WORD = _any(
    "answers? ans antwort réponse reponse respuesta risposta resposta antwoord odpowiedź odpověď svar vastaus cevap "
    "yan\u0131t jawaban đáp_án câu_trả_lời răspuns răspunsul válasz ответ відповідь απάντηση"
)
ANSWER_WORD_UNSPACED = _any("答案 答え 答 正解 解答 回答 정답 답 الإجابة الجواب התשובה תשובה उत्तर คำตอบ")
# Words that declare an answer only if "is" or a colon follows: "option: B", but not "option B is wrong".
OUTCOME_WORD = _any(
    "options? choice selection pick guess solution response result conclusion prediction verdict correct "
    "lösung wahl solución elección choix scelta escolha вариант"
)
OUTCOME_WORD_UNSPACED = _any("选项 選項 選択肢 结论 보기")
CHOOSING = _any(
    "choose chose select selected pick picked go_with going_with opt_for vote_for wähle elijo escolho scelgo"
)
CHOOSING_UNSPACED = _any("选择 選擇 选 選")
VERB = _any(
    "is are was would_be should_be must_be will_be has_to_be ist lautet wäre est serait es sería seria è sarebbe é "
    "luidt to jest brzmi это adalah là هي هو היא"
)
VERB_UNSPACED = _any("是 为 為 应该是 應該是 应为 应选 就是 选 選 は が 은 는 이 가 คือ")
ADVERB = _any("most_likely likely probably clearly definitely therefore thus indeed simply just obviously certainly")
JOINT = (
    r"(?:[,;/&+、]\s?)?(?:"
    + _any("or and oder und ou et o y e u veya ve atau dan или и")
    + r"\s+|"
    + _any("或者 或 和 还是 または と 또는")
    + ")?"
)

QUALIFIER = (
    r"(?:\s+"
    + _any(
        "correct correcta corretta correcte correta final here (?:to|for)_(?:the|this)_question option choice letter"
    )
    + r"\b)?"
)
# Between the word and the letter: " is", ": ", "' => ".
LINK = (
    rf"(?:\s*(?:{VERB}\b|{VERB_UNSPACED})\s*(?:{ADVERB},?\s+)*[:=→\-–—>]*"
    rf"|\s*[\"')\]]*\s*[:=→–—\-]+>?)\s*"
)
BEFORE_LETTER = (
    r"(?:(?-i:the|die|der|das|la|le|el|il|lo|o|a) +|l')?(?:(?:correct|right|richtige|bonne|correcta) )?"
    rf"(?:{OPTION_WORD}\s?[:#]?\s?)?"
)

LONE_LETTER = _compiled(
    rf"(?:[-–—•→=]\s?)?(?:{OPTION_WORD}\s?[:#]?\s?)?{OPEN}\s?(?P<letter>(?-i:[A-Za-z]))\s?[.)]?{CLOSE}\s?"
    r"(?:です|だ|である|입니다|이다|이에요|예요)?[.,;:!?。、…]*" + CLOSE
)
LETTER_THEN_TEXT = _compiled(
    rf"{OPEN}(?P<letter>(?-i:[A-Za-z]))(?P<separator>{CLOSE}[.):,\-–—=、\s]+)(?P<text>(?s:.*)\S)"
)
TEXT_THEN_LETTER = _compiled(r"(?P<text>(?s:.*)\S)(?P<separator>\s?[(\[])(?P<letter>(?-i:[A-Za-z]))[)\]]\s?[.。]?")

DECLARED = _compiled(
    rf"(?:(?<![{LATIN}])(?:{ANSWER_WORD}|{CHOOSING})(?![{LATIN}]){QUALIFIER}|{ANSWER_WORD_UNSPACED}|{CHOOSING_UNSPACED}"
    rf"|(?:(?<![{LATIN}]){OUTCOME_WORD}(?![{LATIN}])|{OUTCOME_WORD_UNSPACED})(?={LINK}))"
    rf"(?:{LINK}|\s*){BEFORE_LETTER}"
)
"""Matches the text before the place of an answer."""

ENCLOSED = _compiled(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}|<(?:final_)?answer>([^<]*)</(?:final_)?answer>")
BEGINNING = _compiled(rf"{OPEN}{LETTER}{CLOSE}(?:[.):,\]}}](?=\s|$|[^\x00-\x7f])|\s?[-–—=:](?=\s|$)|[、。]|$)")
SENTENCE_END = _compiled(r"[.!?](?=\s|$)|[。;]|,? (?:because|since) ")

FIRST_LETTER = _compiled(rf"\s*{OPEN}{LETTER}")
NEXT_LETTER = _compiled(rf"{CLOSE}\s?[.:]?\s?{JOINT}(?:{OPTION_WORD}\s?)?{OPEN}{LETTER}")
ALTERNATIVE = _compiled(
    rf"(?:(?<![{LATIN}])(?:or|oder|ou|atau|veya|или)\s|或者?|还是|または|또는)\s?(?:{OPTION_WORD}\s?)?{OPEN}{LETTER}"
)

NAMED_OPTION = _compiled(rf"(?<![{LATIN}]){OPTION_WORD}\s?[:#]?\s?{OPEN}{LETTER}")
BRACKETED = _compiled(rf"[(\[]{LETTER}[)\]]")
FAVOURED = (
    r" (?:because|since|as|based|(?:is|was|seems|looks)(?: to be)? (?:the (?:correct|right|best|answer)|correct|right"
    r"|true|my|most|likely|probably|clearly|definitely))\b"
)
SAID = _compiled(
    rf"(?:\A(?=(?-i:[A-Z]){FAVOURED})|(?:\b(?:it(?:'s| is| must be| should be| would be)|that(?:'s| is)"
    r"|(?:say|think|believe|guess)(?: that)?(?: it(?:'s| is))?"
    rf"|must be|should be|so|hence|{ADVERB})[,:]? (?:the )?|应该是|應該是|是))"
    rf"{OPEN}{LETTER}(?=[^\w\s]|\s*$|{FAVOURED})"
)
SHOWN = _compiled(
    r"\A(?:(?:i (?:think|believe|see)(?: that)? )?(?:it is|it's|this is|that is|that's|there is|there's|there are"
    r"|they are)|i see|(?:the|this) (?:image|picture|photo|figure|scene) (?:shows|contains|depicts|displays)"
    r"|(?:the|this) (?:object|shape|thing) is)\s+"
)

NEGATION = _any(
    "not never neither nor no wrong incorrect false unlikely than instead_of except excluding unlike rule_out "
    "ruled_out eliminate exclude nicht keine? falsche[rsn]? pas mauvaise incorrecta"
)
DENIAL = _any(
    "not never wrong incorrect false falsch nicht faux fausse incorrect[ao] errad[ao] sbagliat[ao] no_es n'est_pas "
    "cannot can_not (?:is|was|does|do|can|could|would|should)n't"
)
REJECTED_BEFORE = _compiled(
    rf"(?:(?:(?<![{LATIN}]){NEGATION}|n't)\s+|不是?|错误的?|잘못된\s*)(?:(?:the|an?|it is|it's)\s+)?[(\[\"']*\Z"
)
REJECTED_AFTER = _compiled(
    rf"[)\]\"']*\s?(?:(?:(?:is|are|was|seems|looks|ist|est|es|è|é)\s+)?{DENIAL}\b|不|是?错|아니|틀)"
)

NEXT_WORD = _compiled(r" [^\W\d_]")
CONNECTIVE = _compiled(
    " "
    + _any(
        "is because since as for which given based due and or but seems looks appears oder und ou weil denn car porque "
        "perché ist est es è é"
    )
    + r"\b"
)
AFTER_SMALL_LETTER = _compiled(r"[)\]}\"'.:]|\s*\Z|\n| (?:because|since|is correct|is right)\b")
ANSWER_KEY = _compiled(
    r"answer|(?:option|choice)(?!s)|letter|selected|prediction|antwort|r[ée]ponse|respuesta|risposta|resposta|答案|答え|정답"
)
