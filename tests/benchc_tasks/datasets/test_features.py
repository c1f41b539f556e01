"""Class labels, in every way in which Hugging Face `datasets` writes their names beside the data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import ClassLabel, Features, Image, LargeList, List, Value

from benchc_tasks.datasets import DatasetError, load_dataset
from benchc_tasks.datasets.features import UnnamedLabel, features_of_schema, label_decoder

OPTIONS = ["red", "green", "blue", "grey"]
ANSWERS = ["B", "C", "D", "B"]
INDICES = [1, 2, 3, 1]


@pytest.fixture
def rows(make_rows) -> list[dict[str, Any]]:
    return [
        {"id": row["id"], "image": {"bytes": row["image"], "path": None}, "question": "Which?", "options": OPTIONS,
         "answer": answer, "category": "colours", "source": "web"}
        for row, answer in zip(make_rows(4), ANSWERS, strict=True)
    ]  # fmt: skip


def answers_of(path: Path, split: str | None = None) -> list[int]:
    return [row["answer"] for row in load_dataset(path, split).without_images()]


def test_the_case_of_the_issue(tmp_path, rows):
    """Letters through `class_encode_column`, as everybody does it."""
    encoded = datasets.Dataset.from_list(rows).class_encode_column("answer")
    assert encoded["answer"][:] == [0, 1, 2, 0]
    encoded.cast_column("image", Image()).to_parquet(tmp_path / "data.parquet")
    assert answers_of(tmp_path) == INDICES


def test_other_columns_have_their_names_too(tmp_path, rows):
    """Options that are labels, whatever kind of list they stand in, and a category."""
    kinds: list[Any] = [List, LargeList, lambda kind: List(kind, length=4)]
    for number, kind in enumerate(kinds):
        features = Features(
            {"id": Value("string"), "image": Image(), "question": Value("string"), "source": Value("string"),
             "options": kind(ClassLabel(names=["grey", "blue", "green", "red"])),
             "answer": ClassLabel(names=ANSWERS[:3]), "category": ClassLabel(names=["colours"])}
        )  # fmt: skip
        path = tmp_path / str(number) / "data.parquet"
        path.parent.mkdir()
        datasets.Dataset.from_list(rows, features=features).to_parquet(path)
        (first, *others) = load_dataset(path).without_images()
        assert [first["answer"], *(row["answer"] for row in others)] == INDICES
        assert first["options"] == OPTIONS
        assert (first["category"], first["source"]) == ("colours", "web")


Encode = Callable[[list[dict[str, Any]]], datasets.Dataset]


def with_names(names: list[str]) -> Encode:
    def encode(rows: list[dict[str, Any]]) -> datasets.Dataset:
        return datasets.Dataset.from_list(rows).cast_column("answer", ClassLabel(names=names))

    return encode


def with_answers(answers: list[Any]) -> Encode:
    def encode(rows: list[dict[str, Any]]) -> datasets.Dataset:
        changed = [{**row, "answer": answer} for row, answer in zip(rows, answers, strict=True)]
        return datasets.Dataset.from_list(changed).class_encode_column("answer")

    return encode


READ = {
    "names in another order": (with_names(["D", "C", "B", "A"]), INDICES),
    "names with brackets": (with_answers(["(B)", "(c)", "D.", "(B)"]), INDICES),
    "texts of options": (with_answers(["green", "blue", "grey", "green"]), INDICES),
    "indices with 0 among them": (with_answers([3, 1, 0, 1]), [3, 1, 0, 1]),
}


@pytest.mark.parametrize("case", READ)
def test_names_that_say_which_option_are_read(tmp_path, rows, case):
    encode, expected = READ[case]
    encode(rows).to_parquet(tmp_path / "data.parquet")
    assert answers_of(tmp_path) == expected


REFUSED = {
    "words": (with_answers(["cat", "dog", "cat", "dog"]),
              "sample 's0' (data.parquet row 1): its `answer` is the class 'cat', which is neither a letter nor "
              "the text of an option; give the right option's index"),
    "a letter beyond the options": (with_answers(["B", "E", "B", "C"]),
                                    "sample 's1' (data.parquet row 2): its `answer` is the class 'E', which is "),
    "digits that may count from 1": (with_answers([1, 2, 3, 1]), "its `answer` is the class '1', which is neither"),
    "no label": (lambda rows: with_names(["A", "B", "C", "D"])(rows).map(lambda row: {"answer": -1}),
                 "sample 's0' (data.parquet row 1): it has no `answer`; give the right option's index"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_do_not_say_it_are_refused_with_the_sample(tmp_path, rows, case):
    encode, sentence = REFUSED[case]
    encode(rows).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DatasetError) as caught:
        load_dataset(tmp_path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_without_a_name_is_refused(tmp_path, rows):
    with_answers(ANSWERS)(rows).to_parquet(tmp_path / "data.parquet")
    table = pq.read_table(tmp_path / "data.parquet")
    column = table.schema.get_field_index("answer")
    pq.write_table(table.set_column(column, "answer", pa.array([0, 1, 7, 0])), tmp_path / "data.parquet")
    with pytest.raises(DatasetError, match=r"^sample 's2' .*: its `answer` is the class label 7 of 3; write the file"):
        load_dataset(tmp_path)


def test_labels_are_found_where_the_numbers_are_stored_small_or_in_a_dictionary(tmp_path, rows):
    with_answers(ANSWERS)(rows).to_parquet(tmp_path / "data.parquet")
    table = pq.read_table(tmp_path / "data.parquet")
    column = table.schema.get_field_index("answer")
    for stored in (table["answer"].cast("int8"), table["answer"].cast("uint64"), table["answer"].dictionary_encode()):
        changed = table.set_column(column, "answer", stored).replace_schema_metadata(table.schema.metadata)
        pq.write_table(changed, tmp_path / "data.parquet")
        assert answers_of(tmp_path) == INDICES


def without_metadata(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(None), path)


def labelled_jsonl(folder: Path, rows: list[dict[str, Any]], name: str = "data.jsonl") -> Path:
    """Rows as `Dataset.to_json` writes them: a label is its number."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(rows[0]["image"]["bytes"])
    path = folder / name
    path.write_text("".join(json.dumps({**row, "image": "a.png", "answer": code}) + "\n"
                            for row, code in zip(rows, [0, 1, 2, 0], strict=True)))  # fmt: skip
    return path


def readme_of(encoded: datasets.Dataset, **settings: Any) -> str:
    """The README that `push_to_hub` writes."""
    from huggingface_hub import DatasetCard, DatasetCardData

    card = DatasetCardData()
    infos = datasets.info.DatasetInfosDict(default=encoded.info, **settings)
    infos.to_dataset_card_data(card)
    return str(DatasetCard(f"---\n{card}\n---\n# Mine\n"))


@pytest.mark.parametrize("place", ["set", "set/data"])
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_readme_names_them(tmp_path, rows, form, place):
    encoded = with_answers(ANSWERS)(rows)
    path = labelled_jsonl(tmp_path / place, rows)
    if form == "parquet":
        path.unlink()
        encoded.to_parquet(tmp_path / place / "data.parquet")
        without_metadata(tmp_path / place / "data.parquet")
    text = readme_of(encoded)
    assert "class_label" in text
    (tmp_path / "set" / "README.md").write_text(text)
    assert answers_of(tmp_path / place) == INDICES
    assert answers_of(tmp_path / "set") == INDICES
    assert answers_of(next(file for file in (tmp_path / place).iterdir() if file.stem == "data")) == INDICES


def test_a_dataset_infos_file_names_them(tmp_path, rows):
    encoded = with_answers(ANSWERS)(rows)
    labelled_jsonl(tmp_path, rows)
    infos = {
        "default": {"features": encoded.features.to_dict(), "splits": {"test": {"name": "test", "num_examples": 4}}}
    }
    (tmp_path / "dataset_infos.json").write_text(json.dumps(infos))
    assert answers_of(tmp_path) == INDICES


def test_a_dataset_info_file_of_a_saved_dataset_names_them(tmp_path, rows):
    encoded = with_answers(ANSWERS)(rows)
    encoded.save_to_disk(str(tmp_path / "saved"))
    labelled_jsonl(tmp_path / "set", rows)
    (tmp_path / "set" / "dataset_info.json").write_text((tmp_path / "saved" / "dataset_info.json").read_text())
    assert answers_of(tmp_path / "set") == INDICES


def test_names_in_the_file_itself_go_before_those_beside_it(tmp_path, rows):
    with_answers(ANSWERS)(rows).to_parquet(tmp_path / "data.parquet")
    (tmp_path / "README.md").write_text(readme_of(with_names(["A", "B", "C", "D"])(rows)))
    assert answers_of(tmp_path) == INDICES


def test_a_declared_label_may_stand_as_its_name(tmp_path, rows):
    (tmp_path / "README.md").write_text(readme_of(with_answers(ANSWERS)(rows)))
    path = labelled_jsonl(tmp_path, rows)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps({**row, "answer": name}) + "\n" for row, name in zip(lines, ANSWERS, strict=True))
    )
    assert answers_of(tmp_path) == INDICES


def test_configurations_are_told_apart_by_their_folders(tmp_path, rows):
    labelled_jsonl(tmp_path / "hard", rows)
    labelled_jsonl(tmp_path / "easy", rows)
    infos = [
        {"config_name": name, "features": [{"name": "answer", "dtype": {"class_label": {"names": names}}}]}
        for name, names in (("easy", dict(enumerate("ABCD"))), ("hard", dict(enumerate("BCD"))))
    ]
    (tmp_path / "README.md").write_text(f"---\n{yaml.dump({'dataset_info': infos})}---\n")
    assert answers_of(tmp_path, "hard") == INDICES
    assert answers_of(tmp_path, "easy") == [0, 1, 2, 0]
    labelled_jsonl(tmp_path / "other", rows)
    with pytest.raises(DatasetError, match=r"^README\.md gives the column 'answer' different class labels in its conf"):
        answers_of(tmp_path, "other")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", "---\ndataset_info: {features: [{name: answer, dtype: {class_label: {names: 3}}}]\n---\n"),
        ("README.md", "---\ndataset_info: [{features: [answer, class_label]}]\n---\n"),
        ("dataset_infos.json", '{"default": {"features": ["ClassLabel"]}'),
        ("dataset_infos.json", '{"default": ["ClassLabel"]}'),
    ],
)
def test_names_that_cannot_be_read_are_not_passed_over(tmp_path, rows, name, text):
    labelled_jsonl(tmp_path, rows)
    (tmp_path / name).write_text(text)
    with pytest.raises(
        DatasetError, match=f"^{name} beside the data names class labels and cannot be read; correct it"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Mine\n",
        "---\nlicense: mit\n---\n",
        "---\n: [\n---\n",
        "---\ndataset_info: [\n---\n",
        "---\n" + "[" * 90_000 + "\n---\n",
    ],
    ids=["empty", "no front matter", "no info", "no YAML", "broken info", "brackets"],
)
def test_a_readme_without_labels_changes_nothing(tmp_path, rows, text):
    labelled_jsonl(tmp_path, rows)
    (tmp_path / "README.md").write_text(text)
    assert answers_of(tmp_path) == [0, 1, 2, 0]


def test_metadata_that_cannot_be_read_is_not_passed_over():
    assert features_of_schema({b"huggingface": b"{"}, "a.parquet") == {}
    with pytest.raises(DatasetError, match=r"^a\.parquet has class labels whose names cannot be read; write it again$"):
        features_of_schema({b"huggingface": b'{"info": {"features": {"answer": {"_type": "ClassLabel"}}'}, "a.parquet")


CATEGORICALS = {
    "letters": (
        ["B", "C", "D", "B"],
        "its `answer` is of type dictionary<values=*string, indices=int8, ordered=0>; give",
    ),
    "indices": ([1, 2, 3, 1], INDICES),
}


@pytest.mark.parametrize("case", CATEGORICALS)
def test_categoricals_of_pandas_keep_their_values(tmp_path, rows, case):
    answers, expected = CATEGORICALS[case]
    frame = pd.DataFrame([{**row, "image": row["image"]["bytes"]} for row in rows])
    frame["answer"] = pd.Categorical(answers)
    frame["category"] = frame["category"].astype("category")
    frame.to_parquet(tmp_path / "data.parquet")
    if isinstance(expected, list):
        assert answers_of(tmp_path) == expected
        return
    with pytest.raises(DatasetError, match=r"^sample 's0' \(data.parquet row 1\): its `answer` is of type dictionary<"):
        load_dataset(tmp_path)


LABEL = {"names": ["B", "C"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    ("feature", "value", "decoded"),
    [
        (LABEL, 1, "C"),
        (LABEL, -1, None),
        (LABEL, None, None),
        (LABEL, 2, UnnamedLabel(2, 2)),
        (LABEL, "C", "C"),
        (LABEL, True, True),
        ({"num_classes": 3, "_type": "ClassLabel"}, 2, "2"),
        ([LABEL], [0, 1], ["B", "C"]),
        ({"feature": LABEL, "_type": "Sequence"}, [0, None], ["B", None]),
        ({"feature": {"feature": LABEL, "_type": "List"}, "_type": "LargeList"}, [[0], [1]], [["B"], ["C"]]),
        ({"a": LABEL, "b": {"dtype": "int64", "_type": "Value"}}, {"a": 0, "b": 0}, {"a": "B", "b": 0}),
        ({"feature": {"a": LABEL}, "_type": "Sequence"}, {"a": [0, 1]}, {"a": ["B", "C"]}),
        ({"feature": {"a": LABEL}, "_type": "Sequence"}, [{"a": 1}], [{"a": "C"}]),
    ],
)
def test_a_label_is_decoded_at_any_depth(feature, value, decoded):
    decode = label_decoder(feature)
    assert decode is not None
    assert decode(value) == decoded


@pytest.mark.parametrize(
    "feature",
    [
        None,
        {"dtype": "string", "_type": "Value"},
        {"_type": "Image"},
        [{"dtype": "int8", "_type": "Value"}],
        {"a": {"_type": "Image"}},
    ],
)
def test_a_type_without_labels_needs_no_decoding(feature):
    assert label_decoder(feature) is None
