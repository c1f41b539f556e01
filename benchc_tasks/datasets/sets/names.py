"""The names of the sets, where their questions come from, and what to cite."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    revision : str or None
        The state of the benchmark on the hub that is taken; None for the newest one at the first use, whose commit is
        written down and taken from then on.
    manifest : Path or None
        The selection of a subset; None for all questions.
    """

    name: str
    benchmark: str
    citation: str
    revision: str | None = None
    manifest: Path | None = None


_CITATIONS = {
    "mmbench": "MMBench: Is Your Multi-modal Model an All-around Player?, arXiv 2307.06281",
    "mmstar": "Are We on the Right Way for Evaluating Large Vision-Language Models?, arXiv 2403.20330",
    "seedbench": "SEED-Bench: Benchmarking Multimodal LLMs with Generative Comprehension, arXiv 2307.16125",
    "scienceqa": "Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question Answering, arXiv "
    "2209.09513",
    "ai2d": "A Diagram Is Worth A Dozen Images, arXiv 1603.07396",
    "realworldqa": "RealWorldQA, xAI, 2024",
    "mmmu": "MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark, arXiv 2311.16502",
    "blink": "BLINK: Multimodal Large Language Models Can See but Not Perceive, arXiv 2404.12390",
}

SELECTED_SETS: dict[str, Path] = {path.stem: path for path in sorted(_FOLDER.glob("*.json"))}
"""The manifests that come with the package, by the set's name: ids and hashes, without texts and pictures."""

NAMED_SETS: dict[str, NamedSet] = {
    **{name: NamedSet(name, name, citation) for name, citation in _CITATIONS.items()},
    **{
        name: NamedSet(name, name.removesuffix("-c"), _CITATIONS[name.removesuffix("-c")], manifest=path)
        for name, path in SELECTED_SETS.items()
    },
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
