"""The names of the sets, where their questions come from, and what to cite."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["NAMED_SETS", "SELECTED_SETS", "NamedSet", "named_set"]

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"(?P<name>[a-z0-9-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)


@dataclass(frozen=True)
class NamedSet:
    """A set that can be named in place of a path.

    Attributes
    ----------
    name : str
        As in `BENCHC_DATASET=mmstar`.
    benchmark : str
        The pool that its questions come from, as in `benchc pool mmstar`.
    citation : str
        The paper of the benchmark.
    revision : str
        The commit of the benchmark's dataset on the hub that is taken.
    published : str
        A file of a public repository that names this commit.
    manifest : Path or None
        The selection of a subset; None for all questions.
    removed : int
        How many questions the benchmark has lost since the subset was selected. So many may be missing, at most.
    """

    name: str
    benchmark: str
    citation: str
    revision: str
    published: str
    manifest: Path | None = None
    removed: int = 0


_GITHUB = "https://github.com"
# Where the files that are named here say lmms-lab, the hub leads to lmms-lab-encoder, with the same commits.
_BENCHMARKS = {
    named.name: named
    for named in (
        NamedSet(
            "mmbench",
            "mmbench",
            "MMBench: Is Your Multi-modal Model an All-around Player?, arXiv 2307.06281",
            "56ba1af8954932c4804bd3f522e05ed96e63b654",
            f"{_GITHUB}/Xiaooolong/vev/blob/1029da598db86dd0413d38ba0fdcd9c9aa814b74/evals/datasets/image_mmbench_en.py",
        ),
        NamedSet(
            "mmstar",
            "mmstar",
            "Are We on the Right Way for Evaluating Large Vision-Language Models?, arXiv 2403.20330",
            "bc98d668301da7b14f648724866e57302778ab27",
            f"{_GITHUB}/weitianxin/JevAny/blob/f49f02e348fab2a88647d63d30042beccbd92c96/scripts/build_multimodal_eval.py",
        ),
        NamedSet(
            "seedbench",
            "seedbench",
            "SEED-Bench: Benchmarking Multimodal LLMs with Generative Comprehension, arXiv 2307.16125",
            "74c4ea0cee96786739e4ccb97d227818a05ae752",
            f"{_GITHUB}/pds-dpo/pds-dpo/blob/93647b123dfe3cbe9eec4e75feae1b3919205a5b/evaluation/prepare.py",
        ),
        NamedSet(
            "scienceqa",
            "scienceqa",
            "Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question Answering, "
            "arXiv 2209.09513",
            "69dd4d6b67373d38f96a5badd5d24d0eb5bcdc50",
            f"{_GITHUB}/pds-dpo/pds-dpo/blob/93647b123dfe3cbe9eec4e75feae1b3919205a5b/evaluation/prepare.py",
        ),
        NamedSet(
            "ai2d",
            "ai2d",
            "A Diagram Is Worth A Dozen Images, arXiv 1603.07396",
            "c83a9b9692933aff8349157c88a413df9d02c4e5",
            f"{_GITHUB}/Exgentic/eval-containers/blob/19f454438e51a49c19f3a6f806283dfd2ac0207e/containers/benchmarks/ai2d/"
            "README.md",
        ),
        NamedSet(
            "realworldqa",
            "realworldqa",
            "RealWorldQA, xAI, 2024",
            "907c4e5228fd1703c710ed937601cb5f89ab8d5c",
            f"{_GITHUB}/NVIDIA/Model-Optimizer/blob/8fcefb4f41f5662042b6c78a43b4e12663ba9a79/examples/puzzletron/evaluation/"
            "vlm/profile.py",
        ),
        NamedSet(
            "mmmu",
            "mmmu",
            "MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark, arXiv 2311.16502",
            "364f2e2eb107b36e07ff4c5a15f5947a759cef47",
            f"{_GITHUB}/NVIDIA/Model-Optimizer/blob/8fcefb4f41f5662042b6c78a43b4e12663ba9a79/examples/puzzletron/evaluation/"
            "vlm/profile.py",
        ),
        NamedSet(
            "blink",
            "blink",
            "BLINK: Multimodal Large Language Models Can See but Not Perceive, arXiv 2404.12390",
            "a3666eb249237ba3d5eca8db21176cc47967e040",
            f"{_GITHUB}/allenai/OLMo-core/blob/9274bb7a59ba1b41861a31c97f61568cb07f0d68/src/olmo_core/eval/"
            "vision_alignment_ssmax_downstream.py",
        ),
    )
}

SELECTED_SETS: dict[str, Path] = {path.stem: path for path in sorted(_FOLDER.glob("*.json"))}
"""The manifests that come with the package, by the set's name: ids and hashes, without texts and pictures."""

# The answers that selected mmbench-c are of MMBench's first release, of 1,176 questions; the hub's has 1,164.
_REMOVED = {"mmbench-c": 12}


def _selected(name: str, manifest: Path) -> NamedSet:
    return replace(_BENCHMARKS[name.removesuffix("-c")], name=name, manifest=manifest, removed=_REMOVED.get(name, 0))


NAMED_SETS: dict[str, NamedSet] = {
    **_BENCHMARKS,
    **{name: _selected(name, manifest) for name, manifest in SELECTED_SETS.items()},
}
"""All sets that have a name."""


def named_set(given: str) -> tuple[NamedSet, str | None] | None:
    """Read a set's name, perhaps with a revision of the benchmark on the hub.

    Returns
    -------
    (NamedSet, str or None) or None
        The set and the revision after `@`; None where the text names no set.

    Examples
    --------
    >>> found, revision = named_set("mmstar@v1")
    >>> found.name, revision
    ('mmstar', 'v1')
    >>> named_set("owner/mmstar") is None
    True
    """
    match = _NAME.fullmatch(given)
    found = NAMED_SETS.get(match["name"]) if match else None
    return (found, match["revision"]) if match and found else None
