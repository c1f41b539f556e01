import inspect
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from benchc_tasks.models.backends import BENCHC_ARGUMENTS, _without_video, load_checkpoint
from benchc_tasks.stacks.lmms_eval.model import BenchCModel

CPU = torch.device("cpu")
BACKENDS = {
    "qwen2_5_vl": ("qwen2_5_vl", (460, 450)),
    "qwen3_vl": ("qwen3_vl", (460, 450)),
    "qwen3_5": ("qwen3_5", (300, 290)),
    "internvl_hf": ("internvl", (60, 40)),
    "llava_hf": ("llava", (60, 40)),
    "gemma3": ("gemma3", (60, 40)),
}
"""lmms-eval's backends that are built here, the family of the checkpoint, and a size between the backend's limits."""


@pytest.fixture
def scores(make_picture: Callable[..., Any], make_request: Callable[..., Any]) -> Callable[..., list[float]]:
    """Score options of one and of several tokens on two images."""

    def image(doc: Any) -> list[Any]:
        return [doc]

    def score(size: tuple[int, int], **settings: Any) -> list[float]:
        model = BenchCModel(batch_size=2, device="cpu", **settings)
        model.task_dict = {"task": {"test": [make_picture(seed, *size) for seed in range(2)]}}
        requests = [
            make_request("What colour? " * (1 + number), option, image, number)
            for number in range(2)
            for option in ("A", "B", "zebra crossing")
        ]
        return [answer for answer, _ in model.loglikelihood(requests)]

    return score


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_gives_what_its_checkpoint_gives(
    backend: str, checkpoint: Callable[[str], Path], scores: Callable[..., list[float]]
) -> None:
    """With nothing but `backend` and `pretrained`, through lmms-eval's own class."""
    family, size = BACKENDS[backend]
    folder = str(checkpoint(family))
    expected = scores(size, pretrained=folder)
    assert scores(size, backend=backend, pretrained=folder) == pytest.approx(expected, abs=1e-6)


def test_a_backend_s_arguments_reach_it(checkpoint: Callable[[str], Path], scores: Callable[..., list[float]]) -> None:
    """A small image is enlarged by the backend's own limits, and by those that it is given."""
    folder = str(checkpoint("qwen2_5_vl"))
    limits = {"min_pixels": 28 * 28 * 4, "max_pixels": 28 * 28 * 9}
    given = scores((90, 60), backend="qwen2_5_vl", pretrained=folder, **limits)
    assert given == pytest.approx(scores((90, 60), pretrained=folder, **limits), abs=1e-6)
    assert given != pytest.approx(scores((90, 60), backend="qwen2_5_vl", pretrained=folder), abs=1e-3)


@pytest.mark.parametrize(
    ("dtype", "expected"), [(None, torch.float32), ("float64", torch.float64), ("auto", torch.bfloat16)]
)
def test_a_backend_s_weights_have_the_precision_that_is_asked_for(
    dtype: str | None, expected: torch.dtype, checkpoint: Callable[[str], Path]
) -> None:
    """lmms-eval's class loads bfloat16; what is wider is loaded anew and not rounded on the way."""
    folder = checkpoint("qwen2_5_vl")
    model = BenchCModel(backend="qwen2_5_vl", pretrained=str(folder), device="cpu", dtype=dtype)._scorer._model
    weight = hf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).lm_head.weight
    assert model.dtype == expected
    assert torch.equal(model.lm_head.weight, weight.to(expected))


def test_no_video_decoder_is_left_behind(checkpoint: Callable[[str], Path]) -> None:
    present = "decord" in sys.modules
    BenchCModel(backend="qwen3_vl", pretrained=str(checkpoint("qwen3_vl")), device="cpu")
    assert ("decord" in sys.modules) is present


def test_what_looks_over_all_modules_finds_no_file_behind_the_stand_in_for_a_video_decoder() -> None:
    with _without_video("no_such_decoder"):
        assert not hasattr(sys.modules["no_such_decoder"], "__file__")
        with pytest.raises(ImportError, match="no_such_decoder is not installed, and videos need it"):
            sys.modules["no_such_decoder"].VideoReader("film.mp4")


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        ("qwen25vl", r"^backend 'qwen25vl' is none of lmms-eval's models; close to it: \w*qwen\w*(, \w+)*$"),
        (
            "huggingface",
            r"^backend 'huggingface' loads models without their .* head: leave backend out, and benchc loads",
        ),
        ("benchc", r"^backend 'benchc' is this model itself: leave backend out, or name another$"),
        ("nothing", r"^backend 'nothing' is none of lmms-eval's models; `benchc info` lists them$"),
        (
            "dummy",
            r"^backend 'dummy' holds no transformers model in this process, .*: name the backend of one, or leave",
        ),
        (
            "videoChatGPT",
            r"^backend 'videoChatGPT' needs lmms_eval.models.simple.videoChatGPT, which is not installed$",
        ),
        (
            "qwen3_vl",
            r"^backend 'qwen3_vl' could not be loaded: '/.+' is neither a folder on this machine nor a hub id",
        ),
    ],
)
def test_a_backend_that_cannot_serve_is_a_sentence(backend: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        BenchCModel(backend=backend, pretrained=str(tmp_path / "nowhere"), device="cpu")
    assert "\n" not in str(caught.value)


def test_an_argument_that_a_backend_does_not_know_is_a_sentence(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(
        ValueError, match=r"^backend 'qwen2_5_vl' could not be loaded with .*max_pixel.* \(Assert.*\): correct these"
    ) as caught:
        BenchCModel(backend="qwen2_5_vl", pretrained=str(checkpoint("qwen2_5_vl")), device="cpu", max_pixel="secret")
    assert "could not be loaded with device, device_map, max_pixel, pretrained (" in str(caught.value)


def test_a_backend_of_another_family_is_refused(checkpoint: Callable[[str], Path]) -> None:
    """lmms-eval's class would fill the model with random numbers, and answer."""
    with pytest.raises(
        ValueError,
        match=r"^backend 'qwen3_vl' is made for qwen3_vl, and '.+' is a checkpoint of llava: leave backend out",
    ):
        BenchCModel(backend="qwen3_vl", pretrained=str(checkpoint("llava")), device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "auto"])
def test_a_backend_s_checkpoint_without_its_head_is_refused(
    checkpoint: Callable[[str], Path], tmp_path: Path, dtype: str
) -> None:
    """Whether its weights are loaded anew, as in float32, or are those that lmms-eval's class loaded."""
    folder = shutil.copytree(checkpoint("qwen2_5_vl"), tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight for name, weight in weights.items() if name != "lm_head.weight"}, folder / "model.safetensors"
    )
    with pytest.raises(ValueError, match=r"^backend 'qwen2_5_vl' lacks 1 of its weights, lm_head.weight first: name"):
        BenchCModel(backend="qwen2_5_vl", pretrained=str(folder), device="cpu", dtype=dtype)


def test_a_checkpoint_without_a_head_is_refused(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers itself would fill the head with random numbers."""
    folder = checkpoint("llava")
    hf.AutoModel.from_pretrained(folder).save_pretrained(tmp_path)
    hf.AutoProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"^model '.+' lacks \d+ of its weights, lm_head.weight first: name a checkpoint"
    ):
        BenchCModel(pretrained=str(tmp_path), device="cpu")


def test_a_backend_s_model_without_a_head_is_refused(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """lmms-eval's `huggingface` class, which loads exactly that; its name alone would be refused before."""
    monkeypatch.setattr("benchc_tasks.models.backends.HEADLESS_BACKENDS", ())
    with pytest.raises(ValueError, match=r"^backend 'huggingface' is a LlavaModel without a language-model head"):
        BenchCModel(backend="huggingface", pretrained=str(checkpoint("llava")), device="cpu")


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
    parameters = inspect.signature(BenchCModel.__init__).parameters
    assert sorted(BENCHC_ARGUMENTS) == sorted(set(parameters) - {"self", "arguments"})


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
