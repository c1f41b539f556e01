"""The bundled model: small, loadable offline, able to answer the bundled set, and shaken by corruptions."""

import io
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchc_metrics.benchmark import LETTERS
from benchc_tasks.corruptions import condition_seed, corrupt
from benchc_tasks.demonstration import DEMONSTRATION_MODEL, DEMONSTRATION_SET
from benchc_tasks.demonstration.training.__main__ import main as train
from benchc_tasks.demonstration.training.evaluation import letter_probabilities
from benchc_tasks.demonstration.training.vocabulary import prompt_text


def load(folder):
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model.eval(), processor


@pytest.fixture(scope="module")
def model_and_processor():
    return load(DEMONSTRATION_MODEL)


@pytest.fixture(scope="module")
def model(model_and_processor):
    return model_and_processor[0]


@pytest.fixture(scope="module")
def processor(model_and_processor):
    return model_and_processor[1]


@pytest.fixture(scope="module")
def rows():
    return pq.read_table(DEMONSTRATION_SET).to_pylist()


@pytest.fixture(scope="module")
def pictures(rows):
    return [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows]


@pytest.fixture(scope="module")
def probabilities(model, processor, rows):
    """Return a function from pictures to each sample's letter probabilities."""
    prompts = [(row["question"], row["options"]) for row in rows]

    def ask(pictures):
        return letter_probabilities(model, processor, pictures, prompts)

    return ask


@pytest.fixture(scope="module")
def clean(probabilities, pictures):
    return probabilities(pictures)


def accuracy(probabilities, rows):
    return float((probabilities.argmax(1) == [row["answer"] for row in rows]).mean())


class TestFolder:
    def test_is_under_eight_megabytes(self):
        assert sum(file.stat().st_size for file in DEMONSTRATION_MODEL.iterdir()) < 8_000_000

    def test_holds_weights_as_safetensors_only(self):
        assert {file.suffix for file in DEMONSTRATION_MODEL.iterdir()} == {".json", ".jinja", ".safetensors"}

    def test_loads_with_the_hub_switched_off(self):
        script = (
            "from transformers import AutoModelForImageTextToText as M, AutoProcessor as P; import sys;"
            "P.from_pretrained(sys.argv[1]); print(type(M.from_pretrained(sys.argv[1])).__name__)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(DEMONSTRATION_MODEL)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "LlavaForConditionalGeneration"

    def test_number_of_parameters(self, model):
        assert 1_000_000 < sum(parameter.numel() for parameter in model.parameters()) < 2_000_000

    def test_every_weight_is_in_the_file(self):
        _, report = AutoModelForImageTextToText.from_pretrained(
            DEMONSTRATION_MODEL, local_files_only=True, output_loading_info=True
        )
        assert not report["missing_keys"]
        assert not report["unexpected_keys"]


class TestChatTemplate:
    def test_string_and_parts_give_the_same(self, processor):
        parts = [{"type": "image"}, {"type": "text", "text": "Where?"}]
        as_parts = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        as_string = processor.apply_chat_template(
            [{"role": "user", "content": "<image>\nWhere?"}], add_generation_prompt=True
        )
        assert as_parts == as_string == "<|user|><image>\nWhere?<|end|><|assistant|>"

    def test_a_conversation(self, processor):
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi"},
        ]
        assert processor.apply_chat_template(messages) == (
            "<|system|>Be brief.<|end|><|user|>Hello<|end|><|assistant|>Hi<|end|>"
        )

    @pytest.mark.parametrize("letter", LETTERS)
    def test_letters_are_single_tokens(self, processor, letter):
        tokenizer = processor.tokenizer
        alone = tokenizer.encode(letter, add_special_tokens=False)
        after = tokenizer.encode(f"<|assistant|>{letter}", add_special_tokens=False)
        assert len(alone) == 1
        assert after == [*tokenizer.encode("<|assistant|>", add_special_tokens=False), *alone]

    @pytest.mark.parametrize("text", ["naïve café", "漢字かな", "🦊\u200d🔥", "tab\tand\nnewline", "Ω≈ç√∫", "C"])
    def test_any_text_survives(self, processor, text):
        ids = processor.tokenizer.encode(text, add_special_tokens=False)
        assert processor.tokenizer.decode(ids) == text


class TestAnswers:
    def test_over_85_percent_on_the_clean_set(self, clean, rows):
        assert accuracy(clean, rows) > 0.85

    def test_every_type_is_far_over_chance(self, clean, rows):
        right = defaultdict(list)
        for row, answers in zip(rows, clean, strict=True):
            right[row["category"]].append(answers.argmax() == row["answer"])
        assert min(np.mean(answers) for answers in right.values()) > 0.6

    def test_letters_hold_nearly_all_probability(self, clean):
        assert clean.sum(1).mean() > 0.98

    def test_it_sees_the_picture(self, probabilities, pictures, rows):
        assert accuracy(probabilities(pictures[1:] + pictures[:1]), rows) < 0.45
        blank = [Image.new("RGB", (112, 112), (128, 128, 128))] * len(rows)
        assert accuracy(probabilities(blank), rows) < 0.45

    def test_generates_a_letter_and_stops(self, model, processor, pictures, rows):
        content = [{"type": "image"}, {"type": "text", "text": prompt_text(rows[0]["question"], rows[0]["options"])}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(images=pictures[0], text=text, return_tensors="pt")
        made = model.generate(**inputs, max_new_tokens=4, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert processor.tokenizer.decode(made) in {f"{letter}<|end|>" for letter in "ABCD"}

    def test_takes_a_photograph_of_any_size(self, model, processor):
        photograph = Image.fromarray(np.random.default_rng(0).integers(0, 255, (333, 517, 3), dtype=np.uint8))
        options = ["a rather long option", "another one", "none of these", "it cannot be said", "yes"]
        answers = letter_probabilities(model, processor, [photograph], [("What is the person holding? " * 9, options)])
        assert answers.shape == (1, 5)
        assert np.isfinite(answers).all()


@pytest.mark.parametrize("name", ["gaussian_noise", "gaussian_blur"])
def test_accuracy_falls_with_severity(name, probabilities, pictures, rows, clean):
    def at(severity):
        damaged = [
            Image.fromarray(
                corrupt(np.asarray(picture), name, severity, seed=condition_seed(row["id"], name, severity))
            )
            for picture, row in zip(pictures, rows, strict=True)
        ]
        return accuracy(probabilities(damaged), rows)

    first, middle, last = at(1), at(3), at(5)
    assert accuracy(clean, rows) + 0.03 >= first
    assert first + 0.03 >= middle
    assert middle + 0.03 >= last
    assert last < accuracy(clean, rows) - 0.20


def test_a_few_steps_of_training_write_a_model_that_loads(tmp_path, capsys):
    train(
        ["-o", str(tmp_path / "model"), "--seed", "3", "--steps-scale", "0.002", "--checkpoints", str(tmp_path / "c")]
    )
    model, processor = load(tmp_path / "model")
    answers = letter_probabilities(model, processor, [Image.new("RGB", (112, 112))], [("Where?", ["a", "b", "c"])])
    assert answers.shape == (1, 3)
    assert "trained in" in capsys.readouterr().out
    assert list((tmp_path / "c").iterdir())
