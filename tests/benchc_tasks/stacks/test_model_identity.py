"""What tells a model of a stack from another, where it says nothing of itself."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.models import checkpoints
from benchc_tasks.stacks import model_identity as module
from benchc_tasks.stacks.model_identity import model_identity


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> None:
    checkpoints._state_of_files.cache_clear()


def changed_in_place(path: Path, place: int) -> None:
    """Change one byte and keep size and times."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    checkpoints._state_of_files.cache_clear()


def test_weights_that_are_changed_in_place_are_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(DEMONSTRATION_MODEL, folder)
    arguments = {"pretrained": str(folder), "device": "cpu"}
    before = model_identity("llava_hf", arguments)
    assert model_identity("llava_hf", dict(reversed(arguments.items()))) == before
    weights = folder / "model.safetensors"
    changed_in_place(weights, weights.stat().st_size - 9)
    assert model_identity("llava_hf", arguments) != before


def test_a_text_in_a_file_counts_and_a_folder_that_is_written_into_does_not(tmp_path: Path) -> None:
    prompt, logs = tmp_path / "system.txt", tmp_path / "logs"
    prompt.write_text("Be brief.")
    logs.mkdir()
    arguments = {"pretrained": "qwen", "system_prompt": str(prompt), "response_persistent_folder": str(logs)}
    before = model_identity("qwen2_5_vl", arguments)
    (logs / "answers.json").write_text("{}")
    assert model_identity("qwen2_5_vl", arguments) == before
    changed_in_place(prompt, 3)
    assert model_identity("qwen2_5_vl", arguments) != before


def test_a_checkpoint_of_the_hub_is_known_by_the_commit_that_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(commit: str) -> str | None:
        path = f"/cache/models--org--model/snapshots/{commit}/config.json"
        monkeypatch.setattr(
            module, "try_to_load_from_cache", lambda name, file, revision: path if revision == "main" else None
        )
        return model_identity("qwen2_5_vl", {"pretrained": "org/model", "revision": "main"})

    assert identity("abc") == identity("abc") != identity("def")


def test_a_server_that_a_variable_names_counts_and_its_key_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"model_version": "qwen", "api_key": "sk-secret"}
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:1/v1")
    before = model_identity("openai", arguments)
    assert before is not None
    assert "secret" not in before
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    monkeypatch.setenv("JUPYTERHUB_API_URL", "http://127.0.0.1:3/hub")
    assert model_identity("openai", {**arguments, "api_key": "sk-another"}) == before
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:2/v1")
    assert model_identity("openai", arguments) != before


def test_an_object_is_known_by_a_name_that_it_gives_itself() -> None:
    class Model:
        pass

    class Named(Model):
        def __repr__(self) -> str:
            return "model 1"

    assert model_identity(Model(), {}) is None
    identity = model_identity(Named(), {})
    assert identity is not None
    assert json.loads(identity)[0] == "model 1"
