"""`think=skip` behind a server: the form is taken that gives the letters their probability."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from openai_server import MODEL, Asked, OpenAIServer, Reply, answer, completion, refusal

from benchc_tasks.models.generation.served import Message, TextChoice, text_of_choice
from benchc_tasks.models.questions import EngineError
from benchc_tasks.models.served.scoring import load_served_model
from benchc_tasks.models.served.skipping import without_thinking


def shown(**probabilities: float) -> Reply:
    entries = sorted(probabilities.items(), key=lambda entry: -entry[1])
    return completion([{"token": token, "logprob": math.log(share), "bytes": None} for token, share in entries])


def thinks_unless(condition: Callable[[dict[str, Any]], bool]) -> Callable[[Asked], Reply]:
    def behave(asked: Asked) -> Reply:
        if not asked.is_question:
            return answer(asked)
        return shown(A=0.6, B=0.3, x=0.1) if condition(asked.body) else shown(Hm=0.9, A=0.01, B=0.01)

    return behave


def chat_of(behave: Callable[[Asked], Reply]) -> Any:
    with closing(OpenAIServer()) as server:
        server.behave = behave
        model, chat, _ = load_served_model("openai", {"base_url": server.url, "model": MODEL, "max_retries": 1})
        return without_thinking(model, chat)


def test_the_template_s_setting_is_used_where_it_works() -> None:
    chat = chat_of(thinks_unless(lambda body: body.get("chat_template_kwargs") == {"thinking": False}))
    assert chat.thinking == "skipped: thinking=False"
    assert chat.body("?", ())["chat_template_kwargs"] == {"thinking": False}


def test_else_a_closed_block_begins_the_answer() -> None:
    chat = chat_of(thinks_unless(lambda body: body.get("continue_final_message") is True))
    assert chat.thinking == "skipped: closed by benchc with </think>"
    body = chat.body("?", ())
    assert body["messages"][-1] == {"role": "assistant", "content": "<think>\n\n</think>\n\n"}
    assert body["add_generation_prompt"] is False
    assert chat.body("?", (), answer="A")["messages"][-1]["content"] == "<think>\n\n</think>\n\nA"


def test_a_server_that_takes_no_way_is_refused() -> None:
    def behave(asked: Asked) -> Reply:
        return refusal(400, "no such field") if asked.is_question else answer(asked)

    with pytest.raises(EngineError, match="no such field"):
        chat_of(behave)


@pytest.mark.parametrize(
    ("message", "reason", "expects", "text"),
    [
        ({"content": "B"}, "stop", False, "B"),
        ({"content": "B", "reasoning_content": "so"}, "stop", True, "<think>so</think>B"),
        ({"content": "B", "reasoning": "so"}, "length", True, "<think>so</think>B"),
        ({"content": None, "reasoning": "so"}, "length", True, "<think>so"),
        ({"content": "so, A or"}, "length", True, "<think>so, A or"),
        ({"content": "so, A or"}, "length", False, "so, A or"),
        ({"content": "so</think>B"}, "length", True, "so</think>B"),
    ],
    ids=json.dumps,
)
def test_thinking_of_a_server_is_put_between_marks(message: Any, reason: str, expects: bool, text: str) -> None:
    choice = TextChoice(message=Message(**message), finish_reason=reason)
    assert text_of_choice(choice, expects_thinking=expects) == text
