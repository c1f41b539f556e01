"""VLMEvalKit itself, in processes of its own: importing it changes the process for good."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchc_metrics.benchmark import Condition
from benchc_metrics.runs import read_run
from benchc_tasks.datasets import load_dataset
from benchc_tasks.stacks.pictures import ConditionedPicture
from benchc_tasks.stacks.prompting import task_prompt

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vlmeval") is None and "BENCHC_REQUIRE_STACKS" not in os.environ,
    reason="VLMEvalKit is not installed",
)

STOCK = """
import hashlib, sys
from functools import partial
import numpy as np
from PIL import Image
import vlmeval.config
from vlmeval.vlm.base import BaseModel

class Looks(BaseModel):
    'Answers by a digest of the picture and the text that it is given.'
    def __init__(self, temperature=0.0): super().__init__()
    def use_custom_prompt(self, dataset): return True
    def build_prompt(self, line, dataset): raise AssertionError('another prompt than the records name')
    def generate_inner(self, message, dataset=None):
        picture, text = message
        pixels = np.asarray(Image.open(picture['value']))
        digest = hashlib.sha256(pixels.tobytes() + text['value'].encode()).digest()
        return 'AB'[digest[0] % 2]
    generate = generate_inner

vlmeval.config.supported_VLM['Looks'] = partial(Looks)
from benchc_tasks.commands.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(folder: Path, *words: str, stock: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STOCK] if stock else [sys.executable, "-m", "benchc_tasks.commands.cli"]
    environment = {**os.environ, "LMUData": str(folder / "data"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*command, "vlmevalkit", "--limit", "2", "--work-dir", str(folder / "outputs"), *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vlmevalkit")


@pytest.fixture(scope="module")
def scored(folder):
    done = start(folder, "--data", "BenchC_fog")
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_vlmevalkit_s_own_summary_has_ras(scored):
    assert '"ras": -' in scored.stdout + scored.stderr


@pytest.mark.skipif("BENCHC_VLMEVALKIT_REPO" not in os.environ, reason="BENCHC_VLMEVALKIT_REPO names no checkout")
def test_a_checkout_gives_what_the_package_gives(scored, folder):
    checkout = os.environ["BENCHC_VLMEVALKIT_REPO"]
    done = start(folder, "--data", "BenchC_fog", "--repo", checkout, "--work-dir", str(folder / "of checkout"))
    assert done.returncode == 0, done.stderr[-3000:]
    ours, packaged = read_run(folder / "of checkout" / "benchc"), read_run(folder / "outputs" / "benchc")
    assert ours.sample_ids == packaged.sample_ids
    assert ours.corrupted == pytest.approx(packaged.corrupted, abs=0)
    assert ours.clean == pytest.approx(packaged.clean, abs=0)
    assert ours.metadata.lmms_eval.startswith("a checkout")


def test_kept_answers_are_used_again_and_only_for_the_same_model(scored, folder):
    again = start(folder, "--data", "BenchC_fog", "--reuse")
    assert again.returncode == 0
    assert "forward passes to make" not in again.stderr
    other = start(folder, "--data", "BenchC_fog", "--reuse", "--model_args", "dtype=float64")
    assert "12 forward passes to make" in other.stderr, other.stderr[-2000:]


def test_a_model_of_vlmevalkit_sees_the_corrupted_pictures_and_its_votes_are_counted(folder):
    words = ["--data", "BenchC_fog", "--model", "Looks", "--clean-up", "--votes", "3", "--temperature", "0.7"]
    done = start(folder, *words, stock=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "12 pictures, about" in done.stderr
    assert not (folder / "outputs" / "benchc_pictures").exists()
    (log,) = (folder / "outputs" / "Looks").glob("*_samples_benchc_fog.jsonl")
    samples = load_dataset()
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)["benchc"]
        assert record["obtained"] == "votes"
        assert record["sampling"] == {"number": 3, "temperature": 0.7, "seed": None}
        doc = samples[samples.ids.index(record["sample"])]
        for condition, counts in zip(record["conditions"], record["votes"], strict=True):
            (picture,) = ConditionedPicture("", doc["id"], Condition.parse(condition))(doc)
            text = task_prompt().text(doc["question"], doc["options"])
            digest = hashlib.sha256(np.asarray(picture).tobytes() + text.encode()).digest()
            assert counts[digest[0] % 2] == sum(counts) == 3


def test_a_model_that_nobody_knows_is_told(folder):
    done = start(folder, "--data", "BenchC_fog", "--model", "nobody")
    assert done.returncode == 1
    assert "'nobody' is neither benchc nor one of VLMEvalKit's models" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_model_ends_with_a_status(folder):
    done = start(folder, "--data", "BenchC_fog", "--pretrained", "nowhere/at-all")
    assert done.returncode == 1
