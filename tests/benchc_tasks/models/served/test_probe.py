"""What is found out about a server before the first question, and watched from then on."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai_server import MODEL, TOKENS, Asked, OpenAIServer, Reply, answer, completion, distribution, refusal
from served_support import question, score

from benchc_tasks.models.questions import EngineError, ScoringError
from benchc_tasks.models.served import answers as answers_module
from benchc_tasks.models.served.scoring import ServedChoiceScorer, load_served_scorer
from support import logged

KEY = "sk-test-0123456789abcdefghij"
TESTS = Path(__file__).parents[3]
Scorers = Callable[..., ServedChoiceScorer]


def shown(values: Mapping[str, float], **more: Any) -> Reply:
    """A completion that shows these log-probabilities, the largest first."""
    ranked = sorted(values.items(), key=lambda entry: -entry[1])
    return completion(
        [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in ranked], **more
    )


def on_questions(reply: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    """Answer questions in this way, and everything else as a server that knows nothing but the API."""
    return lambda asked: reply(asked) if asked.is_question else answer(asked)


# Servers that do not look


def size_of(asked: Asked) -> str:
    return str(asked.pixels.shape) if asked.picture else ""


def jitter(asked: Asked, scale: float) -> dict[str, float]:
    """The same distribution for every picture, moved a little by each."""
    draw = np.random.default_rng(list(hashlib.sha256(asked.picture.encode()).digest()))
    values = distribution("", asked.text)
    return {token: value + scale * float(draw.standard_normal()) for token, value in values.items()}


class FirstPicture:
    """A server that keeps what it made of the first picture, and shows that to the model from then on."""

    def __init__(self) -> None:
        self.first = ""

    def __call__(self, asked: Asked) -> Reply:
        self.first = self.first or asked.picture
        return shown(distribution(self.first if asked.picture else "", asked.text))


class Noise:
    """A server that answers a little differently each time, whatever it is shown."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(3)

    def __call__(self, asked: Asked) -> Reply:
        values = distribution("", asked.text)
        return shown({token: value - 0.2 + 0.05 * self.draw.standard_normal() for token, value in values.items()})


BLIND: dict[str, Callable[[], Callable[[Asked], Reply]]] = {
    "pictures stripped": lambda: lambda asked: shown(distribution("", asked.text)),
    "jitter": lambda: lambda asked: shown(jitter(asked, 1e-6)),
    "jitter, 5e-3 nats": lambda: lambda asked: shown(jitter(asked, 5e-3)),
    "noise that is new each time": Noise,
    "the size alone": lambda: lambda asked: shown(distribution(size_of(asked), asked.text)),
    "the length alone": lambda: lambda asked: shown(distribution(str(len(asked.picture)), asked.text)),
    "the presence alone": lambda: lambda asked: shown(distribution(str(bool(asked.picture)), asked.text)),
    "the first picture alone": FirstPicture,
}


@pytest.mark.parametrize("name", BLIND)
def test_a_server_to_which_pictures_make_no_difference_is_refused(
    name: str, server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = on_questions(BLIND[name]())
    with pytest.raises(
        EngineError, match=r"answers the same whatever the picture shows.*: serve a model that"
    ) as caught:
        scorer_of()
    assert f"model '{MODEL}' at {server.url}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("with_picture", "without"), [(30, 30), (79, 30)])
def test_the_tokens_of_a_picture_are_named(
    with_picture: int, without: int, server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = on_questions(
        lambda asked: shown(
            distribution("", asked.text), usage={"prompt_tokens": with_picture if asked.picture else without}
        )
    )
    with pytest.raises(
        EngineError,
        match=rf"\(its prompt has {with_picture} tokens with a picture and {without} without\): serve a model",
    ):
        scorer_of()


def test_a_server_that_counts_no_tokens_of_pictures_and_looks_at_them_is_taken(
    server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = on_questions(
        lambda asked: shown(distribution(asked.picture, asked.text), usage={"prompt_tokens": 30})
    )
    assert len(score(scorer_of(), question())[0]) == 4


def test_a_model_that_is_sure_of_everything_but_looks_is_taken(server: OpenAIServer, scorer_of: Scorers) -> None:
    """One letter has 99.5 % whatever is shown; what is left moves with the picture."""

    def sure(asked: Asked) -> Reply:
        values = {token: math.log(0.005) + value for token, value in distribution(asked.picture, asked.text).items()}
        return shown(values | {"A": math.log(0.995)})

    server.behave = on_questions(sure)
    assert len(score(scorer_of(), question())[0]) == 4


# Numbers that are not log-probabilities of the model's own


def logits(asked: Asked) -> dict[str, float]:
    return {token: value + 9.0 for token, value in distribution(asked.picture, asked.text).items()}


def vllm_with(mode: str, *, penalty: float = 1.0) -> Callable[[Asked], Reply]:
    """Answer as vLLM with `--logprobs-mode`, with a repetition penalty of its model's generation_config.json."""

    def behave(asked: Asked) -> Reply:
        if asked.path.endswith("/models"):
            return Reply(body={"data": [{"id": MODEL, "owned_by": "vllm"}]})
        if not asked.is_question:
            return answer(asked)
        values = logits(asked)
        if mode.startswith("processed"):
            factor = asked.body.get("repetition_penalty", penalty)
            repeated = {token: value / factor if value > 0 else value * factor for token, value in values.items()}
            values |= {token: repeated[token] for token in ("A", "B", "The")}
            values = {token: value / (asked.body["temperature"] or 1) for token, value in values.items()}
        if mode.endswith("logprobs"):
            rest = math.log(sum(map(math.exp, values.values())) / 0.99)
            values = {token: value - rest for token, value in values.items()}
        return shown(values)

    return behave


def test_the_model_s_own_log_probabilities_are_taken_whatever_penalty_is_in_force(
    server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = vllm_with("raw_logprobs", penalty=1.05)
    assert len(score(scorer_of(), question())[0]) == 4


@pytest.mark.parametrize(
    ("mode", "penalty", "what"),
    [
        ("raw_logits", 1.0, "shows numbers that are not log-probabilities (the tiny question: the engine gives token "),
        ("processed_logits", 1.0, "shows numbers that are not log-probabilities (the tiny question: "),
        ("processed_logprobs", 1.0, "shows log-probabilities that settings of sampling have changed"),
        ("processed_logprobs", 1.3, "shows log-probabilities behind a repetition penalty or another default setting"),
    ],
)
def test_another_logprobs_mode_is_found_and_the_option_named(
    mode: str, penalty: float, what: str, server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = vllm_with(mode, penalty=penalty)
    with pytest.raises(EngineError) as caught:
        scorer_of()
    assert what in str(caught.value)
    assert "start vLLM with --logprobs-mode raw_logprobs, its default" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_engine_s_numbers_may_depend_on_settings_of_which_none_is_in_force(
    server: OpenAIServer, scorer_of: Scorers
) -> None:
    """SGLang's do; without its default penalty they are the model's own."""

    def sglang(asked: Asked) -> Reply:
        return answer(asked) if asked.path.endswith("/models") else vllm_with("processed_logprobs")(asked)

    server.behave = sglang
    assert len(score(scorer_of(), question())[0]) == 4


def test_a_server_that_refuses_settings_of_sampling_is_not_asked_with_them(
    server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = on_questions(
        lambda asked: (
            refusal(400, "Unrecognized request argument supplied: repetition_penalty")
            if "repetition_penalty" in asked.body
            else answer(asked)
        )
    )
    assert len(score(scorer_of(), question())[0]) == 4


LATER = {
    "sum above one": (
        {"A": -0.1, "B": -0.2, "C": -0.3, "D": -0.15},
        "of the 4 tokens that the engine shows sum to 3.3",
    ),
    "sum far below one": (
        {"A": -3.0, "B": -25.0, "C": -25.0, "D": -25.0},
        "sum to 0.0498, and less probable ones cannot make up for the rest",
    ),
    "positive": ({"A": 0.2, "B": -2.0, "C": -3.0, "D": -3.0}, "gives token 'A' the log-probability 0.2"),
    "text": ({"A": "-0.1", "B": -2.5, "C": -4.0, "D": -4.0}, "Input should be a valid number"),
    "truth": ({"A": -0.1, "B": False, "C": -4.0, "D": -4.0}, "Input should be a valid number"),
    "null": ({"A": -0.1, "B": None, "C": -4.0, "D": -4.0}, "Input should be a valid number"),
    "nan": ({"A": -0.1, "B": math.nan, "C": -4.0, "D": -4.0}, "gives token 'B' the log-probability nan"),
    "a list": ({"A": -0.1, "B": [-2.5], "C": -4.0, "D": -4.0}, "Input should be a valid number"),
}


@pytest.mark.parametrize("name", LATER)
def test_numbers_that_are_not_probabilities_are_one_invalid_question_with_its_reason(
    name: str, server: OpenAIServer, scorer_of: Scorers
) -> None:
    scorer = scorer_of()
    values, reason = LATER[name]
    bad = completion([{"token": token, "logprob": value} for token, value in values.items()])
    server.behave = on_questions(lambda asked: bad if "(1)" in asked.text else answer(asked))
    first, second, third = score(scorer, question(0), question(1), question(2))
    assert len(first) == len(third) == 4
    assert isinstance(second, ScoringError)
    assert str(second).startswith("sample '1' under clean: ")
    assert reason in str(second)


@pytest.mark.parametrize("again", [-0.5, -4.0])
def test_a_token_that_is_shown_twice_is_one_invalid_question(
    again: float, server: OpenAIServer, scorer_of: Scorers
) -> None:
    scorer = scorer_of()
    entries = [("A", -0.5), ("B", -2.0), ("C", -3.0), ("D", -3.0), ("A", again)]
    server.behave = on_questions(
        lambda asked: completion([{"token": token, "logprob": value} for token, value in entries])
    )
    (outcome,) = score(scorer, question())
    assert str(outcome) == "sample '0' under clean: the engine shows token 'A' 2 times"


def test_tokens_with_one_text_and_pieces_of_characters_are_not_the_same_token(
    server: OpenAIServer, scorer_of: Scorers
) -> None:
    scorer = scorer_of()
    entries = [("A", -0.7), (" A", -2.0), ("B", -3.0), ("C", -4.0), ("D", -4.0), ("\ufffd", -5.0), ("\ufffd", -6.0)]
    server.behave = on_questions(
        lambda asked: completion([{"token": token, "logprob": value} for token, value in entries])
    )
    (outcome,) = score(scorer, question())
    assert math.exp(outcome[0].value) == pytest.approx(math.exp(-0.7) + math.exp(-2.0))


def test_a_token_with_two_log_probabilities_is_one_invalid_question(server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of()
    reply = completion(
        [{"token": token, "logprob": value} for token, value in zip("ABCD", (-1.0, -2.0, -3.0, -3.0), strict=True)]
    )
    reply.body["choices"][0]["logprobs"]["content"][0]["logprob"] = -0.2
    server.behave = on_questions(lambda asked: reply)
    (outcome,) = score(scorer, question())
    assert str(outcome) == "sample '0' under clean: the engine gives token 'A' the log-probabilities -0.2 and -1.0"


def test_a_server_with_such_numbers_from_the_start_is_refused(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = on_questions(
        lambda asked: completion([{"token": token, "logprob": -0.1 - n / 100} for n, token in enumerate("ABCD")])
    )
    with pytest.raises(
        EngineError, match=r"shows numbers that are not log-probabilities \(the tiny question: .* sum to"
    ):
        scorer_of()


# Another model in a later answer


def test_an_answer_of_another_model_is_one_invalid_question(server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of()

    def fallback(asked: Asked) -> Reply:
        reply = answer(asked)
        if asked.is_question and "(1)" in asked.text:
            reply.body["model"] = "smaller-vlm"
        return reply

    server.behave = fallback
    first, second, third = score(scorer, question(0), question(1), question(2))
    assert len(first) == len(third) == 4
    assert str(second) == (
        f"sample '1' under clean: the answer is of model 'smaller-vlm', and those before were of {MODEL}"
    )


def test_the_name_by_which_a_server_knows_the_model_is_learned(server: OpenAIServer, scorer_of: Scorers) -> None:
    """As hosted models answer with their date."""

    def dated(asked: Asked) -> Reply:
        reply = answer(asked)
        if asked.is_question:
            reply.body["model"] = f"{MODEL}-2026-01-01"
        return reply

    server.behave = dated
    assert len(score(scorer_of(), question())[0]) == 4


def test_a_server_that_answers_with_models_in_turns_is_refused(server: OpenAIServer, scorer_of: Scorers) -> None:
    def turns(asked: Asked) -> Reply:
        reply = answer(asked)
        if asked.is_question:
            reply.body["model"] = f"replica-{len(server.questions) % 2}"
        return reply

    server.behave = turns
    with pytest.raises(EngineError, match=rf"for '{MODEL}' as 'replica-0' and 'replica-1' in turns: give model= one"):
        scorer_of()


def test_vllm_in_another_configuration_is_one_invalid_question(server: OpenAIServer, scorer_of: Scorers) -> None:
    def configured(fingerprint: str) -> Callable[[Asked], Reply]:
        def behave(asked: Asked) -> Reply:
            reply = answer(asked)
            if asked.is_question:
                reply.body["system_fingerprint"] = fingerprint
            return reply

        return behave

    server.behave = configured("vllm-0.32-a")
    scorer = scorer_of()
    assert len(score(scorer, question())[0]) == 4
    server.behave = configured("vllm-0.32-b")
    (outcome,) = score(scorer, question())
    assert "answers with the configuration 'vllm-0.32-b', and before it was 'vllm-0.32-a'" in str(outcome)


# System messages and thinking


def with_system(asked: Asked) -> str:
    return " ".join(str(message["content"]) for message in asked.body["messages"] if message["role"] == "system")


def test_a_system_message_that_the_template_leaves_out_is_refused(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = on_questions(
        lambda asked: shown(
            distribution(asked.picture, asked.text), usage={"prompt_tokens": 79 if asked.picture else 30}
        )
    )
    assert scorer_of() is not None
    with pytest.raises(
        EngineError, match=r"takes no system message, its chat template leaves it out: leave system_pro"
    ):
        scorer_of(system_prompt="Be brief.")


def test_a_system_message_that_the_template_refuses_is_named(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = on_questions(
        lambda asked: refusal(400, "System role not supported") if with_system(asked) else answer(asked)
    )
    with pytest.raises(
        EngineError, match=r"its chat template refuses it \(400: System role not supported\): leave system_prompt out"
    ):
        scorer_of(system_prompt="Be brief.")


def test_a_system_message_that_seems_to_change_nothing_is_warned_of(server: OpenAIServer, scorer_of: Scorers) -> None:
    with logged() as lines:
        scorer_of(system_prompt="Be brief.")
    assert "a tiny question is answered the same with the system message and without" in lines[0]


def test_a_system_message_that_counts_is_taken(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = on_questions(
        lambda asked: shown(
            distribution(asked.picture, asked.text + with_system(asked)),
            usage={"prompt_tokens": 79 + len(with_system(asked).split())},
        )
    )
    with logged() as lines:
        scorer_of(system_prompt="Be brief.")
    assert not lines


def test_a_model_that_is_about_to_think_is_warned_of(server: OpenAIServer, scorer_of: Scorers) -> None:
    def thinks(asked: Asked) -> Reply:
        values = distribution(asked.picture, asked.text)
        return shown({token: math.log(0.01) + value for token, value in values.items()} | {"<think>": math.log(0.985)})

    server.behave = on_questions(thinks)
    with logged() as lines:
        scorer_of()
    assert "of the probability at a tiny question and begins with '<think>'" in lines[0]
    assert "give enable_thinking=False" in lines[0]


# Time and size


@pytest.mark.parametrize("is_slow_from_the_start", [False, True])
def test_a_request_has_one_deadline_however_slowly_its_answer_comes(
    is_slow_from_the_start: bool, server: OpenAIServer, scorer_of: Scorers
) -> None:
    """A byte every tenth of a second: no single wait is as long as `timeout`."""
    scorer = scorer_of(timeout=1.0, max_retries=2)
    server.behave = on_questions(
        lambda asked: replace(answer(asked), pace=0.1, is_slow_from_the_start=is_slow_from_the_start)
    )
    scorer._lost = -10  # the slow server is not what is tried
    start = time.monotonic()
    (outcome,) = score(scorer, question())
    assert time.monotonic() - start < 10
    assert "gave no answer (no answer within 1 s)" in str(outcome)


def test_a_slow_server_is_given_up_before_the_first_question(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = lambda asked: replace(answer(asked), pace=0.2)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"did not answer as asked \(no answer within 0\.5 s\): raise timeout"):
        scorer_of(timeout=0.5, max_retries=2)
    assert time.monotonic() - start < 10


def packed(content: bytes, times: int, how: str) -> bytes:
    """Return `content`, `times` times over and packed, without holding it as a whole."""
    packer = zlib.compressobj(wbits=31 if how == "gzip" else 15)
    pieces = [packer.compress(content) for _ in range(times)]
    return b"".join(pieces) + packer.flush()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_an_answer_that_unpacks_to_more_than_an_answer_holds_is_not_unpacked(
    how: str, status: int, server: OpenAIServer, scorer_of: Scorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    whole = answers_module._BoundedStream.__aiter__

    async def counting(stream: Any) -> Any:
        nonlocal unpacked
        async for piece in whole(stream):
            unpacked += len(piece)
            yield piece

    monkeypatch.setattr(answers_module._BoundedStream, "__aiter__", counting)
    bomb = packed(b" " * 2**20, 64, how)
    assert len(bomb) < 2**20
    scorer = scorer_of()
    server.behave = on_questions(lambda asked: Reply(status, bomb, {"Content-Encoding": how}))
    before = len(server.questions)
    (outcome,) = score(scorer, question())
    assert str(outcome).endswith("gave no answer (the answer has more than 32 MB)")
    assert unpacked < 40 * 2**20
    assert len(server.questions) - before == 1


def test_a_plain_answer_of_that_size_is_not_read_either(server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of()
    server.behave = on_questions(lambda asked: Reply(200, b" " * (40 * 2**20)))
    (outcome,) = score(scorer, question())
    assert str(outcome).endswith("gave no answer (the answer has more than 32 MB)")


def test_an_answer_that_is_packed_all_the_same_is_read(server: OpenAIServer, scorer_of: Scorers) -> None:
    def zipped(asked: Asked) -> Reply:
        reply = answer(asked)
        return Reply(reply.status, gzip.compress(reply.content), {"Content-Encoding": "gzip"})

    server.behave = zipped
    assert len(score(scorer_of(), question())[0]) == 4
    assert server.questions[-1].headers["Accept-Encoding"] == "identity"


def test_an_answer_packed_otherwise_is_refused(server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of()
    server.behave = on_questions(lambda asked: Reply(200, b"\x1b", {"Content-Encoding": "br"}))
    (outcome,) = score(scorer, question())
    assert "gave no answer (the answer is packed with 'br', which was not asked for)" in str(outcome)


# Servers that start, and servers that are gone


@pytest.mark.parametrize(
    "loading",
    [
        refusal(503, "Loading model", type="unavailable_error", code=503),
        Reply(503, {"error": "Model org/tiny-vlm is currently loading", "estimated_time": 20.0}),
    ],
)
def test_a_server_that_loads_its_model_is_waited_for(loading: Reply, server: OpenAIServer, scorer_of: Scorers) -> None:
    """Longer than other faults would be: there are only three attempts."""
    server.behave = lambda asked: loading if len(server.questions) <= 5 and asked.is_question else answer(asked)
    assert len(score(scorer_of(), question())[0]) == 4


def test_a_server_that_never_has_its_model_is_given_up(
    server: OpenAIServer, scorer_of: Scorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchc_tasks.models.served.requests.LONGEST_LOADING", 0.3)
    server.behave = lambda asked: refusal(503, "Loading model")
    with pytest.raises(EngineError, match=r"is still loading its model \(503: Loading model\): wait until it answers"):
        scorer_of()


@pytest.mark.parametrize("fault", [Reply(drops=True), refusal(502, "Bad gateway"), refusal(500, "upstream is dead")])
def test_a_server_that_is_gone_ends_the_run(fault: Reply, server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of(num_concurrent=2)
    assert len(score(scorer, question())[0]) == 4
    server.behave = lambda asked: fault
    before = len(server.questions)
    asked = scorer.prepare([question(number) for number in range(40)])
    with pytest.raises(
        EngineError, match=rf"^the server at {server.url} answers no more \(.*\): start it again, and run"
    ):
        scorer.score(asked)
    for future in asked:
        future.exception()
    assert len(server.questions) - before < 40


SERVER = "from openai_server import OpenAIServer; print(OpenAIServer().url, flush=True); input()"


def test_a_killed_server_ends_the_run_in_under_a_minute_with_the_default_patience() -> None:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        scorer = load_served_scorer("openai", {"model": MODEL, "base_url": server.stdout.readline().strip()})
        scorer.score(scorer.prepare([question(number) for number in range(8)]))
        server.kill()
    start = time.monotonic()
    asked = scorer.prepare([question(number) for number in range(64)])
    with pytest.raises(EngineError, match=r"answers no more \(the connection is refused\): start it again"):
        scorer.score(asked)
    assert time.monotonic() - start < 60


def test_waiting_requests_are_cut_where_the_run_is_given_up(server: OpenAIServer, scorer_of: Scorers) -> None:
    scorer = scorer_of()
    arrived = threading.Event()

    def hang(asked: Asked) -> Reply:
        arrived.set()
        return replace(answer(asked), delay=30.0)

    server.behave = on_questions(hang)
    asked = scorer.prepare([question()])
    assert arrived.wait(10)
    start = time.monotonic()
    scorer._model.give_up()
    assert "the run was given up" in str(asked[0].result())
    assert time.monotonic() - start < 10


# Whose key, whose model


UPSTREAM = {
    "litellm": refusal(
        401, "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided: sk-up"
    ),
    "a gateway": refusal(401, "Unauthorized (upstream)"),
    "a gateway of few words": refusal(401, "Unauthorized"),
}


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_key_that_a_server_behind_refuses_is_that_server_s_own(
    name: str, server: OpenAIServer, scorer_of: Scorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server lists its models for the key that it is sent, and for no other."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def gateway(asked: Asked) -> Reply:
        if asked.headers["Authorization"] != f"Bearer {KEY}":
            return refusal(401, "Who are you?")
        return UPSTREAM[name] if asked.is_question else answer(asked)

    server.behave = gateway
    with pytest.raises(
        EngineError,
        match=r"takes the key, and what stands behind it refuses that server's own \(401: .*\): set the key in",
    ):
        scorer_of()


@pytest.mark.parametrize("has_key", [True, False])
def test_a_gateway_without_a_database_wants_its_key(
    has_key: bool, server: OpenAIServer, scorer_of: Scorers, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_key:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.behave = lambda asked: refusal(400, "No connected db.", type="no_db_connection")
    sentence = "refuses the key (400: No connected db.): set" if has_key else "wants a key (400: No connected db.): set"
    with pytest.raises(EngineError) as caught:
        scorer_of()
    assert sentence in str(caught.value)


def test_the_cure_for_no_log_probabilities_is_a_whole_command(server: OpenAIServer, scorer_of: Scorers) -> None:
    server.behave = on_questions(lambda asked: completion(None))
    with pytest.raises(EngineError) as caught:
        scorer_of()
    command = f"--model openai --model_args model={MODEL},base_url={server.url}"
    assert f"run the benchc-gen tasks with {command}, which need none" in str(caught.value)


# Identity


def llama_cpp(*, file: str = "tiny.Q8_0.gguf", size: int = 4096, template: str = "{{ messages }}") -> Any:
    """Answer as llama.cpp's server, which has one model and answers to every name."""

    def behave(asked: Asked) -> Reply:
        if asked.path == "/props":
            return Reply(body={"model_path": file, "chat_template": template, "build_info": "b1", "total_slots": 4})
        if asked.path.endswith("/models"):
            entry = {"id": "alias", "object": "model", "created": int(time.time()), "meta": {"size": size, "n_ctx": 9}}
            return Reply(body={"data": [entry]})
        return answer(asked)

    return behave


def test_the_file_behind_an_alias_belongs_to_the_fingerprint(server: OpenAIServer, scorer_of: Scorers) -> None:
    """llama.cpp with another quantisation or template under the same alias is another model."""

    def fingerprint(**settings: Any) -> str:
        server.behave = llama_cpp(**settings)
        return scorer_of().fingerprint

    first = fingerprint()
    assert fingerprint() == first
    others = [fingerprint(file="tiny.Q4_0.gguf"), fingerprint(size=2048), fingerprint(template="{{ messages[-1] }}")]
    assert len({first, *others}) == 4
    identity = json.loads(first)["server"]
    assert identity["model_path"] == "tiny.Q8_0.gguf"
    assert json.loads(identity["meta"])["size"] == 4096


@pytest.mark.parametrize(
    ("page", "facts"),
    [("/get_model_info", {"model_path": "a", "weight_version": "1"}), ("/info", {"model_id": "a", "model_sha": "b"})],
)
def test_other_engines_pages_belong_to_it(
    page: str, facts: dict[str, str], server: OpenAIServer, scorer_of: Scorers
) -> None:
    server.behave = lambda asked: Reply(body=facts) if asked.path == page else answer(asked)
    assert facts.items() <= json.loads(scorer_of().fingerprint)["server"].items()


def test_all_tokens_of_the_loopback_server_are_different() -> None:
    assert len(set(TOKENS)) == len(TOKENS)
