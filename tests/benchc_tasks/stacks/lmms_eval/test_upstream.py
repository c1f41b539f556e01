"""The faults of lmms-eval that docs/upstream.md reports are still there.

A test that fails here is good news: lmms-eval mended one. Take the page's section out, and what works around it.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import filelock
import lmms_eval
import pytest
from lmms_eval.api.instance import Instance, unwrap_generation_output
from lmms_eval.caching import cache
from lmms_eval.caching.response_cache import ResponseCache
from transformers import AutoModelForImageTextToText

SOURCE = Path(lmms_eval.__file__).parent


def question(number: int = 0) -> Instance:
    return Instance(
        "loglikelihood",
        ("Which?", "A", lambda doc: [], number, "task", "test"),
        0,
        metadata={"task": "task", "doc_id": number, "repeats": 1},
    )


def test_a_log_likelihood_becomes_text() -> None:
    assert unwrap_generation_output((-0.25, True))[0] == "(-0.25, True)"


def test_an_evaluation_that_failed_is_only_printed() -> None:
    program = ast.parse((SOURCE / "__main__.py").read_text())
    (evaluate,) = [node for node in program.body if isinstance(node, ast.FunctionDef) and node.name == "cli_evaluate"]
    statements = [ast.unparse(node) for node in ast.walk(evaluate) if isinstance(node, ast.ExceptHandler)]
    (failed,) = [text for text in statements if "Error during evaluation" in text]
    assert "results_list.append(None)" in failed
    exits = {ast.unparse(node) for node in ast.walk(evaluate) if "sys.exit(" in ast.unparse(node)[:9]}
    assert exits == {"sys.exit(0)"}


def test_a_private_module_of_filelock_is_changed() -> None:
    assert "import filelock._api" in (SOURCE / "evaluator.py").read_text()
    assert filelock.__version__ < "4.3"


def test_the_class_with_the_head_is_never_chosen() -> None:
    names = AutoModelForImageTextToText._model_mapping.keys()
    assert "qwen2_vl" not in names
    assert "qwen2_vl" in {configuration.model_type for configuration in names}
    text = (SOURCE / "models/chat/huggingface.py").read_text()
    assert "config.model_type in AutoModelForImageTextToText._model_mapping.keys()" in text


def test_a_mean_loss_is_called_a_log_likelihood() -> None:
    assert "res.append((float(loss.item()), bool(max_equal)))" in (SOURCE / "models/simple/llava_hf.py").read_text()


def test_kept_requests_lose_their_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PATH", str(tmp_path))
    cache.save_to_cache("requests", [[question()]])
    assert cache.load_from_cache("requests")[0][0].args == ("Which?", "A", None, 0, "task", "test")


def test_a_killed_run_leaves_no_answers(tmp_path: Path) -> None:
    class Model:
        asked = 0

        def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
            for _ in requests:
                self.asked += 1
                if self.asked == 3:
                    raise KeyboardInterrupt
            return [(-1.0, True)] * len(requests)

    settings = {"model": "m", "model_args": "", "task_dict": {}, "world_size": 1, "global_rank": 0}
    model = Model()
    requests = [question(number) for number in range(4)]
    with pytest.raises(KeyboardInterrupt):
        ResponseCache.create(str(tmp_path), **settings).execute(model, "loglikelihood", requests)
    ResponseCache.create(str(tmp_path), **settings).execute(model, "loglikelihood", requests)
    assert model.asked == 3 + len(requests)


@pytest.mark.skipif(importlib.util.find_spec("decord") is not None, reason="decord is installed")
def test_a_backend_for_images_needs_a_video_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test may have put the module there, with a stand-in for the decoder.
    monkeypatch.delitem(sys.modules, "lmms_eval.models.simple.llava_hf", raising=False)
    monkeypatch.delitem(sys.modules, "decord", raising=False)
    with pytest.raises(ModuleNotFoundError, match="decord"):
        importlib.import_module("lmms_eval.models.simple.llava_hf")
