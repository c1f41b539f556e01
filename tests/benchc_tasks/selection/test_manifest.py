from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchc_tasks.selection.manifest import SCHEMA, Counts, CurveRecord, Manifest, ModelRecord, read_manifest


def manifest() -> Manifest:
    counts = {name: number for number, name in enumerate(Counts.model_fields)}
    return Manifest(
        pool="pool",
        pool_fingerprint="ab",
        subset_fingerprint="cd",
        answers=["runs"],
        models=[
            ModelRecord(
                name="m",
                samples=3,
                conditions=2,
                answers=6,
                has_probabilities=True,
                accuracy=0.5,
                notes={"engine": "1"},
            )
        ],
        conditions=["clean", "fog@1"],
        score="combined",
        weights={"combined": {"discrimination": 4.0}},
        sample_score="probability",
        encoders=["tfidf"],
        clusters=4,
        diversity=0.5,
        size=1,
        seed=0,
        versions={"benchc": "0.1.0"},
        counts=Counts(**counts),
        separation=CurveRecord(sizes=[1], selected=[[None]], random=[[0.9, 1.1]], is_held_out=False),
        samples=[{"id": "s", "digest": "ef"}],  # type: ignore[list-item]
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    manifest().write(tmp_path / "selection.json")
    written = json.loads((tmp_path / "selection.json").read_text(encoding="utf-8"))
    assert next(iter(written)) == "schema"
    assert written["schema"] == SCHEMA
    assert read_manifest(tmp_path / "selection.json") == manifest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda found: found.update(schema="benchc.selection/2"),
            "has the schema 'benchc.selection/2', and this version",
        ),
        (lambda found: found.pop("schema"), "has the schema None"),
        (lambda found: found.update(extra=1), "extra: extra inputs are not permitted"),
        (lambda found: found["counts"].update(pool="7"), "counts.pool: input should be a valid integer"),
        (lambda found: found.pop("seed"), "seed: field required"),
        (
            lambda found: found.update(score="best"),
            "score: input should be 'inconsistency', 'discrimination' or 'combi",
        ),
        (lambda found: found["samples"][0].pop("digest"), r"samples\.0\.digest: field required"),
        (lambda found: (found.pop("seed"), found.pop("size")), "1 more faults"),
    ],
)
def test_what_it_does_not_know_is_refused_in_one_sentence(tmp_path: Path, change: Any, message: str) -> None:
    found = manifest().model_dump(mode="json")
    change(found)
    path = tmp_path / "selection.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as fault:
        read_manifest(path)
    assert "\n" not in str(fault.value)
    assert "selection.json" in str(fault.value)


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"schema": 1}'])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "selection.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"selection\.json (cannot be read as JSON|has the schema)"):
        read_manifest(path)


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_manifest(tmp_path / "nothing.json")
