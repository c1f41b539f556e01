"""`benchc select` from its arguments to its files, and back."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchc_tasks.commands.cli import main
from benchc_tasks.datasets import load_dataset, write_dataset

SIZE = ["--size", "12"]


def select(world: Any, *arguments: str, answers: str | None = None, output: str = "subset") -> int:
    given = ["--answers", answers or world.write_table(), *SIZE] if "--manifest" not in arguments else []
    return main(["select", str(world.folder / "pool"), *given, *arguments, "-o", str(world.folder / output)])


def manifest_of(world: Any, output: str = "subset") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((world.folder / output / "selection.json").read_text(encoding="utf-8"))
    return found


def test_the_subset_loads_as_a_dataset_with_the_pools_bytes(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert select(world) == 0
    monkeypatch.setenv("BENCHC_DATASET", f"{world.folder / 'subset'}/")
    subset, pool = load_dataset(), {row["id"]: row for row in world.rows}
    assert len(subset) == 12
    for row in subset:
        assert row == {**pool[row["id"]], "image": pool[row["id"]]["image"]}
    positions = [int(row["id"].removeprefix("s")) for row in subset]
    assert positions == sorted(positions)
    assert sorted(path.name for path in (world.folder / "subset").iterdir()) == [
        "data.parquet", "scores.csv", "selection.json", "selection.png", "selection.svg",
    ]  # fmt: skip


def test_logs_of_generated_letters_select_what_a_table_of_letters_selects(world: Any) -> None:
    assert select(world, answers=world.write_generated_logs(), output="logs") == 0
    assert select(world, answers=world.write_table(kind="prediction"), output="table") == 0
    subset = load_dataset(world.folder / "logs")
    assert subset.fingerprint == load_dataset(world.folder / "table").fingerprint
    assert len(subset) == 12
    assert {model["notes"]["likelihood"] for model in manifest_of(world, "logs")["models"]} == {"generated letters"}


def test_the_manifest_says_what_was_done(world: Any) -> None:
    assert select(world, "--seed", "3", "--diversity", "0.25", "--clusters", "5", "--score", "inconsistency") == 0
    found = manifest_of(world)
    assert found["pool_fingerprint"] == world.dataset.fingerprint
    assert found["subset_fingerprint"] == load_dataset(world.folder / "subset").fingerprint
    assert (found["seed"], found["diversity"], found["clusters"], found["score"]) == (3, 0.25, 5, "inconsistency")
    assert (found["encoders"], found["size"], found["sample_score"]) == (["tfidf"], 12, "probability")
    assert [model["name"] for model in found["models"]] == world.models
    assert found["conditions"] == ["clean", "fog@1", "fog@5", "snow@3"]
    assert {"benchc", "numpy", "scikit-learn"} <= set(found["versions"])
    counts = found["counts"]
    assert counts["pool"] == counts["candidates"] + counts["always_right"] + counts["always_wrong"] == 40
    assert counts["answers_read"] == counts["answers_used"] == 800
    assert (counts["chosen_by_topic"] >= 3, counts["selected"]) == (True, 12)
    assert counts["chosen_by_topic"] + counts["chosen_by_score"] == 12
    assert counts["categories_covered"] == counts["categories"] == 4
    assert found["curve"]["is_held_out"]


def test_the_default_keeps_the_pools_letters_and_categories(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world) == 0
    found, told = manifest_of(world), capsys.readouterr().out
    assert (found["schema"], found["score"], found["strata"]) == (
        "benchc.selection/2", "covariance", ["letter", "category"],
    )  # fmt: skip
    assert (found["diversity"], found["clusters"], found["cautions"]) == (None, None, [])
    assert found["counts"]["chosen_by_quota"] == found["counts"]["selected"] == 12
    subset = list(load_dataset(world.folder / "subset"))
    for letter, counts in found["letters"].items():
        assert counts["pool"] == sum("ABCD"[row["answer"]] == letter for row in world.rows)
        assert counts["subset"] == sum("ABCD"[row["answer"]] == letter for row in subset)
        assert abs(counts["subset"] - counts["pool"] * 12 / 40) < 1
    for category in {row["category"] for row in world.rows}:
        in_pool, in_subset = (sum(row["category"] == category for row in rows) for rows in (world.rows, subset))
        assert abs(in_subset - in_pool * 12 / 40) < 1
    place = found["curve"]["sizes"].index(12)
    for name in ("separation", "tau", "one_letter"):
        measure = found["curve"][name]
        low, mean, high = measure["random"][place]
        assert low <= mean <= high
        assert len(measure["selected"]) == 5
    assert "12 samples, judged by models that did not select" in told
    assert "accuracy of always saying one letter" in told


@pytest.mark.parametrize("score", ["combined", "discrimination", "inconsistency"])
def test_other_scores_fill_quotas_on_request(world: Any, score: str) -> None:
    assert select(world, "--score", score, "--strata", "letter", "text") == 0
    found = manifest_of(world)
    assert (found["strata"], found["counts"]["chosen_by_quota"]) == (["letter", "text"], 12)
    assert all(abs(counts["subset"] - counts["pool"] * 12 / 40) < 1 for counts in found["letters"].values())


def test_topics_take_the_place_of_missing_categories(world: Any) -> None:
    for row in world.rows[::2]:
        row["category"] = None
    write_dataset(world.folder / "pool" / "data.parquet", world.rows)
    assert select(world, "--clusters", "3") == 0
    found = manifest_of(world)
    assert (found["clusters"], found["counts"]["categories"]) == (3, 2)
    assert found["counts"]["clusters"] == 5
    svg = (world.folder / "subset" / "selection.svg").read_text(encoding="utf-8")
    assert "topic 1" in svg
    assert any(pair in svg for pair in ("engine, wheel", "piano, song", "wheel, engine", "song, piano"))


def test_a_score_without_pairs_leaves_the_inconsistency_out_and_says_so(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = world.write_table(keep=lambda model, condition, sample: condition == 0)
    assert select(world, "--score", "combined", answers=answers) == 0
    sentence = "inconsistency is left out for all samples: no model answered them both clean and corrupted"
    assert manifest_of(world)["cautions"] == [sentence]
    assert sentence in capsys.readouterr().out
    assert select(world, "--score", "inconsistency", answers=answers, output="other") == 1
    assert "--score inconsistency compares corrupted answers with clean ones" in capsys.readouterr().err


def test_scores_have_a_row_for_every_sample_and_its_fate(world: Any) -> None:
    world.log_likelihoods[:, :, 3] = np.log(1e-3)
    world.log_likelihoods[:, :, 3, world.rows[3]["answer"]] = -1e-3
    assert select(world, "--score", "combined") == 0
    with (world.folder / "subset" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [row["id"] for row in world.rows]
    selected = {row["id"] for row in rows if row["outcome"].startswith("selected")}
    assert selected == {row["id"] for row in load_dataset(world.folder / "subset")}
    assert (rows[3]["outcome"], rows[3]["score"], rows[3]["accuracy"]) == ("always right", "", "1.0")
    names = ["flip_rate", "divergence", "vote_entropy", "discrimination", "inconsistency", "score", "cluster"]
    assert all(np.isfinite(float(row[name])) for row in rows if row["score"] for name in names)
    by_score = [row for row in rows if row["outcome"] == "selected by score"]
    left = [row for row in rows if row["outcome"] == "not selected"]
    assert min(float(row["score"]) for row in by_score) >= max(float(row["score"]) for row in left)


def test_the_picture_is_one(world: Any) -> None:
    assert select(world) == 0
    with Image.open(world.folder / "subset" / "selection.png") as picture:
        assert picture.size == (1650, 1260)
        pixels = np.asarray(picture.convert("RGB"))
    # Both panels have ink in the colours of the curve, the band and the bars.
    for colour in ((0x00, 0x72, 0xB2), (0x7A, 0x7A, 0x7A)):
        assert (pixels == colour).all(axis=2).any()
    assert (pixels[:, 900:] != 255).any(axis=2).mean() > 0.1


def test_a_subset_is_written_again_from_its_manifest(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world) == 0
    manifest = str(world.folder / "subset" / "selection.json")
    assert select(world, "--manifest", manifest, output="again") == 0
    assert "has changed" not in capsys.readouterr().out
    first, again = (load_dataset(world.folder / name) for name in ("subset", "again"))
    assert list(first) == list(again)
    assert (world.folder / "again" / "selection.json").read_bytes() == Path(manifest).read_bytes()


def test_a_changed_pool_is_told_and_its_subset_written_where_it_is_the_same(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert select(world) == 0
    subset = load_dataset(world.folder / "subset")
    selected = {row["id"] for row in subset}
    manifest = str(world.folder / "subset" / "selection.json")
    other = next(row for row in world.rows if row["id"] not in selected)
    other["question"] = "Another question?"
    write_dataset(world.folder / "pool" / "data.parquet", world.rows[::-1])
    assert select(world, "--manifest", manifest, output="again") == 0
    assert "the pool has changed since the selection" in capsys.readouterr().out
    assert list(load_dataset(world.folder / "again")) == list(subset)


@pytest.mark.parametrize("change", ["question", "pixel", "gone"])
def test_a_pool_without_the_selected_samples_is_refused(
    world: Any, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert select(world) == 0
    victim = load_dataset(world.folder / "subset")[2]["id"]
    row = next(row for row in world.rows if row["id"] == victim)
    if change == "question":
        row["question"] += "?"
    elif change == "pixel":
        row["image"] = world.rows[world.rows.index(row) - 1]["image"]
    else:
        world.rows.remove(row)
    write_dataset(world.folder / "pool" / "data.parquet", world.rows)
    capsys.readouterr()
    assert select(world, "--manifest", str(world.folder / "subset" / "selection.json"), output="again") == 1
    told = capsys.readouterr().err
    kind = "missing" if change == "gone" else "changed"
    assert f"the pool has changed: of the 12 selected samples there are 1 {kind} ({victim!r})" in told
    assert not (world.folder / "again").exists()


def test_changed_samples_are_left_out_on_request(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world) == 0
    subset = load_dataset(world.folder / "subset")
    gone, changed = subset[1]["id"], subset[4]["id"]
    next(row for row in world.rows if row["id"] == changed)["question"] += "?"
    rows = [row for row in world.rows if row["id"] != gone]
    write_dataset(world.folder / "pool" / "data.parquet", rows)
    manifest = str(world.folder / "subset" / "selection.json")
    capsys.readouterr()
    assert select(world, "--manifest", manifest, "--leave-out-changed", output="again") == 0
    told = capsys.readouterr().out
    assert f"left out: 1 missing ({gone!r}) and 1 changed ({changed!r})" in told
    assert "wrote the 10 of 12 samples" in told
    again = [row["id"] for row in load_dataset(world.folder / "again")]
    assert again == [row["id"] for row in subset if row["id"] not in (gone, changed)]


def test_a_sample_seen_by_fewer_than_two_models_is_refused_by_name(
    world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = world.write_table(keep=lambda model, condition, sample: sample != 7 or model == 1)
    assert select(world, answers=answers) == 1
    told = capsys.readouterr().err
    assert "1 of the pool's 40 samples have answers of fewer than two models: 's007'; add answers, or leave" in told
    assert not (world.folder / "subset").exists()
    assert select(world, "--leave-out-unseen", answers=answers) == 0
    counts = manifest_of(world)["counts"]
    assert counts["seen_by_fewer_than_two"] == 1
    assert counts["candidates"] + counts["always_right"] + counts["always_wrong"] == 39
    told = capsys.readouterr().out
    assert "fewer samples or conditions than others have: model-0, model-2, model-3, model-4" in told


def test_what_is_compared_with_what_is_shown(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answers = world.write_table(keep=lambda model, condition, sample: model != 2 or condition < 2)
    assert select(world, answers=answers) == 0
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if "model-2" in line)
    assert [cell.strip() for cell in row.split("│")][1:6] == ["model-2", "40", "2", "80", "yes"]
    assert "answers without prediction" in told
    assert "fewer samples or conditions than others have: model-2" in told


def test_letters_alone_are_told(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world, answers=world.write_table(kind="prediction")) == 0
    assert "samples are scored from right and wrong answers" in capsys.readouterr().out
    assert manifest_of(world)["sample_score"] == "correctness"


def test_logs_select_what_the_table_does(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world, answers=world.write_logs(compressed=True)) == 0
    assert select(world, output="other") == 0
    assert list(load_dataset(world.folder / "subset")) == list(load_dataset(world.folder / "other"))
    assert manifest_of(world)["models"][0]["notes"] == {"engine": "1", "prompt": "p", "likelihood": "an option's"}
    assert manifest_of(world)["counts"]["clean_answers_repeated"] == 200


def test_length_normalised_likelihoods_are_told(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert select(world, answers=world.write_logs(length_normalised=True)) == 0
    told = capsys.readouterr().out
    assert "yes, length-normalised" in told
    assert "length-normalised likelihoods make flatter distributions" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "0"], "--size 0 is not a number of samples"),
        (["--size", "41"], "41 samples are wanted, and"),
        (["--diversity", "1.5"], "--diversity 1.5 is not a share"),
        (["--clusters", "0"], "--clusters 0 is not a number of clusters"),
        (["--seed", "-1"], "--seed -1 is not from 0"),
        (["--diversity", "0.5"], "quotas for letter and category give out every place; leave it out, or give --score"),
        (["--score", "combined", "--strata", "letter", "--diversity", "0"], "quotas for letter give out every place"),
        (["--encoder", "tfidf", "other"], "give at most one for texts"),
        (["--manifest", "x.json", "--answers", "x"], "give either --answers, to select, or --manifest"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(
    world: Any, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert select(world, *arguments) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("benchc: ")
    assert message in told
    assert not (world.folder / "subset").exists()


def test_neither_answers_nor_manifest(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", str(world.folder / "pool"), "-o", str(world.folder / "subset")]) == 1
    assert "give either --answers, to select, or --manifest" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "subset").mkdir()
    (world.folder / "subset" / "notes.txt").write_text("mine")
    assert select(world) == 1
    assert "is there already and not empty; name another folder with -o" in capsys.readouterr().err
    assert [path.name for path in (world.folder / "subset").iterdir()] == ["notes.txt"]


def test_answers_of_one_model_are_not_enough(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    answers = world.write_table(keep=lambda model, condition, sample: model == 0)
    assert select(world, answers=answers) == 1
    assert "all answers are of the model 'model-0'" in capsys.readouterr().err


def test_the_same_bits_in_every_run_whatever_the_number_of_threads(world: Any) -> None:
    answers = world.write_table()
    script = "import sys; from benchc_tasks.commands.cli import main; sys.exit(main())"
    for threads in ("1", "2"):
        arguments = ["select", "pool", "--answers", answers, *SIZE, "-o", f"threads-{threads}"]
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_IO_THREADS")
        subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=world.folder,
            env={**os.environ, **dict.fromkeys(names, threads)},
            check=True,
            capture_output=True,
        )
    digests = [
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (world.folder / f"threads-{threads}").iterdir()
        }
        for threads in ("1", "2")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 5


def test_a_pool_of_one_topic_and_few_models(make_world: Any, tmp_path: Path) -> None:
    world = make_world(tmp_path, samples=12, models=2)
    for row in world.rows:
        row.update(question="the", category=None)
    write_dataset(tmp_path / "pool" / "data.parquet", world.rows)
    assert select(world, "--size", "3") == 0
    found = manifest_of(world)
    assert not found["curve"]["is_held_out"]
    assert (found["counts"]["categories"], found["counts"]["selected"]) == (0, 3)


def test_the_manifest_holds_no_more_than_finite_numbers(make_world: Any, tmp_path: Path) -> None:
    world = make_world(tmp_path, samples=10, models=2)
    # Two models that answer the same cannot be told apart.
    world.log_likelihoods[1] = world.log_likelihoods[0]
    assert select(world, "--size", "2") == 0
    text = (tmp_path / "subset" / "selection.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text


def test_answers_of_a_pool_in_another_form(world: Any) -> None:
    """A pool of JSONL and image files is the same pool."""
    folder = world.folder / "files"
    (folder / "images").mkdir(parents=True)
    lines = []
    for row in world.rows:
        (folder / "images" / f"{row['id']}.png").write_bytes(row["image"])
        lines.append(json.dumps({**row, "image": f"images/{row['id']}.png"}))
    (folder / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    arguments = ["--answers", world.write_logs(), *SIZE]
    assert main(["select", str(folder), *arguments, "-o", str(world.folder / "from-files")]) == 0
    assert select(world) == 0
    assert pq.read_table(world.folder / "from-files" / "data.parquet").equals(
        pq.read_table(world.folder / "subset" / "data.parquet")
    )
    assert isinstance(pq.read_schema(world.folder / "subset" / "data.parquet").field("image").type, pa.StructType)
