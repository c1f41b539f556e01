import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from benchc_tasks.models.chat import ChatFormat
from support import logged

PIECES = ["<unk>", "<pad>", "<s>", "</s>", "▁", ":", "A", "B", "▁A", "▁B", "▁ASSISTANT", "▁USER", "▁Q", "?", "▁▁A"]
VICUNA = (
    "{% for message in messages %}{{ message['role'] | upper if message['role'] == 'assistant' else 'USER' }}: "
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }} {% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@pytest.fixture
def pieces() -> Any:
    """A tokenizer of word pieces that mark the space before a word and put one at the beginning, as sentencepiece's."""
    tokenizer = Tokenizer(models.Unigram([(piece, -(len(piece) ** -1.0)) for piece in PIECES], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture
def parts(checkpoint: Callable[[str], Path]) -> tuple[Any, Any]:
    processor = hf.AutoProcessor.from_pretrained(checkpoint("llava"))
    return processor, processor.tokenizer


def with_template(parts: tuple[Any, Any], template: str | None) -> tuple[Any, Any]:
    for part in parts:
        part.chat_template = template
    return parts


def names(tokenizer: Any, tokens: tuple[int, ...]) -> list[str]:
    return tokenizer.convert_ids_to_tokens(list(tokens))


def test_an_option_is_tokenised_as_it_stands_behind_the_prompt(parts: tuple[Any, Any], pieces: Any) -> None:
    """Alone, "A" would become the piece with a space before it."""
    processor, _ = with_template(parts, VICUNA.replace("ASSISTANT:", "ASSISTANT:\n"))
    processor.tokenizer = pieces
    chat = ChatFormat(processor, pieces)
    assert names(pieces, tuple(pieces.encode("A", add_special_tokens=False))) == ["▁A"]
    assert names(pieces, chat.option_tokens("ASSISTANT:", "A")) == ["A"]


def test_the_template_s_space_before_an_answer_belongs_to_the_option(parts: tuple[Any, Any], pieces: Any) -> None:
    """The template writes "ASSISTANT:" as the prompt and "ASSISTANT: A" as the answer."""
    processor, _ = with_template(parts, VICUNA)
    processor.tokenizer = pieces
    chat = ChatFormat(processor, pieces)
    prompt = chat.prompt("Q?", 1)
    assert prompt == "USER: Q? ASSISTANT:"
    assert names(pieces, chat.option_tokens(prompt, "B")) == ["▁B"]
    assert names(pieces, chat.option_tokens(prompt, " B")) == ["▁B"]


def test_where_the_tokenizer_merges_across_the_border_the_option_stands_alone(
    parts: tuple[Any, Any], pieces: Any
) -> None:
    processor, _ = with_template(parts, VICUNA.replace("ASSISTANT:", "ASSISTANT: "))
    processor.tokenizer = pieces
    chat = ChatFormat(processor, pieces)
    assert names(pieces, tuple(pieces.encode("ASSISTANT: ", add_special_tokens=False)))[-1] == "▁"
    assert names(pieces, tuple(pieces.encode("ASSISTANT: A", add_special_tokens=False)))[-1] == "▁A"
    assert names(pieces, chat.option_tokens("ASSISTANT: ", "A")) == ["▁A"]


@pytest.mark.parametrize(
    "template",
    [
        "{% if messages[-1]['role'] == 'assistant' %}{{ raise_exception('no answers') }}{% endif %}USER Q A",
        "{% if add_generation_prompt %}prompt{% else %}something else A{% endif %}",
        "prompt{% if not add_generation_prompt %}<think></think>A{% endif %}",
        "prompt{% if not add_generation_prompt %}  {% endif %}",
    ],
    ids=["refuses answers", "answers otherwise", "text between", "answers nothing"],
)
def test_only_white_space_that_the_template_writes_leads_to_an_option(parts: tuple[Any, Any], template: str) -> None:
    chat = ChatFormat(*with_template(parts, template))
    tokenizer = parts[1]
    assert chat.option_tokens("prompt\n", "B") == tuple(tokenizer.encode("B", add_special_tokens=False))


def test_the_prompt_holds_system_message_images_and_text_in_this_order(parts: tuple[Any, Any]) -> None:
    chat = ChatFormat(*parts, system_prompt="Be brief.")
    assert chat.prompt("What?", 2) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_settings_reach_the_template(parts: tuple[Any, Any]) -> None:
    parts = with_template(parts, "{{ 'thinks' if enable_thinking else 'does not' }}")
    for thinking, text in ((True, "thinks"), (False, "does not")):
        chat = ChatFormat(*parts, template_settings={"enable_thinking": thinking})
        assert chat.prompt("What?", 0) == text


def test_the_tokenizer_s_template_serves_where_the_processor_has_none(parts: tuple[Any, Any]) -> None:
    processor, tokenizer = parts
    tokenizer.chat_template, processor.chat_template = processor.chat_template, None
    assert ChatFormat(processor, tokenizer).prompt("What?", 1).count("<image>") == 1


def test_a_processor_without_a_template_is_refused(parts: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"^LlavaProcessor has no chat template: save one with the checkpoint"):
        ChatFormat(*with_template(parts, None))


@pytest.mark.parametrize("template", ["{% for x in %}", "{{ 1 / 0 }}", "{{ raise_exception('no') }}"])
def test_a_broken_template_is_refused(parts: tuple[Any, Any], template: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"^the chat template of LlavaProcessor cannot be rendered \(\w+: .+\): correct the checkpoint's",
    ):
        ChatFormat(*with_template(parts, template))


@pytest.mark.parametrize("begin", ["", "<s>"])
def test_no_token_marks_the_beginning_twice(
    parts: tuple[Any, Any], begin: str, make_picture: Callable[..., Any]
) -> None:
    """A tokenizer that adds the token, and a template that may write it."""
    processor, tokenizer = with_template(parts, begin + parts[0].chat_template)
    post = tokenizer.backend_tokenizer
    from tokenizers.processors import TemplateProcessing

    post.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)])
    chat = ChatFormat(processor, tokenizer)
    prompt = chat.prompt("What?", 1)
    tokens = chat.model_input([prompt], [[make_picture(1)]])["input_ids"][0].tolist()
    assert tokens.count(tokenizer.bos_token_id) == 1
    assert tokens[0] == tokenizer.bos_token_id
    place = chat.prompt_tokens(prompt).index(tokenizer.convert_tokens_to_ids(chat.image_token))
    expanded = tokens.count(tokens[place])
    assert chat.prompt_tokens(prompt) == tokens[:place] + tokens[place + expanded - 1 :]
    assert expanded > 1


def test_batches_are_padded_on_the_left_even_without_a_token_for_it(
    parts: tuple[Any, Any], make_picture: Callable[..., Any]
) -> None:
    processor, tokenizer = parts
    tokenizer.pad_token = None
    tokenizer.padding_side = "right"
    chat = ChatFormat(processor, tokenizer)
    prompts = [chat.prompt(text, 1) for text in ("What?", "What is this, and where is it?")]
    batch = chat.model_input(prompts, [[make_picture(1)], [make_picture(2)]])
    lengths = batch["attention_mask"].sum(1).tolist()
    assert lengths[0] < lengths[1] == batch["input_ids"].shape[1]
    assert batch["attention_mask"][0, -lengths[0] :].all()
    alone = chat.model_input(prompts[:1], [[make_picture(1)]])["input_ids"]
    assert batch["input_ids"][0, -lengths[0] :].tolist() == alone[0].tolist()


QUESTION_ONLY = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}{% endfor %}|{% endfor %}"
)
THINKING = QUESTION_ONLY + "{% if add_generation_prompt %}assistant:<think>\n{% endif %}"
SWITCH = (
    QUESTION_ONLY + "{% if add_generation_prompt %}assistant:<think>\n"
    "{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}{% endif %}"
)


@pytest.mark.parametrize(
    "mark", ["<think>", "<thinking>\n", "<reasoning>", "[THINK]", "◁think▷", "<|channel|>analysis"]
)
def test_a_template_that_opens_a_thinking_block_is_warned_of(parts: tuple[Any, Any], mark: str) -> None:
    """No letter is what comes next there."""
    with logged() as lines:
        ChatFormat(*with_template(parts, THINKING.replace("<think>\n", mark)))
    (line,) = lines
    assert f"opens a thinking block ({mark.strip()!r})" in line
    assert line.endswith("has no setting enable_thinking, so close the block in the checkpoint's chat_template.jinja")


def test_the_setting_that_closes_a_thinking_block_is_named(parts: tuple[Any, Any]) -> None:
    with logged() as lines:
        ChatFormat(*with_template(parts, SWITCH))
    assert lines[0].endswith("the letters are not what comes next: give enable_thinking=False")
    with logged() as lines:
        chat = ChatFormat(*with_template(parts, SWITCH), template_settings={"enable_thinking": False})
    assert not lines
    assert chat.prompt("Q", 1).endswith("</think>\n\n")


def test_tags_in_a_question_or_a_system_message_open_no_thinking_block(parts: tuple[Any, Any]) -> None:
    with logged() as lines:
        ChatFormat(*parts, system_prompt="Think inside <think> tags.")
    assert not lines


def test_a_template_without_a_beginning_of_the_answer_is_warned_of(parts: tuple[Any, Any]) -> None:
    with logged() as lines:
        ChatFormat(*with_template(parts, QUESTION_ONLY))
    assert "writes no beginning of the assistant's answer" in lines[0]
    assert "let it write one where add_generation_prompt is true" in lines[0]


NO_PLACE = {
    "left out": (
        "{% for message in messages if message['role'] == 'user' %}USER Q{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        "leaves it out",
    ),
    "refused": (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "USER Q{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        r"refuses it \(TemplateError: System role not supported\)",
    ),
}


@pytest.mark.parametrize("name", NO_PLACE)
def test_a_system_message_without_a_place_in_the_template_is_refused(parts: tuple[Any, Any], name: str) -> None:
    template, reason = NO_PLACE[name]
    ChatFormat(*with_template(parts, template))
    with pytest.raises(
        ValueError,
        match=rf"^the chat template of LlavaProcessor has no place for a system message, it {reason}: leave system_pro",
    ):
        ChatFormat(*with_template(parts, template), system_prompt="Be brief.")


def test_a_system_message_is_given_as_text_where_the_template_wants_it(parts: tuple[Any, Any]) -> None:
    """Given in parts, it would be written as Python data."""
    template = (
        "{% for message in messages %}{% if message['role'] == 'system' %}SYSTEM {{ message['content'] }}\n"
        "{% else %}USER {{ message['content'][-1]['text'] }}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )
    chat = ChatFormat(*with_template(parts, template), system_prompt="Be brief.")
    assert chat.prompt("What?", 1) == "SYSTEM Be brief.\nUSER What?\nASSISTANT:"


def test_a_system_message_goes_where_the_template_puts_it(parts: tuple[Any, Any]) -> None:
    """Gemma's template writes it into the user's turn."""
    template = (
        "{% set system = messages[0]['content'][0]['text'] + '\n\n' if messages[0]['role'] == 'system' else '' %}"
        "user:{{ system }}{{ messages[-1]['content'][-1]['text'] }}{% if add_generation_prompt %}model:{% endif %}"
    )
    chat = ChatFormat(*with_template(parts, template), system_prompt="Be brief.")
    assert chat.prompt("What?", 1) == "user:Be brief.\n\nWhat?model:"


def test_a_template_for_text_alone_is_refused(parts: tuple[Any, Any]) -> None:
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    with pytest.raises(ValueError, match=r"^the chat template of LlavaProcessor is one for text and takes no parts of"):
        ChatFormat(*with_template(parts, template))


@pytest.mark.parametrize("names", [("default", "tool_use"), ("chat",)])
def test_of_named_templates_the_default_or_the_only_one_is_taken(
    parts: tuple[Any, Any], names: tuple[str, ...]
) -> None:
    processor, tokenizer = parts
    template = processor.chat_template
    processor.chat_template = dict.fromkeys(names, "other") | {names[0]: template}
    assert ChatFormat(processor, tokenizer).prompt("What?", 1).count("<image>") == 1


def test_named_templates_without_a_default_are_refused(parts: tuple[Any, Any]) -> None:
    processor, tokenizer = parts
    processor.chat_template = {"rag": "x", "tool_use": "y"}
    with pytest.raises(ValueError, match=r"^LlavaProcessor has the chat templates rag, tool_use, and none of them is"):
        ChatFormat(processor, tokenizer)


def test_an_image_token_may_be_an_object_of_the_tokenizer(parts: tuple[Any, Any]) -> None:
    processor, tokenizer = parts
    processor.image_token = AddedToken("<image>", special=True)
    chat = ChatFormat(processor, tokenizer)
    assert chat.image_token == "<image>"
    assert "its text holds '<image>'" in str(chat.problem("What is <image>?"))
    assert chat.problem("What is it?") is None


def refusing_two_at_once(processor: Any) -> Any:
    """Give a processor a state that two threads at once would spoil, as a tokenizer's padding is."""

    class Refusing(type(processor)):  # type: ignore[misc]
        is_busy = False

        def __call__(self, *args: Any, **settings: Any) -> Any:
            assert not self.is_busy
            self.is_busy = True
            time.sleep(0.01)
            found = super().__call__(*args, **settings)
            self.is_busy = False
            return found

    processor.__class__ = Refusing
    return processor


def test_several_threads_make_the_same_input(checkpoint: Callable[[str], Path]) -> None:
    processor = hf.AutoProcessor.from_pretrained(checkpoint("qwen2_5_vl"))
    chat = ChatFormat(processor, processor.tokenizer)
    colours = ("red", "green", "blue", "white", "black", "grey")
    prompts = [[chat.prompt("What? " * number, 1), chat.prompt("What?", 1)] for number in range(1, 7)]
    images = [[(Image.new("RGB", (28 * number, 56), colour),)] * 2 for number, colour in enumerate(colours, 1)]
    expected = [chat.model_input(some, pictures) for some, pictures in zip(prompts, images, strict=True)]
    refusing_two_at_once(processor)

    def ask(number: int) -> Any:
        chat.option_tokens(prompts[number % 6][0], f"option {number}")
        return chat.model_input(prompts[number % 6], images[number % 6])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(48)))
    for number, batch in enumerate(found):
        for name, value in expected[number % 6].items():
            assert torch.equal(batch[name], value), name
