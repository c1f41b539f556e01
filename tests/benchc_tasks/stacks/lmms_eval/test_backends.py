import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tiny_models import BACKENDS

import benchc_tasks
from benchc_tasks.models.questions import EngineError
from benchc_tasks.stacks.lmms_eval.backends import _without_video
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from support import logged


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
        ("qwen25vl", r"^backend 'qwen25vl' is not one of lmms-eval's models; close to it: \w*qwen\w*(, \w+)*$"),
        (
            "huggingface",
            r"^backend 'huggingface' loads models without their .* head: leave backend out, and benchc loads",
        ),
        ("benchc", r"^backend 'benchc' is this model itself: leave backend out, or name another$"),
        ("nothing", r"^backend 'nothing' is not one of lmms-eval's models; `benchc info` lists them$"),
        (
            "dummy",
            r"^backend 'dummy' has no transformers model in this process, .*: name another backend, or leave",
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
        match=r"^backend 'qwen3_vl' is made for qwen3_vl, but '.+' is a checkpoint of llava: leave backend out",
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


def test_a_backend_s_model_without_a_head_is_refused(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """lmms-eval's `huggingface` class, which loads exactly that; its name alone would be refused before."""
    monkeypatch.setattr("benchc_tasks.stacks.lmms_eval.backends.HEADLESS_BACKENDS", ())
    with pytest.raises(ValueError, match=r"^backend 'huggingface' is a LlavaModel without a language-model head"):
        BenchCModel(backend="huggingface", pretrained=str(checkpoint("llava")), device="cpu")


def test_a_served_backend_takes_its_class_s_arguments_and_says_which_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`video_fps` is of lmms-eval's `openai`, `mcp_server_path` of its `async_openai`; nothing listens there."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    served = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "max_retries": 1}
    for backend, name in (("openai", "video_fps"), ("async_openai", "mcp_server_path")):
        with logged() as lines, pytest.raises(EngineError, match=r"^no server answers at http://127\.0\.0\.1:9/v1 \("):
            BenchCModel(backend=backend, **served, **{name: 2})
        assert lines[0] == f"backend {backend!r}: {name} changes nothing where options are scored"
    with pytest.raises(
        ValueError, match=r"^argument 'mcp_server_path' is unknown to benchc and to the backend 'openai'"
    ):
        BenchCModel(backend="openai", mcp_server_path="x", **served)


def test_only_the_stacks_import_an_evaluation_framework() -> None:
    """Models, datasets and corruptions know none, nor the stacks themselves."""
    root = Path(benchc_tasks.__file__).parent
    for room in ("models", "datasets", "corruptions"):
        for file in (root / room).rglob("*.py"):
            source = file.read_text(encoding="utf-8")
            assert not re.search(r"(import|from) (lmms_eval|benchc_tasks\.(stacks|commands))", source), file
