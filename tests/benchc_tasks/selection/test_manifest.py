from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchc_tasks.selection.manifest import (
    FIRST_SCHEMA,
    SCHEMA,
    Counts,
    CurveRecord,
    LetterRecord,
    Manifest,
    MeasureRecord,
    ModelRecord,
    read_manifest,
    text_digest,
)

MEASURE = MeasureRecord(selected=[[None]], random=[[0.9, 1.0, 1.1]])


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
        strata=[],
        weights={"combined": {"discrimination": 4.0}},
        sample_score="probability",
        encoders=["tfidf"],
        clusters=4,
        diversity=0.5,
        size=1,
        seed=0,
        versions={"benchc": "0.1.0"},
        counts=Counts(**counts),
        letters={"A": LetterRecord(pool=2, subset=1)},
        cautions=[],
        curve=CurveRecord(sizes=[1], separation=MEASURE, tau=MEASURE, one_letter=MEASURE, is_held_out=False),
        samples=[{"id": "s", "digest": "ef", "text": "01"}],  # type: ignore[list-item]
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
            lambda found: found.update(schema="benchc.selection/3"),
            "has the schema 'benchc.selection/3', and this version",
        ),
        (lambda found: found.pop("schema"), "has the schema None"),
        (lambda found: found.update(extra=1), "extra: extra inputs are not permitted"),
        (lambda found: found["counts"].update(pool="7"), "counts.pool: input should be a valid integer"),
        (lambda found: found.pop("seed"), "seed: field required"),
        (
            lambda found: found.update(score="best"),
            "score: input should be 'covariance', 'inconsistency', 'discrimin",
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


def first_version() -> dict[str, Any]:
    """A manifest as the first version wrote it."""
    found = manifest().model_dump(mode="json")
    del found["strata"], found["letters"], found["cautions"], found["curve"], found["counts"]["chosen_by_quota"]
    separation = {"sizes": [1], "selected": [[None]], "random": [[0.9, 1.1]], "is_held_out": False}
    return {
        **found,
        "schema": FIRST_SCHEMA,
        "separation": separation,
        "samples": [{"id": "s", "digest": "ef"}],
    }


def test_a_manifest_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "selection.json"
    path.write_text(json.dumps(first_version()), encoding="utf-8")
    found = read_manifest(path)
    assert (found.schema_, found.strata, found.letters) == (SCHEMA, [], {})
    assert found.curve.separation.random == [[0.9, None, 1.1]]
    assert (found.curve.tau, found.samples[0].text, found.samples[0].digest) == (None, None, "ef")
    assert found.counts.chosen_by_score == manifest().counts.chosen_by_score
    found.write(tmp_path / "again.json")
    assert read_manifest(tmp_path / "again.json") == found


@pytest.mark.parametrize(
    "change", [{"separation": None}, {"samples": 3}, {"counts": []}, {"separation": {"sizes": []}}]
)
def test_a_broken_manifest_of_the_first_version_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "selection.json"
    path.write_text(json.dumps({**first_version(), **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"selection\.json is not a manifest of 'benchc.selection/1'"):
        read_manifest(path)


def test_white_space_does_not_change_the_digest_of_a_text() -> None:
    digest = text_digest("Which one\n is red?", ["a  cup", "a plate "], 1)
    assert digest == text_digest("Which one is red?", ["a cup", "a plate"], 1)
    others = [
        text_digest("Which one is red?", ["a cup", "a plate"], 0),
        text_digest("Which one is red? a cup", ["a plate"], 1),
        text_digest("Which one is Red?", ["a cup", "a plate"], 1),
    ]
    assert len({digest, *others}) == 4
