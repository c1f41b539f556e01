"""Thinking skipped and thinking written, with the real template of a model that thinks and with others like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tiny_models import QWEN_IMAGE, build_checkpoint, make_picture  # noqa: F401 - fixture

from benchc_metrics.responses.letters import UNFINISHED_THINKING, parse_letter
from benchc_tasks.models.engines import EngineSettings, transformers_scorer
from benchc_tasks.models.generation.engines import generator_of
from benchc_tasks.models.generation.questions import TextQuestion, WritingSettings
from benchc_tasks.models.questions import Question
from benchc_tasks.models.thinking import Skip, check_think, closing_of, find_skip, open_thinking
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import logged

REAL = Path(__file__).parents[2] / "fixtures" / "chat_templates" / "minicpm_v_4_5.jinja"
FLAT = (
    "{%- set all = namespace(messages=[]) %}{%- for message in messages %}{%- set ns = namespace(text='') %}"
    "{%- for part in message.content %}{%- set ns.text = ns.text + ('"
    + QWEN_IMAGE
    + "' if part.type == 'image' else part.text) %}{%- endfor %}"
    "{%- set all.messages = all.messages + [{'role': message.role, 'content': ns.text}] %}{%- endfor %}"
    "{%- set messages = all.messages %}"
)
"""Gives a template that takes texts the texts of messages that come in parts."""
BODY = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + QWEN_IMAGE + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
)
OPENS = BODY + "<think>\n{% endif %}"
"""As that of Qwen3-VL-Thinking: it opens the block and has no setting against it."""
STRIPS = BODY + "{% endif %}{# answers without what stands before '</think>' #}"
"""As that of a model that begins to think by itself: the mark stands in the template's source only."""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A function from a chat template and settings to the scorer of a tiny model that has it."""
    folder = build_checkpoint("qwen3_vl", tmp_path_factory.mktemp("thinking"))

    def scorer(template: str, *, skips: bool = False, **settings: Any) -> Any:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        return transformers_scorer(
            EngineSettings(
                None,
                str(folder),
                {},
                torch.device("cpu"),
                batch_size=2,
                template_settings=settings,
                skips_thinking=skips,
            )
        )

    scorer.folder = folder  # type: ignore[attr-defined]
    return scorer


def real() -> str:
    return FLAT + REAL.read_text(encoding="utf-8")


def scores(scorer: Any, picture: Image.Image) -> list[float]:
    question = Question("s", "Which?", ("A", "B", "C"), (picture,))
    (outcome,) = scorer.score(scorer.prepare([question]))
    return [response.value for response in outcome]


def test_the_real_template_s_own_form_is_used_and_options_follow_the_closed_block(
    build: Callable[..., Any],
    make_picture: Any,  # noqa: F811
) -> None:
    skipping = build(real(), skips=True, enable_thinking=True)
    assert skipping.chat.prompt("Which?", 1).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert skipping.thinking == "skipped: enable_thinking=False"
    assert skipping.chat.opened_thinking == ""
    plain = build(real(), enable_thinking=False)
    assert scores(skipping, make_picture(1)) == scores(plain, make_picture(1))
    with logged("WARNING") as lines:
        thinking = build(real(), enable_thinking=True)
    assert any("opens a thinking block" in line for line in lines)
    assert thinking.chat.opened_thinking == "<think>"
    assert thinking.thinking is None
    assert scores(thinking, make_picture(1)) != scores(plain, make_picture(1))


@pytest.mark.parametrize(
    ("template", "end"),
    [(OPENS, "assistant\n<think>\n\n</think>\n\n"), (STRIPS, "assistant\n<think>\n\n</think>\n\n")],
    ids=["opens", "strips"],
)
def test_where_a_template_has_no_form_the_closing_tag_is_written(
    build: Callable[..., Any],
    template: str,
    end: str,
    make_picture: Any,  # noqa: F811
) -> None:
    with logged("WARNING") as lines:
        skipping = build(template, skips=True)
    assert skipping.chat.prompt("Which?", 1).endswith(end)
    assert skipping.thinking == "skipped: closed by benchc with </think>"
    assert not [line for line in lines if "thinking block" in line]
    assert skipping.fingerprint != build(template).fingerprint
    assert scores(skipping, make_picture(1)) != scores(build(template), make_picture(1))


def test_a_template_that_knows_no_thinking_is_refused(build: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="knows no thinking, so that there is none to skip: leave think out"):
        build(BODY + "{% endif %}", skips=True)


def test_a_text_that_the_prompt_began_as_thinking_says_so_and_is_unfinished(
    build: Callable[..., Any],
    make_picture: Any,  # noqa: F811
) -> None:
    generator = generator_of(build(OPENS))
    question = TextQuestion("s", "Which?", (make_picture(2),), WritingSettings(max_new_tokens=5))
    ((text,),) = generator.generate(generator.prepare([question]))
    assert text.startswith("<think>")
    assert parse_letter(text, ["red", "blue"]).reason == UNFINISHED_THINKING


def test_the_model_s_argument_and_what_it_says_of_itself(build: Callable[..., Any]) -> None:
    build(OPENS)
    model = BenchCModel(pretrained=str(build.folder), think="skip", device="cpu")  # type: ignore[attr-defined]
    assert model.answering.thinking == "skipped: closed by benchc with </think>"
    with pytest.raises(ValueError, match="think is 'off': give think=skip, or leave it out"):
        BenchCModel(pretrained=str(build.folder), think="off", device="cpu")  # type: ignore[attr-defined]
    check_think(None)


@pytest.mark.parametrize(
    ("mark", "closing"),
    [
        ("<think>", "</think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<reasoning>", "</reasoning>"),
        ("<|channel|>analysis", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ],
)
def test_marks_are_closed_as_they_were_opened(mark: str, closing: str) -> None:
    assert open_thinking(f"assistant\n{mark}\n") == mark
    assert closing_of(mark) == closing
    assert open_thinking(f"assistant\n{mark}\n{closing}") is None


def test_the_first_form_that_leaves_no_block_open_is_taken() -> None:
    def render(**settings: Any) -> str:
        if "enable_thinking" in settings:
            raise TypeError("unknown")
        return "assistant:" if settings.get("thinking") is False else "assistant:<think>"

    assert find_skip(render, "", "a template") == Skip({"thinking": False})
