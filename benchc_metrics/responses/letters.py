r"""Read the option that a generated answer names: an index, or the reason why there is none.

Readings are tried from the strictest to the loosest, and the first one that finds an option decides:

1. the whole answer is a letter: `B`, `(b)`, `**B.**`, `Option B`
2. the whole answer is JSON with a key that means the answer
3. the whole answer is an option's text, or a letter with its option's text: `cat`, `B. cat`
4. a letter or an option's text is in a place that declares an answer (`The answer is B`, `\boxed{B}`,
   `<answer>B</answer>`, `答案：B`), at the very beginning (`B, because ...`), or alone in the last line
5. an option is named within a sentence: `I would say it is option B`

An answer is never guessed. A text is not parsed if it names two options, no option, or a letter beyond the sample's
options, or if its reasoning does not end. A capital A before a word is an article, unless the text of option A follows.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

from benchc_metrics.benchmark import LETTERS
from benchc_metrics.responses import letter_patterns as patterns

__all__ = ["REASONING_TAGS", "UNFINISHED_THINKING", "ParsedAnswer", "parse_letter"]

REASONING_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<analysis>", "</analysis>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),
)
"""The tags that open and close a model's reasoning, in upper or lower case."""

UNFINISHED_THINKING = "the answer ends within its reasoning: allow it more tokens"
"""The reason for an answer that ends within its thinking."""

# Characters that are read beyond the length of an option's text, in a place that declares an answer.
_ROOM = 80


class ParsedAnswer(NamedTuple):
    """The reading of a generated text.

    Attributes
    ----------
    option : int or None
        Index of the named option.
    reason : str or None
        The reason if there is no option.
    """

    option: int | None
    reason: str | None


def parse_letter(
    text: str,
    options: Sequence[str],
    reasoning_tags: Sequence[Sequence[str]] = REASONING_TAGS,
    *,
    begins_in_thought: bool = False,
) -> ParsedAnswer:
    r"""Read the option that a generated answer names.

    Parameters
    ----------
    text : str
        The answer that the model wrote.
    options : sequence of str
        The texts of the sample's options, 2 to 26.
    reasoning_tags : sequence of (opening tag, closing tag)
        Text between these tags is not read.
    begins_in_thought : bool
        True if the prompt opened the reasoning; a text without a closing tag is then only reasoning.

    Returns
    -------
    ParsedAnswer
        An index below `len(options)`, or the reason why the answer cannot be used.

    Examples
    --------
    >>> parse_letter("The answer is (B).", ["dog", "cat"])
    ParsedAnswer(option=1, reason=None)
    >>> parse_letter("A dog is on the left.", ["yes", "no"])
    ParsedAnswer(option=None, reason='the answer names no option')
    """
    answer = _without_reasoning(text, reasoning_tags, begins_in_thought)
    if answer is None:
        return ParsedAnswer(None, UNFINISHED_THINKING)
    cleaned = _clean(answer)
    if not cleaned:
        return ParsedAnswer(None, "the answer is empty")
    return _decided(_read(cleaned, _Options(options)), len(options))


def _decided(named: set[int], option_count: int) -> ParsedAnswer:
    letters = [LETTERS[option] for option in sorted(named)]
    if not letters:
        return ParsedAnswer(None, "the answer names no option")
    if len(letters) > 1:
        return ParsedAnswer(None, f"the answer names {', '.join(letters[:-1])} and {letters[-1]}")
    (option,) = named
    if option >= option_count:
        return ParsedAnswer(None, f"the answer names {letters[0]}, but there are {option_count} options")
    return ParsedAnswer(option, None)


def _read(cleaned: str, options: _Options) -> set[int]:
    """Return the options from the first reading that finds any; an index may be beyond the options."""
    written = _json_answers(cleaned)
    if written is not None:
        return {option for answer in written if (inner := _clean(answer)) for option in _read(inner, options)}
    for reading in (_lone_letter, _option_text, _in_answer_position, _in_passing):
        if found := reading(cleaned, options):
            return found
    return set()


def _without_reasoning(text: str, tags: Sequence[Sequence[str]], begins_in_thought: bool) -> str | None:
    """Remove the reasoning; return None if it does not end."""
    if begins_in_thought and not any(re.search(re.escape(tag), text, re.IGNORECASE) for _, tag in tags):
        return None
    for opening, closing in tags:
        opened = [match.start() for match in re.finditer(re.escape(opening), text, re.IGNORECASE)]
        closed = [match.end() for match in re.finditer(re.escape(closing), text, re.IGNORECASE)]
        if opened and (not closed or opened[-1] > closed[-1]):
            return None
        if closed:
            # If a template opens the reasoning in the prompt, all text before its end is reasoning.
            before = text[: opened[0]] if opened and opened[0] < closed[0] else ""
            text = f"{before}\n{text[closed[-1] :]}"
    return text


# Clean text

_SPECIAL_TOKENS = re.compile(r"<\|[^|>\n]{1,40}\|>|</?s>|<(?:eos|bos|pad|end_of_turn|end_of_utterance)>", re.IGNORECASE)
_FORMATTING = re.compile(
    r"</?(?:b|i|em|strong|p|u|span|div|code|br ?/?)>|```\w*\n?|`|\*\*+|__|^[ \t]*(?:#{1,6}|>)[ \t]+", re.MULTILINE
)
_EMPHASIS = re.compile(r"(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])")
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|bf|rm)\s*\{([^{}]*)\}")
_LATEX_MATHS = re.compile(r"\$\$?([^$\n]*)\$\$?|\\[(\[]([^\n]{0,200}?)\\[)\]]")


_STRAIGHT_QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u201a", "'") | dict.fromkeys("\u201c\u201d\u201e", '"'))


def _clean(text: str) -> str:
    """Make full-width letters plain; remove invisible characters, special tokens, Markdown and LaTeX."""
    text = unicodedata.normalize("NFKC", text).translate(_STRAIGHT_QUOTES)
    text = "".join(character for character in text if character in "\n\t" or unicodedata.category(character)[0] != "C")
    text = _FORMATTING.sub("", _SPECIAL_TOKENS.sub("", text))
    text = _LATEX_TEXT.sub(r"\1", _EMPHASIS.sub(r"\1", text))
    text = _LATEX_MATHS.sub(lambda match: match[1] if match[1] is not None else match[2], text)
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


# The options' own texts

_ARTICLE = re.compile(r"\A(?:an?|the)\s+")
_AROUND = " .,;:!?\"'()[]{}«»「」『』【】。、…"


class _Options:
    """Hold the texts of a sample's options, and find those that equal a piece of text."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = [_clean(text) for text in texts]
        self.longest = max(map(len, self.texts))
        self._forms = [(form, [form(text) for text in self.texts]) for form in _FORMS]

    def equal_to(self, text: str) -> set[int]:
        """Return the options with this text: exactly, or else ignoring case, surrounding marks and an article."""
        for form, known in self._forms:
            written = form(text)
            if found := {option for option, text_of_option in enumerate(known) if text_of_option == written != ""}:
                return found
        return set()

    def hidden_in(self, text: str, but: Set[int] = frozenset()) -> str:
        """Blank out the texts of the options except `but`, so that no letter inside them is read as an answer."""
        texts = [known for option, known in enumerate(self.texts) if len(known) > 1 and option not in but]
        for known in sorted(texts, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", " ", text, flags=re.IGNORECASE)
        return text


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _without_case(text: str) -> str:
    return _in_one_line(text).casefold()


def _bare(text: str) -> str:
    return _without_case(text).strip(_AROUND)


def _without_article(text: str) -> str:
    return _ARTICLE.sub("", _bare(text), count=1)


_FORMS = (_in_one_line, _without_case, _bare, _without_article)


def _index(letter: str) -> int:
    return LETTERS.index(letter.upper())


# The readings


def _json_answers(cleaned: str) -> list[str] | None:
    """Return the values that mean the answer if the whole text is a JSON object or list; else None."""
    if cleaned[0] not in "{[" or cleaned[-1] not in "}]":
        return None
    try:
        value = json.loads(cleaned)
        return list(_answers_within(value, is_answer=isinstance(value, list)))
    except (ValueError, RecursionError):
        return None


def _answers_within(value: Any, *, is_answer: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _answers_within(inner, is_answer=bool(patterns.ANSWER_KEY.search(str(key))))
    elif isinstance(value, list):
        for inner in value:
            yield from _answers_within(inner, is_answer=is_answer)
    elif is_answer and value is not None:
        yield str(value)


def _lone_letter(text: str, options: _Options) -> set[int]:
    match = patterns.LONE_LETTER.fullmatch(text)
    if not match:
        return set()
    option = _index(match["letter"])
    # With four options, "E" may still be the text of one of them.
    return {option} if option < len(options.texts) else options.equal_to(text) or {option}


def _option_text(text: str, options: _Options) -> set[int]:
    """Read an option's text alone, or a letter with an option's text; if the two disagree, both are named."""
    found = options.equal_to(text)
    for pattern in (patterns.LETTER_THEN_TEXT, patterns.TEXT_THEN_LETTER):
        if (match := pattern.fullmatch(text)) and (named := options.equal_to(match["text"])):
            option = _index(match["letter"])
            if option in named:
                found |= {option}
            elif not (match["separator"] == " " and _is_word(text, match)):
                found |= {option, *named}
    return found


def _in_answer_position(text: str, options: _Options) -> set[int]:
    """Read the places where an answer is declared or enclosed, the beginning, and the last line."""
    found: set[int] = set()
    for match in patterns.DECLARED.finditer(text):
        if not _is_rejected_before(text, match.start()):
            found |= _named_at(text, match.end(), options)
    for match in patterns.ENCLOSED.finditer(text):
        content = _clean(match[1] or match[2] or "")
        found |= _lone_letter(content, options) or _option_text(content, options)
    lines = text.split("\n")
    beginning = patterns.BEGINNING.match(lines[0])
    if beginning and not _repeats_options(lines):
        found |= _named_at(text, beginning.start("letter"), options)
    if len(lines) > 1:
        found |= _lone_letter(lines[-1], options)
    return found


def _repeats_options(lines: Sequence[str]) -> bool:
    """Check if several lines begin with a letter and continue, like the options of a question."""
    begun = (patterns.BEGINNING.match(line) for line in lines if not patterns.LONE_LETTER.fullmatch(line))
    return len({match["letter"].upper() for match in begun if match}) > 1


def _named_at(text: str, place: int, options: _Options) -> set[int]:
    """Read the letters, or the option's text, at a place."""
    line = text[place : place + options.longest + _ROOM].lstrip().partition("\n")[0]
    sentence = patterns.SENTENCE_END.split(line, maxsplit=1)[0]
    for piece in (line, sentence):
        if lone := _lone_letter(piece, options):
            if lone == options.equal_to(piece):
                return lone
            break
        if found := _option_text(piece, options):
            return found
    found = _letters_at(text, place)
    others = patterns.ALTERNATIVE.finditer(sentence) if found else ()
    return found | {_index(match["letter"]) for match in others if not _is_word(sentence, match)}


def _letters_at(text: str, place: int) -> set[int]:
    """Read the letters of an enumeration: `A`, `A or B`, `(A), (C)`."""
    found: set[int] = set()
    pattern = patterns.FIRST_LETTER
    while len(found) < 2 and (match := pattern.match(text, place)) and not _is_word(text, match):
        if not patterns.REJECTED_AFTER.match(text, match.end("letter")):
            found.add(_index(match["letter"]))
        place, pattern = match.end(), patterns.NEXT_LETTER
    return found


def _in_passing(text: str, options: _Options) -> set[int]:
    """Read the options that are named within a sentence."""
    visible = options.hidden_in(text)
    found = {
        _index(match["letter"])
        for pattern in (patterns.NAMED_OPTION, patterns.BRACKETED, patterns.SAID)
        for match in pattern.finditer(visible)
        if not _is_word(visible, match)
        and not _is_rejected_before(visible, match.start())
        and not patterns.REJECTED_AFTER.match(visible, match.end("letter"))
    }
    # If the options are letters, "the letter B" may be a letter in the picture.
    found |= {other for option in found for other in options.equal_to(LETTERS[option])}
    return found | _text_at_beginning(text, options)


def _text_at_beginning(text: str, options: _Options) -> set[int]:
    """Read an option's text at the beginning of a sentence, if no other follows: `Yes, there is.`, `It is a cat.`."""
    shown = patterns.SHOWN.match(text)
    start = shown.end() if shown else 0
    sentence = patterns.SENTENCE_END.split(text[start:].partition("\n")[0], maxsplit=1)[0]
    for piece in (sentence, sentence.partition(",")[0]):
        if found := options.equal_to(piece):
            rest = text[start + len(piece) :]
            return found if options.hidden_in(rest, but=found) == rest else set()
    return set()


def _is_rejected_before(text: str, place: int) -> bool:
    return bool(patterns.REJECTED_BEFORE.search(text[max(0, place - 40) : place]))


def _is_word(text: str, match: re.Match[str]) -> bool:
    """Check if a letter is a word: the article A, the pronoun I, or any small letter within a sentence."""
    letter, end = match["letter"], match.end("letter")
    if letter.islower():
        return not patterns.AFTER_SMALL_LETTER.match(text, end)
    return letter in "AEIOUY" and bool(patterns.NEXT_WORD.match(text, end) and not patterns.CONNECTIVE.match(text, end))
