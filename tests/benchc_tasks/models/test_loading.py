import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from benchc_tasks.models.loading import BENCHC_ARGUMENTS, _model_class, load_checkpoint, one_sentence, with_head
from benchc_tasks.stacks.choice_model import ChoiceModel
from benchc_tasks.stacks.lmms_eval.model import BenchCModel

CPU = torch.device("cpu")


def test_a_checkpoint_without_a_head_is_refused(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers itself would fill the head with random numbers."""
    folder = checkpoint("llava")
    hf.AutoModel.from_pretrained(folder).save_pretrained(tmp_path)
    hf.AutoProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"^model '.+' lacks \d+ of its weights, lm_head.weight first: name a checkpoint"
    ):
        BenchCModel(pretrained=str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            {"max_pixel": 9},
            r"^argument 'max_pixel' is unknown to benchc and .*Qwen2VLImageProcessor; close to it: max_pixels",
        ),
        ({"xyz": 9}, r"^argument 'xyz' is unknown to benchc and .*; leave it out$"),
        ({"pretraned": "x"}, r"^argument 'pretraned' is unknown to benchc and .*; close to it: pretrained$"),
    ],
)
def test_an_unknown_argument_is_a_sentence(
    argument: dict[str, Any], sentence: str, checkpoint: Callable[[str], Path]
) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(str(checkpoint("qwen2_5_vl")), argument, device=CPU, dtype=None)


def test_what_the_model_itself_takes_is_known_where_arguments_are_misspelt() -> None:
    parameters = inspect.signature(ChoiceModel.__init__).parameters
    assert sorted(BENCHC_ARGUMENTS) == sorted(set(parameters) - {"self", "build", "build_generator", "arguments"})


def test_a_checkpoint_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    folder = str(tmp_path / "nothing")
    with pytest.raises(
        ValueError, match=rf"^model '{folder}' could not be loaded: '{folder}' is neither a folder on this machine nor"
    ):
        load_checkpoint(folder, {}, device=CPU, dtype=None)
    with pytest.raises(
        ValueError, match=r"^model 'no/such' could not be loaded \(OSError: .+\): correct the name, log in if it is"
    ):
        load_checkpoint("no/such", {}, device=CPU, dtype=None)


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            "model.safetensors",
            None,
            r"could not be loaded \(SafetensorError: .+\): name a whole checkpoint of a vision-",
        ),
        ("config.json", b"{", r"could not be loaded \(JSONDecodeError: .+\): name a whole checkpoint of a vision-"),
        ("config.json", b'{"model_type": "llama"}', r"could not be loaded \(ValueError: .+\): name a whole checkpoint"),
        ("config.json", b'{"model_type": "x"}', r"could not be loaded \(ValueError: .+\): name a whole checkpoint"),
        ("tokenizer.json", b"", r"could not be loaded \(.+\): name a whole checkpoint"),
    ],
    ids=["weights cut in half", "no JSON", "no images", "unknown family", "no tokenizer"],
)
def test_a_broken_checkpoint_is_one_sentence(
    checkpoint: Callable[[str], Path], tmp_path: Path, file: str, content: bytes | None, sentence: str
) -> None:
    folder = shutil.copytree(checkpoint("llava"), tmp_path / "broken")
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ValueError, match=f"^model '{folder}' {sentence}") as caught:
        load_checkpoint(str(folder), {}, device=CPU, dtype=None)
    assert "\n" not in str(caught.value)


def test_arguments_that_a_checkpoint_does_not_load_with_are_named(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(
        ValueError, match=r"with attn_implementation \(ValueError: .+\): correct these arguments, or name"
    ):
        load_checkpoint(str(checkpoint("llava")), {"attn_implementation": "flashy"}, device=CPU, dtype=None)


def test_arguments_reach_transformers(checkpoint: Callable[[str], Path]) -> None:
    loaded = load_checkpoint(
        str(checkpoint("qwen2_5_vl")),
        {"attn_implementation": "eager", "max_pixels": 28 * 28 * 6},
        device=CPU,
        dtype=None,
    )
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.processor.image_processor.size["longest_edge"] == 28 * 28 * 6
    assert not loaded.model.training


def test_an_encoder_decoder_is_refused(checkpoint: Callable[[str], Path]) -> None:
    """Its prompt is not what the options continue."""
    loaded = load_checkpoint(str(checkpoint("llava")), {}, device=CPU, dtype=None)
    loaded.model.config.is_encoder_decoder = True
    with pytest.raises(
        ValueError, match=r"^model 'x' is a LlavaForConditionalGeneration, an encoder-decoder, whose opt"
    ):
        with_head(loaded, "model 'x'")


OWN_CODE = """
import transformers as hf

class OwnConfig(hf.LlavaConfig):
    model_type = "own"

class OwnModel(hf.LlavaForConditionalGeneration):
    pass
"""


@pytest.mark.parametrize("name", ["AutoModelForImageTextToText", "AutoModelForMultimodalLM", "AutoModelForCausalLM"])
def test_code_of_a_checkpoint_s_own_runs_only_where_it_is_trusted(
    name: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llava"), tmp_path / name)
    (folder / "own.py").write_text(OWN_CODE)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", name: "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"could not be loaded .+: its code is not part of transformers; give trust_"):
        load_checkpoint(str(folder), {}, device=CPU, dtype=None)
    assert _model_class(str(folder), {"trust_remote_code": True}) is getattr(hf, name)


def test_a_package_that_a_processor_needs_is_the_cure(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.smolvlm import processing_smolvlm

    folder = shutil.copytree(checkpoint("idefics3"), tmp_path / "smolvlm")
    parts = hf.AutoProcessor.from_pretrained(folder)
    monkeypatch.setattr(processing_smolvlm, "num2words", str)
    hf.SmolVLMProcessor(hf.SmolVLMImageProcessor(), parts.tokenizer, hf.SmolVLMVideoProcessor()).save_pretrained(folder)
    monkeypatch.setattr(processing_smolvlm, "num2words", None)
    with pytest.raises(
        ValueError, match=r"\(ImportError: .+\): install what its processor or model needs: pip install num2words$"
    ):
        load_checkpoint(str(folder), {}, device=CPU, dtype=None)


def test_a_module_that_is_missing_is_the_cure() -> None:
    with (
        pytest.raises(ValueError, match=r": install what its processor or model needs: pip install no_such_module$"),
        one_sentence("model 'x'", "", {}),
    ):
        import no_such_module  # noqa: F401


def test_a_model_for_several_modalities_is_loaded_by_their_class(tmp_path: Path) -> None:
    """Phi-4-multimodal is not among transformers' models for images and text."""
    (tmp_path / "config.json").write_text('{"model_type": "phi4_multimodal"}')
    assert _model_class(str(tmp_path), {}) is hf.AutoModelForMultimodalLM
