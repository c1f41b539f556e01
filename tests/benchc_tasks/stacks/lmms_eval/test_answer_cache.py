"""What `--use_cache` keeps and finds, with models that the test computes; whole runs are in `test_continued.py`."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from disks import disk
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts

from benchc_metrics.benchmark import Condition
from benchc_tasks.corruptions import Picture, corruption, unregister
from benchc_tasks.models import checkpoints
from benchc_tasks.stacks import pictures
from benchc_tasks.stacks.answer_store import SYNC_INTERVAL, AnswerStore, Row
from benchc_tasks.stacks.lmms_eval import answer_cache
from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache, AnswersNotKeptError
from benchc_tasks.stacks.pictures import ConditionedPicture
from support import logged

CONDITIONS = (Condition(None, 0), *(Condition("fog", severity) for severity in range(1, 6)))


def requests_of(tasks: Sequence[str] = ("fog",), samples: int = 3, options: str = "ABC") -> list[Instance]:
    """Requests as `BenchCTask` builds them; the clean picture is the same in every task."""
    return [
        Instance(
            request_type="loglikelihood",
            arguments=(f"question {doc}", letter, ConditionedPicture("data", f"s{doc}", condition), doc, task, "test"),
            idx=len(options) * number + option,
            metadata={"task": task, "doc_id": doc, "repeats": 1},
        )
        for task in tasks
        for doc in range(samples)
        for number, condition in enumerate(_of_task(task))
        for option, letter in enumerate(options)
    ]


def _of_task(task: str) -> list[Condition]:
    return [
        condition if condition.corruption is None else Condition(task, condition.severity) for condition in CONDITIONS
    ]


def answer_to(request: Instance) -> tuple[float, bool]:
    context, letter, picture, *_ = request.args
    number = sum(map(ord, f"{context} {letter} {picture.sample} {picture.condition}"))
    return (-1 / number, letter == "A")


class Streaming:
    """Answers one request after another, and may break down."""

    fingerprint = "weights 1, float32"

    def __init__(self, breaks_at: int | None = None) -> None:
        self.asked: list[Instance] = []
        self.breaks_at = breaks_at

    def stream_loglikelihood(self, requests: Sequence[Instance]) -> Iterator[Any]:
        for request in requests:
            if len(self.asked) == self.breaks_at:
                raise RuntimeError("the model is gone")
            self.asked.append(request)
            yield self.answer(request)

    def answer(self, request: Instance) -> Any:
        return answer_to(request)

    def loglikelihood(self, requests: Sequence[Instance]) -> list[Any]:
        raise AssertionError("answers would be kept only at the end")


def cache(root: Path, **settings: Any) -> AnswerCache:
    return AnswerCache.create(
        str(root), **{"model": "benchc", "model_args": "pretrained=a", "task_dict": {}, **settings}
    )


def run(root: Path, lm: Any, requests: Sequence[Instance], **settings: Any) -> list[Any]:
    opened = cache(root, **settings)
    success = False
    try:
        answers = opened.execute(lm, requests[0].request_type, requests)
        success = True
    finally:
        opened.finalize(success=success)
    return answers


def rows_in(root: Path, pattern: str = "answers.log") -> list[Row]:
    """The rows of all merged logs."""
    lines = [line for path in root.glob(f"answers-*/{pattern}") for line in path.read_bytes().splitlines()]
    rows = [row for line in lines if (row := Row.from_line(line)) is not None]
    assert len(rows) == len(lines)
    return rows


def merged(root: Path, pattern: str = "answers.log") -> int:
    """How many answers they hold."""
    return sum(len(json.loads(row.responses)) for row in rows_in(root, pattern))


@pytest.fixture
def messages() -> Iterator[list[str]]:
    with logged("INFO", "{level} {message}") as lines:
        yield lines


def test_answers_are_in_the_order_of_the_requests_whether_asked_or_found(tmp_path, messages):
    requests = requests_of(("fog", "snow"))
    expected = [answer_to(request) for request in requests]
    first, again = Streaming(), Streaming()
    assert run(tmp_path, first, requests) == expected
    # The clean picture of a sample is asked for once, not by each task.
    assert len(first.asked) == len(requests) - 9 == merged(tmp_path)
    found = run(tmp_path, again, requests)
    assert found == expected
    assert {type(answer) for answer in found} == {tuple}
    assert again.asked == []
    assert f"INFO 108 of 108 answers were found in {tmp_path}" in messages
    assert not [line for line in messages if line.startswith("WARNING")]


def test_a_run_that_breaks_down_keeps_every_whole_question(tmp_path):
    requests = requests_of()
    with pytest.raises(RuntimeError, match="gone"):
        run(tmp_path, Streaming(breaks_at=31), requests)
    rest = Streaming()
    assert run(tmp_path, rest, requests) == [answer_to(request) for request in requests]
    assert len(rest.asked) == len(requests) - 30


def test_what_one_picture_answers_is_kept_for_every_task_at_once(tmp_path):
    requests = requests_of(("fog", "snow", "frost"), samples=2)
    with pytest.raises(RuntimeError, match="gone"):
        run(tmp_path, Streaming(breaks_at=9), requests)
    rest = Streaming()
    assert run(tmp_path, rest, requests) == [answer_to(request) for request in requests]
    # 2 samples with 3 options under 16 conditions, of which the first three were answered.
    assert len(rest.asked) == 2 * 3 * 16 - 9
    asked = {(request.args[2].sample, str(request.args[2].condition)) for request in rest.asked}
    assert ("s0", "clean") not in asked
    assert ("s1", "clean") in asked


def test_a_question_of_which_an_answer_is_missing_is_asked_as_a_whole(tmp_path):
    requests = requests_of()
    run(tmp_path, Streaming(), requests)
    run(
        tmp_path / "one", Streaming(), [request for request in requests if request.doc_id == 1 and 3 <= request.idx < 6]
    )
    (one,) = rows_in(tmp_path / "one")
    for name in ("answers.log", "answers.copy"):
        (path,) = tmp_path.glob(f"answers-*/{name}")
        rows = [row for row in rows_in(tmp_path, name) if row != one]
        assert len(rows) == 17
        path.write_bytes(b"".join(row.to_line() for row in rows))
    rest = Streaming()
    run(tmp_path, rest, requests)
    assert [(request.doc_id, request.idx) for request in rest.asked] == [(1, 3), (1, 4), (1, 5)]


def test_an_answer_that_misses_for_one_option_is_no_answer_to_the_question(tmp_path):
    class Failing(Streaming):
        def answer(self, request: Instance) -> Any:
            return (float("nan"), False) if (request.doc_id, request.idx) == (1, 4) else super().answer(request)

    requests = requests_of()
    run(tmp_path, Failing(), requests)
    assert merged(tmp_path) == len(requests) - 3
    rest = Streaming()
    assert run(tmp_path, rest, requests) == [answer_to(request) for request in requests]
    assert [(request.doc_id, request.idx) for request in rest.asked] == [(1, 3), (1, 4), (1, 5)]


@pytest.mark.parametrize("nothing", ["no answer: sample 's0' under fog@2: broken", (float("nan"), False), None])
def test_no_answer_is_never_kept(tmp_path, nothing):
    class Failing(Streaming):
        def answer(self, request: Instance) -> Any:
            return nothing if str(request.args[2].condition) == "fog@2" else super().answer(request)

    requests = requests_of()
    first = run(tmp_path, Failing(), requests)
    assert [first[place] for place in range(6, 9)] in ([nothing] * 3, [pytest.approx(nothing, nan_ok=True)] * 3)
    assert merged(tmp_path) == len(requests) - 9
    opened = cache(tmp_path / "unmerged")
    opened.execute(Failing(), "loglikelihood", requests)
    assert merged(tmp_path / "unmerged", "run-*.log") == len(requests) - 9
    again = Streaming()
    assert run(tmp_path, again, requests) == [answer_to(request) for request in requests]
    assert {str(request.args[2].condition) for request in again.asked} == {"fog@2"}
    assert len(again.asked) == 9


def test_the_missing_mass_comes_back(tmp_path):
    class Served(Streaming):
        def answer(self, request: Instance) -> Any:
            return (*answer_to(request), 0.25)

    requests = requests_of()
    assert run(tmp_path, Served(), requests) == run(tmp_path, Streaming(breaks_at=0), requests)


@pytest.mark.parametrize(
    ("request_type", "response", "expected"),
    [
        ("loglikelihood", (-0.5, True), True),
        ("loglikelihood", [-0.5, True, 0.25], True),
        ("loglikelihood", (float("-inf"), False), True),
        ("loglikelihood", (float("nan"), False), False),
        ("loglikelihood", "no answer: sample 'a' under fog@3: too large", False),
        ("loglikelihood", None, False),
        ("generate_until", "B", True),
        ("generate_until", " \n", False),
        ("generate_until", "no answer: the server is gone", False),
        ("generate_until", "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Connection error.", False),
        ("generate_until", None, False),
        ("generate_until", object(), False),
        ("generate_until_multi_round", ["A", "B"], True),
    ],
)
def test_what_is_an_answer(request_type, response, expected):
    assert (answer_cache._kept(request_type, response) is not None) is expected


class InOnePiece:
    """A model of lmms-eval's own: a list at the end."""

    fingerprint = Streaming.fingerprint

    def __init__(self) -> None:
        self.calls: list[int] = []

    def loglikelihood(self, requests: Sequence[Instance]) -> list[Any]:
        self.calls.append(len(requests))
        if sum(self.calls) > 2 * SYNC_INTERVAL:
            raise RuntimeError("the model is gone")
        return [answer_to(request) for request in requests]


def test_a_model_that_cannot_stream_is_asked_for_few_at_a_time(tmp_path):
    requests = requests_of(samples=40)
    first = InOnePiece()
    with pytest.raises(RuntimeError, match="gone"):
        run(tmp_path, first, requests)
    whole = SYNC_INTERVAL // 3 * 3
    assert first.calls == [whole, whole, len(requests) - 2 * whole]
    rest = Streaming()
    run(tmp_path, rest, requests)
    assert len(rest.asked) == len(requests) - 2 * whole


def generation(doc: int, **settings: Any) -> Instance:
    return Instance(
        request_type="generate_until",
        arguments=(
            f"question {doc}",
            {"max_new_tokens": 8, **settings},
            ConditionedPicture("d", "s", CONDITIONS[1]),
            doc,
            "gen",
            "test",
        ),
        idx=0,
        metadata={"task": "gen", "doc_id": doc, "repeats": 1},
    )


class Generating:
    def __init__(self) -> None:
        self.asked = 0

    def generate_until(self, requests: Sequence[Instance]) -> list[Any]:
        self.asked += len(requests)
        return [GenerationResult(f"B\n{request.args[0]}", TokenCounts(output_tokens=3)) for request in requests]


def test_generated_texts_are_kept_but_for_those_drawn_at_random(tmp_path):
    requests = [generation(0), generation(1), generation(2, temperature=0.7)]
    first, again = Generating(), Generating()
    run(tmp_path, first, requests)
    found = run(tmp_path, again, requests)
    assert found[:2] == ["B\nquestion 0", "B\nquestion 1"]
    assert found[2].text == "B\nquestion 2"
    assert (first.asked, again.asked) == (3, 1)


def test_a_second_kind_of_request_finds_what_the_first_left(tmp_path):
    opened, model = cache(tmp_path), Streaming()
    for _ in range(2):
        opened.execute(model, "loglikelihood", requests_of())
    assert len(model.asked) == 54
    opened.execute(Generating(), "generate_until", [generation(0)])
    opened.finalize(success=True)
    assert merged(tmp_path) == 55


def test_a_model_that_gives_too_few_answers_is_refused(tmp_path):
    class Short(Streaming):
        def stream_loglikelihood(self, requests: Sequence[Instance]) -> Iterator[Any]:
            yield from map(answer_to, requests[:-1])

    with pytest.raises(ValueError, match="shorter"):
        run(tmp_path, Short(), requests_of())


# What an old answer must not be reused for. The dataset's part of a task's configuration and a real model's own
# fingerprint are tested in runs, in test_continued.py.


class OtherWeights(Streaming):
    fingerprint = "weights 2, float32"


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (OtherWeights, {}),
        (Streaming, {"model": "other"}),
        (Streaming, {"model_args": "pretrained=b"}),
        (Streaming, {"model_args": "pretrained=a,dtype=bfloat16"}),
    ],
    ids=["fingerprint", "model", "pretrained", "dtype"],
)
def test_another_model_never_has_the_answers_of_the_first(tmp_path, model, settings):
    run(tmp_path, Streaming(), requests_of())
    other = model()
    run(tmp_path, other, requests_of(), **settings)
    assert len(other.asked) == 54
    again = Streaming(breaks_at=0)
    run(tmp_path, again, requests_of())


@pytest.mark.parametrize("package", ["lmms-eval", "benchc", "torch", "torchvision", "transformers", "pillow"])
def test_another_version_never_has_the_answers_of_the_first(tmp_path, monkeypatch, package):
    run(tmp_path, Streaming(), requests_of())
    version = checkpoints.version
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.0.1" if name == package else version(name))
    other = Streaming()
    run(tmp_path, other, requests_of())
    assert len(other.asked) == 54


def test_arguments_are_the_same_in_any_order_and_form(tmp_path):
    run(tmp_path, Streaming(), requests_of(), model_args="pretrained=a,dtype=float32")
    for same in ("dtype=float32,pretrained=a", {"pretrained": "a", "dtype": "float32"}):
        run(tmp_path, Streaming(breaks_at=0), requests_of(), model_args=same)


def test_keys_to_a_server_change_no_answer_and_are_nowhere_on_the_disk(tmp_path):
    run(tmp_path, Streaming(), requests_of(), model_args="pretrained=a,api_key=sk-secret1,hf_token=hf_secret1")
    run(tmp_path, Streaming(breaks_at=0), requests_of(), model_args="pretrained=a,api_key=sk-secret2")
    with pytest.raises(RuntimeError, match="gone"):
        run(tmp_path, Streaming(breaks_at=10), requests_of(), model_args="pretrained=b,api_key=sk-secret3")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert written.count(b"\n") > 18
    assert b"secret" not in written
    assert not [path for path in tmp_path.rglob("*") if "secret" in path.name]


class SomeTask:
    def __init__(self, **configuration: Any) -> None:
        self.configuration = configuration

    def dump_config(self) -> dict[str, Any]:
        return {"aggregation": functools.partial(print), **self.configuration}


def others_requests(task: str = "other") -> list[Instance]:
    """Requests of a task that is not ours: their pictures do not say what they show."""
    return [
        Instance(
            request_type="generate_until",
            arguments=(f"question {doc}", {"max_new_tokens": 8}, lambda doc: [], doc, task, "test"),
            idx=0,
            metadata={"task": task, "doc_id": doc, "repeats": 1},
        )
        for doc in range(2)
    ]


def test_a_task_of_others_is_known_by_its_configuration_also_in_a_group(tmp_path):
    def ask(task_dict: Any, name: str = "other") -> int:
        model = Generating()
        run(tmp_path, model, others_requests(name), task_dict=task_dict)
        return model.asked

    assert ask({"other": SomeTask(version="1")}) == 2
    assert ask({"group": {"other": SomeTask(version="1")}}) == 0
    assert ask({"group": {"other": SomeTask(version="2")}}) == 2
    assert ask({"another": SomeTask(version="1")}, "another") == 2


def test_neither_a_task_s_name_nor_its_configuration_counts_where_the_picture_says_what_it_shows(tmp_path):
    requests = requests_of()
    run(tmp_path, Streaming(), requests, task_dict={"fog": SomeTask(version="1")})
    for request in requests:
        request.metadata["task"] = "another"
        request.task_name = "another"
        request.arguments = (*request.args[:4], "another", "test")
    run(
        tmp_path,
        Streaming(breaks_at=0),
        sorted(requests, key=lambda request: -request.doc_id),
        task_dict={"another": SomeTask(version="2")},
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda context, letter, picture: (context + " ", letter, picture),
        lambda context, letter, picture: ("Answer D. " + context, letter, picture),
        lambda context, letter, picture: (context, letter.lower(), picture),
        lambda context, letter, picture: (context, letter, ConditionedPicture("e", picture.sample, picture.condition)),
        lambda context, letter, picture: (context, letter, ConditionedPicture("data", "t", picture.condition)),
        lambda context, letter, picture: (context, letter, ConditionedPicture("data", "s0", Condition("snow", 5))),
    ],
    ids=["context", "system text", "option", "dataset", "sample", "condition"],
)
def test_whatever_is_shown_tells_questions_apart(tmp_path, change):
    requests = requests_of(samples=1)
    run(tmp_path, Streaming(), requests)
    asked = [
        Instance(
            request_type="loglikelihood",
            arguments=(*change(*request.args[:3]), *request.args[3:]),
            idx=request.idx,
            metadata=request.metadata,
        )
        for request in requests
    ]
    other = Streaming()
    assert run(tmp_path, other, asked) == [answer_to(request) for request in asked]
    assert len(other.asked) >= 3


def test_another_version_of_the_corruptions_never_has_the_answers_of_the_first(tmp_path, monkeypatch):
    run(tmp_path, Streaming(), requests_of())
    monkeypatch.setattr(pictures, "ENGINE_VERSION", "another")
    other = Streaming()
    run(tmp_path, other, requests_of())
    assert len(other.asked) == 54


def test_a_corruption_of_ones_own_is_known_by_what_it_does(tmp_path):
    def register(levels: tuple[int, ...], step: int) -> None:
        if step == 1:

            @corruption("digital", levels=levels)
            def posterize(picture: Picture, levels: int) -> Any:
                return picture.pixels // levels * levels
        else:

            @corruption("digital", levels=levels)
            def posterize(picture: Picture, levels: int) -> Any:
                return picture.pixels // levels * levels + 1

    def ask(model: Streaming, levels: tuple[int, ...] = (32, 16, 8, 4, 2), step: int = 1) -> int:
        register(levels, step)
        try:
            run(tmp_path, model, requests_of(("posterize",)))
        finally:
            unregister("posterize")
        return len(model.asked)

    assert ask(Streaming()) == 54
    assert ask(Streaming()) == 0
    # All that is asked again is what the change concerns: not the clean picture.
    assert ask(Streaming(), levels=(32, 16, 8, 4, 3)) == 45
    assert ask(Streaming(), step=2) == 45


def test_a_corruption_of_ones_own_is_known_by_its_pixels_where_its_source_is_the_same(tmp_path):
    def ask(strength: int) -> int:
        @corruption("digital", levels=(1, 2, 3, 4, 5))
        def darken(picture: Picture, levels: int) -> Any:
            return picture.pixels // (levels + strength)

        model = Streaming()
        try:
            run(tmp_path, model, requests_of(("darken",)))
        finally:
            unregister("darken")
        return len(model.asked)

    assert ask(1) == 54
    assert ask(1) == 0
    assert ask(2) == 45


# Faults of the disk.


def test_a_full_disk_ends_the_run_in_one_sentence_and_loses_nothing(tmp_path, messages):
    requests = requests_of(samples=30, options="AB")
    with disk(tmp_path / "disk", size=1 << 20) as small:
        root = small.path / "cache"
        with pytest.raises(RuntimeError, match="gone"):
            run(root, Streaming(breaks_at=100), requests)
        small.fill(but=17_000)
        stopped = Streaming()
        with pytest.raises(AnswersNotKeptError) as told:
            run(root, stopped, requests)
        kept = int(str(told.value).split(" answers of this run")[0].split(": ")[-1].replace(",", ""))
        assert str(root) in str(told.value)
        assert "\n" not in str(told.value)
        assert 99 < kept < len(requests)
        assert kept in range(99 + len(stopped.asked) - 3, 99 + len(stopped.asked) + 1)
        with pytest.raises(AnswersNotKeptError, match=f"{kept} answers of this run are kept"):
            run(root, Streaming(), requests)
        small.make_room()
        rest = Streaming()
        assert run(root, rest, requests) == [answer_to(request) for request in requests]
        assert len(rest.asked) == len(requests) - kept
        assert merged(root) == len(requests)
    assert not [line for line in messages if line.startswith("WARNING")]


def test_a_disk_that_is_full_at_the_end_costs_a_warning_and_no_results(tmp_path, messages):
    requests = requests_of(samples=30)
    with disk(tmp_path / "disk", size=1 << 20) as small:
        opened = cache(small.path)
        answers = opened.execute(Streaming(), "loglikelihood", requests)
        small.fill()
        opened.finalize(success=True)
        (told,) = [line for line in messages if line.startswith("WARNING")]
        assert "No space left" in told or "full" in told
        assert "the next run finds them" in told
        assert run(small.path, Streaming(breaks_at=0), requests) == answers
        small.make_room()
        assert run(small.path, Streaming(breaks_at=0), requests) == answers
        assert merged(small.path) == len(requests)


@pytest.mark.parametrize("ended", [True, False])
def test_a_folder_that_cannot_be_written_still_gives_what_it_has(tmp_path, ended, messages):
    requests = requests_of()
    with disk(tmp_path / "disk") as other:
        if ended:
            run(other.path, Streaming(), requests)
        else:
            opened = cache(other.path)
            opened.execute(Streaming(), "loglikelihood", requests)
            opened.finalize(success=False)
        other.set_writable(False)
        assert run(other.path, Streaming(breaks_at=0), requests) == [answer_to(request) for request in requests]
        assert not [line for line in messages if line.startswith("WARNING")]
        with pytest.raises(AnswersNotKeptError, match=r"Read-only file system.*54 answers of this run are kept"):
            run(other.path, Streaming(), requests_of(samples=4))
        other.set_writable(True)
        rest = Streaming()
        run(other.path, rest, requests_of(samples=4))
        assert len(rest.asked) == 18


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_asked(tmp_path):
    (tmp_path / "file").touch()
    model = Streaming()
    with pytest.raises(AnswersNotKeptError, match="0 answers of this run are kept"):
        run(tmp_path / "file" / "cache", model, requests_of())
    assert model.asked == []


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("ended", [True, False])
def test_a_damaged_answer_is_asked_for_once_and_said(tmp_path, ended, messages):
    requests = requests_of()
    opened = cache(tmp_path)
    opened.execute(Streaming(), "loglikelihood", requests)
    opened.finalize(success=ended)
    for path in (path for path in tmp_path.rglob("*") if path.suffix in {".log", ".copy"}):
        damage(path, 25)
        damage(path, 80)
    model = Streaming()
    assert run(tmp_path, model, requests) == [answer_to(request) for request in requests]
    assert len(model.asked) == 3
    (told,) = [line for line in messages if line.startswith("WARNING")]
    assert "2 rows are unreadable" in told
    assert run(tmp_path, Streaming(breaks_at=0), requests) == [answer_to(request) for request in requests]
    assert len([line for line in messages if line.startswith("WARNING")]) == 1


def test_answers_that_disagree_are_asked_for_once_and_said(tmp_path, messages):
    class Unsteady(Streaming):
        def answer(self, request: Instance) -> Any:
            value, is_greedy = super().answer(request)
            return (value - 0.1, is_greedy)

    requests = requests_of()
    both = [cache(tmp_path), cache(tmp_path)]
    unfinished = both[0].execute(Unsteady(breaks_at=None), "loglikelihood", requests[:6])
    (folder,) = tmp_path.glob("answers-*")
    other = AnswerStore(folder)
    for row in rows_in(tmp_path, "run-*.log"):
        other.keep(row.key, [[-5.0, True]] * 3)
    other.close()
    both[0].finalize(success=True)
    model = Streaming()
    assert run(tmp_path, model, requests) == [answer_to(request) for request in requests]
    assert unfinished != [answer_to(request) for request in requests[:6]]
    assert len(model.asked) == len(requests)
    assert run(tmp_path, Streaming(breaks_at=0), requests) == [answer_to(request) for request in requests]
    (told,) = [line for line in messages if line.startswith("WARNING")]
    assert "2 questions are asked again" in told


def test_answers_of_earlier_versions_are_never_mixed_in_and_that_is_said(tmp_path, messages):
    (tmp_path / "cache.db").write_bytes(b"SQLite format 3")
    (tmp_path / "runs" / ".benchc-merge.lock").parent.mkdir()
    (tmp_path / "runs" / ".benchc-merge.lock").touch()
    first = Streaming()
    run(tmp_path, first, requests_of())
    assert len(first.asked) == 54
    (told,) = [line for line in messages if line.startswith("WARNING")]
    assert told == f"WARNING {tmp_path}/cache.db has answers of an earlier version of benchc, which are not used"
    assert (tmp_path / "cache.db").read_bytes() == b"SQLite format 3"


def test_a_name_of_a_database_means_its_folder(tmp_path):
    run(tmp_path / "answers.db", Streaming(), requests_of())
    assert merged(tmp_path) == 54
