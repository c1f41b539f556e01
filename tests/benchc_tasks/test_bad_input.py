"""Bad input of every kind: what is odd works, what is broken is named in one sentence, and nothing else is lost."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hostile_images import encoded_image, odd_images, scene, undecodable_images, unrecognisable_images
from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config
from PIL import Image, ImageFile
from safetensors.torch import load_file, save_file

from benchc_metrics.records import SampleRecord
from benchc_metrics.responses import NO_ANSWER
from benchc_tasks.commands.cli import main
from benchc_tasks.corruptions import CORRUPTIONS
from benchc_tasks.datasets import DatasetError, decode_image, load_dataset, write_dataset
from benchc_tasks.demonstration import DEMONSTRATION_MODEL
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.lmms_eval.task import BenchCTask
from support import logged, rows_of_samples
from task_yamls import tasks_path

TASK = "benchc_gaussian_noise"
CONDITIONS = ("clean", *(f"gaussian_noise@{severity}" for severity in range(1, 6)))
MOST_BOMB_BYTES = 300 * 2**20
MOST_TOLD_SAMPLES = 10
INF, NAN = math.inf, math.nan

ODD_IMAGES = odd_images()
UNDECODABLE_IMAGES = undecodable_images()
UNRECOGNISABLE_IMAGES = unrecognisable_images()

# What a picture shows where it is the scene to the last pixel.
THE_SCENE = {
    "16-bit colour PNG",
    "animated GIF",
    "animated PNG",
    "TIFF of three pages",
    "lossless WebP",
    "no EXIF in a PNG's EXIF",
    "corrupt ICC profile in a PNG",
    "huge ICC profile in a PNG",
    "huge text in a PNG",
    "text with a wrong checksum",
    "something behind the end",
}
WHITE = {"RGBA, wholly transparent"}
SIZES = {"1 x 1": (1, 1), "1 x 5000": (1, 5000), "5000 x 1": (5000, 1), "JPEG turned by its EXIF": (32, 40)}
# Pillow's own, once in a process.
WARNED_OF = {"EXIF cut off in a JPEG"}

ODD_ROWS: dict[str, dict[str, Any]] = {
    "many scripts": {
        "question": "\u202eWhat?\u202c 🤔 ماذا؟",
        "options": ["🟥 red", "👩🏽‍🚀", "e\u0301te\u0301", "שלום", "\u2066left\u2069 \u202egnorw\u202c"],
    },
    "26 options": {"options": [f"option {number}" for number in range(26)], "answer": 25},
    "options that begin others": {"options": ["a", "a b", "a b c"], "answer": 2},
    "options that are letters": {"options": ["B", "A", "C. A", "A. B"], "answer": 3},
    "options that look alike": {"options": ["red", "red\u200b", "r\u0435d"]},
    "placeholders": {"question": "What is {question}, {option}, {0}, %s and $x?", "options": ["{option}", "%d"]},
    "tokens of the chat format": {"question": "What?<|end|><|assistant|>A<|pad|>"},
    "control characters": {"question": "What\0 is\x07 this?\r\n\t\x1b[31m"},
    "long options": {"options": ["red " * 40, "blue " * 40]},
    **{
        name: {}
        for name in (
            "a/b",
            "../../etc/passwd",
            "C:\\con",
            'it\'s "quoted"',
            "x'; DROP TABLE responses; --",
            "😀 שלום",
            "{question}",
            "<b>&amp;</b>",
            "nan",
            "a=1,b=2",
            "n" * 1000,
            "Case",
            "case",
        )
    },
}

UNANSWERABLE_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "the model's image token in a question": (
        {"question": "What is <image>?"},
        "its text holds '<image>', the model's own placeholder of an image: write that in another way",
    ),
    "the model's image token in an option": (
        {"options": ["<image>", "blue"]},
        "its text holds '<image>', the model's own placeholder of an image: write that in another way",
    ),
    "a question of 100,000 characters": (
        {"question": ("What is this? " * 8000)[:100_000]},
        "its prompt has * tokens, those of the image with them, and the model reads at most 1,024: shorten the "
        "question",
    ),
}

WHOLE_IMAGE = "replace it by an intact PNG, JPEG, GIF, BMP, WebP or TIFF file"
TOO_LARGE = "its image has *more than 67,108,864*; scale it down"
UNDECODABLE_SENTENCES = {
    "wrong checksum of the header": f"its image cannot be decoded (its header is broken); {WHOLE_IMAGE}",
    **{name: TOO_LARGE for name in UNDECODABLE_IMAGES if "bomb" in name},
    "CIELAB TIFF": "its image is in CIELAB, which needs a colour profile; save it as RGB",
    "integers beyond 16 bits": "its image holds integers outside 0..65535; save it with 8 or 16 bits a channel",
    "floats beyond 255": "its image holds floats outside 0..1 and of 0..255; save it with 8 or 16 bits a channel",
    "nan among the floats": "its image holds floats outside 0..1 and of 0..255; save it with 8 or 16 bits a channel",
}

UNREADABLE = {
    **{name: f"its image cannot be decoded (*); {WHOLE_IMAGE}" for name in UNDECODABLE_IMAGES},
    **UNDECODABLE_SENTENCES,
    **{name: sentence for name, (_, sentence) in UNANSWERABLE_ROWS.items()},
}
"""The samples that a run cannot answer, and why."""

WORKING = [*ODD_IMAGES, *ODD_ROWS, "an image behind a link"]

CURE = re.compile(
    r"[:;,] (or |so )?(choose|close|copy|correct|count|evaluate|give|leave|look|make|move|name|put|remove|replace|save|"
    r"scale|shorten|take|try|use|write)\b|must return|needs the columns|lists them"
)


def assert_says(found: str, sentence: str) -> None:
    """It is the sentence, in which * stands for anything; it shows no traceback and no object, and says what to do."""
    assert re.fullmatch(".*".join(map(re.escape, sentence.split("*"))), found), found
    assert_is_one_sentence(found)


def assert_is_one_sentence(text: str) -> None:
    assert "\n" not in text
    assert "Traceback" not in text
    assert not re.search(r"\bat 0x[0-9a-f]{6,}|<class '(?!transformers)", text), text
    assert not text.endswith("."), text
    assert len(text) < 600, text
    assert CURE.search(text), text


# lmms-eval in processes of its own, as users run it.


@dataclass(frozen=True)
class Terminal:
    """What a process of lmms-eval left."""

    status: int
    output: str
    errors: str
    results: list[Path]


Terminals: TypeAlias = "Callable[[str], Terminal]"


@pytest.fixture(scope="module", autouse=True)
def terminals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminals]:
    """Three processes, started first and looked at last: most of their time is lmms-eval's own start."""
    good = {"image": ODD_IMAGES["something behind the end"]}
    runs: dict[str, tuple[str, Mapping[str, Any]]] = {
        "a misspelt backend": ("--model_args backend=qwen2_5_vll", good),
        "a row that asks no question": ("--verbosity DEBUG", {**good, "question": " "}),
        "an image cut in half": ("--log_samples", {"image": UNDECODABLE_IMAGES["JPEG cut off"]}),
    }
    folders = {name: tmp_path_factory.mktemp("terminal") for name in runs}
    processes = {}
    with ExitStack() as stack:
        for name, (arguments, sample) in runs.items():
            dataset = write_files(folders[name] / "data", {"good": good, "bad": sample, "last": good})
            output, errors = (stack.enter_context((folders[name] / kind).open("w")) for kind in ("output", "errors"))
            command = f"-m lmms_eval --model benchc --tasks {TASK} --output_path runs {arguments}"
            processes[name] = subprocess.Popen(
                [sys.executable, *command.split()],
                cwd=folders[name],
                env={**os.environ, "BENCHC_DATASET": str(dataset), "HF_HOME": str(folders[name] / "hf")},
                stdout=output,
                stderr=errors,
            )
        yield lambda name: Terminal(
            processes[name].wait(timeout=300),
            (folders[name] / "output").read_text(encoding="utf-8"),
            (folders[name] / "errors").read_text(encoding="utf-8"),
            sorted((folders[name] / "runs").rglob("*_results.json")),
        )
        for process in processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()


# One run with everything in it.


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation left: a record a task and sample, the figures of its tasks, and what it said meanwhile."""

    records: Mapping[str, Mapping[str, SampleRecord]]
    figures: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, list[dict[str, Any]]]
    log: list[str]
    warnings: list[str]


@functools.cache
def task_manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()), include_defaults=False)


def evaluate(model: lmms, dataset: Path, tasks: str = TASK) -> Evaluation:
    with logged() as lines, pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setenv("BENCHC_DATASET", str(dataset))
        results = simple_evaluate(
            model=model, tasks=[tasks], task_manager=task_manager(), bootstrap_iters=0, log_samples=True
        )
    assert results is not None
    records = {
        task: {record.sample: record for record in (SampleRecord.from_json_dict(row["benchc"]) for row in rows)}
        for task, rows in results["samples"].items()
    }
    of_pictures = [str(one.message) for one in caught if f"{os.sep}PIL{os.sep}" in one.filename]
    return Evaluation(
        records, results["results"], results["samples"], [line.strip() for line in lines], sorted(set(of_pictures))
    )


def write_files(folder: Path, samples: Mapping[str, Mapping[str, Any]]) -> Path:
    """A JSONL file and its images, every one of which is called .png, whatever it is."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, (name, changes) in enumerate(samples.items()):
        row = {"id": name, "question": "What colour?", "options": ["red", "blue"], "answer": 0, **changes}
        image = row.pop("image", None)
        if isinstance(image, bytes):
            (folder / "images" / f"{number}.png").write_bytes(image)
        rows.append({**row, "image": f"images/{number}.png" if isinstance(image, bytes) else image})
    path = folder / "data.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def good_samples() -> dict[str, dict[str, Any]]:
    return {f"good-{number}": {**row, "id": f"good-{number}"} for number, row in enumerate(rows_of_samples(6))}


def hostile_samples() -> dict[str, dict[str, Any]]:
    usual = ODD_IMAGES["something behind the end"]
    return {
        **{name: {"image": image} for name, image in UNDECODABLE_IMAGES.items()},
        **{name: {"image": image} for name, image in ODD_IMAGES.items()},
        **{name: {"image": usual, **row} for name, row in ODD_ROWS.items()},
        **{name: {"image": usual, **row} for name, (row, _) in UNANSWERABLE_ROWS.items()},
        "an image behind a link": {"image": "images/link.png"},
    }


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate(BenchCModel(device="cpu"), write_files(tmp_path_factory.mktemp("good") / "data", good_samples()))


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The good samples, with the hostile ones before, between and behind them."""
    samples = {**good_samples(), **hostile_samples()}
    order = list(hostile_samples())
    for number, name in enumerate(good_samples(), start=1):
        order.insert(number * 12, name)
    assert len(order) == len(samples) > 6 * 12
    path = write_files(tmp_path_factory.mktemp("mixed") / "data", {name: samples[name] for name in order})
    (path.parent / "images" / "link.png").symlink_to(Path("..") / "elsewhere.png")
    (path.parent / "elsewhere.png").write_bytes(encoded_image(scene(), "JPEG"))
    return evaluate(BenchCModel(device="cpu"), path)


def test_the_samples_between_bad_ones_have_the_same_answers_to_the_bit(
    undisturbed: Evaluation, disturbed: Evaluation
) -> None:
    before, after = undisturbed.records[TASK], disturbed.records[TASK]
    assert len(before) == len(good_samples())
    for name, record in before.items():
        assert after[name].log_likelihoods == record.log_likelihoods
        assert after[name].invalid == record.invalid == {}


@pytest.mark.parametrize("name", WORKING)
def test_what_is_only_odd_works(disturbed: Evaluation, name: str) -> None:
    record = disturbed.records[TASK][name]
    assert record.invalid == {}
    options = ODD_ROWS.get(name, {}).get("options", "ab")
    values = np.array(record.log_likelihoods)
    assert values.shape == (len(CONDITIONS), len(options))
    assert np.isfinite(values).all()
    assert len(set(map(tuple, values.tolist()))) == len(CONDITIONS)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_answered_is_invalid_for_a_reason_in_one_sentence(disturbed: Evaluation, name: str) -> None:
    record = disturbed.records[TASK][name]
    assert record.conditions == CONDITIONS
    assert list(record.invalid) == list(CONDITIONS)
    for condition, reason in record.invalid.items():
        assert_says(reason, f"sample {name!r} under {condition}: {UNREADABLE[name]}")


def test_ids_that_differ_in_case_only_are_two_samples(disturbed: Evaluation) -> None:
    """Their clean pictures are the same, and their noise is not."""
    upper, lower = (disturbed.records[TASK][name].log_likelihoods for name in ("Case", "case"))
    assert upper[0] == lower[0]
    assert all(one != other for one, other in zip(upper[1:], lower[1:], strict=True))


def test_bad_samples_are_counted_and_the_first_ones_told(disturbed: Evaluation) -> None:
    total = len(disturbed.records[TASK]) * len(CONDITIONS)
    unanswered = len(UNREADABLE) * len(CONDITIONS)
    assert disturbed.figures[TASK]["invalid_pairs,none"] == len(UNREADABLE) * (len(CONDITIONS) - 1)
    *told, count, caution = disturbed.log
    first = [name for name, record in disturbed.records[TASK].items() if record.invalid][:MOST_TOLD_SAMPLES]
    reasons = [disturbed.records[TASK][name].invalid["clean"] for name in first]
    assert told == [*reasons[:-1], f"{reasons[-1]}; further samples are only counted"]
    assert count == (
        f"benchc: {unanswered} of {total} conditions could not be scored and count as invalid, samples concerned: "
        f"{len(UNREADABLE)}; the first of them: {reasons[0]}"
    )
    assert f"Only {total - unanswered:,} of {total:,} responses can be used; the first reason is: " in caution


def test_pillow_says_nothing_of_bombs(disturbed: Evaluation) -> None:
    assert all(line.startswith("Corrupt EXIF data") for line in disturbed.warnings), disturbed.warnings


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_odd_images_work_under_all_corruptions(tmp_path: Path) -> None:
    """One image for each picture that they show, 19 x 5 conditions, in batches."""
    pictures = {
        (picture.size, picture.tobytes()): name
        for name, image in ODD_IMAGES.items()
        for picture in [decode_image(image, name)]
    }
    dataset = write_files(tmp_path / "data", {name: {"image": ODD_IMAGES[name]} for name in pictures.values()})
    found = evaluate(BenchCModel(device="cpu", batch_size=16), dataset, "benchc")
    assert len(found.records) == len(CORRUPTIONS)
    for records in found.records.values():
        assert records.keys() == set(pictures.values())
        assert all(record.invalid == {} for record in records.values())
        assert np.isfinite([record.log_likelihoods for record in records.values()]).all()
    assert found.log == []


@pytest.mark.parametrize("lenient", [False, True], ids=["Pillow's default", "as lmms-eval sets it"])
@pytest.mark.parametrize("name", ODD_IMAGES)
def test_an_odd_image_shows_its_picture_upright(monkeypatch: pytest.MonkeyPatch, name: str, lenient: bool) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shown = decode_image(ODD_IMAGES[name], name)
    assert bool(caught) is (name in WARNED_OF)
    assert (shown.mode, shown.size) == ("RGB", SIZES.get(name, scene().size))
    if name in THE_SCENE:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(scene()))
    if name in WHITE:
        assert np.asarray(shown).min() == 255
    if name == "JPEG turned by its EXIF":
        upright = np.asarray(scene().transpose(Image.Transpose.ROTATE_270), dtype=int)
        assert np.abs(np.asarray(shown) - upright).mean() < 40 < np.abs(np.asarray(shown) - upright[::-1]).mean()


def peak_growth(work: Callable[[], object]) -> int:
    """How many bytes more than before the process had at most while it worked."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as fault:
        pytest.skip(f"this system does not measure a process's peak of memory anew: {fault}")

    def peak() -> int:
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(kilobytes) * 1024

    before = peak()
    work()
    return peak() - before


@pytest.mark.parametrize("name", [name for name in (*UNDECODABLE_IMAGES, *UNRECOGNISABLE_IMAGES) if "bomb" in name])
def test_a_bomb_is_refused_without_being_decoded(name: str) -> None:
    image = {**UNDECODABLE_IMAGES, **UNRECOGNISABLE_IMAGES}[name]
    assert len(image) < 2**16

    def refuse() -> None:
        with pytest.raises(DatasetError) as caught:
            decode_image(image, "bomb")
        assert_says(str(caught.value), f"sample 'bomb': {TOO_LARGE}")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert peak_growth(refuse) < MOST_BOMB_BYTES
    # The measure itself works.
    assert peak_growth(lambda: np.ones(2**26)) > MOST_BOMB_BYTES


# What is refused when a dataset is loaded.

ID_CURE = "give one or more printable characters, without a space at the start or the end"
ANSWER_CURE = "give the right option's index, an integer counted from 0 (A is 0, B is 1)"
SECOND = "sample 's' (data.jsonl row 2): "

REFUSED_ROWS: dict[str, tuple[dict[str, Any], str]] = {
    "a newline in an id": ({"id": "a\nb"}, rf"sample 'a\nb' (data.jsonl row 2): its `id` is 'a\nb'; {ID_CURE}"),
    "NUL in an id": ({"id": "a\0b"}, rf"sample 'a\x00b' (data.jsonl row 2): its `id` is 'a\x00b'; {ID_CURE}"),
    "an id that turns the text": (
        {"id": "\u202eab"},
        rf"sample '\u202eab' (data.jsonl row 2): its `id` is '\u202eab'; {ID_CURE}",
    ),
    "a space before an id": ({"id": " a"}, f"sample ' a' (data.jsonl row 2): its `id` is ' a'; {ID_CURE}"),
    "an empty id": ({"id": ""}, f"data.jsonl row 2: its `id` is ''; {ID_CURE}"),
    "a number as id": ({"id": 7}, "data.jsonl row 2: its `id` is 7, not a string; give a string"),
    "no id": ({"id": None}, "data.jsonl row 2: it has no `id`; give a string"),
    "an id twice": (
        {"id": "good"},
        "sample 'good' (data.jsonl row 2): its `id` is also that of data.jsonl row 1; give each sample a different id",
    ),
    "no option": ({"options": []}, f"{SECOND}it has 0 options; give 2 to 26"),
    "1 option": ({"options": ["red"]}, f"{SECOND}it has 1 option; give 2 to 26"),
    "27 options": ({"options": [str(number) for number in range(27)]}, f"{SECOND}it has 27 options; give 2 to 26"),
    "an option twice": (
        {"options": ["red", "blue", " red "]},
        f"{SECOND}its option 'red' is repeated; give each option a different text",
    ),
    "an empty option": ({"options": ["red", ""]}, f"{SECOND}one of its `options` is empty; give each option a text"),
    "an option of white space": (
        {"options": ["red", "\t\u3000"]},
        f"{SECOND}one of its `options` is empty; give each option a text",
    ),
    "null among the options": (
        {"options": ["a", None]},
        f"{SECOND}one of its `options` is empty; give each option a text",
    ),
    "nan among the options": (
        {"options": ["red", "nan"]},
        f"{SECOND}one of its `options` is empty ('nan', which pandas writes for an empty cell); "
        "give each option a text",
    ),
    "digits as answer": ({"answer": "1"}, f"{SECOND}its `answer` is '1', not an integer; {ANSWER_CURE}"),
    "a list of 150,000 characters as question": (
        {"question": ["A" * 150_000]},
        f"{SECOND}its `question` is ['AAA*AAA'], not a string; give a string",
    ),
    "a number among the options": (
        {"options": ["red", 5]},
        f"{SECOND}its `options` hold 5, not a string; give a list of strings",
    ),
    "options in one text": (
        {"options": "red, blue"},
        f"{SECOND}its `options` are 'red, blue', not a list; give a list of strings",
    ),
    "half a character": (
        {"options": ["red", "\ud83d"]},
        f"{SECOND}its `options` hold half a surrogate pair; give a list of strings of whole characters",
    ),
    "an empty question": ({"question": ""}, f"{SECOND}its `question` is empty; give the question's text"),
    "a question of white space": (
        {"question": " \n\u00a0"},
        f"{SECOND}its `question` is empty; give the question's text",
    ),
    "no question": ({"question": None}, f"{SECOND}it has no `question`; give a string"),
    "a list as question": (
        {"question": ["What?"]},
        f"{SECOND}its `question` is ['What?'], not a string; give a string",
    ),
    "an answer beyond the options": (
        {"answer": 2},
        f"{SECOND}its `answer` 2 is out of range for 2 options; {ANSWER_CURE}",
    ),
    "a negative answer": ({"answer": -1}, f"{SECOND}its `answer` -1 is out of range for 2 options; {ANSWER_CURE}"),
    "a huge answer": ({"answer": 10**30}, f"{SECOND}its `answer` * is out of range; {ANSWER_CURE}"),
    "a letter as answer": ({"answer": "A"}, f"{SECOND}its `answer` is 'A', not an integer; {ANSWER_CURE}"),
    "no answer": ({"answer": None}, f"{SECOND}it has no `answer`; {ANSWER_CURE}"),
    "a float as answer": ({"answer": 1.0}, f"{SECOND}its `answer` is 1.0, not an integer; {ANSWER_CURE}"),
    "a truth value as answer": ({"answer": True}, f"{SECOND}its `answer` is True, not an integer; {ANSWER_CURE}"),
    "nan as answer": ({"answer": NAN}, f"{SECOND}its `answer` is nan, not an integer; {ANSWER_CURE}"),
    "a number as category": (
        {"category": 1},
        f"{SECOND}its `category` is 1, not a string; give a string, or leave it out",
    ),
}

NO_PATH = "give the encoded image, or the path of an image file relative to the dataset's folder"
OUTSIDE = (
    "is not a relative path inside the dataset's folder; move the file into that folder and give its path from there, "
    "with forward slashes"
)
IMAGE_FILES: dict[str, tuple[object, str]] = {
    "base64": (
        "iVBORw0KGgo" * 15_000,
        "its `image` is a text of 165,000 characters, 'iVBOR*', not a path; write the image to a file and give the "
        "file's path",
    ),
    "base64 in a mapping": (
        {"bytes": "iVBORw0KGgo" * 15_000, "path": None},
        "its `image` holds `bytes` as 'iVBOR*'; write the image to a file and give the file's path, or write the "
        "dataset as parquet",
    ),
    "a file that is not there": (
        "none.png",
        "its image file 'none.png' does not exist; put it in the dataset's folder",
    ),
    "a link to nowhere": (
        "dangling.png",
        "its image file 'dangling.png' does not exist; put it in the dataset's folder",
    ),
    "a link to itself": (
        "loop.png",
        "its image file 'loop.png' cannot be read (Too many levels of symbolic links); make it a readable file",
    ),
    "a folder": ("inner", "its image file 'inner' is a folder or a device; give the path of an image file"),
    "a pipe": ("pipe.png", "its image file 'pipe.png' is a folder or a device; give the path of an image file"),
    "a device without an end": (
        "zero.png",
        "its image file 'zero.png' is a folder or a device; give the path of an image file",
    ),
    "a file that even root cannot read": (
        "memory.png",
        "its image file 'memory.png' cannot be read (Input/output error); make it a readable file",
    ),
    "a file without permission": (
        "locked.png",
        "its image file 'locked.png' cannot be read (Permission denied); make it a readable file",
    ),
    "a path outside of the folder": ("../x.png", f"its image file '../x.png' {OUTSIDE}"),
    "an absolute path": ("/etc/hostname", f"its image file '/etc/hostname' {OUTSIDE}"),
    "a path of Windows": ("images\\1.png", rf"its image file 'images\\1.png' {OUTSIDE}"),
    "a drive of Windows": ("C:/1.png", f"its image file 'C:/1.png' {OUTSIDE}"),
    "a web address": (
        "https://example.org/1.png",
        "its image file 'https://example.org/1.png' does not exist; put it in the dataset's folder",
    ),
    "NUL in a path": ("a\0b.png", r"its image file 'a\x00b.png' cannot be read (*); make it a readable file"),
    "an empty path": ("", f"its `image` is '', not a path; {NO_PATH}"),
    "a number as image": (3, f"its `image` is 3, not a path; {NO_PATH}"),
    "no image": (None, f"it has no `image`; {NO_PATH}"),
}

NO_IMAGE = f"its image does not begin like any known format; {WHOLE_IMAGE}"
UNRECOGNISABLE_SENTENCES = {
    **dict.fromkeys(UNRECOGNISABLE_IMAGES, NO_IMAGE),
    "zero bytes": f"its image is empty; {WHOLE_IMAGE}",
    "PNG of ten bytes": f"its image ends within its header; {WHOLE_IMAGE}",
    "PNG of no width": f"its image has 0 x 5 pixels; {WHOLE_IMAGE}",
    "PNG bomb": "its image has 20000 x 20000 pixels, more than 67,108,864; scale it down",
}


def assert_is_refused(folder: Path, row: Mapping[str, Any], sentence: str) -> None:
    """A dataset whose second row is `row` does not load."""
    usual = ODD_IMAGES["something behind the end"]
    path = write_files(folder, {"good": {"image": usual}, "s": {"image": usual, **row}})
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert_says(str(caught.value), sentence)


@pytest.mark.parametrize("name", REFUSED_ROWS)
def test_a_row_that_asks_no_question_is_refused_before_anything_is_computed(tmp_path: Path, name: str) -> None:
    row, sentence = REFUSED_ROWS[name]
    assert_is_refused(tmp_path / "data", row, sentence)


@pytest.mark.parametrize("name", UNRECOGNISABLE_IMAGES)
def test_a_file_that_does_not_begin_as_an_image_is_refused_before_anything_is_computed(
    tmp_path: Path, name: str
) -> None:
    assert_is_refused(
        tmp_path / "data", {"image": UNRECOGNISABLE_IMAGES[name]}, SECOND + UNRECOGNISABLE_SENTENCES[name]
    )


@pytest.mark.parametrize("name", IMAGE_FILES)
def test_an_image_file_that_does_not_serve_is_refused_before_anything_is_computed(tmp_path: Path, name: str) -> None:
    if name == "a file without permission" and os.geteuid() == 0:
        pytest.skip("root may read every file")
    if name == "a file that even root cannot read" and not Path("/proc/self/mem").exists():
        pytest.skip("this system has no /proc/self/mem, whose beginning nobody can read")
    folder = tmp_path / "data"
    (folder / "inner").mkdir(parents=True)
    os.mkfifo(folder / "pipe.png")
    for link, target in (
        ("dangling", "nothing"),
        ("loop", "loop.png"),
        ("zero", "/dev/zero"),
        ("memory", "/proc/self/mem"),
    ):
        (folder / f"{link}.png").symlink_to(target)
    (folder / "locked.png").touch(mode=0o000)
    value, sentence = IMAGE_FILES[name]
    assert_is_refused(folder, {"image": value}, SECOND + sentence)


def cut(folder: Path) -> Path:
    write_dataset(folder / "cut.parquet", rows_of_samples(3))
    whole = (folder / "cut.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.parquet"


def text(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def link(name: str, target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return make


def locked(folder: Path) -> Path:
    (folder / "locked").mkdir(mode=0o000)
    return folder / "locked"


LINE = b'{"id": "a", "image": "a.png", "question": "?", "options": ["a", "b"], "answer": 0}\n'
DATASETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a path to nowhere": (
        lambda folder: folder / "nowhere",
        "dataset '/*/nowhere' does not exist; give an existing folder, parquet or JSONL file, a hub id *",
    ),
    "a web address": (
        lambda folder: "https://huggingface.co/datasets/a/b",
        "dataset 'https://huggingface.co/datasets/a/b' does not exist; give *",
    ),
    "a name beyond measure": (
        lambda folder: "x" * 300,
        "dataset '*' cannot be read (File name too long); name a readable one",
    ),
    "a folder without permission": (
        locked,
        "dataset '/*/locked' cannot be read (Permission denied); name a readable one",
    ),
    "an empty folder": (
        lambda folder: folder,
        "dataset '/*' has no parquet or JSONL file; put its rows in data.parquet or data.jsonl",
    ),
    "a table of another kind": (
        text("data.csv", b"id,image\n"),
        "dataset '/*/data.csv' has no parquet or JSONL file; put its rows in data.parquet or data.jsonl",
    ),
    "an empty parquet file": (
        text("data.parquet", b""),
        "data.parquet is not a readable parquet file (Parquet file size is 0 bytes); copy or write it again",
    ),
    "a parquet file cut in half": (
        cut,
        "cut.parquet is not a readable parquet file (Parquet magic bytes not found in footer); copy or write it again",
    ),
    "an empty JSONL file": (
        text("data.jsonl", b""),
        "dataset '/*/data.jsonl' has no samples; give it at least one row",
    ),
    "a broken line": (
        text("data.jsonl", LINE + LINE[:30] + b"\n" + LINE),
        "data.jsonl row 2: the line is not JSON (* at column 31); write one object a line",
    ),
    "a blank line": (text("data.jsonl", LINE + b"\n" + LINE), r"data.jsonl row 2: the line is blank; remove it"),
    "a list in place of lines": (
        text("data.jsonl", b"[" + LINE[:-1] + b"]"),
        "data.jsonl row 1: the line is not a JSON object; write one object a line",
    ),
    "UTF-16": (
        text("data.jsonl", LINE.decode().encode("utf-16")),
        "data.jsonl is not UTF-8 (byte 0); write it again as UTF-8",
    ),
    "a missing column": (
        text("data.jsonl", LINE.replace(b"answer", b"Answer")),
        "data.jsonl: the column `answer` is missing; a dataset needs the columns id, image, question, options, answer",
    ),
    "a file that even root cannot read": (
        link("data.jsonl", "/proc/self/mem"),
        "data.jsonl cannot be read (Input/output error); make it a readable file",
    ),
    "a link to nothing in a folder": (
        lambda folder: link("data.jsonl", "nothing")(folder).parent,
        "data.jsonl is a folder, a device or a broken link; put a parquet or JSONL file in its place",
    ),
    "a dataset of the hub without a network": (
        lambda folder: "owner/name",
        "dataset 'owner/name' is not complete on this machine and the hub is out of reach (*); correct the path, or *",
    ),
}


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_no_dataset_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if "without permission" in name and os.geteuid() == 0:
        pytest.skip("root may read every file")
    if "even root" in name and not Path("/proc/self/mem").exists():
        pytest.skip("this system has no /proc/self/mem, whose beginning nobody can read")
    make, sentence = DATASETS[name]
    monkeypatch.setenv("BENCHC_DATASET", str(make(tmp_path)))
    with pytest.raises(DatasetError) as caught:
        make_task()
    assert_says(str(caught.value), sentence)


# Settings of tasks and models.


def make_task(**settings: Any) -> BenchCTask:
    config = load_yaml_config(str(tasks_path() / "benchc_fog.yaml"), mode="full")
    return BenchCTask(config={**config, **settings})


TASK_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown corruption": (
        {"metadata": {"corruption": "rain"}},
        "metadata.corruption is 'rain', which is none of gaussian_noise, *: correct the task's YAML, or name the "
        "module that registers it with metadata.module",
    ),
    "no corruption": (
        {"metadata": {}},
        "metadata.corruption is 'None', which is none of *: correct the task's YAML, or name the module that "
        "registers it with metadata.module",
    ),
    "an unknown key": (
        {"dataset_kwargs": {"token": True}},
        "dataset_kwargs has token, but benchc takes only split: leave the rest out",
    ),
    "a split that is not there": (
        {"dataset_kwargs": {"split": "test"}},
        "dataset '/*/data.jsonl' has no split 'test'; its files name no splits, so name none",
    ),
    "an unknown part of a prompt": (
        {"lmms_eval_specific_kwargs": {"default": {"prefix": "Look."}}},
        "lmms_eval_specific_kwargs has prefix: 'Look.', but takes only the texts pre_prompt and post_prompt: correct "
        "the task's YAML",
    ),
}


@pytest.mark.parametrize("name", TASK_SETTINGS)
def test_a_wrong_setting_of_a_task_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("BENCHC_DATASET", str(write_files(tmp_path / "data", good_samples())))
    settings, sentence = TASK_SETTINGS[name]
    with pytest.raises(ValueError, match=r"\w") as caught:
        make_task(**settings).build_all_requests(limit=None, rank=0, world_size=1)
    assert_says(str(caught.value), sentence)


def broken_checkpoint(file: str, content: bytes | None) -> Callable[[Path], str]:
    """The bundled checkpoint with a file that is cut in half, replaced, or gone where the content is empty."""

    def make(folder: Path) -> str:
        path = shutil.copytree(DEMONSTRATION_MODEL, folder / "checkpoint") / file
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content is None else content)
        if content == b"":
            path.unlink()
        return str(path.parent)

    return make


def headless_checkpoint(folder: Path) -> str:
    path = shutil.copytree(DEMONSTRATION_MODEL, folder / "checkpoint")
    config = json.loads((path / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = False
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


WHOLE_CHECKPOINT = "name a whole checkpoint of a vision-language model"
CHECKPOINTS: dict[str, tuple[Callable[[Path], str], str]] = {
    "a folder that is not there": (
        lambda folder: str(folder / "nowhere"),
        "model '/*' could not be loaded: '/*' is neither a folder on this machine nor a hub id OWNER/NAME, so correct "
        "pretrained",
    ),
    "an empty folder": (str, f"model '/*' could not be loaded (ValueError: *): {WHOLE_CHECKPOINT}"),
    "a model of the hub without a network": (
        lambda folder: "owner/name",
        "model 'owner/name' could not be loaded (OSError: *): correct the name, log in if it is private, or download "
        "it once with a network",
    ),
    "weights cut in half": (
        broken_checkpoint("model.safetensors", None),
        f"model '/*' could not be loaded (SafetensorError: *): {WHOLE_CHECKPOINT}",
    ),
    "no weights": (
        broken_checkpoint("model.safetensors", b""),
        f"model '/*' could not be loaded (OSError: *): {WHOLE_CHECKPOINT}",
    ),
    "a broken configuration": (
        broken_checkpoint("config.json", b"{"),
        f"model '/*' could not be loaded (JSONDecodeError: *): {WHOLE_CHECKPOINT}",
    ),
    "an unknown family": (
        broken_checkpoint("config.json", b'{"model_type": "never heard of"}'),
        f"model '/*' could not be loaded (ValueError: *): {WHOLE_CHECKPOINT}",
    ),
    "no image processor": (
        broken_checkpoint("processor_config.json", b""),
        f"model '/*' could not be loaded (OSError: *): {WHOLE_CHECKPOINT}",
    ),
    "no tokenizer": (
        broken_checkpoint("tokenizer.json", b""),
        f"model '/*' could not be loaded (*): {WHOLE_CHECKPOINT}",
    ),
    "no chat template": (
        broken_checkpoint("chat_template.jinja", b""),
        "LlavaProcessor has no chat template: save one with the checkpoint as chat_template.jinja",
    ),
    "a broken chat template": (
        broken_checkpoint("chat_template.jinja", b"{% for message in %}"),
        "the chat template of LlavaProcessor cannot be rendered (TemplateSyntaxError: *): correct the checkpoint's "
        "chat_template.jinja",
    ),
    "no head": (
        headless_checkpoint,
        "model '/*' lacks 1 of its weights, lm_head.weight first: name a checkpoint with its language-model head",
    ),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = CHECKPOINTS[name]
    with pytest.raises(ValueError, match=r"\w") as caught:
        BenchCModel(pretrained=make(tmp_path), device="cpu")
    assert_says(str(caught.value), sentence)


BUNDLED = str(DEMONSTRATION_MODEL)
MODEL_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown backend": (
        {"backend": "zzz"},
        "backend 'zzz' is not one of lmms-eval's models; `benchc info` lists them",
    ),
    "a misspelt backend": (
        {"backend": "qwen2_5_vll"},
        "backend 'qwen2_5_vll' is not one of lmms-eval's models; close to it: qwen2_5_vl, *",
    ),
    "a number as backend": ({"backend": 7}, "backend '7' is not one of lmms-eval's models; `benchc info` lists them"),
    "a backend of another family": (
        {"backend": "qwen2_5_vl", "pretrained": BUNDLED},
        "backend 'qwen2_5_vl' is made for qwen2_5_vl, but '*' is a checkpoint of llava: leave backend out, or name one "
        "for this family",
    ),
    "a backend without pretrained": (
        {"backend": "qwen2_5_vl"},
        "backend 'qwen2_5_vl' could not be loaded with device, device_map (OSError: *): correct these arguments, or "
        "give pretrained",
    ),
    "a backend's unknown argument": (
        {"backend": "llava_hf", "pretrained": BUNDLED, "temperature_of_sampling": 0},
        "backend 'llava_hf' could not be loaded with device, *, temperature_of_sampling (*): correct these "
        "arguments, or name another checkpoint",
    ),
    "a backend that is no model": ({"backend": "dummy"}, "backend 'dummy' has no transformers model *, or leave *"),
    "a misspelt argument": (
        {"pretraned": "x"},
        "argument 'pretraned' is unknown to benchc and to the image processor *; close to it: pretrained",
    ),
    "an unknown argument": (
        {"temperature": 0},
        "argument 'temperature' is unknown to benchc and to the image processor CLIPImageProcessor; leave it out",
    ),
    "an unknown attention": (
        {"attn_implementation": "flashy"},
        "model '*' could not be loaded with attn_implementation (*): correct these arguments, or name another "
        "checkpoint",
    ),
    "an unknown device": ({"device": "gpu"}, "device 'gpu' is unknown to torch: name cpu, cuda, cuda:0 or mps"),
    "a device that computes nothing": (
        {"device": "meta"},
        "device 'meta' computes nothing here (*): name cpu, cuda, cuda:0 or mps",
    ),
    "an unknown precision": (
        {"dtype": "float17"},
        "dtype 'float17' is not a precision: name float32, bfloat16, float16 or auto",
    ),
    "a number as precision": ({"dtype": 16}, "dtype 16 is not a precision: name float32, bfloat16, float16 or auto"),
    "a batch of nothing": ({"batch_size": 0}, "batch_size is 0: give a number of 1 or more, or auto"),
    "a batch in words": ({"batch_size": "many"}, "batch_size is 'many': give a number of 1 or more, or auto"),
    "threads in words": ({"render_threads": "two"}, "render_threads is 'two': give a number of 1 or more"),
    "no look ahead": ({"look_ahead": 0}, "look_ahead is 0: give a number of 1 or more"),
}


@pytest.mark.parametrize("name", MODEL_SETTINGS)
def test_a_wrong_setting_of_the_model_is_one_sentence(name: str) -> None:
    settings, sentence = MODEL_SETTINGS[name]
    with pytest.raises(ValueError, match=r"\w") as caught:
        BenchCModel(**{"device": "cpu", **settings})
    assert_says(str(caught.value), sentence)


# What a model answers.

MIXED = (
    "the backend returned both log-likelihoods (negative) and mean losses (positive), but it must return one of the two"
)
UNREADABLE_ANSWER = "is not a pair of a number and a boolean: use a backend that answers `loglikelihood` requests"
ANSWERS: dict[str, tuple[list[Any], tuple[float, float] | str]] = {
    "nan": ([(NAN, False), (-1.0, True)], "option 0: the backend returned nan: try float32 or bfloat16"),
    "nan beside a loss": ([(NAN, False), (0.5, True)], "option 0: the backend returned nan: try float32 or bfloat16"),
    "numpy's nan": (
        [(-1.0, True), (np.float32(NAN), False)],
        "option 1: the backend returned nan: try float32 or bfloat16",
    ),
    "+inf": (
        [(INF, True), (-1.0, False)],
        "option 0: the backend returned a log-likelihood of +inf, which is impossible: try float32 or bfloat16",
    ),
    "-inf for all": (
        [(-INF, False), (-INF, False)],
        "the backend gave every option the probability 0: try float32 or bfloat16",
    ),
    "-inf for one": ([(-INF, False), (-1.0, True)], (-INF, -1.0)),
    "all equal": ([(-2.0, False), (-2.0, False)], (-2.0, -2.0)),
    "zeros": (
        [(0.0, True), (0.0, True)],
        "the probabilities of its options sum to 2, which is more than 1, as with raw logits or a changed "
        "distribution: use a backend that returns log-likelihoods",
    ),
    "beyond all measure": ([(-1e308, False), (-5e-324, True)], (-1e308, -5e-324)),
    "both signs": ([(-1.0, True), (0.5, False)], MIXED),
    "numpy's numbers": ([(np.float32(-1.5), np.True_), (np.float64(-2.5), np.False_)], (-1.5, -2.5)),
    "whole numbers": ([(-1, True), (-2, False)], (-1.0, -2.0)),
    "lists": ([[-1.0, True], [-2.0, False]], (-1.0, -2.0)),
    "text": (["A", "B"], f"option 0: response 'A' {UNREADABLE_ANSWER}"),
    "a text that no answer came": ([f"{NO_ANSWER}the server is gone"] * 2, "the server is gone"),
    "code": (["(__import__('os').abort(), True)"] * 2, UNREADABLE_ANSWER),
    "None": ([None, None], f"response 'None' {UNREADABLE_ANSWER}"),
    "one number": ([-1.0, -2.0], f"option 0: response '-1.0' {UNREADABLE_ANSWER}"),
    "nothing": ([(), ()], UNREADABLE_ANSWER),
    "four parts": ([(-1.0, True, 0.5, 0.5)] * 2, UNREADABLE_ANSWER),
    "a probability of 1.5": ([(-1.0, True, 1.5)] * 2, UNREADABLE_ANSWER),
    "a number in words": ([("-1.0", True)] * 2, UNREADABLE_ANSWER),
    "a truth value for a number": ([(True, True)] * 2, UNREADABLE_ANSWER),
    "a mapping": ([{"log_likelihood": -1.0}] * 2, UNREADABLE_ANSWER),
    "an exception": ([ValueError("out of order")] * 2, UNREADABLE_ANSWER),
    "a tensor": ([(torch.tensor(-1.0), True)] * 2, UNREADABLE_ANSWER),
}
BAD_CONDITION = CONDITIONS[1]


class ScriptedBackend(lmms):
    """Answers under one condition what the table says, and something sensible under the others."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._most = most

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        return [self._answer(*request.args[1:3]) for request in requests][: self._most]

    @staticmethod
    def _answer(letter: str, picture: Any) -> Any:
        option = "ABCD".index(letter)
        if picture.sample in ANSWERS and str(picture.condition) == BAD_CONDITION:
            return ANSWERS[picture.sample][0][option]
        return (-1.0 - option, option == 0)

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise AssertionError("Bench-C asks for no generation")

    generate_until_multi_round = generate_until


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    image = ODD_IMAGES["1 x 1"]
    samples = {
        "first": {"image": image},
        **{name: {"image": image, "answer": number % 2} for number, name in enumerate(ANSWERS)},
        "last": {"image": image},
    }
    return evaluate(ScriptedBackend(), write_files(tmp_path_factory.mktemp("answers") / "data", samples))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_strange_answer_costs_its_condition_at_most(scripted: Evaluation, name: str) -> None:
    _, expected = ANSWERS[name]
    record = scripted.records[TASK][name]
    given = dict(zip(record.conditions, record.log_likelihoods, strict=True))
    found = given.pop(BAD_CONDITION)
    assert set(given.values()) == {(-1.0, -2.0)}
    if isinstance(expected, tuple):
        assert found == expected
        assert record.invalid == {}
        return
    assert found is None
    (reason,) = record.invalid.values()
    assert reason.endswith(expected), reason
    if name != "a text that no answer came":
        assert "\n" not in reason
        assert re.search(r": (try|use) |must return", reason)


def test_the_lowest_of_tied_options_is_the_prediction(scripted: Evaluation) -> None:
    rows = {row["benchc"]["sample"]: row for row in scripted.rows[TASK]}
    right = rows["all equal"]["benchc"]["answer"] == 0
    # Under all five severities the first option is the prediction, tied or not.
    assert rows["all equal"]["acc_corrupted"] == right


def test_samples_beside_strange_answers_are_whole(scripted: Evaluation) -> None:
    for name in ("first", "last"):
        assert scripted.records[TASK][name].invalid == {}
    bad = sum(isinstance(expected, str) for _, expected in ANSWERS.values())
    assert scripted.figures[TASK]["invalid_pairs,none"] == bad


def test_answers_that_do_not_come_cost_their_conditions_only(tmp_path: Path) -> None:
    dataset = write_files(tmp_path / "data", {name: {"image": ODD_IMAGES["1 x 1"]} for name in ("first", "last")})
    found = evaluate(ScriptedBackend(most=-1), dataset).records[TASK]
    assert found["first"].invalid == {}
    assert found["last"].invalid == {
        CONDITIONS[-1]: "option 1: the backend returned no response: its own log may say why"
    }


def test_logits_that_leave_half_precision_are_no_answer(tmp_path: Path) -> None:
    """The bundled model with a head of its own, so large that nothing overflows in float32 and all in float16."""
    checkpoint = Path(headless_checkpoint(tmp_path))
    weights = load_file(checkpoint / "model.safetensors")
    (embeddings,) = [name for name in weights if name.endswith("embed_tokens.weight")]
    weights["lm_head.weight"] = weights[embeddings] * 1e6
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    dataset = write_files(tmp_path / "data", {name: {"image": ODD_IMAGES["1 x 1"]} for name in ("one", "two")})
    narrow, wide = (
        evaluate(BenchCModel(pretrained=str(checkpoint), dtype=dtype, device="cpu"), dataset).records[TASK]
        for dtype in ("float16", "float32")
    )
    assert all(record.invalid == {} for record in wide.values())
    for name, record in narrow.items():
        assert list(record.invalid) == list(CONDITIONS)
        for condition, reason in record.invalid.items():
            assert_says(
                reason,
                f"sample {name!r} under {condition}: the model's log-likelihoods are nan, as half precision can make "
                "them: try dtype=bfloat16 or dtype=float32",
            )


# What a user sees.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["show", "cut.png", "-o", "sheet.png"],
            "benchc: sample 'cut.png': its image cannot be decoded (it is truncated); ",
        ),
        (
            ["show", "bomb.png", "-o", "sheet.png"],
            "benchc: sample 'bomb.png': its image has 20000 x 20000 pixels, more ",
        ),
        (["show", "none.png", "-o", "sheet.png"], "benchc: [Errno 2] No such file or directory: 'none.png'"),
        (
            ["summary", "nowhere"],
            "benchc: there is no folder nowhere: give the folder that the stack wrote for a model",
        ),
        (["verify", "nowhere"], "benchc: there is no folder nowhere: give the folder that `benchc submit` wrote"),
    ],
    ids=["an image cut in half", "a bomb", "no image", "no run", "no submission"],
)
def test_a_command_that_fails_says_so_in_one_sentence_and_by_its_exit_status(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.png").write_bytes(UNDECODABLE_IMAGES["PNG cut off"])
    Path("bomb.png").write_bytes(UNRECOGNISABLE_IMAGES["PNG bomb"])
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith(sentence), said
    assert said.count("\n") == 1


def test_the_exit_status_and_the_terminal_of_lmms_eval_tell_of_a_wrong_argument(terminals: Terminals) -> None:
    """lmms-eval prints the traceback of what fails, logs its sentence once, and exits with 0 unless it is to debug."""
    terminal = terminals("a misspelt backend")
    sentence = "backend 'qwen2_5_vll' is not one of lmms-eval's models; close to it: qwen2_5_vl"
    assert terminal.output.count(sentence) == 1
    assert f"Error during evaluation: {sentence}" in terminal.output
    assert terminal.errors.splitlines()[-1].startswith(f"ValueError: {sentence}")
    assert terminal.status == 0
    assert terminal.results == []


def test_a_row_that_asks_no_question_ends_a_run_before_it_begins(terminals: Terminals) -> None:
    terminal = terminals("a row that asks no question")
    assert terminal.errors.splitlines()[-1].endswith(
        "DatasetError: sample 'bad' (data.jsonl row 2): its `question` is empty; give the question's text"
    )
    assert terminal.status == 1
    assert terminal.results == []


def test_an_image_cut_in_half_costs_its_own_pairs(terminals: Terminals) -> None:
    terminal = terminals("an image cut in half")
    reason = (
        "its image cannot be decoded (it is truncated); replace it by an intact PNG, JPEG, GIF, BMP, WebP or TIFF file"
    )
    told = [line for line in terminal.output.splitlines() if reason in line]
    assert len(told) == 3
    assert f"sample 'bad' under clean: {reason}" in told[0]
    assert "benchc: 6 of 18 conditions could not be scored and count as invalid, samples concerned: 1;" in told[1]
    assert "Only 12 of 18 responses can be used; the first reason is: " in told[2]
    assert "Traceback" not in terminal.output + terminal.errors
    assert terminal.status == 0
    (results,) = terminal.results
    figures = json.loads(results.read_text(encoding="utf-8"))["results"][TASK]
    assert figures["invalid_pairs,none"] == 5
    assert math.isfinite(figures["ras,none"])
