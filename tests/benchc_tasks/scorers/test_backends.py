import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from benchc_tasks.scorers.backends import _without_video, load_checkpoint
from benchc_tasks.scorers.model import BenchCModel

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
        ("dummy", r"^backend 'dummy' holds no transformers model in this process"),
        (
            "videoChatGPT",
            r"^backend 'videoChatGPT' needs lmms_eval.models.simple.videoChatGPT, which is not installed$",
        ),
        ("qwen3_vl", r"^backend 'qwen3_vl' could not be built with .*pretrained: OSError: .+"),
    ],
)
def test_a_backend_that_cannot_serve_is_a_sentence(backend: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        BenchCModel(backend=backend, pretrained=str(tmp_path / "nowhere"), device="cpu")
    assert "\n" not in str(caught.value)


def test_an_argument_that_a_backend_does_not_know_is_a_sentence(checkpoint: Callable[[str], Path]) -> None:
    with pytest.raises(
        ValueError, match=r"^backend 'qwen2_5_vl' could not be built with .*max_pixel.*: Assert"
    ) as caught:
        BenchCModel(backend="qwen2_5_vl", pretrained=str(checkpoint("qwen2_5_vl")), device="cpu", max_pixel="secret")
    assert "could not be built with device, device_map, max_pixel, pretrained: " in str(caught.value)


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
    monkeypatch.setattr("benchc_tasks.scorers.backends.HEADLESS_BACKENDS", ())
    with pytest.raises(ValueError, match=r"^backend 'huggingface' is a LlavaModel without a language-model head"):
        BenchCModel(backend="huggingface", pretrained=str(checkpoint("llava")), device="cpu")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            {"max_pixel": 9},
            r"^argument 'max_pixel' is unknown to benchc and .*Qwen2VLImageProcessor; close to it: max_pixels",
        ),
        ({"xyz": 9}, r"^argument 'xyz' is unknown to benchc and .*; close to it: none$"),
    ],
)
def test_an_unknown_argument_is_a_sentence(
    argument: dict[str, Any], sentence: str, checkpoint: Callable[[str], Path]
) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(str(checkpoint("qwen2_5_vl")), argument, device=CPU, dtype=None)


def test_a_checkpoint_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^model '.*nothing' could not be loaded: OSError: ") as caught:
        load_checkpoint(str(tmp_path / "nothing"), {}, device=CPU, dtype=None)
    assert "\n" not in str(caught.value)


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
