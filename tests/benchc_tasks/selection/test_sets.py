"""The sets that come with the package, and subsets that are found again by their texts."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset, write_dataset
from benchc_tasks.selection import SETS, named_set, read_manifest

ROOT = Path(__file__).parents[3]
LOGITS = ROOT.parent / "shared" / "mmbench-logits"
HEXADECIMAL = set("0123456789abcdef")


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_ids_and_hashes_and_no_text(name: str) -> None:
    path = named_set(name)
    assert path is not None
    assert path.stat().st_size < 100_000
    manifest = read_manifest(path)
    assert len({sample.id for sample in manifest.samples}) == len(manifest.samples) == manifest.size
    for sample in manifest.samples:
        assert sample.id.removeprefix("mmbench_").isdigit()
        assert (sample.digest, len(sample.text or "")) == (None, 64)
        assert set(sample.text or "") <= HEXADECIMAL
    assert manifest.cautions


def test_mmbench_c_is_bundled_and_has_the_pools_letters() -> None:
    assert "mmbench-c" in SETS
    assert named_set("nothing") is None
    manifest = read_manifest(named_set("mmbench-c") or "")
    assert (manifest.score, manifest.strata, len(manifest.models)) == ("covariance", ["letter", "category"], 26)
    assert manifest.counts.categories_covered == manifest.counts.categories == 20
    pool, subset = (
        np.array(values) for values in zip(*((c.pool, c.subset) for c in manifest.letters.values()), strict=True)
    )
    assert abs(subset / subset.sum() - pool / pool.sum()).max() < 0.005
    assert "not under corruptions" in manifest.cautions[0]


def test_a_subset_without_image_hashes_is_found_by_its_texts(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pool, subset = world.folder / "pool", world.folder / "subset"
    assert main(["select", str(pool), "--answers", world.write_table(), "--size", "12", "-o", str(subset)]) == 0
    manifest = json.loads((subset / "selection.json").read_text(encoding="utf-8"))
    manifest.update(pool_fingerprint=None, subset_fingerprint=None)
    for sample in manifest["samples"]:
        sample["digest"] = None
    path = world.folder / "texts.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    # Another image and other white space: still the same questions.
    for row in world.rows:
        row.update(image=world.rows[0]["image"], question=row["question"].replace(" ", "  "))
    write_dataset(pool / "data.parquet", world.rows)
    capsys.readouterr()
    again = world.folder / "again"
    assert main(["select", str(pool), "--manifest", str(path), "-o", str(again)]) == 0
    assert "changed" not in capsys.readouterr().out
    assert [row["id"] for row in load_dataset(again)] == [sample["id"] for sample in manifest["samples"]]
    for row in world.rows:
        row["options"] = [f"{option}!" for option in row["options"]]
    write_dataset(pool / "data.parquet", world.rows)
    assert main(["select", str(pool), "--manifest", str(path), "-o", str(world.folder / "third")]) == 1
    assert "there are 12 changed ('s0" in capsys.readouterr().err


@pytest.mark.skipif(not LOGITS.is_dir(), reason="looks for the published logits in ../shared/mmbench-logits")
def test_mmbench_c_is_what_its_script_makes_and_selects_from_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    specification = importlib.util.spec_from_file_location("mmbench_c", ROOT / "tests" / "benchmarks" / "mmbench_c.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "mmbench_c", script)
    specification.loader.exec_module(script)
    questions = script.load(LOGITS)
    bundled = read_manifest(named_set("mmbench-c") or "")
    assert script.make(questions).samples == bundled.samples

    # A copy of the benchmark in its own columns, with one image for all: padded options are nan, as in its files.
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    (tmp_path / "image.png").write_bytes(stream.getvalue())
    items = script.read_items(LOGITS)
    by_question: dict[int, list[dict[str, Any]]] = {}
    for item in items:
        by_question.setdefault(item["index"] % 1_000_000, []).append(item)
    lines = []
    for item in items:
        if item["index"] < 1_000_000:
            rotations = sorted(by_question[item["index"]], key=lambda item: item["index"])
            options = dict(zip("ABCD", [*script.real_options(rotations), *["nan"] * 4], strict=False))
            lines.append(json.dumps({**item, **options, "image": "image.png"}))
    (tmp_path / "copy.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert main(["pool", "mmbench", "--from", str(tmp_path / "copy.jsonl"), "-o", str(tmp_path / "pool")]) == 0
    capsys.readouterr()
    assert main(["select", str(tmp_path / "pool"), "--manifest", "mmbench-c", "-o", str(tmp_path / "subset")]) == 0
    told = capsys.readouterr().out
    assert "wrote the 400 samples of the subset" in told
    assert "not under corruptions of the images" in told
    assert [row["id"] for row in load_dataset(tmp_path / "subset")] == [sample.id for sample in bundled.samples]
