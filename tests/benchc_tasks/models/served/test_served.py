import json
import math
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from openai_server import HANG, MODEL, Asked, OpenAIServer, Reply, answer, completion, distribution, refusal
from PIL import Image
from served_support import LETTERS, question, score

from benchc_metrics.responses import OptionResponse
from benchc_tasks.models.costs import Limits, Prices, StoppedError
from benchc_tasks.models.pipeline import score_ahead, within_limits
from benchc_tasks.models.questions import EngineError, Question, ScoringError
from benchc_tasks.models.served.backend import load_served_backend
from benchc_tasks.models.served.reading import Reading
from benchc_tasks.models.served.scoring import ServedChoiceScorer, load_served_scorer
from benchc_tasks.stacks.inquiries import Inquiry
from benchc_tasks.stacks.lmms_eval.backends import SERVED_BACKENDS
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import logged

KEY = "sk-test-0123456789abcdefghij"
SLOW = Reply(delay=HANG)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def expected(asked: Asked) -> list[float]:
    """What the letters' probabilities should be: of A and B there are two tokens."""
    shown = distribution(asked.picture, asked.text)
    sums = {"A": ("A", "\nA"), "B": ("B", " B"), "C": ("C",), "D": ("D",)}
    return [math.log(sum(math.exp(shown[token]) for token in tokens)) for tokens in sums.values()]


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """Give the questions these replies, one each, and then answers."""
    left = list(replies)
    return lambda asked: left.pop(0) if asked.is_question and left else answer(asked)


# What is asked and what is read


@pytest.mark.parametrize("backend", SERVED_BACKENDS)
def test_options_are_scored_by_the_text_of_tokens(
    backend: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of(backend)
    asked_before = len(server.questions)
    (scores,) = score(scorer, question())
    (asked,) = server.questions[asked_before:]
    assert [entry.value for entry in scores] == pytest.approx(expected(asked))
    assert [entry.missing_mass for entry in scores] == pytest.approx([0.01] * 4)
    best = max(range(4), key=expected(asked).__getitem__)
    others = [value for token, value in distribution(asked.picture, asked.text).items() if token.strip() not in LETTERS]
    assert [entry.is_greedy for entry in scores] == [
        number == best and expected(asked)[best] > max(others) for number in range(4)
    ]


def test_a_question_is_one_token_with_the_image_first(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of()
    asked_before = len(server.questions)
    two = question()
    other = question(1).images[0].convert("L")
    score(scorer, Question("it", "What?", LETTERS, (*two.images, other)))
    (asked,) = server.questions[asked_before:]
    (message,) = asked.body["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "image_url", "text"]
    assert (message["role"], message["content"][-1]["text"]) == ("user", "What?")
    assert np.array_equal(asked.pixels, np.asarray(two.images[0]))
    assert {name: value for name, value in asked.body.items() if name != "messages"} == {
        "model": MODEL,
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 100,
    }
    assert asked.path == "/v1/chat/completions"


def test_system_prompt_and_template_settings_are_sent(server: OpenAIServer) -> None:
    arguments = {"model": MODEL, "base_url": server.url}
    load_served_scorer("openai", arguments, system_prompt="Be brief.", template_settings={"enable_thinking": False})
    body = server.questions[-1].body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(("given", "sent"), [("False", False), (True, True)])
def test_lmms_eval_s_own_word_for_thinking_is_sent(given: object, sent: bool, server: OpenAIServer) -> None:
    load_served_scorer("openai", {"model": MODEL, "base_url": server.url, "enable_thinking_kwarg": given})
    assert server.questions[-1].body["chat_template_kwargs"] == {"enable_thinking": sent}


def test_the_model_builds_it_from_its_arguments(server: OpenAIServer) -> None:
    model = BenchCModel(
        backend="openai", pretrained=MODEL, base_url=server.url, system_prompt="Be brief.", enable_thinking=True
    )
    assert isinstance(model._scorer, ServedChoiceScorer)
    body = server.questions[-1].body
    assert body["model"] == MODEL
    assert body["messages"][0]["content"] == "Be brief."
    assert body["chat_template_kwargs"] == {"enable_thinking": True}
    with pytest.raises(ValueError, match=r"^dtype has no meaning for backend 'openai': the server decides it$"):
        BenchCModel(backend="openai", model=MODEL, base_url=server.url, dtype="float32")


def test_answers_come_in_order_and_so_many_at_once(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    """Of six questions that are there at once, the last one is answered first."""
    scorer = scorer_of(num_concurrent=6)
    first = len(server.questions)
    server.most_at_once = 0
    answered = [threading.Event() for _ in range(30)]
    in_this_order: list[int] = []

    def backwards(asked: Asked) -> Reply:
        number = int(asked.text.split("(")[1][:-1])
        if number % 6 != 5:
            answered[number + 1].wait(HANG)
        in_this_order.append(number)
        answered[number].set()
        return answer(asked)

    server.behave = backwards
    questions = [question(number) for number in range(30)]
    batches = [scorer.prepare(questions[start : start + 3]) for start in range(0, 30, 3)]
    outcomes = [outcome for batch in batches for outcome in scorer.score(batch)]
    by_text = {asked.text: expected(asked) for asked in server.questions[first:]}
    for asked, outcome in zip(questions, outcomes, strict=True):
        assert [entry.value for entry in outcome] == pytest.approx(by_text[asked.context])
    assert [number for number in in_this_order if number < 6] == [5, 4, 3, 2, 1, 0]
    assert server.most_at_once == 6
    assert scorer.batch_size == 3


def test_a_budget_holds_with_a_server_that_counts_tokens(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    """At 2 for a million tokens that are read and 500 for one that is written, a question costs 0.0025."""
    scorer = scorer_of(num_concurrent=4)
    asked_before = len(server.questions)

    def counting(asked: Asked) -> Reply:
        reply = answer(asked)
        reply.body["usage"] = {"prompt_tokens": 1000, "completion_tokens": 1}
        return reply

    server.behave = counting
    prices = Prices(2.0, 500.0)
    inquiries = [Inquiry(f"{number}", f"{number}", "What?", None, lambda: None) for number in range(60)]
    for inquiry in inquiries:
        inquiry.add(0, "A")
        inquiry.doc_to_visual = lambda doc: list(question().images)
    with pytest.raises(StoppedError, match=r"stopped by budget=0\.1 after 39 forward passes and about 0\.10 spent"):
        for _ in within_limits(
            Limits(budget=0.1, prices=prices),
            inquiries,
            scorer,
            lambda some: score_ahead(some, scorer, threads=2, look_ahead=3),
        ):
            pass
    assert (len(server.questions) - asked_before, scorer.usage.read) == (39, 39_000)
    assert prices.spent(scorer.usage) <= 0.1


def test_images_are_let_go(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    """No more pictures are alive than may wait rendered, in a batch that waits and in one that is scored."""
    scorer = scorer_of(num_concurrent=4)
    alive: set[int] = set()
    most = 0

    def render(doc: int) -> list[Image.Image]:
        nonlocal most
        image = question(doc).images[0]
        alive.add(doc)
        weakref.finalize(image, alive.discard, doc)
        most = max(most, len(alive))
        return [image]

    inquiries = [
        Inquiry(str(doc), str(doc), "What?", render, lambda doc=doc: doc, {"A": 0, "B": 1}, []) for doc in range(60)
    ]
    for _ in score_ahead(inquiries, scorer, threads=2, look_ahead=2):
        pass
    assert 2 <= most <= 2 * scorer.batch_size * (2 + 1)
    assert not alive


@pytest.mark.parametrize(
    ("entry", "option"),
    [
        ({"token": "\\xc3\\xa9", "bytes": [0xC3, 0xA9]}, "é"),
        ({"token": " A", "bytes": None}, "A"),
        ({"token": "A"}, "A"),
        ({"token": "A", "bytes": [0xFF, 0xFE]}, "A"),
    ],
)
def test_a_token_s_text_is_that_of_its_bytes(
    entry: dict[str, Any], option: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of()
    server.behave = in_turn(completion([{"token": "?", "logprob": -0.1}, {**entry, "logprob": -3.0}]))
    assert score(scorer, question(options=(option, "?"))) == [
        [
            OptionResponse(-3.0, False, pytest.approx(0.0454, abs=1e-4)),
            OptionResponse(-0.1, True, pytest.approx(0.0454, abs=1e-4)),
        ]
    ]


def test_case_counts(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    scorer = scorer_of()
    server.behave = in_turn(completion([{"token": "a", "logprob": -0.1}, {"token": "B", "logprob": -3.0}]))
    (outcome,) = score(scorer, question(options=("A", "B")))
    assert str(outcome).startswith("sample '0' under clean: the options 'A' are not among the 2 tokens")


def test_the_generated_token_counts_where_it_is_not_among_the_top(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of()
    reply = completion([{"token": "A", "logprob": -0.5}])
    reply.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = [{"token": "B", "logprob": -1.5}]
    server.behave = in_turn(reply)
    (scores,) = score(scorer, question(options=("A", "B")))
    assert [(entry.value, entry.is_greedy) for entry in scores] == [(-0.5, True), (-1.5, False)]


@pytest.mark.parametrize("options", [("A", " A"), ("A", " ")])
def test_options_that_text_does_not_tell_apart_are_refused(
    options: tuple[str, ...], scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    (outcome,) = score(scorer_of(), question(options=options))
    assert isinstance(outcome, ScoringError)
    assert "are not told apart by text" in str(outcome)


# Ids


def knows_ids(asked: Asked, *, exact: bool) -> Reply:
    """Answer as vLLM's server, or as one of the time before it could be asked for tokens by their ids.

    The chat template writes a space before an answer: the token of an option is that of its text behind a space.
    """
    if asked.path == "/tokenize":
        if "prompt" in asked.body:
            return Reply(body={"tokens": [100 + ord(letter) for letter in asked.body["prompt"]]})
        said = asked.body["messages"][-1]
        begun = [1, 2, 3]
        return Reply(
            body={"tokens": [*begun, *(ord(letter) for letter in said["content"])]}
            if said["role"] == "assistant"
            else {"tokens": begun}
        )
    if not asked.is_question or not asked.body.get("return_tokens_as_token_ids"):
        return answer(asked)
    values = distribution(asked.picture, asked.text)
    names = {ord(token): values[token] for token in ("A", "B", "C", "D")} | {
        1000 + number: values[token] for number, token in enumerate(values) if len(token) > 1
    }
    ranked = sorted(names.items(), key=lambda entry: -entry[1])
    wanted = asked.body.get("logprob_token_ids") if exact else None
    if wanted is not None:
        ranked = [ranked[0], *((token, names[token]) for token in wanted if token != ranked[0][0])]
    shown = [{"token": f"token_id:{token}", "logprob": value} for token, value in ranked]
    return completion(shown if wanted is not None else shown[: asked.body.get("top_logprobs", 0)])


@pytest.mark.parametrize("exact", [True, False])
def test_ids_are_used_where_the_server_knows_them(
    exact: bool, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    server.behave = lambda asked: knows_ids(asked, exact=exact)
    scorer = scorer_of()
    assert scorer._reading == Reading(by_id=True, top=None if exact else 100)
    (scores,) = score(scorer, question())
    asked = server.questions[-1]
    values = distribution(asked.picture, asked.text)
    assert [entry.value for entry in scores] == pytest.approx([values[letter] for letter in LETTERS])
    assert asked.body.get("logprob_token_ids") == ([65, 66, 67, 68] if exact else None)
    assert ("top_logprobs" in asked.body) is not exact
    assert all((entry.missing_mass is None) is exact for entry in scores)
    (outcome,) = score(scorer, question(options=("A", "AB")))
    assert str(outcome).startswith("sample '0' under clean: the option 'AB' has 2 tokens")


def test_an_option_s_ids_are_asked_for_once(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    server.behave = lambda asked: knows_ids(asked, exact=True)
    scorer = scorer_of()
    score(scorer, *(question(number) for number in range(8)))
    assert sum(asked.path == "/tokenize" for asked in server.asked) == 1 + len(LETTERS)


@pytest.mark.parametrize(
    "fault",
    [
        Reply(body={"tokens": "many"}),
        Reply(200, b"<html>"),
        refusal(401, "no"),
        Reply(drops=True),
        Reply(body={"tokens": []}),
    ],
)
def test_text_is_used_where_the_tokenizer_fails(
    fault: Reply, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    server.behave = lambda asked: fault if asked.path == "/tokenize" else knows_ids(asked, exact=True)
    assert scorer_of()._reading == Reading(by_id=False, top=100)


def test_text_is_used_where_ids_are_refused(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    def strict(asked: Asked) -> Reply:
        unknown = asked.is_question and "return_tokens_as_token_ids" in asked.body
        return refusal(400, "Unrecognized request argument") if unknown else knows_ids(asked, exact=True)

    server.behave = strict
    assert scorer_of()._reading == Reading(by_id=False, top=100)


# What is found out before the first question


@pytest.mark.parametrize(("most", "found"), [(100, 100), (99, 20), (20, 20), (19, 10), (5, 5)])
def test_a_limit_of_top_logprobs_is_kept(
    most: int, found: int, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    def limited(asked: Asked) -> Reply:
        if asked.is_question and asked.body["top_logprobs"] > most:
            return refusal(400, f"Invalid value for 'top_logprobs': must be at most {most}.")
        return answer(asked)

    server.behave = limited
    assert scorer_of()._reading == Reading(top=found)


def test_a_limit_that_nobody_speaks_of_hides_options(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    server.behave = lambda asked: answer(asked, most=2)
    scorer = scorer_of()
    (outcome,) = score(scorer, question())
    assert isinstance(outcome, ScoringError)
    assert "tokens that the engine shows" in str(outcome)


def test_the_other_name_of_the_length_is_used(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    def modern(asked: Asked) -> Reply:
        if asked.is_question and "max_tokens" in asked.body:
            return refusal(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return answer(asked)

    server.behave = modern
    score(scorer_of(), question())
    assert server.questions[-1].body["max_completion_tokens"] == 1


REFUSALS = {
    "wrong key": (
        refusal(401, "Incorrect API key"),
        "refuses the key (401: Incorrect API key): set OPENAI_API_KEY to one that it takes",
    ),
    "forbidden": (
        refusal(403, "Not for you"),
        "refuses the key (403: Not for you): set OPENAI_API_KEY to one that it takes",
    ),
    "unknown model": (
        refusal(404, "The model `tiny-vlm` does not exist."),
        "lists model 'tiny-vlm', and what stands behind it has no such model (404: The model `tiny-vlm` does not "
        "exist.): correct the configuration of that server, or give model= one of other",
    ),
    "unknown model, 400": (
        refusal(400, "Invalid model name passed in model=tiny-vlm"),
        "lists model 'tiny-vlm', and what stands behind it has no such model (400: Invalid model name passed in "
        "model=tiny-vlm): correct the configuration of that server, or give model= one of other",
    ),
    "text only, vLLM": (
        refusal(400, "tiny-vlm is not a multimodal model"),
        "takes no images (400: tiny-vlm is not a multimodal model): serve one that does",
    ),
    "text only, llama.cpp": (
        refusal(500, "image input is not supported - hint: provide the mmproj"),
        "takes no images (500: image input is not supported - hint: provide the mmproj): serve one that does",
    ),
    "text only, router": (refusal(404, "No endpoints found that support image input"), "takes no images"),
    "no log-probabilities": (
        completion(None),
        "gives no log-probabilities (it shows 0 tokens): run the benchc-gen tasks",
    ),
    "empty log-probabilities": (
        completion([]),
        "gives no log-probabilities (it shows 0 tokens): run the benchc-gen tasks",
    ),
    "one log-probability": (
        completion([{"token": "A", "logprob": -0.1}]),
        "gives no log-probabilities (it shows 1 tokens): run the benchc-gen tasks",
    ),
    "log-probabilities refused": (
        refusal(403, "You are not allowed to request logprobs from this model"),
        "gives no log-probabilities (403: You are not allowed to request logprobs from this model): run the benchc-gen",
    ),
    "log-probabilities unknown": (
        refusal(400, "'logprobs' is not supported with this model"),
        "gives no log-probabilities (400: 'logprobs' is not supported with this model): run the benchc-gen tasks",
    ),
    "spent": (
        refusal(429, "You exceeded your quota", code="insufficient_quota"),
        "gives no answers on this account (429: You exceeded your quota): pay",
    ),
    "payment": (
        refusal(402, "Insufficient credits"),
        "gives no answers on this account (402: Insufficient credits): pay",
    ),
    "no JSON": (
        Reply(200, b"<html>Welcome</html>"),
        "did not answer as asked (the answer '<html>Welcome</html>' is no Completion: Invalid JSON: expected value at",
    ),
    "no completion": (Reply(body={"choices": []}), "is no Completion"),
    "cut JSON": (Reply(200, b'{"choices": [{"logprobs": {"con'), "is no Completion"),
    "odd": (refusal(418, "I am a\nteapot"), "refuses a tiny question (418: I am a teapot): look at its log"),
    "not an image's fault": (
        refusal(422, "not enough provisioned throughput"),
        "refuses a tiny question (422: not enough provisioned throughput)",
    ),
    "too long to wait": (
        Reply(429, {"error": "later"}, {"Retry-After": "3600"}),
        "refuses a tiny question (429: later)",
    ),
}
"""What a server says to a question, and what is said about it."""


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_heal_ends_it_at_once_in_one_sentence(
    name: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    reply, sentence = REFUSALS[name]
    server.behave = lambda asked: reply if asked.is_question else answer(asked)
    with pytest.raises(EngineError) as caught:
        scorer_of()
    message = str(caught.value)
    assert sentence in message
    assert f"at {server.url}" in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert len(server.questions) <= (4 if "log-probabilities unknown" in name else 1)


def test_a_model_s_name_is_no_word_about_images(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    missing = refusal(404, "The model `image-vision-vlm` does not exist.")
    server.behave = lambda asked: missing if asked.is_question else answer(asked)
    with pytest.raises(
        EngineError, match=r"has no model 'image-vision-vlm' \(404: .*\): give model= one of tiny-vlm, other$"
    ):
        scorer_of(model="image-vision-vlm")


def test_a_server_that_wants_a_key_says_so(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    server.behave = lambda asked: refusal(401, "No key") if asked.is_question else answer(asked)
    with pytest.raises(EngineError, match=r"wants a key \(401: No key\): set OPENAI_API_KEY$"):
        scorer_of()
    assert server.questions[0].headers["Authorization"] == "Bearer no-key"


def test_an_address_without_chats(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    server.behave = lambda asked: Reply(404, {"detail": "Not Found"})
    with pytest.raises(
        EngineError, match=r"answers chats \(404: Not Found\): correct base_url, which mostly ends in /v1$"
    ):
        scorer_of(base_url=server.url.removesuffix("/v1"))


def test_a_model_that_does_not_see_is_refused(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    """Else all corruptions would have the same answers, and nobody would know."""

    def blind(asked: Asked) -> Reply:
        for message in asked.body.get("messages", []):
            message["content"] = [part for part in message["content"] if part["type"] == "text"]
        return answer(asked)

    server.behave = blind
    with pytest.raises(
        EngineError, match=r"answers the same whatever the picture shows: serve a model that takes images, with its"
    ):
        scorer_of()


def test_nobody_at_the_address() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        start = time.monotonic()
        with pytest.raises(EngineError) as caught:
            load_served_scorer("openai", {"model": MODEL, "base_url": url, "retry_backoff_s": 30})
    assert str(caught.value).startswith(f"no server answers at {url} (")
    assert str(caught.value).endswith("refused): start it, or correct base_url")
    assert time.monotonic() - start < 14


def test_a_server_that_hangs_is_given_up_after_all_attempts(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    server.behave = lambda asked: SLOW
    with pytest.raises(
        EngineError, match=r"did not answer as asked \(no answer within 0\.1 s\): raise timeout, or look"
    ):
        scorer_of(timeout=0.1, max_retries=2)
    assert len(server.questions) == 2


# What goes wrong on the way

HEALING = {
    "408": refusal(408, "slow"),
    "409": refusal(409, "conflict"),
    "429": refusal(429, "too many"),
    "500": refusal(500, "oops"),
    "502": Reply(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}),
    "503": refusal(503, "overloaded"),
    "hang": SLOW,
    "drop": Reply(drops=True),
    "truncated": Reply(body={"choices": [1] * 100}, cut=100),
}


@pytest.mark.parametrize("name", HEALING)
def test_what_may_heal_is_tried_again(
    name: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of(timeout=0.6 if name == "hang" else 30)
    before = len(server.questions)
    server.behave = in_turn(HEALING[name], HEALING[name])
    (scores,) = score(scorer, question())
    asked = server.questions[before:]
    assert len(asked) == 3
    assert [entry.value for entry in scores] == pytest.approx(expected(asked[-1]))


@pytest.mark.parametrize("name", HEALING)
def test_what_does_not_heal_is_one_invalid_question(
    name: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    """The second of three questions; the others are answered."""
    scorer = scorer_of(timeout=0.6 if name == "hang" else 30)
    before = len(server.questions)
    server.behave = lambda asked: HEALING[name] if asked.is_question and "(1)" in asked.text else answer(asked)
    first, second, third = score(scorer, question(0), question(1), question(2))
    assert len(first) == len(third) == 4
    assert isinstance(second, ScoringError)
    assert str(second).startswith(f"sample '1' under clean: the server at {server.url} gave no answer (")
    assert "\n" not in str(second)
    assert len(server.questions) - before == 3 + 2


FINAL = {
    "too long": (refusal(400, "maximum context length is 512 tokens"), "400: maximum context length is 512 tokens"),
    "too large": (refusal(413, "image too large"), "413: image too large"),
    "unprocessable": (Reply(422, {"detail": [{"msg": "bad"}]}), "422: [{'msg': 'bad'}]"),
    "moderated": (refusal(403, "flagged"), "403: flagged"),
    "no JSON": (Reply(200, b"\xff\x00 not JSON"), "is no Completion"),
    "no log-probabilities": (completion(None), "the engine shows no log-probabilities"),
    "hidden options": (
        completion([{"token": "A", "logprob": -0.1}, {"token": "?", "logprob": -3.0}]),
        "the options 'B', 'C', 'D' are not among the 2 tokens that the engine shows",
    ),
    "nan": (
        Reply(
            200, json.dumps(completion([{"token": letter, "logprob": math.nan} for letter in LETTERS]).body).encode()
        ),
        "nan",
    ),
    "null": (completion([{"token": letter, "logprob": None} for letter in LETTERS]), "is no Completion"),
    "above zero": (completion([{"token": letter, "logprob": 0.5} for letter in LETTERS]), "log-probability 0.5"),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_repeating_does_not_help_is_asked_once(
    name: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of()
    before = len(server.questions)
    reply, sentence = FINAL[name]
    server.behave = lambda asked: reply if asked.is_question and "(1)" in asked.text else answer(asked)
    first, second, third = score(scorer, question(0), question(1), question(2))
    assert len(first) == len(third) == 4
    assert isinstance(second, ScoringError)
    assert str(second).startswith("sample '1' under clean: ")
    assert sentence in str(second)
    assert len(server.questions) - before == 3


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_retry_after_is_waited_for(
    how: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of()
    soon = time.time() + 2
    value = "0.4" if how == "seconds" else time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(soon))
    server.behave = in_turn(Reply(429, {"error": "slow down"}, {"Retry-After": value}))
    start = time.monotonic()
    score(scorer, question())
    if how == "seconds":
        assert 0.4 <= time.monotonic() - start < 10
    else:  # a date has no fractions of a second
        assert math.floor(soon) <= time.time()


def test_pauses_double_and_are_the_same_every_time(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    scorer = scorer_of(max_retries=9, retry_backoff_s=1.0)
    monkeypatch.setattr(
        "benchc_tasks.models.served.requests.sleep_using_event", lambda event: lambda seconds: pauses.append(seconds)
    )
    server.behave = lambda asked: refusal(503, "overloaded")
    score(scorer, question(0))
    server.behave = answer
    score(scorer, question(1))  # else the server would count as gone
    server.behave = lambda asked: refusal(503, "overloaded")
    score(scorer, question(0))
    once, again = pauses[:8], pauses[8:]
    assert once == again
    for number, pause in enumerate(once):
        assert 0.5 <= pause / min(60.0, 2.0**number) <= 1.5
    assert len({round(pause / min(60.0, 2.0**number), 6) for number, pause in enumerate(once)}) == 8


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (refusal(401, "expired"), "wants a key (401: expired)"),
        (refusal(404, "The model `tiny-vlm` does not exist."), "what stands behind it has no such model"),
        (refusal(429, "empty", code="insufficient_quota"), "gives no answers on this account"),
    ],
)
def test_a_server_that_is_gone_for_good_ends_the_run(
    reply: Reply, sentence: str, server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]
) -> None:
    scorer = scorer_of(num_concurrent=2)
    before = len(server.questions)
    server.behave = lambda asked: reply if asked.is_question else answer(asked)
    first = scorer.prepare([question(number) for number in range(50)])
    with pytest.raises(EngineError) as caught:
        scorer.score(first)
    assert sentence in str(caught.value)
    for future in first:
        future.exception()
    assert len(server.questions) - before < 50


def test_an_interruption_ends_the_waiting(server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    scorer = scorer_of(num_concurrent=2, retry_backoff_s=60)

    class Interrupted:
        def result(self) -> None:
            raise KeyboardInterrupt

    server.behave = lambda asked: refusal(503, "overloaded") if asked.is_question else answer(asked)
    asked = scorer.prepare([question(number) for number in range(5)])
    with pytest.raises(KeyboardInterrupt):
        scorer.score([Interrupted()])  # type: ignore[list-item]
    start = time.monotonic()
    assert all("overloaded" in str(future.result()) or "given up" in str(future.result()) for future in asked)
    assert time.monotonic() - start < 14


def test_what_cannot_be_sent_is_one_invalid_question(scorer_of: Callable[..., ServedChoiceScorer]) -> None:
    bad = Question("sample 'x' under clean", "half a pair: \ud800", LETTERS, ())
    broken = Question("sample 'y' under clean", "What?", LETTERS, (object(),))  # type: ignore[arg-type]
    outcomes = score(scorer_of(), bad, broken, question())
    assert "UnicodeEncodeError" in str(outcomes[0])
    assert str(outcomes[1]).startswith("sample 'y' under clean: the image could not be written as PNG (")
    assert len(outcomes[2]) == 4


# Arguments

BAD_ARGUMENTS = {
    "no model": ({"model": None}, "backend 'openai' scores one model, and none is named: give model=NAME"),
    "two models": ({"pretrained": "b"}, "backend 'openai' scores one model, and model and pretrained are given"),
    "key": (
        {"api_key": KEY},
        "api_key must not stand in --model_args, which lmms-eval prints and stores: set OPENAI_API_KEY in the env",
    ),
    "other key": ({"openai_api_key": KEY}, "openai_api_key must not stand in --model_args"),
    "user": (
        {"base_url": f"http://user:{KEY}@127.0.0.1/v1"},
        "base_url must hold neither a user's name nor a password nor a query",
    ),
    "escaped user": ({"base_url": f"http://user%3A{KEY}%40127.0.0.1/v1"}, "base_url must hold neither"),
    "query": ({"base_url": f"http://127.0.0.1/v1?key={KEY}"}, "base_url must hold neither"),
    "no address": (
        {"base_url": "127.0.0.1:8000"},
        "base_url '127.0.0.1:8000' is not an address: give http://HOST:PORT/v1",
    ),
    "neither": (
        {"base_url": None},
        "has neither a key nor an address: set OPENAI_API_KEY for OpenAI's own server, or give base_url",
    ),
    "unknown": (
        {"tiemout": 3},
        "argument 'tiemout' is unknown to benchc and to the backend 'openai'; close to it: timeout",
    ),
    "timeout": ({"timeout": "soon"}, "timeout is 'soon': give a number above 0"),
    "no time": ({"timeout": 0}, "timeout is 0: give a number above 0"),
    "retries": ({"max_retries": 0}, "max_retries is 0: give a number of 1 or more"),
    "backoff": ({"retry_backoff_s": -1}, "retry_backoff_s is -1: give a number of 0 or more"),
    "concurrency": ({"num_concurrent": "many"}, "num_concurrent is 'many': give a number of 1 or more"),
    "port": ({"base_url": "http://127.0.0.1:x/v1"}, "could not be built with base_url, model"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_a_wrong_argument_is_refused_in_one_sentence(name: str) -> None:
    changed, sentence = BAD_ARGUMENTS[name]
    arguments = {"base_url": "http://127.0.0.1:9/v1", "model": MODEL, **changed}
    given = {key: value for key, value in arguments.items() if value is not None}
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        load_served_backend("openai", given)
    assert sentence in str(caught.value)
    assert caught.value.__cause__ is None
    assert KEY not in str(caught.value)


def test_a_key_in_an_address_of_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", f"http://user:{KEY}@127.0.0.1/v1")
    with pytest.raises(ValueError, match=r"^base_url must hold neither") as caught:
        load_served_backend("openai", {"model": MODEL})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("backend", "name"), [("openai", "num_concurrent"), ("async_openai", "num_cpus")])
def test_settings_are_those_of_the_backend(backend: str, name: str) -> None:
    arguments = {"model": MODEL, "base_url": "http://127.0.0.1:9/v1/"}
    default = load_served_backend(backend, arguments)
    assert (default.attempts, default.backoff, default.timeout, default.concurrency) == (5, 1.0, 120.0, 32)
    assert default.client.max_retries == 0
    given = load_served_backend(backend, {**arguments, "max_retries": 2, "retry_backoff_s": 0.5, "timeout": 7, name: 3})
    assert (given.attempts, given.backoff, given.timeout, given.concurrency) == (2, 0.5, 7.0, 3)
    assert given.client.timeout == 7.0


def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lmms-eval's asynchronous class makes one for what it generates."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load_served_backend("async_openai", {"model": MODEL, "base_url": "http://127.0.0.1:9/v1"})
    assert not list(tmp_path.iterdir())


def test_what_changes_nothing_is_said() -> None:
    with logged() as lines:
        arguments = {
            "model": MODEL,
            "base_url": "http://127.0.0.1:9/v1",
            "video_fps": 2,
            "mcp_server_path": "nowhere.py",
        }
        for backend, name in (("async_openai", "video_fps"), ("openai", "mcp_server_path")):
            some = {key: value for key, value in arguments.items() if key != name}
            load_served_backend(backend, some, {"video_fps", "mcp_server_path"})
    assert [line.strip() for line in lines] == [
        "backend 'async_openai': mcp_server_path changes nothing where options are scored",
        "backend 'openai': video_fps changes nothing where options are scored",
    ]


def test_azure(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_API_BASE", server.url.removesuffix("/v1"))
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2024-06-01")
    scorer = load_served_scorer("openai", {"model": MODEL, "azure_openai": True})
    assert len(score(scorer, question())[0]) == 4
    asked = server.questions[-1]
    assert asked.path == f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-06-01"
    assert KEY in asked.headers.values()


# Keys


@pytest.mark.parametrize(
    "echo",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Incorrect API key provided: {KEY[:12]}...",
        f"header Authorization: Bearer {KEY}",
        "header Authorization: Bearer another-token",
        "x" * 190 + KEY,
    ],
)
def test_a_key_that_the_server_says_is_taken_out(
    echo: str,
    server: OpenAIServer,
    scorer_of: Callable[..., ServedChoiceScorer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    scorer = scorer_of()
    assert server.questions[-1].headers["Authorization"] == f"Bearer {KEY}"
    for reply in (refusal(401, echo), refusal(400, echo), refusal(500, echo), Reply(200, echo.encode())):
        server.behave = lambda asked, reply=reply: reply if asked.is_question else answer(asked)
        with pytest.raises(EngineError) as caught:
            scorer_of(max_retries=1)
        said = [str(caught.value)]
        if reply.status != 401:
            said += map(str, score(scorer, question()))
        assert not any(KEY[:10] in text or "another-token" in text for text in said), said
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_key_among_the_names_of_models_is_taken_out(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def unknown(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply(body={"data": [{"id": MODEL, "root": KEY}, {"id": KEY}]})
        return refusal(404, "no such model") if asked.is_question and asked.body["model"] != MODEL else answer(asked)

    server.behave = unknown
    assert '"root": "***"' in scorer_of().fingerprint
    with pytest.raises(EngineError, match=rf"give model= one of {MODEL}, \*\*\*$"):
        scorer_of(model="other")


def test_an_illegal_key_is_not_shown(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection refuses such a header and quotes it."""
    for key in (f"{KEY}\nX: y", f"{KEY}é"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(EngineError) as caught:
            load_served_scorer("openai", {"model": MODEL, "base_url": server.url, "max_retries": 1})
        assert KEY not in str(caught.value)


# Fingerprint


def test_the_fingerprint_tells_what_answers_depend_on(
    server: OpenAIServer, scorer_of: Callable[..., ServedChoiceScorer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    first = scorer_of().fingerprint
    assert KEY not in first
    assert json.loads(first) == {
        "address": server.url,
        "name": MODEL,
        "reading": "the text of tokens among the 100 most probable",
        "server": {"id": MODEL, "model": MODEL, "root": "org/tiny-vlm"},
        "system_prompt": None,
        "template_settings": {},
        "libraries": f"pillow {PIL.__version__}",
    }

    def later(asked: Asked) -> Reply:
        """The same server at another time: what it counts for itself has changed."""
        reply = answer(asked)
        if asked.path.endswith("/models"):
            reply.body["data"][0]["created"] = 8
        if asked.is_question:
            reply.body["system_fingerprint"] = "fp_123"
        return reply

    server.behave = later
    assert scorer_of(num_concurrent=3, timeout=4).fingerprint == first

    def fingerprint(behave: Callable[[Asked], Reply] = answer, **settings: Any) -> str:
        server.behave = behave
        return load_served_scorer("openai", {"model": MODEL, "base_url": server.url}, **settings).fingerprint

    def moved(asked: Asked) -> Reply:
        reply = answer(asked)
        if asked.path.endswith("/models"):
            reply.body["data"][0]["root"] = "org/other-vlm"
        return reply

    def newer(asked: Asked) -> Reply:
        return Reply(body={"version": "0.33"}) if asked.path == "/version" else answer(asked)

    others = [
        fingerprint(system_prompt="Be brief."),
        fingerprint(template_settings={"enable_thinking": False}),
        fingerprint(moved),
        fingerprint(newer),
        fingerprint(lambda asked: knows_ids(asked, exact=True)),
        scorer_of(model="other").fingerprint,
    ]
    assert len({first, *others}) == 7
