import itertools
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lmms_eval.api.instance import Instance
from PIL import Image

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_tasks.stacks.lmms_eval.model import BenchCModel
from benchc_tasks.stacks.pictures import ConditionedPicture

LETTERS = "ABCD"
CORRUPTIONS = ("gaussian_noise", "brightness", "pixelate")
CONDITIONS = (CLEAN, Condition("fog", 1), Condition("fog", 5), Condition("gaussian_noise", 3))


@pytest.fixture
def build(checkpoint: Callable[[str], Path], make_picture: Callable[..., Any]) -> Callable[..., BenchCModel]:
    """A tiny LLaVA behind `BenchCModel`, with six docs in task `task`."""

    def model(**settings: Any) -> BenchCModel:
        benchc = BenchCModel(pretrained=str(checkpoint("llava")), **settings)
        docs = [{"image": make_picture(seed, 40 + 8 * seed, 48)} for seed in range(6)]
        benchc.task_dict = {name: {"test": docs} for name in ("task", *CORRUPTIONS)}
        return benchc

    return model


@pytest.fixture
def requests(make_request: Callable[..., Instance]) -> list[Instance]:
    """Six samples under four conditions with four options."""
    return [
        make_request(f"Question {sample}?", letter, ConditionedPicture("set", f"s{sample}", condition), sample)
        for sample, condition, letter in itertools.product(range(6), CONDITIONS, LETTERS)
    ]


def test_answers_are_plain_floats_and_bools(build: Callable[..., BenchCModel], requests: list[Instance]) -> None:
    answers = build().loglikelihood(requests)
    assert len(answers) == len(requests)
    assert {(type(score), type(greedy)) for score, greedy in answers} == {(float, bool)}
    assert all(score < 0 for score, _ in answers)
    assert len(set(answers)) == len(answers)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_answers_come_in_the_order_of_the_requests(
    build: Callable[..., BenchCModel], requests: list[Instance], batch_size: int
) -> None:
    model = build(batch_size=batch_size)
    expected = model.loglikelihood(requests)
    order = list(range(len(requests)))
    random.Random(7).shuffle(order)
    shuffled = model.loglikelihood([requests[place] for place in order])
    for place, (score, greedy) in zip(order, shuffled, strict=True):
        assert score == pytest.approx(expected[place][0], abs=1e-4)
        assert greedy is expected[place][1]


def test_the_same_request_twice_has_the_same_answer(
    build: Callable[..., BenchCModel], requests: list[Instance], count_passes: Callable[..., list[int]]
) -> None:
    model = build()
    passes = count_passes(model)
    answers = model.loglikelihood([requests[3], requests[0], requests[3], requests[3]])
    assert answers[0] == answers[2] == answers[3] != answers[1]
    assert passes == [1]


def test_the_clean_condition_is_computed_once_for_all_tasks(
    build: Callable[..., BenchCModel],
    make_request: Callable[..., Instance],
    count_passes: Callable[..., list[int]],
) -> None:
    """Three tasks ask for clean and two severities of their own: 1 + 3 x 2 passes a sample, not 3 x 3."""
    model = build()
    passes = count_passes(model)
    requests = [
        make_request("What?", letter, ConditionedPicture("set", f"s{sample}", condition), sample, task=task)
        for task in CORRUPTIONS
        for sample in range(2)
        for condition in (CLEAN, Condition(task, 1), Condition(task, 5))
        for letter in LETTERS
    ]
    answers = model.loglikelihood(requests)
    assert sum(passes) == 2 * (1 + 3 * 2)
    of_a_task = len(requests) // 3
    for sample, option in itertools.product(range(2), range(4)):
        place = sample * 3 * 4 + option
        assert answers[place] == answers[place + of_a_task] == answers[place + 2 * of_a_task]


def test_another_context_or_another_dataset_is_another_question(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance], count_passes: Callable[..., list[int]]
) -> None:
    model = build()
    passes = count_passes(model)
    pictures = [ConditionedPicture(dataset, "s", CLEAN) for dataset in ("one", "two")]
    answers = model.loglikelihood(
        [make_request(text, "A", some, 0) for text in ("What?", "Which?") for some in pictures]
    )
    assert len(passes) == 4
    assert answers[0] == answers[1] != answers[2] == answers[3]


def test_pictures_that_do_not_name_themselves_are_told_apart_by_their_doc(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance], count_passes: Callable[..., list[int]]
) -> None:
    model = build()
    passes = count_passes(model)

    def first_image(doc: Any) -> list[Image.Image]:
        return [doc["image"]]

    requests = [make_request("What?", letter, first_image, doc_id) for doc_id in (0, 1, 0) for letter in "AB"]
    answers = model.loglikelihood(requests)
    assert len(passes) == 2
    assert answers[:2] == answers[4:]
    assert answers[:2] != answers[2:4]


def test_a_continuation_may_be_a_function_of_the_doc(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance]
) -> None:
    model = build()
    model.task_dict["task"]["test"][0]["target"] = "C"
    picture = ConditionedPicture("set", "s", CLEAN)
    plain, called = (
        model.loglikelihood([make_request("What?", wanted, picture, 0)]) for wanted in ("C", lambda doc: doc["target"])
    )
    assert plain == called


def test_a_question_without_an_image(build: Callable[..., BenchCModel], make_request: Callable[..., Instance]) -> None:
    model = build()
    answers = model.loglikelihood([make_request("What?", "A", visual, 0) for visual in (None, lambda doc: None)])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("render_threads", [2, 7])
def test_the_number_of_threads_changes_nothing(
    build: Callable[..., BenchCModel], requests: list[Instance], render_threads: int
) -> None:
    """To the bit: the same batches reach the model whatever the threads do."""
    expected = build(batch_size=4, render_threads=1, look_ahead=1).loglikelihood(requests)
    assert build(batch_size=4, render_threads=render_threads, look_ahead=5).loglikelihood(requests) == expected


def test_images_are_rendered_ahead_of_the_model_and_not_far(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance], count_passes: Callable[..., list[int]]
) -> None:
    model = build(batch_size=2, look_ahead=2, render_threads=2)
    passes = count_passes(model)
    leads: list[int] = []
    threads: set[str] = set()

    def render(doc: Any) -> list[Image.Image]:
        leads.append(len(leads) + 1 - sum(passes))
        threads.add(threading.current_thread().name)
        return [doc["image"]]

    model.task_dict["task"]["test"] *= 5
    model.loglikelihood([make_request("What?", "A", render, doc_id) for doc_id in range(30)])
    assert sum(passes) == 30
    assert 2 < max(leads) <= 2 * (2 + 1) + 2 * 2 + 1
    assert threading.current_thread().name not in threads


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        ({"image": b"no image"}, "its image does not begin like any known format; replace it by an intact PNG"),
        ({}, "the image could not be rendered (KeyError: 'image')"),
    ],
    ids=["no image", "another fault"],
)
def test_a_picture_that_cannot_be_rendered_leaves_its_answers_out_and_no_others(
    build: Callable[..., BenchCModel],
    requests: list[Instance],
    count_passes: Callable[..., list[int]],
    doc: dict[str, Any],
    reason: str,
) -> None:
    model = build()
    expected = model.loglikelihood(requests)
    passes = count_passes(model)
    model.task_dict["task"]["test"][4] = doc
    answers = model.loglikelihood(requests)
    assert sum(passes) == len(requests) // 4 - len(CONDITIONS)
    for request, answer, before in zip(requests, answers, expected, strict=True):
        if request.args[3] == 4:
            condition = request.args[2].condition
            assert isinstance(answer, str)
            assert answer.startswith(f"no answer: sample 's4' under {condition}: {reason}")
        else:
            assert answer == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchc-ahead")]


def test_what_is_no_image_is_named(build: Callable[..., BenchCModel], make_request: Callable[..., Instance]) -> None:
    (answer,) = build().loglikelihood([make_request("What?", "A", lambda doc: ["film.mp4"], 2)])
    assert answer.startswith("no answer: doc 2 of task 'task': doc_to_visual returned a str, and benchc scores images")


def test_answers_are_streamed_as_their_batch_is_scored(
    build: Callable[..., BenchCModel], requests: list[Instance], count_passes: Callable[..., list[int]]
) -> None:
    model = build(batch_size=2)
    expected = model.loglikelihood(requests)
    passes = count_passes(model)
    stream = model.stream_loglikelihood(requests)
    assert [next(stream) for _ in range(2 * len(LETTERS))] == expected[: 2 * len(LETTERS)]
    assert passes == [2]
    assert [*stream] == expected[2 * len(LETTERS) :]
    assert not list(model.stream_loglikelihood([]))


def test_a_stream_that_is_given_up_stops_its_threads(
    build: Callable[..., BenchCModel], requests: list[Instance]
) -> None:
    stream = build().stream_loglikelihood(requests)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("benchc-ahead")]


def test_log_likelihoods_that_are_nan_are_no_answer(
    build: Callable[..., BenchCModel], requests: list[Instance]
) -> None:
    """A real half-precision failure: weights so large that the logits overflow."""
    model = build(dtype="float16")
    with torch.no_grad():
        model._scorer._model.get_output_embeddings().weight.mul_(1e7)
    (answer, *_) = model.loglikelihood(requests[:4])
    assert answer.startswith("no answer: sample 's0' under clean: the model's log-likelihoods are nan")
    assert "dtype=bfloat16" in answer


def test_a_fingerprint_tells_what_the_arguments_do_not(
    build: Callable[..., BenchCModel], checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(checkpoint("llava"), tmp_path / "copy")
    prints = [
        build(device="cpu").fingerprint,
        build(device="cpu", dtype="bfloat16").fingerprint,
        build(device="cpu", system_prompt="Be brief.").fingerprint,
        build(device="cpu", enable_thinking=False).fingerprint,
    ]
    assert BenchCModel(pretrained=str(tmp_path / "copy"), device="cpu").fingerprint == prints[0]
    config = tmp_path / "copy" / "config.json"
    config.write_text(config.read_text() + "\n")
    prints.append(BenchCModel(pretrained=str(tmp_path / "copy"), device="cpu").fingerprint)
    assert len(set(prints)) == len(prints) == 5
    assert build(device="cpu", batch_size=4).fingerprint == prints[0]


def test_pictures_are_not_kept(build: Callable[..., BenchCModel], make_request: Callable[..., Instance]) -> None:
    """At no time are more images alive than the look-ahead and the batch that is scored hold."""
    model = build(batch_size=2, look_ahead=2, render_threads=1)
    alive: set[int] = set()
    most = 0
    lock = threading.Lock()

    class Tracked(Image.Image):
        def __del__(self) -> None:
            alive.discard(id(self))

    def render(doc: Any) -> list[Image.Image]:
        nonlocal most
        image = doc["image"].copy()
        image.__class__ = Tracked
        with lock:
            alive.add(id(image))
            most = max(most, len(alive))
        return [image]

    model.task_dict["task"]["test"] *= 10
    model.loglikelihood([make_request("What?", "A", render, doc_id) for doc_id in range(60)])
    assert 0 < most < 20
    assert not alive


def test_rounds_of_a_conversation_are_refused(build: Callable[..., BenchCModel]) -> None:
    model = build()
    assert model.generate_until([]) == []
    with pytest.raises(
        NotImplementedError, match=r"^benchc answers one question and holds no conversation: .+ --model$"
    ):
        model.generate_until_multi_round([])


def test_lmms_eval_builds_it_from_its_command_line(checkpoint: Callable[[str], Path]) -> None:
    model = BenchCModel.create_from_arg_string(
        f"pretrained={checkpoint('llava')},render_threads=3,dtype=float64",
        {"batch_size": "auto:4", "max_batch_size": 6, "device": None},
    )
    assert model.is_simple
    assert (model.rank, model.world_size, model.accelerator.num_processes) == (0, 1, 1)
    assert model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert model._scorer.batch_size == 6
    assert model._scorer._model.dtype == torch.float64


def test_weights_are_float32_on_a_cpu_whatever_the_checkpoint_says(
    tmp_path: Path, build: Callable[..., BenchCModel]
) -> None:
    first = build(device="cpu", dtype="bfloat16")._scorer
    first._model.save_pretrained(tmp_path)
    first._chat._processor.save_pretrained(tmp_path)
    assert BenchCModel(pretrained=str(tmp_path), device="cpu")._scorer._model.dtype == torch.float32
    assert BenchCModel(pretrained=str(tmp_path), device="cpu", dtype="auto")._scorer._model.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_size": 0}, r"^batch_size is 0: give a number of 1 or more, or auto$"),
        ({"batch_size": "many"}, r"^batch_size is 'many': give a number of 1 or more, or auto$"),
        ({"batch_size": 2.5}, r"^batch_size is 2\.5: give a number of 1 or more, or auto$"),
        ({"batch_size": "automatic"}, r"^batch_size is 'automatic': give a number of 1 or more, or auto$"),
        ({"max_batch_size": "few"}, r"^max_batch_size is 'few': give a number of 1 or more, or leave it out$"),
        ({"look_ahead": 0}, r"^look_ahead is 0: give a number of 1 or more$"),
        ({"look_ahead": "far"}, r"^look_ahead is 'far': give a number of 1 or more$"),
        ({"render_threads": 0}, r"^render_threads is 0: give a number of 1 or more$"),
        ({"heartbeat": "often"}, r"^heartbeat is 'often': give a number of seconds above 0$"),
        ({"render_threads": -1}, r"^render_threads is -1: give a number of 1 or more$"),
        ({"dtype": "float33"}, r"^dtype 'float33' is not a precision: name float32, bfloat16, float16 or auto$"),
        ({"device": "gpu"}, r"^device 'gpu' is unknown to torch: name cpu, cuda, cuda:0 or mps$"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    build: Callable[..., BenchCModel], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        build(**settings)


def test_a_system_prompt_reaches_the_model(
    build: Callable[..., BenchCModel], requests: list[Instance], tmp_path: Path
) -> None:
    plain, told = (build(**told).loglikelihood(requests[:4]) for told in ({}, {"system_prompt": "Be brief."}))
    (tmp_path / "prompt.txt").write_text("Be brief.\n")
    assert plain != told
    assert build(system_prompt=str(tmp_path / "prompt.txt")).loglikelihood(requests[:4]) == told


def test_nothing_is_scored_after_cleaning_up(build: Callable[..., BenchCModel], requests: list[Instance]) -> None:
    model = build()
    scored = model._scorer
    model.clean()
    assert scored not in vars(model).values()
    with pytest.raises(RuntimeError, match=r"^the benchc model was cleaned up"):
        model.loglikelihood(requests[:4])


def test_torch_leaves_cores_to_the_rendering_threads(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(render_threads=3, device="cpu")
    monkeypatch.setattr("benchc_tasks.stacks.choice_model.available_cores", lambda: 5)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    seen: list[int] = []
    model._scorer._model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    try:
        model.loglikelihood([make_request("What?", "A", None, 0)])
        assert (set(seen), torch.get_num_threads()) == ({2}, 4)
    finally:
        torch.set_num_threads(before)


def test_images_are_rendered_while_the_model_is_in_a_pass(
    build: Callable[..., BenchCModel], make_request: Callable[..., Instance]
) -> None:
    """The second image waits for the first pass to begin, and that pass waits until the image has seen it."""
    model = build(render_threads=1, look_ahead=1)
    model._scorer._has_looked = model._scorer._has_tried = True  # the passes that try it out are not of the questions
    in_pass, seen = threading.Event(), threading.Event()
    overlaps: list[bool] = []

    def enter(*_: Any) -> None:
        in_pass.set()
        overlaps.append(seen.wait(timeout=20))

    def render(doc: Any) -> list[Image.Image]:
        if doc is model.task_dict["task"]["test"][1]:
            overlaps.append(in_pass.wait(timeout=20))
            seen.set()
        return [doc["image"]]

    model._scorer._model.register_forward_pre_hook(enter)
    model.loglikelihood([make_request("What?", "A", render, doc_id) for doc_id in range(2)])
    assert overlaps == [True, True, True]
