"""From a folder of photographs to a RAS table on a discriminative subset of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "photo-mcq"

pytestmark = pytest.mark.skipif(
    not PHOTOGRAPHS.is_dir(),
    reason="the photographs are not part of the project: this looks for ../shared/photo-mcq beside the checkout",
)


def weaker_model(folder: Path, seed: int) -> Path:
    """The bundled model with noise on its weights: another model, as a selection needs more than one."""
    shutil.copytree(DEMONSTRATION_MODEL, folder)
    weights = load_file(folder / "model.safetensors")
    draw = np.random.default_rng(seed)
    noisy = {
        name: (values + draw.normal(scale=0.4 * values.std(), size=values.shape)).astype(values.dtype)
        for name, values in weights.items()
    }
    save_file(noisy, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_from_photographs_to_a_table_on_the_subset(
    tmp_path: Path, lmms_eval: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    pool, subset = tmp_path / "pool", tmp_path / "subset"
    local = ["pool", "local", "--jsonl", str(PHOTOGRAPHS / "data.jsonl"), "--images", str(PHOTOGRAPHS)]
    assert main([*local, "-o", str(pool)]) == 0
    photographs = load_dataset(pool)
    assert len(photographs) == 146
    first = json.loads((PHOTOGRAPHS / "data.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert photographs[0]["image"] == (PHOTOGRAPHS / first["image"]).read_bytes()
    assert {name: photographs[0][name] for name in ("id", "options", "answer", "source", "category")} == {
        name: first[name] for name in ("id", "options", "answer", "source", "category")
    }

    task = ["--model", "benchc", "--tasks", "benchc_fog", "--batch_size", "8"]
    weaker = weaker_model(tmp_path / "weaker", seed=1)
    environment = {"BENCHC_DATASET": str(pool)}
    bundled = lmms_eval(task, environment=environment, folder="runs/bundled")
    other = lmms_eval([*task, "--model_args", f"pretrained={weaker}"], environment=environment, folder="runs/weaker")
    assert len(bundled.samples("benchc_fog")) == len(other.samples("benchc_fog")) == 146

    answers = [f"bundled={bundled.folder}", f"weaker={other.folder}"]
    select = ["select", str(pool), "--answers", *answers, "--size", "40"]
    assert main([*select, "-o", str(subset)]) == 0
    manifest = json.loads((subset / "selection.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["answers_used"] == 2 * 6 * 146
    assert [model["name"] for model in manifest["models"]] == ["bundled", "weaker"]
    selected = load_dataset(subset)
    assert len(selected) == 40
    images = {row["id"]: row["image"] for row in photographs}
    assert all(row["image"] == images[row["id"]] for row in selected)

    evaluated = lmms_eval(task, environment={"BENCHC_DATASET": str(subset)}, folder="runs/subset")
    rows = evaluated.samples("benchc_fog")
    assert sorted(row["benchc"]["sample"] for row in rows) == sorted(row["id"] for row in selected)
    figures = evaluated.results["results"]["benchc_fog"]
    assert -2 <= figures["ras,none"] <= 1
    assert figures["ras,none"] == pytest.approx(np.mean([row["ras"] for row in rows]))
    assert "ras" in evaluated.output
    # The subset is of samples that fog moves: its answers flip more often than the pool's do.
    pool_figures = bundled.results["results"]["benchc_fog"]
    assert figures["flip,none"] > pool_figures["flip,none"]
    capsys.readouterr()
