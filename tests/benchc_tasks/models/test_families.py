"""Families of transformers that are read in unlike ways; tests/benchmarks/model_matrix.py tries all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.model_matrix import AGREES, tried

KINDS = {
    "aya_vision": "",
    "cosmos3_edge": "",
    "gemma4": "",
    "git": "",
    "glm4v": "",
    "idefics": "",
    "kosmos-2": "whole sequences",
    "llava_next": "",
    "paligemma": "",
    "pp_chart2table": "",
    "video_llama_3": "",
}
"""Families, and how they are read where not the fast way. Their peculiarities: pictures in tiles; token types that its
processor returns only where asked; no token for pictures; positions on three axes; cross-attention with a mask of its
own; positions that its text model counts; labels and an attention that sees
what follows; one list of pictures for all questions."""


@pytest.mark.parametrize("family", KINDS)
def test_a_family_agrees_with_whole_sequences_and_with_generation(family: str, tmp_path: Path) -> None:
    row = tried(family, tmp_path / family)
    assert (row.built, row.way) == ("", KINDS[family])
    assert bool(row.sentence) is bool(row.way)
    assert row.alone is not None
    assert row.batched is not None
    assert row.several is not None
    assert max(row.alone, row.batched, row.several) <= AGREES
    # Kosmos-2 generates by its text model alone, in a function of its own.
    assert family == "kosmos-2" or (row.generated is not None and row.generated <= AGREES)


@pytest.mark.parametrize("family", ["florence2", "t5gemma2"])
def test_encoder_decoders_are_refused_in_a_sentence(family: str, tmp_path: Path) -> None:
    row = tried(family, tmp_path / family)
    assert "an encoder-decoder, whose options benchc cannot score: name a decoder-only model" in row.sentence
