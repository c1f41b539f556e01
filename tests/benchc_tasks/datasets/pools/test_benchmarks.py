# ruff: noqa: E501 - rows of a table are read best on one line each
"""Our mappings against what lmms-eval's own task for each benchmark asks, expects and counts as right."""

from __future__ import annotations

import importlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmms_eval.tasks
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from benchc_tasks.datasets import load_dataset
from benchc_tasks.datasets.pools import BENCHMARKS, PoolReport, build_pool, local_rows, samples_of

TASKS = Path(lmms_eval.tasks.__path__[0])
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Row = dict[str, Any]


def picture(seed: int) -> Row:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


def opened(value: Any) -> Any:
    """An image as the datasets library hands it to lmms-eval."""
    if isinstance(value, list):
        return [opened(entry) for entry in value]
    return Image.open(io.BytesIO(value["bytes"])) if isinstance(value, dict) and "bytes" in value else value


@dataclass
class Case:
    """A benchmark's rows in its own columns, which of them are samples, and lmms-eval's functions for them."""

    utils: str
    text: str
    rows: list[Row]
    kept: list[int]
    reasons: set[str]
    is_right: Callable[[Row, dict[str, Any]], bool]
    visual: str
    target: Callable[[Any, Row], str] | None = None
    image_columns: tuple[str, ...] = ("image",)


def graded(key: str, grade: str) -> Callable[[Row, dict[str, Any]], bool]:
    return lambda row, result: result[key][grade] == row["answer"].strip("()")


MMBENCH_ROWS: list[Row] = [
    {
        "index": 241,
        "question": "Which one?",
        "hint": "Look at the cup.",
        "A": "red",
        "B": "blue",
        "C": "green",
        "D": "grey",
        "answer": "C",
    },
    {
        "index": 242,
        "question": "True?",
        "hint": "nan",
        "A": "True",
        "B": "False",
        "C": "nan",
        "D": "nan",
        "answer": "B",
    },
    {
        "index": 243,
        "question": "Three of them?",
        "hint": None,
        "A": "one",
        "B": "two",
        "C": "three",
        "D": None,
        "answer": "A",
    },
    {
        "index": 1_000_241,
        "question": "Which one?",
        "hint": None,
        "A": "grey",
        "B": "red",
        "C": "blue",
        "D": "green",
        "answer": "D",
    },
    {
        "index": 244,
        "question": "Without a right one",
        "hint": None,
        "A": "x",
        "B": "y",
        "C": "nan",
        "D": "nan",
        "answer": "D",
    },
    {
        "index": 245,
        "question": "None?",
        "hint": "nan",
        "A": "None",
        "B": "Both",
        "C": "One, or two",
        "D": "nan",
        "answer": "A",
    },
]
MMBENCH_ROWS = [
    {
        **row,
        "category": "colour",
        "L2-category": "l2",
        "source": "made up",
        "split": "dev",
        "image": picture(row["index"]),
    }
    for row in MMBENCH_ROWS
]

MMSTAR_ROWS: list[Row] = [
    {
        "question": "Which option describes it?\nOptions: A: It is on the book., B: It is beneath the cat., C: Red, white, D: None",
        "answer": "B",
    },
    {"question": "A: is for apple. What is this?\nOptions: A: Yes, B: No", "answer": "A"},
    {"question": "Hint: give the letter.\nQuestion: How many?\nChoices:\n(A) 1\n(B) 2\n(C) 3", "answer": "C"},
    {"question": "<image 1> Which value?\nOptions: A: -2.5, B: 3:1, C: $x_1$, D: A and B", "answer": "d"},
    {"question": "Without any options", "answer": "A"},
    {"question": "Twice?\nOptions: A: same, B: same", "answer": "A"},
]
MMSTAR_ROWS = [
    {
        **row,
        "index": number,
        "category": "math",
        "l2_category": "geometry",
        "meta_info": {"source": "x"},
        "image": picture(number),
    }
    for number, row in enumerate(MMSTAR_ROWS)
]

SEED_ROWS: list[Row] = [
    {"question": "How many towels are there?", "answer": "A", "data_type": "image", "image": [picture(1)]},
    {"question": "What happens?", "answer": "B", "data_type": "video", "image": [picture(2), picture(3)]},
    {"question": "Compare.", "answer": "C", "data_type": "image", "image": [picture(4), picture(5)]},
    {"question": "Lower case?", "answer": "d", "data_type": "image", "image": [picture(6)]},
    {"question": "No picture?", "answer": "D", "data_type": "image", "image": []},
]
SEED_ROWS = [
    {**row, "question_id": f"{100 + number}", "question_type_id": 5, "data_id": "x", "segment": None,
     "choice_a": "One", "choice_b": "Two", "choice_c": "Three", "choice_d": "None"}
    for number, row in enumerate(SEED_ROWS)
]  # fmt: skip

SCIENCE_ROWS: list[Row] = [
    {
        "question": "Which is colder?",
        "hint": "The pictures show beakers.",
        "choices": ["the left", "the right"],
        "answer": 1,
    },
    {"question": "Which state?", "hint": "", "choices": ["Ohio", "Iowa", "Utah", "Maine", "Texas"], "answer": 4},
    {"question": "No picture", "hint": "", "choices": ["a", "b"], "answer": 0, "image": None},
    {"question": "Out of range", "hint": None, "choices": ["a", "b"], "answer": 2},
]
SCIENCE_ROWS = [
    {"image": picture(number), **row, "topic": "geography", "task": "closed choice"}
    for number, row in enumerate(SCIENCE_ROWS)
]

AI2D_ROWS: list[Row] = [
    {"question": "What is A?", "options": ["egg", "larva", "pupa", "adult"], "answer": "2"},
    {"question": "Two only?", "options": ["yes", "no"], "answer": "0"},
    {"question": "Repeated", "options": ["a", "b", "b", "c"], "answer": "0"},
    {"question": "Words", "options": ["a", "b"], "answer": "a"},
    {"question": "Numbers?", "options": ["1", "2", "10"], "answer": "2"},
]
AI2D_ROWS = [{**row, "image": picture(number)} for number, row in enumerate(AI2D_ROWS)]

REAL_ROWS: list[Row] = [
    {
        "question": "Where is the wheel facing?\n\nA. Left\nB. Straight\nC. Right\nPlease answer directly with only the letter of the correct option and nothing else.",
        "answer": "B",
    },
    {
        "question": "Is there a car in lane A. B?\n\nA. Yes\nB. No\nPlease answer directly with only the letter of the correct option and nothing else.",
        "answer": " a ",
    },
    {"question": "How many cars? Please answer directly with a single word or number.", "answer": "3"},
    {"question": "Is it raining? Please answer directly with a single word or number.", "answer": "Yes"},
    {"question": "Which letter? Please answer directly with a single word or number.", "answer": "K"},
]
REAL_ROWS = [{**row, "image": picture(number), "image_path": f"{number}.png"} for number, row in enumerate(REAL_ROWS)]

MMMU_ROWS: list[Row] = [
    {
        "id": "validation_Art_1",
        "question": "<image 1> Who painted it?",
        "options": "['Monet', \"O'Keeffe\", 'None', 'Goya']",
        "answer": "B",
    },
    {
        "id": "validation_Basic_Medical_Science_2",
        "question": "In <image 1>, which is it?",
        "options": "['yes', 'no']",
        "answer": "A",
    },
    {"id": "validation_Art_3", "question": "Compare <image 1> and <image 2>.", "options": "['a', 'b']", "answer": "A"},
    {"id": "validation_Art_4", "question": "Which?", "options": "['<image 1>', '<image 2>']", "answer": "A"},
    {
        "id": "validation_Math_5",
        "question": "<image 1> How much?",
        "options": "[]",
        "answer": "12",
        "question_type": "open",
    },
    {
        "id": "validation_Math_6",
        "question": "Solve.\n<image 1>",
        "options": "['1', '2', '3', '4', '5', '6', '7']",
        "answer": "G",
    },
    {"id": "validation_Math_7", "question": "See <image 2>", "options": "['1', '2']", "answer": "A"},
]
MMMU_ROWS = [
    {
        "question_type": "multiple-choice",
        **row,
        **{f"image_{place}": picture(place) if place < 3 else None for place in range(1, 8)},
    }
    for row in MMMU_ROWS
]

BLINK_ROWS: list[Row] = [
    {"idx": "val_Counting_1", "question": "How many blue floats are there?", "choices": ["0", "3", "2", "1"], "answer": "(D)",
     "prompt": "How many blue floats are there?\nSelect from the following choices.\n(A) 0\n(B) 3\n(C) 2\n(D) 1"},
    {"idx": "val_Relative_Depth_2", "question": "Which point is closer?", "choices": ["A is closer", "B is closer"], "answer": "(A)",
     "prompt": "Two points are circled on the image, labeled by A and B. Which point is closer?\n"
               "Select from the following choices.\n(A) A is closer\n(B) B is closer"},
    {"idx": "val_Art_Style_3", "question": "Same style?", "choices": ["the second image", "the third image"], "answer": "(B)",
     "prompt": "Same style?\nSelect from the following choices.\n(A) the second image\n(B) the third image",
     "image_2": picture(8), "image_3": picture(9)},
    {"idx": "test_Counting_4", "question": "Hidden?", "choices": ["1", "2"], "answer": "hidden",
     "prompt": "Hidden?\nSelect from the following choices.\n(A) 1\n(B) 2"},
]  # fmt: skip
BLINK_ROWS = [
    {"sub_task": "Counting", "image_1": picture(number), "image_2": None, "image_3": None, "image_4": None, **row}
    for number, row in enumerate(BLINK_ROWS)
]

CASES = {
    "mmbench": Case(
        "mmbench.en_utils", "mmbench_doc_to_text", MMBENCH_ROWS, [0, 1, 2, 5],
        {"a copy of a question with its options rotated", "the answer is not one of the options"},
        graded("submission", "prediction"), "mmbench_doc_to_visual",
    ),
    "mmstar": Case(
        "mmstar.utils", "mmstar_doc_to_text", MMSTAR_ROWS, [0, 1, 2, 3],
        {"the question's text has no options", "an option is repeated"},
        lambda row, result: result["average"]["score"] == 1.0, "mmstar_doc_to_visual",
    ),
    "seedbench": Case(
        "seedbench.utils", "seed_doc_to_text", SEED_ROWS, [0, 3], {"about a video, not an image", "several images", "no image"},
        lambda row, result: result["seed_image"]["pred"].lower() == result["seed_image"]["answer"].lower(), "seed_doc_to_visual",
        target=lambda utils, row: next(
            letter for letter, choice in zip("ABCD", utils.seed_doc_to_choice(row), strict=True)
            if choice == utils.seed_doc_to_mc_target({**row, "answer": row["answer"].upper()})
        ),
    ),
    "scienceqa": Case(
        "scienceqa.utils", "sqa_doc_to_text", SCIENCE_ROWS, [0, 1], {"no image", "the answer is not one of the options"},
        lambda row, result: result["exact_match"] == 1.0, "sqa_doc_to_visual",
        target=lambda utils, row: utils.sqa_doc_to_target(row),
    ),
    "ai2d": Case(
        "ai2d.utils", "ai2d_doc_to_text", AI2D_ROWS, [0, 1, 4], {"an option is repeated", "the answer is not an option's index"},
        lambda row, result: result["letter"] == "ABCDEFG"[int(row["answer"])], "ai2d_doc_to_visual",
        target=lambda utils, row: utils.ai2d_doc_to_target(row, "mcq"),
    ),
    "realworldqa": Case(
        "realworldqa.utils", "realworldqa_doc_to_text", REAL_ROWS, [0, 1],
        {"an open question, without options", "the question's text has no options"},
        lambda row, result: result["exact_match"] == 1.0, "realworldqa_doc_to_visual",
    ),
    "mmmu": Case(
        "mmmu.utils", "mmmu_doc_to_text", MMMU_ROWS, [0, 1, 5, 6],
        {"several images", "an option is an image", "an open question, without options"},
        lambda row, result: result["mmmu_acc"]["parsed_pred"] == [row["answer"]], "mmmu_doc_to_visual",
        image_columns=tuple(f"image_{place}" for place in range(1, 8)),
    ),
    "blink": Case(
        "blink.utils", "blink_doc_to_text", BLINK_ROWS, [0, 1], {"several images", "the answer is not an option's letter"},
        lambda row, result: result["blink_acc"]["is_correct"], "blink_doc_to_visual",
        image_columns=("image_1", "image_2", "image_3", "image_4"),
    ),
}  # fmt: skip

YAMLS = {
    "mmbench": "mmbench/mmbench_en_dev.yaml",
    "mmstar": "mmstar/mmstar.yaml",
    "seedbench": "seedbench/seedbench.yaml",
    "scienceqa": "scienceqa/scienceqa_img.yaml",
    "ai2d": "ai2d/ai2d.yaml",
    "realworldqa": "realworldqa/realworldqa.yaml",
    "mmmu": "mmmu/mmmu_val.yaml",
    "blink": "blink/blink_counting.yaml",
}


def task_definition(name: str) -> Row:
    path = TASKS / YAMLS[name]
    found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    if "include" in found:
        included = yaml.load((path.parent / found["include"]).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        found = {**included, **found}
    return found


def write_copy(name: str, folder: Path) -> Path:
    case = CASES[name]
    table = pa.Table.from_pylist(
        [{column: value for column, value in row.items() if column not in case.image_columns} for row in case.rows]
    )
    for column in case.image_columns:
        values = [row.get(column) for row in case.rows]
        kind = pa.list_(IMAGE) if any(isinstance(value, list) for value in values) else IMAGE
        table = table.append_column(column, pa.array(values, kind))
    path = folder / f"{name}.parquet"
    pq.write_table(table, path)
    return path


def pool_of(name: str, folder: Path) -> tuple[Any, PoolReport]:
    report = PoolReport(name)
    rows = local_rows(write_copy(name, folder), BENCHMARKS[name].columns)
    build_pool(samples_of(BENCHMARKS[name], rows, report), report, folder / "pool")
    return load_dataset(folder / "pool"), report


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<?image \d+>?", " ", text)).strip()


def ask(case: Case, definition: Row, row: Row) -> str:
    """What lmms-eval asks, with the settings of the task's own YAML."""
    ask_text = getattr(importlib.import_module(f"lmms_eval.tasks.{case.utils}"), case.text)
    settings = definition.get("lmms_eval_specific_kwargs", {}).get("default")
    return ask_text(row) if settings is None or case.text == "seed_doc_to_text" else ask_text(row, settings)


def grade(case: Case, row: Row, letter: str) -> dict[str, Any]:
    """What lmms-eval makes of an answer that is a letter."""
    utils = importlib.import_module(f"lmms_eval.tasks.{case.utils}")
    for name in dir(utils):
        if re.fullmatch(r"(mmbench|mmstar|seed|sqa|realworldqa|mmmu|blink)_process_results?", name):
            return getattr(utils, name)(row, [letter])
    return {"letter": letter}


@pytest.mark.parametrize("name", CASES)
def test_every_row_is_a_sample_or_counted_with_its_reason(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    dataset, report = pool_of(name, tmp_path)
    left_out = sorted(int(row.removeprefix("row ")) - 1 for rows in report.left_out.values() for row in rows)
    assert sorted([*case.kept, *left_out]) == list(range(len(case.rows)))
    assert (len(dataset), report.samples, report.rows) == (len(case.kept), len(case.kept), len(case.rows))
    assert set(report.left_out) == case.reasons


@pytest.mark.parametrize("name", CASES)
def test_samples_ask_what_lmms_eval_asks(name: str, tmp_path: Path) -> None:
    case, definition = CASES[name], task_definition(name)
    dataset, _ = pool_of(name, tmp_path)
    for number, sample in zip(case.kept, dataset, strict=True):
        row = {column: opened(value) for column, value in case.rows[number].items()}
        asked = squeezed(ask(case, definition, row))
        start = asked.find(squeezed(sample["question"]))
        assert start >= 0, (asked, sample["question"])
        # The options follow in the same order, each one once, whatever stands between them.
        end = start + len(squeezed(sample["question"]))
        assert "\0".join(squeezed(option) for option in sample["options"]) == "\0".join(
            found for found in written_options(asked[end:], len(sample["options"]))
        )


def written_options(text: str, count: int) -> list[str]:
    """The options in what lmms-eval asks, read from right to left: an independent way to find them."""
    found: list[str] = []
    text = re.split(r" ?(?:Answer with the option's letter|Please answer directly)", text)[0]
    for letter in reversed("ABCDEFGHIJ"[:count]):
        start = max(text.rfind(f" {mark}") for mark in (f"{letter}. ", f"{letter}: ", f"({letter}) "))
        assert start >= 0, (text, letter)
        found.insert(0, re.sub(r"^\(?[A-J][).:] ", "", text[start + 1 :]).rstrip(" ,"))
        text = text[:start]
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_right_option_is_what_lmms_eval_counts_as_right(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    dataset, _ = pool_of(name, tmp_path)
    utils = importlib.import_module(f"lmms_eval.tasks.{case.utils}")
    for number, sample in zip(case.kept, dataset, strict=True):
        row = {column: opened(value) for column, value in case.rows[number].items()}
        letters = "ABCDEFGHIJ"[: len(sample["options"])]
        counted = [letter for letter in letters if case.is_right(row, grade(case, row, letter))]
        assert counted == [letters[sample["answer"]]]
        if case.target is not None:
            assert case.target(utils, row) == letters[sample["answer"]]


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_the_ones_that_lmms_eval_shows(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    dataset, _ = pool_of(name, tmp_path)
    show = getattr(importlib.import_module(f"lmms_eval.tasks.{case.utils}"), case.visual)
    for number, sample in zip(case.kept, dataset, strict=True):
        (shown,) = show({column: opened(value) for column, value in case.rows[number].items()})
        assert np.array_equal(np.asarray(shown), np.asarray(Image.open(io.BytesIO(sample["image"])).convert("RGB")))
        encoded = [
            image["bytes"]
            for column in case.image_columns
            for image in np.atleast_1d(np.array(case.rows[number].get(column), dtype=object)).tolist()
            if image is not None
        ]
        assert sample["image"] in encoded


@pytest.mark.parametrize("name", CASES)
def test_source_is_the_dataset_of_lmms_evals_task(name: str) -> None:
    benchmark, definition = BENCHMARKS[name], task_definition(name)
    assert benchmark.hub_id == definition["dataset_path"]
    assert benchmark.split == definition["test_split"]
    if name == "blink":
        pairs = (
            re.findall(r"dataset_name: \"(.+)\"", path.read_text()) for path in (TASKS / "blink").glob("blink_*.yaml")
        )
        assert set(benchmark.configurations) <= {found for names in pairs for found in names}
    else:
        assert list(benchmark.configurations) == [definition[key] for key in ("dataset_name",) if key in definition]
        assert definition["task"] == benchmark.reference


def test_questions_of_the_mappings_read_well(tmp_path: Path) -> None:
    def first(name: str) -> list[Any]:
        (tmp_path / name).mkdir()
        return list(pool_of(name, tmp_path / name)[0].without_images())

    assert [row["question"] for row in first("mmstar")[:3]] == [
        "Which option describes it?",
        "A: is for apple. What is this?",
        "Hint: give the letter.\nQuestion: How many?",
    ]
    assert [row["question"] for row in first("mmmu")] == [
        "Who painted it?",
        "In image 1, which is it?",
        "Solve.",
        "See",
    ]
    assert first("mmbench")[0] == {
        "id": "mmbench_241",
        "question": "Look at the cup. Which one?",
        "options": ["red", "blue", "green", "grey"],
        "answer": 2,
        "source": "MMBench dev (en)",
        "category": "colour",
    }
    assert first("blink")[1]["question"].startswith("Two points are circled on the image, labeled by A and B.")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"index": [1], "question": ["x"]}), tmp_path / "copy.parquet")
    with pytest.raises(ValueError, match=r"copy\.parquet has no column 'image', 'A', 'B', 'answer'"):
        list(local_rows(tmp_path, BENCHMARKS["mmbench"].columns))


def test_a_copy_with_no_sample_is_refused_with_the_reasons(tmp_path: Path) -> None:
    report = PoolReport("here")
    rows = [{**row, "data_type": "video"} for row in SEED_ROWS]
    with pytest.raises(ValueError, match="none of the 5 rows of here is a sample: about a video, not an image: 5"):
        build_pool(samples_of(BENCHMARKS["seedbench"], rows, report), report, tmp_path / "pool")
    assert not (tmp_path / "pool").exists()


def test_two_rows_with_one_id_and_an_undecodable_image_are_counted() -> None:
    report = PoolReport("here")
    broken = {**SEED_ROWS[0], "question_id": "7", "image": [{"bytes": b"no image", "path": None}]}
    found = list(samples_of(BENCHMARKS["seedbench"], [SEED_ROWS[0], SEED_ROWS[0], broken], report))
    assert [sample["id"] for sample in found] == ["seedbench_100"]
    assert report.left_out == {"an earlier row has the same id": ["row 2"], "the image cannot be decoded": ["row 3"]}


HOSTILE: dict[str, Any] = {
    "null": None,
    "nan": float("nan"),
    "infinity": float("inf"),
    "a fraction": 1.5,
    "true": True,
    "a huge number": 10**400,
    "a negative number": -1,
    "nothing": "",
    "nan as text": "nan",
    "a huge text": "iVBORw0KGgo" * 20_000,
    "half a character": "\ud83d",
    "two lines": "a\nb",
    "control characters": "a\x00\x1bb",
    "bytes": b"\xff\xfe",
    "an empty list": [],
    "a list of nulls": [None, None],
    "a list of lists": [["a"], ["b"]],
    "a list of mappings": [{"a": 1}, {"b": 2}],
    "a list with half a character": ["a", "\udc00"],
    "27 options": [f"option {number}" for number in range(27)],
    "a mapping": {"text": ["a", "b"], "label": ["A", "B"]},
    "base64 as bytes": {"bytes": "iVBORw0KGgo=", "path": None},
    "a list that Python cannot read": "[" * 5000,
    "deep Python": "-" * 19_000 + "1",
}


@pytest.mark.parametrize("name", CASES)
def test_no_value_of_any_field_costs_the_pool(name: str, tmp_path: Path) -> None:
    """A row with a hostile value is a sample that a dataset takes, or is counted: the rows around it stay."""
    benchmark, first = BENCHMARKS[name], CASES[name].rows[CASES[name].kept[0]]
    last = CASES[name].rows[CASES[name].kept[1]]
    columns = sorted({*benchmark.columns, *first})
    rows = [first, *({**first, column: value} for column in columns for value in HOSTILE.values()), last]
    report = PoolReport("here")
    build_pool(samples_of(benchmark, rows, report), report, tmp_path / "pool")
    identifiers = [row["id"] for row in load_dataset(tmp_path / "pool").without_images()]
    (good, *_) = samples_of(benchmark, [first], PoolReport("here"))
    assert identifiers[0] == good["id"]
    assert len(identifiers) == report.samples >= 2
    assert report.rows == len(rows) == report.samples + sum(map(len, report.left_out.values()))
    assert f"row {len(rows)}" not in {row for left in report.left_out.values() for row in left}
    # A reason is a category: a report of a million rows stays short.
    assert len(report.left_out) < 25
    assert max(map(len, report.left_out)) < 80


NULLS = {
    ("scienceqa", "choices"): "the options are not a list",
    ("scienceqa", "answer"): "no answer",
    ("mmbench", "index"): "the row has no index",
    ("mmbench", "answer"): "no answer",
    ("mmstar", "index"): "the row has no id",
    ("seedbench", "question_id"): "the row has no id",
    ("seedbench", "image"): "no image",
    ("seedbench", "data_type"): "not about an image",
    ("ai2d", "options"): "the options are not a list",
    ("ai2d", "answer"): "no answer",
    ("realworldqa", "answer"): "no answer",
    ("realworldqa", "question"): "the question's text has no options",
    ("mmmu", "options"): "the options are not a list",
    ("mmmu", "id"): "the row has no id",
    ("blink", "choices"): "the options are not a list",
    ("blink", "idx"): "the row has no id",
}


@pytest.mark.parametrize(("name", "column"), NULLS)
def test_a_null_is_counted_with_its_reason(name: str, column: str) -> None:
    report = PoolReport("here")
    row = CASES[name].rows[CASES[name].kept[0]]
    assert list(samples_of(BENCHMARKS[name], [{**row, column: None}], report)) == []
    assert report.left_out == {NULLS[name, column]: ["row 1"]}


def with_options(name: str, options: list[Any]) -> Row:
    """A row of a benchmark that offers these options, of which the first is right."""
    row = dict(CASES[name].rows[CASES[name].kept[0]])
    texts = ["" if option is None else option for option in options]
    if name == "mmbench":
        return {**row, **dict.fromkeys("ABCDE"), **dict(zip("ABCDE", options, strict=False)), "answer": "A"}
    if name == "seedbench":
        columns = [f"choice_{letter}" for letter in "abcd"]
        return {**row, **dict.fromkeys(columns), **dict(zip(columns, options, strict=False)), "answer": "A"}
    if name == "mmstar":
        written = ", ".join(f"{letter}: {text}" for letter, text in zip("ABCD", texts, strict=False))
        return {**row, "question": f"Which?\nOptions: {written}", "answer": "A"}
    if name == "realworldqa":
        written = "\n".join(f"{letter}. {text} " for letter, text in zip("ABCD", texts, strict=False))
        return {**row, "question": f"Which?\n\n{written}", "answer": "A"}
    if name == "mmmu":
        return {**row, "options": repr(options), "answer": "A"}
    column = "options" if name == "ai2d" else "choices"
    return {**row, column: options, "answer": {"ai2d": "0", "scienceqa": 0}.get(name, "(A)")}


def options_of(name: str, row: Row) -> list[str] | str:
    report = PoolReport("here")
    found = list(samples_of(BENCHMARKS[name], [row], report))
    return found[0]["options"] if found else next(iter(report.left_out))


@pytest.mark.parametrize("name", CASES)
def test_an_absent_option_is_the_same_in_every_mapping(name: str) -> None:
    absent: list[Any] = ["nan", " nan "]
    if name not in {"mmstar", "realworldqa"}:
        absent += [None, "", " "] + ([] if name == "mmmu" else [float("nan")])
    for nothing in absent:
        assert options_of(name, with_options(name, ["red", "blue", nothing])) == ["red", "blue"], nothing
        assert options_of(name, with_options(name, ["red", nothing, "blue"])) == "an option is empty", nothing
        assert options_of(name, with_options(name, ["red", nothing])) == "fewer than two options", nothing


@pytest.mark.parametrize("name", CASES)
def test_a_text_that_only_looks_absent_is_an_option_in_every_mapping(name: str) -> None:
    for text in ("None", "NA", "null", "NaN", "N/A", "0"):
        assert options_of(name, with_options(name, ["red", "blue", text])) == ["red", "blue", text]


@pytest.mark.parametrize("name", CASES)
def test_labels_of_classes_have_their_names_in_a_local_copy(name: str, tmp_path: Path) -> None:
    """The answers of a copy that went through `class_encode_column` are read as those of the original."""
    rows = [CASES[name].rows[number] for number in CASES[name].kept]
    expected = list(samples_of(BENCHMARKS[name], rows, PoolReport("here")))
    names = sorted({str(row["answer"]) for row in rows}, reverse=True)
    labels = {"names": names, "_type": "ClassLabel"}
    copied = [{**row, "answer": names.index(str(row["answer"]))} for row in rows]
    table = pa.Table.from_pylist(copied)
    metadata = {"huggingface": json.dumps({"info": {"features": {"answer": labels}}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "copy.parquet")
    report = PoolReport("here")
    found = list(samples_of(BENCHMARKS[name], local_rows(tmp_path, BENCHMARKS[name].columns), report))
    assert [sample["answer"] for sample in found] == [sample["answer"] for sample in expected]
    assert found == expected
    # Without the names, a label is a number that no mapping of letters takes for one.
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "copy.parquet")
    report = PoolReport("here")
    found = list(samples_of(BENCHMARKS[name], local_rows(tmp_path, BENCHMARKS[name].columns), report))
    if name not in {"ai2d", "scienceqa"}:
        assert found == []
        assert set(report.left_out) <= {"the answer is not an option's letter", "an open question, without options"}
