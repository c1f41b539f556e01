from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.distance import jensenshannon

from benchc_tasks.selection.answers import ReadingCounts, Tally, bytes_to_read, open_answers, tally_answers
from benchc_tasks.selection.answers import batches as batches_module

LETTERS = "ABCDEFGH"


def read(world: Any, *given: str) -> tuple[Tally, ReadingCounts]:
    return tally_answers(world.pool, open_answers(given))


def assert_same(found: Tally, expected: Tally, with_probabilities: bool = True) -> None:
    names = ["answers", "correct", "votes", "pairs", "flips", "seen", "condition_correct"]
    names += ["right_probability", "divergence", "divergences", "distributions"] if with_probabilities else []
    assert found.models == expected.models
    assert found.conditions == expected.conditions
    for name in names:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12, err_msg=name)


def test_tally_of_a_table_is_what_plain_loops_give(world: Any) -> None:
    tally, counts = read(world, world.write_table())
    assert tally.models == tuple(world.models)
    assert tally.conditions == world.conditions
    probabilities, predictions = world.probabilities, world.predictions
    answer = [row["answer"] for row in world.rows]
    for model in range(len(world.models)):
        for sample in range(len(world.rows)):
            cell = (model, sample)
            clean = predictions[model, 0, sample]
            corrupted = predictions[model, 1:, sample]
            assert tally.answers[cell] == 4
            assert tally.pairs[cell] == 3
            assert tally.flips[cell] == sum(corrupted != clean)
            assert tally.correct[cell] == sum(predictions[model, :, sample] == answer[sample])
            assert tally.votes[cell].tolist() == np.bincount(predictions[model, :, sample], minlength=4).tolist()
            right = probabilities[model, :, sample, answer[sample]]
            assert tally.right_probability[cell] == pytest.approx(right.sum())
            distances = [
                jensenshannon(probabilities[model, 0, sample], probabilities[model, place, sample], base=2) ** 2
                for place in (1, 2, 3)
            ]
            assert tally.divergence[cell] == pytest.approx(sum(distances))
    assert (counts.read, counts.used) == (5 * 4 * 40, 5 * 4 * 40)
    assert tally.has_probabilities


@pytest.mark.parametrize(
    "form", ["probabilities", "wide", "csv", "csv.gz", "folder", "npz", "logs", "logs.gz", "files"]
)
def test_every_form_of_answers_gives_the_same_tally(world: Any, form: str) -> None:
    expected, _ = read(world, world.write_table("reference.parquet"))
    given = [write_form(world, form)] if form != "files" else write_files(world)
    found, counts = read(world, *given)
    assert_same(found, expected)
    assert counts.used == 5 * 4 * 40
    assert counts.repeated_clean == (5 * 40 if form.startswith("logs") else 0)
    assert counts.repeated_clean_differs == 0


def write_files(world: Any) -> list[str]:
    """A table a model, which does not say whose it is."""
    given = []
    for place, name in enumerate(world.models):
        table = world.long_table(keep=lambda model, condition, sample, place=place: model == place)
        pq.write_table(table.drop_columns("model"), world.folder / f"{place}.parquet")
        given.append(f"{name}={world.folder / f'{place}.parquet'}")
    return given


def write_form(world: Any, form: str) -> str:
    folder: Path = world.folder
    if form == "probabilities":
        return world.write_table(kind="probabilities")
    if form.startswith("logs"):
        return world.write_logs(compressed=form.endswith("gz"))
    table = world.long_table()
    if form == "folder":
        (folder / "parts" / "deeper").mkdir(parents=True)
        pq.write_table(table.slice(0, 301), folder / "parts" / "b.parquet", row_group_size=50)
        pq.write_table(table.slice(301), folder / "parts" / "deeper" / "a.parquet")
        return str(folder / "parts")
    if form == "npz":
        models, conditions, samples, options = world.log_likelihoods.shape
        order = np.random.default_rng(1).permutation(conditions * samples)
        items = world.log_likelihoods.reshape(models, conditions * samples, options)[:, order]
        np.savez(
            folder / "answers.npz",
            logits=np.concatenate([items, np.full((models, len(order), 2), 9.0)], axis=2),
            models=np.array(world.models),
            ids=np.array([world.rows[place % samples]["id"] for place in order]),
            conditions=np.array([world.conditions[place // samples] for place in order]),
        )
        return str(folder / "answers.npz")
    wide = [
        {
            **{name: row[name] for name in ("model", "sample", "condition")},
            **{f"logit_{letter}": (row["logits"] + [None] * 4)[place] for place, letter in enumerate("ABCD")},
            "comment": "x, y",
        }
        for row in table.to_pylist()
    ]
    if form == "wide":
        pq.write_table(pa.Table.from_pylist(wide), folder / "wide.parquet")
        return str(folder / "wide.parquet")
    path = folder / f"answers.{form}"
    with gzip.open(path, "wt", newline="") if form == "csv.gz" else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(wide[0]))
        writer.writeheader()
        writer.writerows(wide)
    return str(path)


@pytest.mark.parametrize("as_text", [True, False])
def test_letters_alone_give_what_letters_can(world: Any, as_text: bool) -> None:
    expected, _ = read(world, world.write_table("reference.parquet"))
    table = world.long_table("prediction")
    if not as_text:
        indices = pa.array([LETTERS.index(letter) for letter in table["prediction"].to_pylist()])
        table = table.set_column(3, "prediction", indices)
    pq.write_table(table, world.folder / "letters.parquet")
    found, counts = read(world, str(world.folder / "letters.parquet"))
    assert_same(found, expected, with_probabilities=False)
    assert not found.has_probabilities
    assert found.divergences.sum() == 0
    assert counts.without_prediction == 0


def test_logs_of_generated_letters_give_what_letters_can(world: Any) -> None:
    expected, _ = read(world, world.write_table("reference.parquet"))
    found, counts = read(world, world.write_generated_logs())
    assert_same(found, expected, with_probabilities=False)
    assert not found.has_probabilities
    assert (counts.used, counts.without_prediction) == (5 * 4 * 40, 0)
    assert counts.repeated_clean == 5 * 40


def test_letters_are_read_as_people_write_them(world: Any) -> None:
    rows = [
        {"model": model, "sample": "s002", "condition": condition, "prediction": text}
        for model in ("a", "b")
        for condition, text in {"clean": "(B)", "x": " b", "y": "1", "z": "B.", "empty": "", "high": "H"}.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), world.folder / "letters.parquet")
    tally, counts = read(world, str(world.folder / "letters.parquet"))
    assert tally.votes[:, 2].tolist() == [[0, 4, 0, 0], [0, 4, 0, 0]]
    assert counts.without_prediction == 4
    rows[0]["prediction"] = "the second one"
    pq.write_table(pa.Table.from_pylist(rows), world.folder / "letters.parquet")
    with pytest.raises(ValueError, match="prediction 'the second one', which is neither a letter nor an index"):
        read(world, str(world.folder / "letters.parquet"))


def test_letters_of_one_model_beside_probabilities_of_another(world: Any) -> None:
    first = world.write_table("first.parquet", keep=lambda model, condition, sample: model < 3)
    second = world.write_table("second.parquet", kind="prediction", keep=lambda model, condition, sample: model >= 3)
    tally, _ = read(world, first, second)
    assert not tally.has_probabilities
    assert (tally.divergences > 0).all(axis=1).tolist() == [True, True, True, False, False]


def test_what_cannot_be_used_is_counted(world: Any) -> None:
    table = world.long_table().to_pylist()
    stranger = dict(table[0], sample="nobody")
    for row in table:
        if (row["model"], row["sample"], row["condition"]) == ("model-0", "s001", "fog@1"):
            row["logits"] = [float("nan")] * len(row["logits"])
        if (row["model"], row["sample"], row["condition"]) == ("model-1", "s002", "clean"):
            row["logits"] = None
    pq.write_table(pa.Table.from_pylist([*table, stranger]), world.folder / "answers.parquet")
    tally, counts = read(world, str(world.folder / "answers.parquet"))
    assert (counts.read, counts.not_in_pool, counts.without_prediction, counts.without_clean) == (801, 1, 2, 3)
    assert counts.used == 798
    assert tally.answers[0, 1] == 3
    assert (tally.answers[1, 2], tally.pairs[1, 2], tally.divergences[1, 2]) == (3, 0, 0)


def test_infinities_are_told_apart(world: Any) -> None:
    rows = [
        {"model": "a", "sample": "s000", "condition": condition, "logits": logits}
        for condition, logits in {
            "clean": [0.0, -np.inf],
            "x": [-np.inf, -np.inf],
            "y": [np.inf, 0.0],
            "z": [-800.0, -801.0],
        }.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), world.folder / "answers.parquet")
    tally, counts = read(world, str(world.folder / "answers.parquet"))
    assert counts.without_prediction == 2
    assert tally.answers[0, 0] == 2
    assert tally.right_probability[0, 0] == pytest.approx(1 + 1 / (1 + np.exp(-1)))


def test_small_batches_change_nothing_to_the_bit(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = world.write_table()
    whole, _ = read(world, path)
    monkeypatch.setattr("benchc_tasks.selection.answers.tables.BATCH_ROWS", 7)
    parts, _ = read(world, path)
    assert np.array_equal(whole.divergence, parts.divergence)
    assert np.array_equal(whole.right_probability, parts.right_probability)
    assert batches_module.BATCH_ROWS > 7


def test_order_of_sources_and_rows_does_not_count(world: Any) -> None:
    path = world.write_table()
    table = pq.read_table(path)
    pq.write_table(table.take(pa.array(np.arange(table.num_rows)[::-1])), world.folder / "turned.parquet")
    assert_same(read(world, str(world.folder / "turned.parquet"))[0], read(world, path)[0])


def test_progress_ends_at_what_was_announced(world: Any) -> None:
    for given in (world.write_table(), write_form(world, "csv"), write_form(world, "npz"), world.write_logs()):
        sources = open_answers([given])
        steps: list[int] = []
        tally_answers(world.pool, sources, steps.append)
        assert sum(steps) == bytes_to_read(sources)
        assert min(steps) >= 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("condition"), "has no column 'condition' among"),
        (lambda row: row.pop("logits"), "has no column 'logits, probabilities or prediction'"),
        (lambda row: row.update(logits=[0.0] * 9), "has values for 9 options where the pool has 2; give one value"),
        (lambda row: row.update(logits=["a", "b"]), "values of options are of type string; give numbers"),
        (lambda row: row.update(model=None), "has a row without 'model'"),
        (lambda row: row.update(probabilities=[0.9, 0.3]), "probabilities that sum to 1.2"),
        (lambda row: row.update(probabilities=[1.5, -0.5]), "the least of them -0.5"),
    ],
)
def test_faults_of_a_table_are_told_in_one_sentence(world: Any, change: Any, message: str) -> None:
    row = {"model": "a", "sample": "s000", "condition": "clean", "logits": [0.0, 1.0]}
    change(row)
    if "probabilities" in row:
        row.pop("logits")
    pq.write_table(pa.Table.from_pylist([row]), world.folder / "answers.parquet")
    with pytest.raises(ValueError, match=message) as found:
        read(world, str(world.folder / "answers.parquet"))
    assert "\n" not in str(found.value)


def test_an_answer_given_twice_is_refused(world: Any) -> None:
    table = world.long_table()
    pq.write_table(pa.concat_tables([table, table.slice(3, 1)]), world.folder / "answers.parquet")
    with pytest.raises(ValueError, match=r"model 'model-\d', sample 's\d+', condition '.+' is answered twice"):
        read(world, str(world.folder / "answers.parquet"))
    first, second = world.write_table("one.parquet"), world.write_table("two.parquet")
    with pytest.raises(ValueError, match="is answered twice"):
        read(world, first, second)


def test_logs_of_another_dataset_engine_or_prompt_are_refused(world: Any) -> None:
    with pytest.raises(ValueError, match=r"sample 's000' is of the dataset 0000, and the pool is"):
        read(world, world.write_logs(fingerprint="0000"))
    runs = Path(world.write_logs())
    log = next((runs / "model-0").glob("*snow*"))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for row in rows:
        row["benchc"]["engine"] = "2"
    log.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match="the answers of 'model-0' are of two kinds, engine '1' and '2'"):
        read(world, str(runs))


def test_logs_say_whose_their_likelihoods_are(world: Any) -> None:
    sources = open_answers([world.write_logs(length_normalised=True)])
    tally_answers(world.pool, sources)
    notes = {name: note for source in sources for name, note in source.notes().items()}
    assert notes["model-3"] == {"engine": "1", "prompt": "p", "likelihood": "a token's"}


def test_answers_under_the_control_are_left_out_and_said_so(world: Any) -> None:
    runs = Path(world.write_logs())
    expected, _ = read(world, str(runs))
    log = next((runs / "model-0").glob("*snow*"))
    text = log.read_text().replace("snow@", "control@")
    (log.parent / log.name.replace("benchc_snow", "benchc-control")).write_text(text)
    found, counts = read(world, str(runs))
    assert_same(found, expected)
    assert counts.used == 5 * 4 * 40
    sources = open_answers([str(runs)])
    tally_answers(world.pool, sources)
    notes = {name: note for source in sources for name, note in source.notes().items()}
    assert notes["model-0"]["left_out"] == "answers under the control"
    assert "left_out" not in notes["model-1"]


def test_a_repeated_run_of_a_model_is_refused_and_can_be_named_apart(world: Any) -> None:
    runs = Path(world.write_logs())
    again = runs / "model-0" / "20250202_000000_samples_benchc_fog.jsonl"
    again.write_bytes(next((runs / "model-0").glob("*fog.jsonl")).read_bytes())
    with pytest.raises(ValueError, match="is answered twice; give each run once, or name runs apart with NAME=PATH"):
        read(world, str(runs))
    moved = world.folder / "again.jsonl"
    again.rename(moved)
    tally, _ = read(world, str(runs), f"second={moved}")
    assert "second" in tally.models


@pytest.mark.parametrize("name", ["nowhere", "m=nowhere", "notes.txt", "empty"])
def test_what_is_no_answers_is_named(world: Any, name: str) -> None:
    (world.folder / "notes.txt").write_text("x")
    (world.folder / "empty").mkdir()
    given = name if "nowhere" in name else str(world.folder / name)
    with pytest.raises(ValueError, match=r"do not exist|hold no answers"):
        open_answers([given])


def test_broken_files_are_named(world: Any) -> None:
    for name in ("broken.parquet", "broken.npz"):
        (world.folder / name).write_bytes(b"PK\x03\x04 no such thing")
        with pytest.raises(ValueError, match=f"{name} cannot be read as"):
            read(world, str(world.folder / name))


def test_npz_shapes_are_checked(world: Any) -> None:
    np.savez(world.folder / "a.npz", logits=np.zeros((2, 3, 4)), models=["a", "b"], ids=["s000", "s001"])
    with pytest.raises(ValueError, match=r"'logits' has the shape \(2, 3, 4\) for 2 models and 2 items"):
        open_answers([str(world.folder / "a.npz")])
    np.savez(world.folder / "b.npz", logits=np.zeros((1, 1, 1)), models=["a"], ids=["s000"])
    with pytest.raises(ValueError, match="has values for 1 options where the pool has 2"):
        read(world, str(world.folder / "b.npz"))


def test_answers_about_nothing_in_the_pool_are_refused(world: Any) -> None:
    rows = [{"model": "a", "sample": "elsewhere", "condition": "clean", "logits": [0.0, 1.0]}]
    pq.write_table(pa.Table.from_pylist(rows), world.folder / "answers.parquet")
    with pytest.raises(ValueError, match=r"none of the 1 answers can be used \(the pool does not have 'elsewhere'\)"):
        read(world, str(world.folder / "answers.parquet"))


def test_ids_that_look_like_numbers_stay_text(make_world: Any, tmp_path: Path) -> None:
    world = make_world(tmp_path)
    (tmp_path / "n.csv").write_text("model,sample,condition,prediction\n1,007,clean,A\n")
    with pytest.raises(ValueError, match="the pool does not have '007'"):
        read(world, str(tmp_path / "n.csv"))


def letters_table(world: Any, predictions: list[Any] | None = None, sample: str = "s002") -> pa.Table:
    """Predictions of a sample with four options, the clean one first."""
    values = predictions if predictions is not None else ["B", "C", "D", "B"]
    rows = [
        {"model": "a", "sample": sample, "condition": condition, "prediction": value}
        for condition, value in zip(("clean", "x", "y", "z"), values, strict=False)
    ]
    return pa.Table.from_pylist(rows)


def votes_of(world: Any, table: pa.Table) -> list[int]:
    pq.write_table(table, world.folder / "answers.parquet")
    return read(world, str(world.folder / "answers.parquet"))[0].votes[0, 2].tolist()


def test_labels_of_classes_are_read_by_their_names(world: Any) -> None:
    """Every column of a table may have gone through `class_encode_column`, and each file has names of its own."""
    expected = votes_of(world, letters_table(world))
    assert expected == [0, 2, 1, 1]
    encoded = datasets.Dataset.from_list(letters_table(world).to_pylist())
    for column in ("model", "sample", "condition", "prediction"):
        encoded = encoded.class_encode_column(column)
    assert encoded["prediction"][:] == [0, 1, 2, 0]
    folder = world.folder / "parts"
    folder.mkdir()
    encoded.to_parquet(folder / "a.parquet")
    tally, counts = read(world, str(folder))
    assert tally.votes[0, 2].tolist() == expected
    assert tally.conditions == ("clean", "x", "y", "z")
    assert counts.without_clean == 0
    rows = [{**row, "model": "b"} for row in letters_table(world, ["D", "C"]).to_pylist()]
    second = datasets.Dataset.from_list(rows)
    for column in ("model", "sample", "condition", "prediction"):
        second = second.class_encode_column(column)
    second.to_parquet(folder / "b.parquet")
    tally, _ = read(world, str(folder))
    assert tally.models == ("a", "b")
    assert tally.votes[:, 2].tolist() == [expected, [0, 0, 1, 1]]


def test_a_label_without_a_name_is_refused(world: Any) -> None:
    encoded = datasets.Dataset.from_list(letters_table(world).to_pylist()).class_encode_column("prediction")
    encoded.to_parquet(world.folder / "answers.parquet")
    table = pq.read_table(world.folder / "answers.parquet")
    table = table.set_column(3, "prediction", pa.array([0, 1, 2, 3]))
    with pytest.raises(ValueError, match=r"answers\.parquet has the class label 3 of 3; write the table again$"):
        votes_of(world, table)


FORMS: dict[str, pa.Array] = {
    "floats": pa.array([1.0, 2.0, 3.0, 1.0]),
    "small numbers": pa.array([1, 2, 3, 1], pa.uint8()),
    "digits": pa.array(["1", "2", "3", " 1 "]),
    "digits of floats": pa.array(["1.0", "2.0", "3.0", "1.0"]),
    "brackets": pa.array(["(B)", "(c)", "D.", "b)"]),
    "a dictionary of texts": pa.array(["B", "C", "D", "B"]).dictionary_encode(),
    "a dictionary of numbers": pa.array([1, 2, 3, 1]).dictionary_encode(),
    "large texts": pa.array(["B", "C", "D", "B"], pa.large_string()),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_prediction_is_the_same_in_every_form(world: Any, form: str) -> None:
    table = letters_table(world)
    assert votes_of(world, table.set_column(3, "prediction", FORMS[form])) == [0, 2, 1, 1]


@pytest.mark.parametrize("form", ["letters", "indices"])
def test_categoricals_of_pandas_keep_their_values(world: Any, form: str) -> None:
    frame = letters_table(world).to_pandas()
    for column in ("model", "sample", "condition"):
        frame[column] = frame[column].astype("category")
    frame["prediction"] = pd.Categorical(["B", "C", "D", "B"] if form == "letters" else [1, 2, 3, 1])
    frame.to_parquet(world.folder / "answers.parquet")
    assert read(world, str(world.folder / "answers.parquet"))[0].votes[0, 2].tolist() == [0, 2, 1, 1]


UNREADABLE: dict[str, tuple[pa.Array, str]] = {
    "truth values": (pa.array([True, False, True, True]), "has the prediction True, which is neither a letter"),
    "fractions": (pa.array([1.0, 1.5, 2.0, 3.0]), "has the prediction 1.5, which is neither a letter nor an index"),
    "below 0": (pa.array([1, -1, 2, 3]), "has the prediction -1, which is neither a letter nor an index"),
    "words": (pa.array(["A", "the second one", "B", "C"]), "has the prediction 'the second one', which is neither"),
    "a long text": (pa.array(["A", "B" * 150_000, "B", "C"]), "has the prediction 'BBBB"),
    "a huge number": (pa.array(["A", "9" * 5000, "B", "C"]), "has the prediction '9999"),
    "infinity": (pa.array([0.0, float("inf"), 1.0, 1.0]), "has the prediction inf, which is neither"),
    "counted from 1": (pa.array([1, 4, 2, 3]), "has the predicted index 4, and the sample has 4 options; count from 0"),
    "digits from 1": (pa.array(["1", "4", "2", "3"]), "has the predicted index 4, and the sample has 4 options; count"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_prediction_that_is_none_is_refused_with_its_sample(world: Any, case: str) -> None:
    values, message = UNREADABLE[case]
    with pytest.raises(ValueError, match=r"\w") as caught:
        votes_of(world, letters_table(world).set_column(3, "prediction", values))
    assert "model 'a', sample 's002', condition " in str(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 450


def test_columns_of_other_types_are_refused_in_one_sentence(world: Any) -> None:
    table = letters_table(world)
    strange = {"condition": [[1], [2], [3], [4]], "sample": [{"a": 1}] * 4, "prediction": [[1]] * 4}
    for column, values in strange.items():
        with pytest.raises(ValueError, match=r"\w") as caught:
            votes_of(world, table.set_column(table.column_names.index(column), column, pa.array(values)))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 450


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": np.zeros((1, 1, 2), dtype=bool)}, "'logits' is of type bool; give real numbers"),
        ({"logits": np.zeros((1, 1, 2), dtype=complex)}, "'logits' is of type complex128; give real numbers"),
        ({"logits": np.array([[["0.5", "0.5"]]])}, "'logits' is of type <U3; give real numbers"),
        ({"models": np.array([["a"]])}, r"'models' is of type <U1 and shape \(1, 1\); give texts"),
        ({"ids": np.array([None], dtype=object)}, "'ids' holds objects; save it as an array of texts"),
        ({"ids": np.array([0.5])}, "'ids' is of type float64 and shape"),
    ],
)
def test_arrays_of_other_types_are_refused(world: Any, changes: dict[str, Any], message: str) -> None:
    np.savez(world.folder / "a.npz", **{"logits": np.zeros((1, 1, 2)), "models": ["a"], "ids": ["s000"], **changes})
    with pytest.raises(ValueError, match=message):
        open_answers([str(world.folder / "a.npz")])


def test_ids_as_bytes_are_texts(world: Any) -> None:
    np.savez(world.folder / "a.npz", logits=np.zeros((1, 1, 2)), models=np.array([b"a"]), ids=np.array([b"s000"]))
    tally, counts = read(world, str(world.folder / "a.npz"))
    assert (tally.models, counts.used) == (("a",), 1)


def test_an_array_that_is_damaged_is_named(world: Any) -> None:
    path = world.folder / "a.npz"
    logits = np.random.default_rng(0).normal(size=(9, 40, 4))
    np.savez_compressed(path, logits=logits, models=list("abcdefghi"), ids=[f"s{n:03}" for n in range(40)])
    content = bytearray(path.read_bytes())
    content[2000:4000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is damaged \(.+\); write it again$"):
        read(world, str(path))


def test_logs_are_read_as_all_json_lines_are(world: Any) -> None:
    """A byte-order mark and carriage returns are nothing; a key twice and a pipe are refused."""
    expected, _ = read(world, world.write_logs())
    log = min((world.folder / "runs").rglob("*.jsonl"))
    text = log.read_bytes()
    log.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") + b"\n\n")
    assert_same(read(world, str(world.folder / "runs"))[0], expected)
    log.write_bytes(text.replace(b'"doc_id"', b'"doc_id": 7, "doc_id"', 1))
    with pytest.raises(ValueError, match=r"line 1: the row has the key 'doc_id' twice in one object"):
        read(world, str(world.folder / "runs"))
    log.unlink()
    os.mkfifo(log)
    with pytest.raises(
        ValueError, match=r"cannot be read after line 0: it is a folder, a pipe or a device; put a file"
    ):
        read(world, str(world.folder / "runs"))
