"""What the selection is worth, on real models: see tests/benchmarks/selection_proof.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
LOGITS = ROOT.parent / "shared" / "mmbench-logits"

pytestmark = pytest.mark.skipif(
    not LOGITS.is_dir(),
    reason="the published logits are not part of the project: this looks for ../shared/mmbench-logits beside it",
)


@pytest.fixture(scope="module")
def proof() -> ModuleType:
    path = ROOT / "tests" / "benchmarks" / "selection_proof.py"
    specification = importlib.util.spec_from_file_location("selection_proof", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["selection_proof"] = module
    specification.loader.exec_module(module)
    return module


def test_the_rotations_are_brought_into_the_original_order(proof: ModuleType) -> None:
    evidence = proof.load(LOGITS)
    assert (len(evidence.pool), len(evidence.tally.models)) == (1176, 26)
    assert evidence.tally.conditions == ("clean", "rotation@1", "rotation@2", "rotation@3")
    assert int(evidence.tally.answers.sum()) == 26 * 4377
    # Whatever the order of the options, the right one keeps its probability.
    with np.load(LOGITS / "mmbench_logits.npz") as stored:
        weights = np.exp(stored["logits"][:, :, :4].astype(np.float64))
        right = np.take_along_axis(weights, stored["answer"][np.newaxis, :, np.newaxis], axis=2)[..., 0]
        expected = dict(zip(stored["models"].tolist(), (right / weights.sum(axis=2)).sum(axis=1), strict=True))
    found = dict(zip(evidence.tally.models, evidence.tally.right_probability.sum(axis=1), strict=True))
    assert found == pytest.approx(expected)


def test_the_default_separates_and_ranks_other_models_and_ignores_letters(proof: ModuleType) -> None:
    verdict = proof.judge(proof.load(LOGITS), proof.ours(LOGITS, "covariance"))
    assert np.mean(verdict.separations) >= 2.2
    assert min(verdict.separations) >= 1.6
    assert np.mean(verdict.agreements) >= 0.86
    assert np.mean(verdict.agreements) > np.mean(verdict.chances) + 0.02
    assert max(verdict.letters) <= 0.02
    assert verdict.categories == [20] * 20


def test_combined_with_diversity_tells_other_models_apart(proof: ModuleType) -> None:
    verdict = proof.judge(proof.load(LOGITS), proof.ours(LOGITS, "combined"))
    assert np.mean(verdict.separations) >= 2.6
    assert min(verdict.separations) >= 1.6
    assert np.mean(verdict.agreements) >= 0.80
    assert verdict.categories == [20] * 20


def test_inconsistency_with_diversity_tells_other_models_apart(proof: ModuleType) -> None:
    verdict = proof.judge(proof.load(LOGITS), proof.ours(LOGITS, "inconsistency"))
    assert np.mean(verdict.separations) >= 1.65


def test_random_subsets_are_the_measure(proof: ModuleType) -> None:
    evidence = proof.load(LOGITS)
    verdict = proof.judge(evidence, lambda tally: evidence.random[0], range(5))
    assert np.mean(verdict.separations) == pytest.approx(1, abs=0.2)
