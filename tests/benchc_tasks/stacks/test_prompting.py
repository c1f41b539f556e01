import pytest

from benchc_tasks.stacks.prompting import Prompt, question_with_options

INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."


def test_the_prompt_is_question_lettered_options_and_instruction():
    prompt = Prompt(pre_prompt="", post_prompt=INSTRUCTION)
    assert prompt.text("What colour is the disk?", ["red", "blue", "green"]) == (
        "What colour is the disk?\nA. red\nB. blue\nC. green\n"
        "Answer with the option's letter from the given choices directly."
    )


def test_twenty_six_options_are_lettered_to_z():
    text = question_with_options("Which?", [f"option {number}" for number in range(26)])
    assert text.splitlines()[-1] == "Z. option 25"


def test_the_models_own_settings_win_over_the_default():
    settings = {
        "default": {"pre_prompt": "", "post_prompt": INSTRUCTION},
        "benchc": {"post_prompt": "\nOnly the letter."},
    }
    assert Prompt.for_model(settings, "benchc") == Prompt("", "\nOnly the letter.")
    assert Prompt.for_model(settings, "llava") == Prompt("", INSTRUCTION)
    assert Prompt.for_model(settings, None) == Prompt("", INSTRUCTION)


def test_settings_without_a_models_name_are_taken_as_they_stand():
    assert Prompt.for_model({"pre_prompt": "Look. "}, "benchc") == Prompt("Look. ", "")


@pytest.mark.parametrize(
    "settings", [{"default": {"postprompt": "x"}}, {"default": {"post_prompt": 3}}, {"pre_promt": "x"}]
)
def test_an_unknown_setting_is_refused_by_name(settings):
    with pytest.raises(ValueError, match="takes only the texts pre_prompt and post_prompt"):
        Prompt.for_model(settings, "benchc")
